//! A neighbour: whether there is to be a session with it, its connections, and which of two stays.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::config::Config;
use super::connection::{Connection, ConnectionId, Next, Timer};
use super::end::{End, Ended, Stop};
use super::established::Established;
use super::machine::{Event, Reaction, State, react};
use super::{Action, Down, Messages};
use crate::dice::Dice;
use crate::peer::PeerId;
use crate::wire::{Family, Message, Notification, NotificationCode, Open, Received, RouteRefresh, Update};

/// How long an attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(10);
/// A session that held for so long was no failure: the next pause is the first again.
const GOOD: Duration = Duration::from_secs(30);
/// A session this young may be the wrong one of two connections that were begun at the same time.
const YOUNG: Duration = Duration::from_secs(5);
/// The longest pause while the neighbour restarts and its routes are kept: it waits for everybody to come back.
const AWAITED: Duration = Duration::from_secs(2);
/// Any but 1: up to a quarter less (RFC 4271 section 10).
const JITTER: u8 = 3;
/// Connections at once: one that stands, one that the neighbour begins anew, and an own attempt.
const MOST: usize = 3;

/// A neighbour, its sessions one after the other.
#[derive(Debug)]
pub struct Peer {
    id: PeerId,
    config: Config,
    dice: Dice,
    rest: Rest,
    attempt: Option<ConnectionId>,
    /// When the attempt is given up, or when the next one is made.
    retry: Option<Instant>,
    failures: u32,
    connections: Vec<Connection>,
    last_connection: u32,
    /// Whether a session was ever established: then the neighbour has routes that are still good.
    was_up: bool,
    /// Until when its routes are kept though the session ended.
    kept_until: Option<Instant>,
    since: Instant,
    pub(super) actions: VecDeque<Action>,
    pub(super) received: Messages,
    pub(super) sent: Messages,
    ended: Option<Ended>,
    /// The last end that one side told the other of.
    told: Option<Ended>,
}

/// Whether a session is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It is.
    Awake,
    /// Not until somebody says so.
    Asleep,
    /// Not until then.
    Until(Instant),
}

impl Peer {
    /// A neighbour with which there is no session yet. `seed` varies its timers.
    #[must_use]
    pub fn new(id: PeerId, config: Config, seed: u64, now: Instant) -> Self {
        Self {
            id,
            config,
            dice: Dice::new(seed ^ u64::from(id.0)),
            rest: Rest::Asleep,
            attempt: None,
            retry: None,
            failures: 0,
            connections: Vec::new(),
            last_connection: 0,
            was_up: false,
            kept_until: None,
            since: now,
            actions: VecDeque::new(),
            received: Messages::default(),
            sent: Messages::default(),
            ended: None,
            told: None,
        }
    }

    /// How its session is led.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// How far the session has come.
    #[must_use]
    pub fn state(&self) -> State {
        let furthest = self.connections.iter().map(|connection| connection.state).max();
        furthest.unwrap_or(match (self.rest, self.attempt) {
            (Rest::Asleep | Rest::Until(_), _) => State::Idle,
            (Rest::Awake, Some(_)) => State::Connect,
            (Rest::Awake, None) => State::Active,
        })
    }

    /// What is settled, while the session is established.
    #[must_use]
    pub fn established(&self) -> Option<&Established> {
        let standing = self.connections.iter().find(|connection| connection.state == State::Established);
        standing.and_then(|connection| connection.agreed.as_deref())
    }

