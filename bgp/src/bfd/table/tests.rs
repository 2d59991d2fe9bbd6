//! Two tables on one link, and datagrams that do not belong.

use std::net::IpAddr;

use super::super::peer::Hops;
use super::super::state::Diagnostic;
use super::*;

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn config() -> Config {
    let interval = Duration::from_millis(100);
    Config::new(interval, interval, 3).unwrap()
}

/// From `remote`, as it comes over one hop.
fn arrival(remote: IpAddr) -> Arrival {
    Arrival { remote, local: address(1), interface: NonZeroU32::new(2), port: 3784, ttl: 255 }
}

/// Ours with a session to .2, and theirs with one to .1.
struct Pair {
    ours: Table,
    theirs: Table,
    now: Instant,
}

impl Pair {
    fn up() -> Self {
        let now = Instant::now();
        let mut pair = Self { ours: Table::new(1), theirs: Table::new(2), now };
        pair.ours.add(Peer::on_link(address(2)), config(), now);
        pair.theirs.add(Peer::on_link(address(1)), config(), now);
        pair.pass(Duration::from_secs(3));
        assert_eq!(pair.ours.poll_event(), Some((Peer::on_link(address(2)), Event::Up)));
        assert_eq!(pair.theirs.poll_event(), Some((Peer::on_link(address(1)), Event::Up)));
        pair
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            let deadlines = [self.ours.next_deadline(), self.theirs.next_deadline()];
            let Some(next) = deadlines.into_iter().flatten().min().filter(|&next| next < end) else { break };
            self.now = next;
            self.ours.handle_timeout(next);
            self.theirs.handle_timeout(next);
        }
        self.now = end;
    }

    fn exchange(&mut self) {
        loop {
            let (to_them, to_us) = (self.ours.poll_transmit(), self.theirs.poll_transmit());
            if to_them.is_none() && to_us.is_none() {
                return;
            }
            // What was forgotten on the other side is discarded there.
            if let Some((_, bytes)) = to_them {
                let there = Arrival { local: address(2), ..arrival(address(1)) };
                let _ = self.theirs.handle_datagram(&there, &bytes, self.now);
            }
            if let Some((_, bytes)) = to_us {
                let _ = self.ours.handle_datagram(&arrival(address(2)), &bytes, self.now);
            }
        }
    }

    /// A packet of theirs, from the session to us.
    fn packet(&mut self) -> [u8; PACKET_LEN] {
        loop {
            self.now = self.theirs.next_deadline().unwrap();
            self.theirs.handle_timeout(self.now);
            if let Some((_, bytes)) = self.theirs.poll_transmit() {
                return bytes;
            }
        }
    }

    fn state(&self) -> Vec<State> {
        self.ours.status().map(|status| status.state).collect()
    }
}

#[test]
fn sessions_come_up_and_say_how_fast_they_are() {
    let pair = Pair::up();
    let status: Vec<_> = pair.ours.status().collect();
    assert_eq!(status.len(), 1);
    assert_eq!((status[0].state, status[0].peer_state), (State::Up, Some(State::Up)));
    assert_eq!(status[0].detection_time, Duration::from_millis(300));
    assert_eq!(status[0].transmit_interval, Duration::from_millis(100));
}

#[test]
fn what_is_not_for_a_session_changes_nothing() {
    let mut pair = Pair::up();
    let before: Vec<_> = pair.ours.status().collect();
    let deadline = pair.ours.next_deadline();
    let good = pair.packet();
    let here = arrival(address(2));
    let mut discard = |arrival: &Arrival, change: &dyn Fn(&mut Packet)| {
        let mut packet = Packet::decode(&good).unwrap();
        change(&mut packet);
        pair.ours.handle_datagram(arrival, &packet.encode(), pair.now).unwrap_err()
    };
    let named = Packet::decode(&good).unwrap().your_discriminator.unwrap();
    let unknown = NonZeroU32::new(named.get() ^ 1).unwrap();
    let nothing = |_: &mut Packet| ();
    let unnamed = |packet: &mut Packet| {
        packet.your_discriminator = None;
        packet.state = State::Down;
    };

    for ttl in [254, 1, 0] {
        assert_eq!(discard(&Arrival { ttl, ..here }, &nothing), Discard::Ttl { ttl, minimum: 255 });
    }
    let down = |packet: &mut Packet| packet.state = State::Down;
    let other = discard(&arrival(address(3)), &down);
    assert_eq!(other, Discard::OtherPeer(named));
    assert_eq!(discard(&Arrival { port: 4784, ..here }, &down), Discard::OtherPeer(named));
    let unknown_name = |packet: &mut Packet| packet.your_discriminator = Some(unknown);
    assert_eq!(discard(&here, &unknown_name), Discard::UnknownSession(unknown));
    assert_eq!(discard(&arrival(address(3)), &unnamed), Discard::UnknownPeer);
    assert_eq!(discard(&Arrival { port: 4784, ..here }, &unnamed), Discard::UnknownPeer);
    let short = pair.ours.handle_datagram(&here, &good[..23], pair.now);
    assert_eq!(short, Err(Discard::Packet(PacketError::Short(23))));

    assert_eq!(pair.ours.status().collect::<Vec<_>>(), before);
    assert_eq!(pair.ours.next_deadline(), deadline);
    assert_eq!((pair.ours.poll_transmit(), pair.ours.poll_event()), (None, None));
    // The same packet is good where it belongs.
    assert_eq!(pair.ours.handle_datagram(&here, &good, pair.now), Ok(()));
}

