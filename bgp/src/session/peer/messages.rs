//! Bytes of a connection become messages, and messages what they mean for the session or its owner.

use std::time::Instant;

use super::Peer;
use crate::session::Action;
use crate::session::connection::{ConnectionId, Next};
use crate::session::end::End;
use crate::session::established::Established;
use crate::session::machine::{Event, State};
use crate::wire::{
    Family, Message, MessageKind, Notification, NotificationCode, Open, Received, RouteRefresh,
    RouteRefreshKind, Update,
};

impl Peer {
    /// Bytes came, cut anywhere.
    pub fn handle_received(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) {
        let Some(connection) = self.connection(id) else { return };
        let stream = connection.take_with(bytes);
        let mut at = 0;
        loop {
            // What was read may have closed it, or changed how the rest is read.
            let Some(connection) = self.connection(id) else { return };
            let (before, early) = (at, connection.is_early());
            match connection.split(&stream, &mut at) {
                None => return connection.keep(stream, at),
                Some(Next::Message(received)) => self.handle_message(id, received, now),
                // It is established for the neighbour: that is the end of the wait.
                Some(Next::Unexpected(MessageKind::Update | MessageKind::RouteRefresh, _)) if early => {
                    at = before;
                    self.establish_now(id, now);
                }
                Some(Next::Unexpected(kind, subcode)) => {
                    let reason = format!("{kind:?} in {}", connection.state);
                    let mut notification = Notification::new(NotificationCode::FSM, subcode);
                    notification.data.push(kind.code());
                    self.received.count(kind);
                    let end = End::Malformed(notification, reason);
                    return self.handle_event(id, Event::Malformed, end, now);
                }
                Some(Next::Malformed(error)) => {
                    let end = End::Malformed(error.notification(), error.to_string());
                    return self.handle_event(id, Event::Malformed, end, now);
                }
            }
        }
    }

    fn handle_message(&mut self, id: ConnectionId, received: Received, now: Instant) {
        self.received.count(received.message.kind());
        let Received { message, faults } = received;
        match message {
            Message::Open(open) => self.handle_open(id, &open, now),
            Message::Keepalive => self.handle_event(id, Event::Keepalive, End::Silent, now),
            Message::Notification(notification) => {
                self.handle_event(id, Event::Notification, End::Told(notification), now);
            }
            Message::Update(update) => {
                if self.admits(id, Event::Update, now) {
                    let update = self.agreed_part(update);
                    self.faulty += u64::from(!faults.is_empty());
                    self.actions.push_back(Action::Update { update, faults });
                }
            }
            Message::EndOfRib(family) => {
                if self.admits(id, Event::Update, now) && self.agreed(family) {
                    self.actions.push_back(Action::EndOfRib(family));
                }
            }
            Message::RouteRefresh(refresh) => {
                if self.admits(id, Event::Refresh, now) && self.understands(refresh) {
                    self.actions.push_back(Action::Refresh(refresh));
                }
            }
        }
    }

    /// Whether both sides announced the family.
    fn agreed(&self, family: Family) -> bool {
        self.established().is_some_and(|established| established.families.contains(&family))
    }

    /// Whether the message means something: marks do only to those who agreed on them (RFC 7313 section 4).
    fn understands(&self, refresh: RouteRefresh) -> bool {
        let marks = self.established().is_some_and(|established| established.enhanced_refresh);
        self.agreed(refresh.family)
            && match refresh.kind {
                RouteRefreshKind::Request | RouteRefreshKind::Other(_) => true,
                RouteRefreshKind::Begin | RouteRefreshKind::End => marks,
            }
    }

    /// An UPDATE without routes of families that were not agreed on (RFC 4760 section 8): nobody would ever withdraw
    /// them, ask for them again, or count them.
    fn agreed_part(&self, mut update: Update) -> Update {
        if !self.agreed(Family::IPV4_UNICAST) {
            update.withdrawn.clear();
            update.announced.clear();
        }
        update.unreachable.retain(|routes| self.agreed(routes.family()));
        update.reachable = update.reachable.filter(|reachable| self.agreed(reachable.routes.family()));
        update
    }

    /// Whether a message is for the owner; if not, the session ends with it.
    fn admits(&mut self, id: ConnectionId, event: Event, now: Instant) -> bool {
        self.handle_event(id, event, End::Silent, now);
        self.connection(id).is_some_and(|connection| connection.state == State::Established)
    }

    fn handle_open(&mut self, id: ConnectionId, open: &Open, now: Instant) {
        let Some(connection) = self.connection(id) else { return };
        let (own, local, remote) = (connection.own, connection.local, connection.remote);
        match Established::negotiate(&self.config, open, id, local, remote) {
            Err((notification, reason)) => {
                self.handle_event(id, Event::Malformed, End::Malformed(notification, reason), now);
            }
            Ok(agreed) => {
                if !self.wins(id, own, &agreed, now) {
                    let end = End::Collision("another connection was kept");
                    return self.handle_event(id, Event::Collision, end, now);
                }
                if let Some(connection) = self.connection(id) {
                    connection.agreed = Some(Box::new(agreed));
                    connection.state = State::OpenConfirm;
                    connection.handle_life(now);
                }
                self.send(id, &Message::Keepalive, now);
            }
        }
    }
}