    /// When the session was established last, or ended.
    #[must_use]
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// How the last session, or attempt at one, ended.
    #[must_use]
    pub const fn last_end(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The last end with a NOTIFICATION: attempts to connect that fail afterwards do not hide what it said.
    #[must_use]
    pub const fn last_notification(&self) -> Option<&Ended> {
        self.told.as_ref()
    }

    /// When the next attempt to connect is made, if one is to be.
    #[must_use]
    pub const fn next_attempt(&self) -> Option<Instant> {
        if self.attempt.is_none() { self.retry } else { None }
    }

    /// Messages that came, and messages that were sent, but for the UPDATEs of the owner.
    #[must_use]
    pub const fn messages(&self) -> (&Messages, &Messages) {
        (&self.received, &self.sent)
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The own restart is over: from the next session on, the neighbour is not told of it.
    pub fn handle_restarted(&mut self) {
        if let Some(restart) = &mut self.config.restart {
            restart.restarted = false;
        }
    }

    /// There is to be a session, unless an operator shut it down.
    pub fn handle_start(&mut self, now: Instant) {
        let begins = react(self.state(), Event::Start) == Reaction::Begin;
        if self.config.shutdown.is_none() && begins {
            self.rest = Rest::Awake;
            self.failures = 0;
            self.begin(now);
        }
    }

    /// The session is to end. [`Stop`] says whether it may begin again by itself.
    pub fn handle_stop(&mut self, stop: &Stop, now: Instant) {
        self.rest = match stop {
            Stop::Shutdown(_) | Stop::Deconfigured | Stop::Reconfigured => Rest::Asleep,
            Stop::Reset(_) | Stop::BfdDown => self.rest,
            Stop::TooManyRoutes { again: Some(pause), .. } => Rest::Until(now + *pause),
            Stop::TooManyRoutes { again: None, .. } => Rest::Asleep,
        };
        if self.rest != Rest::Awake {
            self.give_up();
            self.retry = None;
        }
        let ids: Vec<_> = self.connections.iter().map(|connection| connection.id).collect();
        for id in ids {
            self.handle_event(id, Event::Stop, End::Stopped(stop.clone()), now);
        }
    }

    /// An own attempt succeeded.
    pub fn handle_connected(
        &mut self,
        id: ConnectionId,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) {
        if self.attempt == Some(id) {
            self.attempt = None;
            self.retry = None;
            self.open(id, true, local, remote, now);
        }
    }

    /// An own attempt failed.
    pub fn handle_connect_failed(&mut self, id: ConnectionId, reason: String, now: Instant) {
        if self.attempt == Some(id) {
            self.attempt = None;
            self.ended = Some(Ended::new(&End::Unreachable(reason), now));
            self.pause(now);
        }
    }

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

    /// Bytes came, cut anywhere.
    pub fn handle_received(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) {
        let Some(connection) = self.connection(id) else { return };
        let stream = connection.take_with(bytes);
        let mut at = 0;
        loop {
            // What was read may have closed it, or changed how the rest is read.
            let Some(connection) = self.connection(id) else { return };
            match connection.split(&stream, &mut at) {
                None => return connection.keep(stream, at),
                Some(Next::Message(received)) => self.handle_message(id, received, now),
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

    /// The socket took some of what was sent.
    pub fn handle_written(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connection(id) {
            connection.handle_written();
        }
    }

    /// The owner sent UPDATEs on the connection of the established session: `bytes`, whole messages.
    pub fn handle_transmitted(&mut self, bytes: &[u8], now: Instant) {
        self.sent.count_all(bytes);
        let jitter = self.dice.jitter(JITTER);
        let standing = self.connections.iter_mut().find(|connection| connection.state == State::Established);
        if let Some(connection) = standing {
            connection.handle_sent(&self.config, jitter, now);
        }
    }

    /// The connection is gone.
    pub fn handle_closed(&mut self, id: ConnectionId, reason: String, now: Instant) {
        self.handle_event(id, Event::TcpDown, End::Lost(reason), now);
    }

    /// Asks the neighbour for its routes again, if it knows how to. Whether it was asked.
    pub fn request_refresh(&mut self, refresh: RouteRefresh, now: Instant) -> bool {
        let Some(established) = self.established() else { return false };
        let (id, can) = (established.connection, established.route_refresh);
        if can {
            self.send(id, &Message::RouteRefresh(refresh), now);
        }
        can
    }

    /// When [`Peer::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let rest = match self.rest {
            Rest::Until(at) => Some(at),
            Rest::Awake | Rest::Asleep => None,
        };
        let connections = self.connections.iter().filter_map(Connection::next_deadline);
        connections.chain(self.retry).chain(rest).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if matches!(self.rest, Rest::Until(at) if at <= now) {
            self.rest = Rest::Asleep;
            self.handle_start(now);
        }
        let ids: Vec<_> = self.connections.iter().map(|connection| connection.id).collect();
        for id in ids {
            match self.connection(id).and_then(|connection| connection.due(now)) {
                Some(Timer::Hold) => self.handle_event(id, Event::HoldTimer, End::Silent, now),
                Some(Timer::Send) => self.handle_event(id, Event::SendHoldTimer, End::Stuck, now),
                Some(Timer::Keepalive) => self.handle_event(id, Event::KeepaliveTimer, End::Silent, now),
                None => {}
            }
        }
        if self.retry.is_some_and(|at| at <= now) {
            if self.attempt.is_some() {
                self.give_up();
                let end = End::Unreachable(format!("no answer within {} s", CONNECT.as_secs()));
                self.ended = Some(Ended::new(&end, now));
                self.pause(now);
            } else if react(self.state(), Event::RetryTimer) == Reaction::Begin {
                self.begin(now);
            } else {
                self.retry = None;
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
                    self.actions.push_back(Action::Update { update, faults });
                }
            }
            Message::EndOfRib(family) => {
                if self.admits(id, Event::Update, now) && self.agreed(family) {
                    self.actions.push_back(Action::EndOfRib(family));
                }
            }
            Message::RouteRefresh(refresh) => {
                if self.admits(id, Event::Refresh, now) && self.agreed(refresh.family) {
                    self.actions.push_back(Action::Refresh(refresh));
                }
            }
        }
    }

    /// Whether both sides announced the family.
    fn agreed(&self, family: Family) -> bool {
        self.established().is_some_and(|established| established.families.contains(&family))
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

    /// Whether this connection, whose OPEN came, is the one to stay. Closes those that are not (RFC 4271 section 6.8,
    /// RFC 6286 section 2.3, RFC 4724 section 5).
    fn wins(&mut self, id: ConnectionId, own: bool, agreed: &Established, now: Instant) -> bool {
        let others = self.connections.iter().filter(|other| other.id != id && other.agreed.is_some());
        let others: Vec<_> = others.map(|other| (other.id, other.own, other.state)).collect();
        // The connection that the speaker with the higher identifier began.
        let mine = (self.config.router_id, self.config.asn) > (agreed.router_id, agreed.asn);
        for (other, other_own, state) in others {
            let old = state == State::Established && now.duration_since(self.since) > YOUNG;
            let stays = if old {
                // A neighbour that keeps routes over a restart has restarted before this side noticed.
                self.established().is_some_and(|before| before.restart.is_none())
            } else {
                own == other_own || own != mine
            };
            if stays {
                return false;
            }
            let (event, end) = if old {
                (Event::TcpDown, End::Replaced)
            } else {
                (Event::Collision, End::Collision("the other one was kept"))
            };
            self.handle_event(other, event, end, now);
        }
        true
    }

    /// What the state machine says to an event of a connection; `end` says why, if that ends it.
    fn handle_event(&mut self, id: ConnectionId, event: Event, end: End, now: Instant) {
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

    fn establish(&mut self, id: ConnectionId, now: Instant) {
        self.give_up();
        self.retry = None;
        let Some(connection) = self.connection(id) else { return };
        connection.state = State::Established;
        connection.handle_life(now);
        let Some(agreed) = connection.agreed.clone() else { return };
        self.since = now;
        self.was_up = true;
        self.actions.push_back(Action::Up(agreed));
        // Whatever else was begun is not needed.
        let others: Vec<_> =
            self.connections.iter().map(|other| other.id).filter(|other| *other != id).collect();
        for other in others {
            self.handle_event(other, Event::Collision, End::Collision("another one is established"), now);
        }
    }

    /// Ends a connection, and what was established on it.
    fn close(&mut self, id: ConnectionId, end: End, notification: Option<Notification>, now: Instant) {
        if let Some(notification) = &notification {
            self.send(id, &Message::Notification(notification.clone()), now);
        }
        let Some(index) = self.connections.iter().position(|connection| connection.id == id) else { return };
        let connection = self.connections.swap_remove(index);
        self.actions.push_back(Action::Close(id));
        let ended = Ended { sent: notification, ..Ended::new(&end, now) };
        if let (State::Established, Some(agreed)) = (connection.state, &connection.agreed) {
            let retain = if end.retains(agreed) { agreed.retain(&self.config) } else { Default::default() };
            if now.duration_since(self.since) >= GOOD {
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
        if self.connections.is_empty() && self.attempt.is_none() {
            self.pause(now);
        }
    }

    fn open(&mut self, id: ConnectionId, own: bool, local: SocketAddr, remote: SocketAddr, now: Instant) {
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

    fn send(&mut self, id: ConnectionId, message: &Message, now: Instant) {
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

    /// Connects, if it is not left to the neighbour.
    fn begin(&mut self, now: Instant) {
        self.retry = None;
        if self.config.passive {
            return;
        }
        let id = self.next_id();
        self.attempt = Some(id);
        self.retry = Some(now + CONNECT);
        self.actions.push_back(Action::Connect(id));
    }

    /// Stops an attempt to connect.
    fn give_up(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.actions.push_back(Action::Close(attempt));
        }
    }

    /// The next attempt is made after a pause, which grows from failure to failure and varies by a quarter.
    fn pause(&mut self, now: Instant) {
        if self.rest != Rest::Awake {
            return;
        }
        let longest = match self.kept_until {
            Some(until) if until > now => self.config.longest_retry.min(AWAITED),
            Some(_) | None => self.config.longest_retry,
        };
        let pause = self.config.retry.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.retry = Some(now + self.dice.jitter(JITTER).of(pause));
    }

    fn next_id(&mut self) -> ConnectionId {
        self.last_connection += 1;
        ConnectionId { peer: self.id, number: self.last_connection }
    }

    fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id == id)
    }
}