#[test]
fn a_peer_that_starts_anew_is_found_by_its_address() {
    let mut pair = Pair::up();
    pair.theirs = Table::new(3);
    pair.theirs.add(Peer::on_link(address(1)), config(), pair.now);
    pair.pass(Duration::from_secs(3));
    assert!(matches!(pair.ours.poll_event(), Some((_, Event::Down { .. }))));
    assert!(matches!(pair.ours.poll_event(), Some((_, Event::Up))));
}

#[test]
fn the_most_particular_session_gets_the_datagram() {
    let (now, remote) = (Instant::now(), address(2));
    let any = Peer::on_link(remote);
    let here = Peer { local: Some(address(1)), ..any };
    let device = Peer { interface: NonZeroU32::new(2), ..here };
    let elsewhere = Peer { interface: NonZeroU32::new(9), ..any };
    let far = Peer { hops: Hops::Multiple { minimum_ttl: 250 }, ..any };
    let mut table = Table::new(1);
    let mut theirs = Table::new(2);
    theirs.add(Peer::on_link(address(1)), config(), now);
    let (_, bytes) = theirs.poll_transmit().unwrap();
    let mut order = Vec::new();
    for peer in [elsewhere, far, any, here, device] {
        table.add(peer, config(), now);
        let arrival = arrival(remote);
        let taken = table.handle_datagram(&arrival, &bytes, now).is_ok();
        let init = table.status().find(|status| status.state == State::Init).map(|status| status.peer);
        if let Some(init) = init {
            table.set_admin_down(&init, true, now);
        }
        order.push((taken, init));
    }
    let taken = |peer| (true, Some(peer));
    assert_eq!(order, [(false, None), (false, None), taken(any), taken(here), taken(device)]);

    let from_afar = |ttl| Arrival { port: 4784, ttl, ..arrival(remote) };
    let refused = table.handle_datagram(&from_afar(249), &bytes, now);
    assert_eq!(refused, Err(Discard::Ttl { ttl: 249, minimum: 250 }));
    assert_eq!(table.handle_datagram(&from_afar(250), &bytes, now), Ok(()));
}

#[test]
fn adding_again_changes_timers_and_keeps_the_session_up() {
    let mut pair = Pair::up();
    let slow = Duration::from_millis(700);
    pair.ours.add(Peer::on_link(address(2)), Config::new(slow, slow, 3).unwrap(), pair.now);
    pair.pass(Duration::from_secs(3));
    let status = pair.theirs.status().next().unwrap();
    assert_eq!((status.state, status.detection_time, status.transmit_interval), (State::Up, slow * 3, slow));
    assert_eq!((pair.ours.poll_event(), pair.theirs.poll_event()), (None, None));
}

#[test]
fn a_removed_session_says_farewell_and_is_forgotten() {
    let mut pair = Pair::up();
    pair.ours.remove(&Peer::on_link(address(2)), pair.now);
    pair.pass(Duration::from_millis(1));
    let (_, event) = pair.theirs.poll_event().unwrap();
    assert!(matches!(event, Event::Down { peer_state: State::AdminDown, .. }) && !event.is_failure());
    assert_eq!((pair.ours.poll_event(), pair.state(), pair.ours.len()), (None, vec![], 1));
    pair.pass(Duration::from_secs(3));
    assert_eq!((pair.ours.len(), pair.ours.next_deadline()), (0, None));
    assert_eq!(pair.theirs.status().next().unwrap().state, State::Down);
    // And gone is gone: no event, no answer.
    let bytes = pair.packet();
    assert!(pair.ours.handle_datagram(&arrival(address(2)), &bytes, pair.now).is_err());
    assert_eq!(pair.ours.poll_transmit(), None);
}

#[test]
fn a_session_removed_and_added_comes_up_again() {
    let mut pair = Pair::up();
    pair.ours.remove(&Peer::on_link(address(2)), pair.now);
    pair.ours.add(Peer::on_link(address(2)), config(), pair.now);
    assert_eq!(pair.state(), [State::Down]);
    pair.pass(Duration::from_secs(3));
    assert_eq!(pair.ours.poll_event(), Some((Peer::on_link(address(2)), Event::Up)));
    assert_eq!(pair.ours.len(), 1);
}

#[test]
fn a_session_held_down_is_let_go() {
    let mut pair = Pair::up();
    let peer = Peer::on_link(address(2));
    pair.ours.set_admin_down(&peer, true, pair.now);
    let administrator = Diagnostic::AdministrativelyDown;
    let event = pair.ours.poll_event().unwrap().1;
    assert!(matches!(event, Event::Down { diagnostic, .. } if diagnostic == administrator), "{event:?}");
    pair.pass(Duration::from_secs(9));
    assert_eq!(pair.state(), [State::AdminDown]);
    pair.ours.set_admin_down(&peer, false, pair.now);
    pair.pass(Duration::from_secs(3));
    assert_eq!(pair.ours.poll_event(), Some((peer, Event::Up)));
}

#[test]
fn a_thousand_sessions_are_told_apart() {
    let now = Instant::now();
    let mut table = Table::new(1);
    let peers: Vec<_> =
        (0..1000_u32).map(|n| Peer::on_link(IpAddr::from((0x0a00_0000 + n).to_be_bytes()))).collect();
    for peer in &peers {
        table.add(*peer, config(), now);
    }
    let mut sent: Vec<_> =
        std::iter::from_fn(|| table.poll_transmit()).map(|(peer, _)| peer.remote).collect();
    sent.sort_unstable();
    assert_eq!(sent, peers.iter().map(|peer| peer.remote).collect::<Vec<_>>());
    let second = now + Duration::from_secs(1);
    while let Some(next) = table.next_deadline().filter(|&next| next <= second) {
        table.handle_timeout(next);
    }
    assert_eq!(std::iter::from_fn(|| table.poll_transmit()).count(), 1000);
}
