//! The state machine: what an event means in a state (RFC 4271 section 8.2.2, RFC 6608, RFC 9687).
//!
//! ```text
//!            Start             TCP is up            OPEN is good         KEEPALIVE
//! ┌──────┐ ────────► ┌─────────┐ ──────► ┌──────────┐ ──────► ┌─────────────┐ ──────► ┌─────────────┐
//! │ Idle │           │ Connect │         │ OpenSent │         │ OpenConfirm │         │ Established │
//! └──────┘           └─────────┘         └──────────┘         └─────────────┘         └─────────────┘
//!    ▲                 │     ▲                ▲ TCP is up                                    │
//!    │           fails ▼     │ retry timer    │                                              │
//!    │               ┌────────┐ ──────────────┘                                              │
//!    │               │ Active │                                                              │
//!    │               └────────┘                                                              │
//!    └──────────────── whatever goes wrong in these, after a pause ◄─────────────────────────┘
//! ```
//!
//! A neighbour can have two connections, one that it began and one that it accepted: each is a machine of its own from
//! OpenSent on. Before, the neighbour as a whole is in Idle, Connect or Active.

use std::fmt;

use crate::wire::{MessageKind, fsm};

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Not to be, or pausing.
    Idle,
    /// Connecting.
    Connect,
    /// Waiting for the other side to connect, or for the time to connect.
    Active,
    /// The own OPEN is sent.
    OpenSent,
    /// The other OPEN is good.
    OpenConfirm,
    /// Routes can be told.
    Established,
}

impl State {
    /// In order.
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::Connect, Self::Active, Self::OpenSent, Self::OpenConfirm, Self::Established];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        })
    }
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The session is to be (events 1, 3 to 7).
    Start,
    /// The session is to end (events 2 and 8, and all that is like them: too many routes, BFD).
    Stop,
    /// It is time to connect (event 9).
    RetryTimer,
    /// Nothing came for too long (event 10).
    HoldTimer,
    /// It is time for a sign of life (event 11).
    KeepaliveTimer,
    /// Nothing could be sent for too long (RFC 9687 section 3.2, event 29).
    SendHoldTimer,
    /// A connection is there, whoever began it (events 14, 16 and 17).
    TcpUp,
    /// A connection did not come about, or it is gone (event 18).
    TcpDown,
    /// An OPEN (event 19).
    Open,
    /// A message that cannot be read (events 21, 22 and 28).
    Malformed,
    /// The other connection was kept (event 23).
    Collision,
    /// A NOTIFICATION (events 24 and 25).
    Notification,
    /// A KEEPALIVE (event 26).
    Keepalive,
    /// An UPDATE (event 27).
    Update,
    /// A ROUTE-REFRESH (RFC 2918 section 4).
    Refresh,
}

impl Event {
    /// That a message of this type came.
    pub(super) const fn of(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Open => Self::Open,
            MessageKind::Update => Self::Update,
            MessageKind::Notification => Self::Notification,
            MessageKind::Keepalive => Self::Keepalive,
            MessageKind::RouteRefresh => Self::Refresh,
        }
    }
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Nothing.
    Ignore,
    /// Connect, or wait for the other side to.
    Begin,
    /// Stay away until told otherwise.
    StayIdle,
    /// Wait for the next time to connect.
    Wait,
    /// Send an OPEN.
    SendOpen,
    /// Refuse the connection.
    Refuse,
    /// See whether the OPEN is good; if so, send a KEEPALIVE.
    CheckOpen,
    /// The session is established.
    Establish,
    /// The other side lives.
    Alive,
    /// It lives, and the message is for the owner.
    Deliver,
    /// Send a KEEPALIVE.
    SendKeepalive,
    /// Close without a word.
    Drop,
    /// Send the NOTIFICATION that the cause of the event wants, and close.
    Notify,
    /// Send a NOTIFICATION of a message that does not belong here, with this subcode (RFC 6608 section 3), and close.
    Unexpected(u8),
}

