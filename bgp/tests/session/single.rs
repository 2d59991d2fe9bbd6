//! One peer against bytes: none of them makes it panic, and each fault has its NOTIFICATION.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use weft_bgp::peer::PeerId;
use weft_bgp::session::{Action, Config, ConnectionId, Peer, State};
use weft_bgp::wire::{Asn, Capability, Dialect, Family, Frame, Message, Open, Received};

use crate::link::{address, config};

/// A passive peer that a neighbour has connected to, and what it answered so far.
struct Single {
    peer: Peer,
    id: ConnectionId,
    now: Instant,
}

impl Single {
    fn new() -> Self {
        let now = Instant::now();
        let mut peer = Peer::new(PeerId(1), Config { passive: true, ..config(0) }, 7, now);
        peer.handle_start(now);
        let id = peer.handle_accepted(address(0), address(1), now).unwrap();
        Self { peer, id, now }
    }

    fn in_state(state: State) -> Self {
        let mut this = Self::new();
        if state > State::OpenSent {
            this.say(&Message::Open(this.open()));
        }
        if state > State::OpenConfirm {
            this.say(&Message::Keepalive);
        }
        assert_eq!(this.peer.state(), state);
        this.answers();
        this
    }

    fn open(&self) -> Open {
        let other = config(1);
        let capabilities = vec![Capability::Multiprotocol(Family::EVPN), Capability::FourOctetAs(other.asn)];
        Open { asn: other.asn, hold_time: 9, router_id: other.router_id, capabilities }
    }

    fn say(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(&Dialect::plain(), &mut bytes).unwrap();
        self.hear(&bytes);
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.peer.handle_received(self.id, bytes, self.now);
    }

    /// What it sent, as words: a NOTIFICATION as code/subcode.
    fn answers(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(action) = self.peer.poll_action() {
            match action {
                Action::Send { bytes, .. } => {
                    let frame = Frame::next(&bytes, false).unwrap().unwrap();
                    words.push(match Received::decode(frame, &Dialect::plain()).unwrap().message {
                        Message::Notification(told) => format!("{}/{}", told.code.0, told.subcode),
                        Message::Open(_) => "open".to_owned(),
                        Message::Keepalive => "keepalive".to_owned(),
                        other @ (Message::Update(_) | Message::EndOfRib(_) | Message::RouteRefresh(_)) => {
                            format!("{other:?}")
                        }
                    });
                }
                Action::Close(_) => words.push("close".to_owned()),
                Action::Up(_) => words.push("up".to_owned()),
                Action::Down(_) => words.push("down".to_owned()),
                Action::Connect(_) | Action::Update { .. } | Action::EndOfRib(_) | Action::Refresh(_) => {}
            }
        }
        words
    }
}

#[test]
fn an_accepted_connection_gets_an_open_and_then_a_session() {
    let mut single = Single::new();
    assert_eq!(single.answers(), ["open"]);
    let open = single.open();
    single.say(&Message::Open(open));
    assert_eq!(single.answers(), ["keepalive"]);
    single.say(&Message::Keepalive);
    assert_eq!(single.answers(), ["up"]);
}

#[test]
fn byte_by_byte_is_as_good_as_at_once() {
    let mut single = Single::new();
    let mut bytes = Vec::new();
    Message::Open(single.open()).encode(&Dialect::plain(), &mut bytes).unwrap();
    Message::Keepalive.encode(&Dialect::plain(), &mut bytes).unwrap();
    for byte in bytes {
        single.hear(&[byte]);
    }
    assert_eq!(single.answers(), ["open", "keepalive", "up"]);
}

#[test]
fn messages_in_the_wrong_state_are_told_so() {
    let open = Message::Open(Single::new().open());
    let update = Message::EndOfRib(Family::EVPN);
    for (state, message, answer) in [
        (State::OpenSent, &Message::Keepalive, "5/1"),
        (State::OpenSent, &update, "5/1"),
        (State::OpenConfirm, &open, "5/2"),
        (State::OpenConfirm, &update, "5/2"),
        (State::Established, &open, "5/3"),
    ] {
        let mut single = Single::in_state(state);
        single.say(message);
        let answers = single.answers();
        assert_eq!(answers[..2], [answer, "close"], "{message:?} in {state}");
    }
}

