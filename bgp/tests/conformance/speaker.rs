//! The speaker of the cases.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use weft_bgp::peer::PeerId;
use weft_bgp::session::{Action, Config, ConnectionId, Expected, Peer, State};
use weft_bgp::wire::{
    Asn, Dialect, Family, Fault, Frame, Message, MessageKind, Notification, Received, RouterId, Update,
};

/// A passive speaker, and the neighbour's connection.
pub struct Speaker {
    peer: Peer,
    connection: ConnectionId,
    now: Instant,
}

/// What followed.
#[derive(Debug, Default)]
pub struct Outcome {
    pub notification: Option<Notification>,
    pub closed: bool,
    pub state: String,
    pub announced: usize,
    pub withdrawn: usize,
    pub ends_of_rib: usize,
    pub refreshes: usize,
    /// The treatment of the worst fault.
    pub worst: Option<String>,
}

impl Speaker {
    pub fn in_state(state: &str, open: &[u8]) -> Self {
        let now = Instant::now();
        let router_id = RouterId::new(Ipv4Addr::new(10, 0, 0, 1)).unwrap();
        let config = Config {
            hold_time: 90,
            passive: true,
            families: vec![Family::EVPN, Family::IPV4_UNICAST],
            ..Config::new(Asn::new(65001), router_id, Expected::Asn(Asn::new(65002)))
        };
        let mut peer = Peer::new(PeerId(1), config, 7, now);
        peer.handle_start(now);
        let end = |last| SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), 179));
        let connection = peer.handle_accepted(end(1), end(2), now).unwrap();
        let mut this = Self { peer, connection, now };
        let mut keepalive = Vec::new();
        Message::Keepalive.encode(&Dialect::plain(), &mut keepalive).unwrap();
        let (wanted, steps) = match state {
            "open-sent" => (State::OpenSent, vec![]),
            "open-confirm" => (State::OpenConfirm, vec![open]),
            "established" => (State::Established, vec![open, &keepalive]),
            other => panic!("{other} is no state"),
        };
        for step in steps {
            this.hear(step);
        }
        assert_eq!(this.peer.state(), wanted);
        while this.peer.poll_action().is_some() {}
        this
    }

    pub fn hear(&mut self, bytes: &[u8]) {
        self.peer.handle_received(self.connection, bytes, self.now);
    }

    pub fn outcome(&mut self) -> Outcome {
        let mut outcome = Outcome {
            state: match self.peer.state() {
                State::Idle | State::Connect | State::Active => "down",
                State::OpenSent => "open-sent",
                State::OpenConfirm => "open-confirm",
                State::Established => "established",
            }
            .to_owned(),
            ..Outcome::default()
        };
        while let Some(action) = self.peer.poll_action() {
            match action {
                Action::Send { bytes, .. } => {
                    let frame = Frame::next(&bytes, true).unwrap().unwrap();
                    if frame.kind == MessageKind::Notification
                        && let Message::Notification(told) =
                            Received::decode(frame, &Dialect::plain()).unwrap().message
                    {
                        outcome.notification = Some(told);
                    }
                }
                Action::Close(_) => outcome.closed = true,
                Action::Update { update, faults } => {
                    outcome.announced += announced(&update);
                    outcome.withdrawn += withdrawn(&update);
                    outcome.worst =
                        faults.iter().map(Fault::treatment).max().map(|worst| format!("{worst:?}"));
                }
                Action::EndOfRib(_) => outcome.ends_of_rib += 1,
                Action::Refresh(_) => outcome.refreshes += 1,
                Action::Connect(_) | Action::Up(_) | Action::Down(_) => {}
            }
        }
        outcome
    }
}

fn announced(update: &Update) -> usize {
    update.announced.len() + update.reachable.as_ref().map_or(0, |reachable| reachable.routes.len())
}

fn withdrawn(update: &Update) -> usize {
    update.withdrawn.len() + update.unreachable.iter().map(|routes| routes.len()).sum::<usize>()
}
