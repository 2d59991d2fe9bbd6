//! Sessions (RFC 4271 section 8): one [`Peer`] for each neighbour. Sans-I/O.
//!
//! In: `handle_*`, of which [`Peer::handle_received`] takes bytes cut anywhere. Out: [`Peer::poll_action`], and
//! [`Peer::next_deadline`] for [`Peer::handle_timeout`]. Connections are made and closed by the owner, who keeps them
//! apart by their [`ConnectionId`].

mod config;
mod connection;
mod end;
mod established;
mod machine;
mod peer;

pub use config::{Config, Expected, Restart};
pub use connection::ConnectionId;
pub use end::{Ended, Stop};
pub use established::Established;
pub use machine::State;
pub use peer::Peer;

use crate::rib::Retain;
use crate::wire::{Family, Fault, Frame, MessageKind, RouteRefresh, Update};

/// What the owner is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every action is an UPDATE: a box would cost each one")]
pub enum Action {
    /// Connect to the neighbour.
    Connect(ConnectionId),
    /// Send.
    Send {
        /// On which connection.
        connection: ConnectionId,
        /// A whole message.
        bytes: Vec<u8>,
    },
    /// Close a connection when all is sent, or stop connecting. It is not to be named again.
    Close(ConnectionId),
    /// The session is established.
    Up(Box<Established>),
    /// The neighbour announces or withdraws routes.
    Update {
        /// What.
        update: Update,
        /// What was wrong with it, and is mended (RFC 7606).
        faults: Vec<Fault>,
    },
    /// It announced all that it has of a family.
    EndOfRib(Family),
    /// It wants routes again, or marks an answer.
    Refresh(RouteRefresh),
    /// The session ended.
    Down(Down),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// Why, in words.
    pub reason: String,
    /// What may stay of its routes.
    pub retain: Retain,
}

/// Messages by type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Messages {
    /// OPENs.
    pub open: u64,
    /// UPDATEs.
    pub update: u64,
    /// NOTIFICATIONs.
    pub notification: u64,
    /// KEEPALIVEs.
    pub keepalive: u64,
    /// ROUTE-REFRESHes.
    pub route_refresh: u64,
}

impl Messages {
    fn count(&mut self, kind: MessageKind) {
        *match kind {
            MessageKind::Open => &mut self.open,
            MessageKind::Update => &mut self.update,
            MessageKind::Notification => &mut self.notification,
            MessageKind::Keepalive => &mut self.keepalive,
            MessageKind::RouteRefresh => &mut self.route_refresh,
        } += 1;
    }

    /// Counts whole messages.
    fn count_all(&mut self, mut bytes: &[u8]) {
        while let Ok(Some(frame)) = Frame::next(bytes, true)
            && let Some(rest) = bytes.get(frame.len()..)
        {
            self.count(frame.kind);
            bytes = rest;
        }
    }
}