/// What `event` means in `state`.
pub(super) const fn react(state: State, event: Event) -> Reaction {
    match (state, event) {
        (State::Idle, Event::Start) => Reaction::Begin,
        (State::Idle, Event::Stop) => Reaction::StayIdle,
        (State::Idle, Event::TcpUp) => Reaction::Refuse,
        (
            State::Idle,
            Event::RetryTimer
            | Event::HoldTimer
            | Event::KeepaliveTimer
            | Event::SendHoldTimer
            | Event::TcpDown
            | Event::Open
            | Event::Malformed
            | Event::Collision
            | Event::Notification
            | Event::Keepalive
            | Event::Update
            | Event::Refresh,
        ) => Reaction::Ignore,

        (State::Connect | State::Active, Event::Stop) => Reaction::StayIdle,
        (State::Connect | State::Active, Event::RetryTimer) => Reaction::Begin,
        (State::Connect | State::Active, Event::TcpUp) => Reaction::SendOpen,
        (State::Connect | State::Active, Event::TcpDown) => Reaction::Wait,
        // Without a connection nothing of this can happen: it is about one that is closed.
        (
            State::Connect | State::Active,
            Event::Start
            | Event::HoldTimer
            | Event::KeepaliveTimer
            | Event::SendHoldTimer
            | Event::Open
            | Event::Malformed
            | Event::Collision
            | Event::Notification
            | Event::Keepalive
            | Event::Update
            | Event::Refresh,
        ) => Reaction::Ignore,

        (State::OpenSent | State::OpenConfirm | State::Established, Event::Start | Event::RetryTimer) => {
            Reaction::Ignore
        }
        // Of another connection: the two are sorted out when its OPEN comes (section 6.8).
        (State::OpenSent | State::OpenConfirm | State::Established, Event::TcpUp) => Reaction::SendOpen,
        (
            State::OpenSent | State::OpenConfirm | State::Established,
            Event::Stop | Event::HoldTimer | Event::SendHoldTimer | Event::Malformed | Event::Collision,
        ) => Reaction::Notify,
        (State::OpenSent | State::OpenConfirm | State::Established, Event::TcpDown | Event::Notification) => {
            Reaction::Drop
        }

        (State::OpenSent, Event::Open) => Reaction::CheckOpen,
        (State::OpenSent, Event::KeepaliveTimer) => Reaction::Ignore,
        (State::OpenSent, Event::Keepalive | Event::Update | Event::Refresh) => {
            Reaction::Unexpected(fsm::OPEN_SENT)
        }

        (State::OpenConfirm, Event::Keepalive) => Reaction::Establish,
        (State::OpenConfirm | State::Established, Event::KeepaliveTimer) => Reaction::SendKeepalive,
        (State::OpenConfirm, Event::Open | Event::Update | Event::Refresh) => {
            Reaction::Unexpected(fsm::OPEN_CONFIRM)
        }

        (State::Established, Event::Keepalive) => Reaction::Alive,
        (State::Established, Event::Update | Event::Refresh) => Reaction::Deliver,
        (State::Established, Event::Open) => Reaction::Unexpected(fsm::ESTABLISHED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 15] = [
        Event::Start,
        Event::Stop,
        Event::RetryTimer,
        Event::HoldTimer,
        Event::KeepaliveTimer,
        Event::SendHoldTimer,
        Event::TcpUp,
        Event::TcpDown,
        Event::Open,
        Event::Malformed,
        Event::Collision,
        Event::Notification,
        Event::Keepalive,
        Event::Update,
        Event::Refresh,
    ];

    /// Each line is an event, each column a state, in the order of [`State::ALL`].
    const TABLE: [[&str; 6]; 15] = [
        ["begin", "-", "-", "-", "-", "-"],
        ["idle", "idle", "idle", "notify", "notify", "notify"],
        ["-", "begin", "begin", "-", "-", "-"],
        ["-", "-", "-", "notify", "notify", "notify"],
        ["-", "-", "-", "-", "keepalive", "keepalive"],
        ["-", "-", "-", "notify", "notify", "notify"],
        ["refuse", "open", "open", "open", "open", "open"],
        ["-", "wait", "wait", "drop", "drop", "drop"],
        ["-", "-", "-", "check", "5/2", "5/3"],
        ["-", "-", "-", "notify", "notify", "notify"],
        ["-", "-", "-", "notify", "notify", "notify"],
        ["-", "-", "-", "drop", "drop", "drop"],
        ["-", "-", "-", "5/1", "establish", "alive"],
        ["-", "-", "-", "5/1", "5/2", "deliver"],
        ["-", "-", "-", "5/1", "5/2", "deliver"],
    ];

    fn word(reaction: Reaction) -> String {
        match reaction {
            Reaction::Ignore => "-",
            Reaction::Begin => "begin",
            Reaction::StayIdle => "idle",
            Reaction::Wait => "wait",
            Reaction::SendOpen => "open",
            Reaction::Refuse => "refuse",
            Reaction::CheckOpen => "check",
            Reaction::Establish => "establish",
            Reaction::Alive => "alive",
            Reaction::Deliver => "deliver",
            Reaction::SendKeepalive => "keepalive",
            Reaction::Drop => "drop",
            Reaction::Notify => "notify",
            Reaction::Unexpected(subcode) => return format!("5/{subcode}"),
        }
        .to_owned()
    }

    #[test]
    fn every_event_in_every_state() {
        for (event, line) in EVENTS.into_iter().zip(TABLE) {
            let reactions = State::ALL.map(|state| word(react(state, event)));
            assert_eq!(reactions, line.map(str::to_owned), "{event:?}");
        }
    }
}