#[test]
fn an_open_that_is_not_good_is_told_why() {
    let good = Single::new().open();
    let unspecified = std::net::Ipv4Addr::UNSPECIFIED;
    assert!(weft_bgp::wire::RouterId::new(unspecified).is_err(), "cannot even be written");
    let families = Capability::Multiprotocol(Family::EVPN);
    for (open, answer) in [
        (Open { asn: Asn::new(7), capabilities: vec![families.clone()], ..good.clone() }, "2/2"),
        (Open { capabilities: vec![families, Capability::FourOctetAs(Asn::new(7))], ..good.clone() }, "2/2"),
        (Open { router_id: config(0).router_id, ..good.clone() }, "2/3"),
        (Open { hold_time: 2, ..good.clone() }, "2/6"),
        (Open { capabilities: vec![Capability::Multiprotocol(Family::IPV6_UNICAST)], ..good.clone() }, "2/7"),
        (Open { capabilities: vec![], ..good }, "2/7"),
    ] {
        let mut single = Single::in_state(State::OpenSent);
        single.say(&Message::Open(open));
        assert_eq!(single.answers(), [answer, "close"]);
    }
}

#[test]
fn a_silent_neighbour_is_given_up_in_every_state() {
    for (state, seconds) in [(State::OpenSent, 240), (State::OpenConfirm, 9), (State::Established, 9)] {
        let mut single = Single::in_state(state);
        let end = single.now + Duration::from_secs(seconds);
        while single.now < end {
            single.now += Duration::from_millis(500);
            let now = single.now;
            single.peer.handle_timeout(now);
        }
        let answers = single.answers();
        assert!(answers.contains(&"4/0".to_owned()), "{state}: {answers:?}");
    }
}

#[test]
fn a_neighbour_that_takes_nothing_is_given_up() {
    let mut single = Single::in_state(State::Established);
    let end = single.now + Duration::from_secs(479);
    while single.now < end {
        single.now += Duration::from_secs(1);
        let now = single.now;
        single.say(&Message::Keepalive);
        single.peer.handle_timeout(now);
    }
    assert_eq!(single.peer.state(), State::Established);
    single.now += Duration::from_secs(10);
    let now = single.now;
    single.say(&Message::Keepalive);
    single.peer.handle_timeout(now);
    assert!(single.answers().contains(&"8/0".to_owned()));
}

#[test]
fn without_a_hold_time_only_an_established_session_is_silent_for_ever() {
    for established in [false, true] {
        let mut single = Single::new();
        let open = Open { hold_time: 0, ..single.open() };
        single.say(&Message::Open(open));
        if established {
            single.say(&Message::Keepalive);
        }
        single.peer.handle_written(single.id);
        single.answers();
        single.now += Duration::from_secs(86_400);
        let now = single.now;
        single.peer.handle_timeout(now);
        let wanted: &[&str] = if established { &[] } else { &["4/0", "close"] };
        assert_eq!(single.answers(), wanted);
    }
}

#[test]
fn a_neighbour_whose_words_wait_is_not_silent() {
    let mut single = Single::in_state(State::Established);
    single.peer.handle_written(single.id);
    single.now += Duration::from_secs(10);
    let (id, now) = (single.id, single.now);
    single.peer.handle_waiting(id, now);
    single.peer.handle_timeout(now);
    assert_eq!(single.answers(), ["keepalive"]);
    single.now += Duration::from_secs(10);
    let now = single.now;
    single.peer.handle_timeout(now);
    assert_eq!(single.answers()[..2], ["4/0", "close"]);
}

#[test]
fn a_neighbour_that_has_too_many_stays_away_as_long_as_it_is_told() {
    let mut single = Single::in_state(State::Established);
    let again = Some(Duration::from_secs(60));
    let stop = weft_bgp::session::Stop::TooManyRoutes { family: Family::EVPN, limit: 10, again };
    let now = single.now;
    single.peer.handle_stop(&stop, now);
    assert_eq!(single.answers(), ["6/1", "close", "down"]);
    assert_eq!(single.peer.handle_accepted(address(0), address(1), now), None);
    let now = now + Duration::from_secs(60);
    single.peer.handle_timeout(now);
    assert!(single.peer.handle_accepted(address(0), address(1), now).is_some());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        state in prop::sample::select(vec![State::OpenSent, State::OpenConfirm, State::Established]),
        kind in 0..7_u8,
        body in prop::collection::vec(any::<u8>(), 0..200),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut single = Single::in_state(state);
        let mut bytes = vec![0xff; 16];
        bytes.extend(u16::try_from(19 + body.len()).unwrap().to_be_bytes());
        bytes.push(kind);
        bytes.extend(body);
        let cut = cut.index(bytes.len());
        single.hear(&bytes[..cut]);
        single.hear(&bytes[cut..]);
        let answers = single.answers();
        let notified = answers.iter().any(|answer| answer.contains('/'));
        let closed = answers.iter().any(|answer| answer == "close");
        prop_assert!(closed || !notified, "{:?}", answers);
    }
}
