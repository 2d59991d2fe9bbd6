//! ```text
//!   Peer 0 ==== a network that splits, joins, delays, loses and cuts ==== Peer 1
//! ```
//! Whatever it did, once it is good both peers have the same session, and keep it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use weft_bgp::peer::PeerId;
use weft_bgp::session::{Action, Config, ConnectionId, Peer, State, Stop};
use weft_bgp::wire::{Dialect, Family, Message};

use crate::link::{address, config, restart};

/// Xorshift: a run can be repeated with its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A TCP connection: what each end calls it, and what is on its way to each end.
#[derive(Default)]
struct Wire {
    ends: [Option<ConnectionId>; 2],
    to: [VecDeque<(Instant, Parcel)>; 2],
    /// Nothing arrives any more, and no end is told.
    dead: bool,
}

enum Parcel {
    Bytes(Vec<u8>),
    End,
}

struct Network {
    peers: [Peer; 2],
    wires: Vec<Wire>,
    /// Attempts: whose, what it is called, and when it is decided.
    dials: Vec<(usize, ConnectionId, Instant)>,
    now: Instant,
    random: Random,
    good: bool,
    ups: [usize; 2],
    downs: [usize; 2],
    ends_of_rib: [usize; 2],
}

impl Network {
    fn new(seed: u64, graceful: bool, passive: bool) -> Self {
        let now = Instant::now();
        let peer = |side: u8| {
            let config = config(side.into());
            let restart = graceful.then(restart);
            let config = Config { restart, passive: passive && side == 0, ..config };
            let mut peer = Peer::new(PeerId(side.into()), config, seed.rotate_left(side.into()), now);
            peer.handle_start(now);
            peer
        };
        Self {
            peers: [peer(0), peer(1)],
            wires: Vec::new(),
            dials: Vec::new(),
            now,
            random: Random(seed | 1),
            good: false,
            ups: [0; 2],
            downs: [0; 2],
            ends_of_rib: [0; 2],
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.perform();
            let Some(next) = self.next().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.dial();
            self.deliver();
            for peer in &mut self.peers {
                peer.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    fn next(&self) -> Option<Instant> {
        let timers = self.peers.iter().filter_map(Peer::next_deadline);
        let dials = self.dials.iter().map(|dial| dial.2);
        let parcels = self.wires.iter().filter(|wire| !wire.dead);
        let parcels =
            parcels.flat_map(|wire| wire.to.iter().filter_map(VecDeque::front)).map(|front| front.0);
        timers.chain(dials).chain(parcels).min()
    }

    fn perform(&mut self) {
        for side in 0..2 {
            while let Some(action) = self.peers[side].poll_action() {
                match action {
                    Action::Connect(connection) => {
                        let at = self.now + Duration::from_millis(self.random.below(100));
                        self.dials.push((side, connection, at));
                    }
                    Action::Send { connection, bytes } => self.send(side, connection, &bytes),
                    Action::Close(connection) => self.close(side, connection),
                    Action::Up(up) => {
                        assert_eq!(up.families, [Family::EVPN]);
                        self.ups[side] += 1;
                        let mut bytes = Vec::new();
                        Message::EndOfRib(Family::EVPN).encode(&Dialect::plain(), &mut bytes).unwrap();
                        // It may be down again by one of the next actions.
                        if self.peers[side].state() == State::Established {
                            self.peers[side].handle_transmitted(&bytes, self.now);
                            self.send(side, up.connection, &bytes);
                        }
                    }
                    Action::Down(_) => self.downs[side] += 1,
                    Action::EndOfRib(family) => {
                        assert_eq!(family, Family::EVPN);
                        self.ends_of_rib[side] += 1;
                    }
                    // Damage may turn an End-of-RIB into something else that is legal.
                    Action::Update { .. } | Action::Refresh(_) => {
                        assert!(!self.good, "nobody sent that: {action:?}");
                    }
                }
                assert!(self.downs[side] <= self.ups[side] && self.ups[side] <= self.downs[side] + 1);
            }
        }
    }

    fn wire(&mut self, side: usize, connection: ConnectionId) -> Option<usize> {
        self.wires.iter().position(|wire| wire.ends[side] == Some(connection))
    }

    fn send(&mut self, side: usize, connection: ConnectionId, mut bytes: &[u8]) {
        let Some(wire) = self.wire(side, connection) else { return };
        while !bytes.is_empty() {
            let len = 1 + usize::try_from(self.random.below(bytes.len() as u64)).unwrap();
            self.post(wire, 1 - side, Parcel::Bytes(bytes[..len].to_vec()));
            bytes = &bytes[len..];
        }
        self.peers[side].handle_written(connection);
    }

    fn post(&mut self, wire: usize, to: usize, parcel: Parcel) {
        let at = self.now + Duration::from_millis(self.random.below(50));
        let queue = &mut self.wires[wire].to[to];
        let at = queue.back().map_or(at, |last| last.0.max(at));
        queue.push_back((at, parcel));
    }

    fn close(&mut self, side: usize, connection: ConnectionId) {
        self.dials.retain(|dial| (dial.0, dial.1) != (side, connection));
        if let Some(wire) = self.wire(side, connection) {
            self.wires[wire].ends[side] = None;
            self.wires[wire].to[side].clear();
            self.post(wire, 1 - side, Parcel::End);
        }
    }

    fn dial(&mut self) {
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.dials).into_iter().partition(|dial| dial.2 <= now);
        self.dials = later;
        for (side, connection, _) in due {
            if !self.good && self.random.one_in(3) {
                self.peers[side].handle_connect_failed(connection, "refused".to_owned(), now);
                continue;
            }
            let (own, peer) = (address(side), address(1 - side));
            let accepted = self.peers[1 - side].handle_accepted(peer, own, now);
            let mut wire = Wire::default();
            wire.ends[side] = Some(connection);
            wire.ends[1 - side] = accepted;
            self.wires.push(wire);
            if accepted.is_none() {
                self.post(self.wires.len() - 1, side, Parcel::End);
            }
            self.peers[side].handle_connected(connection, own, peer, now);
            self.perform();
        }
    }

    fn deliver(&mut self) {
        for at in 0..self.wires.len() {
            for to in 0..2 {
                let mut joined = Vec::new();
                let mut ended = false;
                let wire = &mut self.wires[at];
                while !wire.dead
                    && wire.to[to].front().is_some_and(|front| front.0 <= self.now)
                    && let Some((_, parcel)) = wire.to[to].pop_front()
                {
                    match parcel {
                        Parcel::Bytes(bytes) => joined.extend(bytes),
                        Parcel::End => ended = true,
                    }
                }
                let Some(end) = self.wires[at].ends[to] else { continue };
                if !joined.is_empty() {
                    self.damage(at, &mut joined);
                    self.peers[to].handle_received(end, &joined, self.now);
                }
                if ended {
                    self.peers[to].handle_closed(end, "closed".to_owned(), self.now);
                    self.wires[at].ends[to] = None;
                }
                self.perform();
            }
        }
        self.wires.retain(|wire| wire.ends != [None, None]);
    }

    fn damage(&mut self, at: usize, bytes: &mut [u8]) {
        if self.good {
            return;
        }
        if self.random.one_in(12) {
            let byte = usize::try_from(self.random.below(bytes.len() as u64)).unwrap();
            bytes[byte] ^= 1 << self.random.below(8);
        }
        if self.random.one_in(12) {
            self.wires[at].dead = true;
        }
        if self.random.one_in(8) {
            self.post(at, 0, Parcel::End);
            self.post(at, 1, Parcel::End);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn two_peers_end_with_one_session(
        seed: u64,
        restart: bool,
        passive: bool,
    ) {
        let mut network = Network::new(seed, restart, passive);
        network.run(Duration::from_secs(600));
        network.good = true;
        network.run(Duration::from_secs(900));
        for peer in &network.peers {
            prop_assert_eq!(peer.state(), State::Established, "{:#?}", peer);
        }
        let [a, b] = [0, 1].map(|side| network.peers[side].established().unwrap().connection);
        let same = network.wires.iter().any(|wire| wire.ends == [Some(a), Some(b)] && !wire.dead);
        prop_assert!(same, "both ends are of one connection");
        let downs = network.downs;
        network.run(Duration::from_secs(1200));
        prop_assert_eq!(network.downs, downs, "it stays up");
        network.peers[0].handle_stop(&Stop::Reset("again".to_owned()), network.now);
        network.ends_of_rib = [0; 2];
        network.run(Duration::from_secs(60));
        prop_assert_eq!(network.downs, downs.map(|downs| downs + 1), "it ended once, though connections crossed");
        prop_assert!(network.ends_of_rib.iter().all(|count| *count > 0));
        prop_assert!(network.peers.iter().all(|peer| peer.state() == State::Established));
    }
}

#[test]
fn on_a_good_network_the_session_is_up_within_seconds() {
    for seed in 1..200 {
        let mut network = Network::new(seed, false, false);
        network.good = true;
        network.run(Duration::from_secs(10));
        assert!(network.peers.iter().all(|peer| peer.state() == State::Established), "seed {seed}");
    }
}
