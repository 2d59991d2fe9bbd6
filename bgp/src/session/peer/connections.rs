//! Connections from the OPEN that this side sends to the end, whoever brings it about.

use std::net::SocketAddr;
use std::time::Instant;

use super::{GOOD, JITTER, Peer};
use crate::session::connection::{Connection, ConnectionId};
use crate::session::end::{End, Ended};
use crate::session::machine::{Event, Reaction, State, react};
use crate::session::{Action, Down};
use crate::wire::{Message, Notification, Open};

impl Peer {
    /// What the state machine says to an event of a connection; `end` says why, if that ends it.
    pub(super) fn handle_event(&mut self, id: ConnectionId, event: Event, end: End, now: Instant) {
        let Some(connection) = self.connection(id) else { return };
        match react(connection.state, event) {
            Reaction::Establish => self.establish(id, now),
            Reaction::Alive | Reaction::Deliver => connection.handle_life(now),
            Reaction::SendKeepalive => self.send(id, &Message::Keepalive, now),
            Reaction::Drop => self.close(id, end, None, now),
            Reaction::Notify => {
                let hard = connection.agreed.as_ref().is_some_and(|agreed| agreed.survives_notification());
                let notification = end.notification(hard);
                self.close(id, end, notification, now);
            }
            // What a connection that is there never meets: they are about getting one, or about a message that was
            // refused before it was read.
            Reaction::Ignore
            | Reaction::Begin
            | Reaction::StayIdle
            | Reaction::Wait
            | Reaction::SendOpen
            | Reaction::Refuse
            | Reaction::CheckOpen
            | Reaction::Unexpected(_) => {}
        }
    }

    /// Ends a connection, and what was established on it.
    pub(super) fn close(
        &mut self,
        id: ConnectionId,
        end: End,
        notification: Option<Notification>,
        now: Instant,
    ) {
        if let Some(notification) = &notification {
            self.send(id, &Message::Notification(notification.clone()), now);
        }
        let Some(index) = self.connections.iter().position(|connection| connection.id == id) else { return };
        let connection = self.connections.swap_remove(index);
        self.actions.push_back(Action::Close(id));
        let ended = Ended { sent: notification, ..Ended::new(&end, now) };
        if let (State::Established, Some(agreed)) = (connection.state, &connection.agreed) {
            let retain = if end.retains(agreed) { agreed.retain(&self.config) } else { Default::default() };
            if end.is_outage() || now.duration_since(self.since) >= GOOD {
                self.failures = 0;
            }
            self.since = now;
            self.kept_until = retain.families.iter().map(|kept| now + kept.restart).max();
            self.actions.push_back(Action::Down(Down { reason: ended.reason.clone(), retain }));
        }
        if !matches!(end, End::Collision(_) | End::Replaced) {
            if ended.sent.is_some() || ended.received.is_some() {
                self.told = Some(ended.clone());
            }
            self.ended = Some(ended);
        }
        self.establish_waiting(now);
        if self.connections.is_empty() && self.attempt.is_none() {
            self.pause(now);
        }
    }

    pub(super) fn open(
        &mut self,
        id: ConnectionId,
        own: bool,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) {
        self.connections.push(Connection::new(id, own, local, remote, now));
        let forwarding = self.was_up || self.config.restart.is_some_and(|restart| restart.forwarding);
        let open = Open {
            asn: self.config.asn,
            hold_time: self.config.hold_time,
            router_id: self.config.router_id,
            capabilities: self.config.capabilities(forwarding),
        };
        self.send(id, &Message::Open(open), now);
    }

    pub(super) fn send(&mut self, id: ConnectionId, message: &Message, now: Instant) {
        let jitter = self.dice.jitter(JITTER);
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else {
            return;
        };
        if let Some(bytes) = connection.encode(message) {
            connection.handle_sent(&self.config, jitter, now);
            self.sent.count(message.kind());
            self.actions.push_back(Action::Send { connection: id, bytes });
        }
    }
}
