//! Two peers that connect to each other at once: which connection stays (RFC 4271 section 6.8, RFC 6286 section 2.3,
//! RFC 4724 section 5).
//!
//! The connection that the side with the higher identifier began is to stay. A session flaps if one side gives a
//! connection up that is established for the other. So only the higher side chooses: it confirms (with a KEEPALIVE) one
//! connection and never another beside it. The lower side confirms both, and what the other confirms is established.
//! As it cannot be for one side what it is not for the other, no order of events makes a flap of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Peer;
use crate::session::Action;
use crate::session::connection::{Connection, ConnectionId};
use crate::session::end::End;
use crate::session::established::Established;
use crate::session::machine::{Event, Reaction, State, react};

/// For so long a connection is taken for one that was begun at the same time as another: for alive though no OPEN came,
/// and for no sign of a restart.
pub(in crate::session) const YOUNG: Duration = Duration::from_secs(5);
/// Connections at once: one that stands, one that the neighbour begins anew, and an own attempt.
const MOST: usize = 3;

impl Peer {
    /// The neighbour connected. What the connection is called, or `None` if it is not welcome now.
    pub fn handle_accepted(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) -> Option<ConnectionId> {
        if react(self.state(), Event::TcpUp) != Reaction::SendOpen {
            return None;
        }
        // One that began before is dead, or the neighbour would not begin another: it may have crashed.
        let half = self.connections.iter().find(|old| !old.own && old.state != State::Established);
        if let Some(half) = half.map(|half| half.id) {
            let end = End::Collision("the neighbour began another one");
            self.handle_event(half, Event::Collision, end, now);
        }
        if self.connections.len() >= MOST {
            return None;
        }
        let id = self.next_id();
        self.open(id, false, local, remote, now);
        Some(id)
    }

    /// Whether this connection, whose OPEN came, may go on. Closes those that may not because of it.
    pub(super) fn wins(&mut self, id: ConnectionId, own: bool, agreed: &Established, now: Instant) -> bool {
        if let Some(standing) = self.established() {
            let (standing, restarts) = (standing.connection, standing.restart.is_some());
            // A neighbour that keeps routes over a restart has restarted before this side noticed. But not if the
            // session is new: the connection crossed the one that stands. If it did restart it will come again.
            if !restarts || now.duration_since(self.since) <= YOUNG {
                return false;
            }
            self.handle_event(standing, Event::TcpDown, End::Replaced, now);
        }
        let chooses = (self.config.router_id, self.config.asn) > (agreed.router_id, agreed.asn);
        if !chooses {
            return true;
        }
        let mut others = self.connections.iter().filter(|other| other.id != id);
        if others.any(|other| other.agreed.is_some() || (!own && other.own && is_young(other, now))) {
            return false;
        }
        self.give_up();
        self.close_others(id, "the other one was kept", now);
        true
    }

    /// The neighbour confirmed the connection.
    pub(super) fn establish(&mut self, id: ConnectionId, now: Instant) {
        let rival = self.has_rival(id, now);
        let Some(connection) = self.connection(id) else { return };
        connection.handle_life(now);
        if rival {
            connection.handle_early(now + YOUNG);
        } else {
            self.establish_now(id, now);
        }
    }

    /// Whether the neighbour may still give this own connection up for one that it began, as those do that choose when
    /// the second OPEN comes, though they confirmed the first.
    fn has_rival(&self, id: ConnectionId, now: Instant) -> bool {
        let mut connections = self.connections.iter();
        let Some(agreed) =
            connections.find(|one| one.id == id && one.own).and_then(|one| one.agreed.as_ref())
        else {
            return false;
        };
        (agreed.router_id, agreed.asn) > (self.config.router_id, self.config.asn)
            && self.connections.iter().any(|other| !other.own && is_young(other, now))
    }

    /// A connection is gone: one that had to wait for that has its way.
    pub(super) fn establish_waiting(&mut self, now: Instant) {
        let waits = self.connections.iter().find(|one| one.is_early()).map(|one| one.id);
        if let Some(id) = waits.filter(|id| !self.has_rival(*id, now)) {
            self.establish_now(id, now);
        }
    }

    /// The session is established, on this connection.
    pub(super) fn establish_now(&mut self, id: ConnectionId, now: Instant) {
        self.give_up();
        self.retry = None;
        let Some(connection) = self.connection(id) else { return };
        connection.handle_established(now);
        let Some(agreed) = connection.agreed.clone() else { return };
        self.since = now;
        self.was_up = true;
        self.actions.push_back(Action::Up(agreed));
        self.close_others(id, "another one is established", now);
    }

    fn close_others(&mut self, id: ConnectionId, reason: &'static str, now: Instant) {
        let others: Vec<_> =
            self.connections.iter().map(|other| other.id).filter(|other| *other != id).collect();
        for other in others {
            self.handle_event(other, Event::Collision, End::Collision(reason), now);
        }
    }
}

fn is_young(connection: &Connection, now: Instant) -> bool {
    now.duration_since(connection.began) <= YOUNG
}
