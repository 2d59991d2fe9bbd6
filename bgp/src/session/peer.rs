//! A neighbour: whether there is to be a session with it, its connections, and which of two stays.

mod collision;
mod connections;
mod messages;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::config::Config;
use super::connection::{Connection, ConnectionId, Timer};
use super::end::{End, Ended, Stop};
use super::established::Established;
use super::machine::{Event, Reaction, State, react};
use super::{Action, Messages};
use crate::dice::Dice;
use crate::peer::PeerId;
use crate::wire::{Message, RouteRefresh};

/// How long an attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(10);
/// A session that held for so long was no failure: the next pause is the first again.
const GOOD: Duration = Duration::from_secs(30);
/// The longest pause while the neighbour restarts and its routes are kept: it waits for everybody to come back.
const AWAITED: Duration = Duration::from_secs(2);
/// Any but 1: up to a quarter less (RFC 4271 section 10).
const JITTER: u8 = 3;

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
    pub(super) faulty: u64,
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
            faulty: 0,
            ended: None,
            told: None,
        }
    }

    /// Another configuration, for sessions to come: the one that stands is stopped before.
    pub fn set_config(&mut self, config: Config) {
        self.config = config;
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

    /// How many UPDATEs had faults that did not end a session (RFC 7606).
    #[must_use]
    pub const fn faulty(&self) -> u64 {
        self.faulty
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
            Stop::Shutdown(_) | Stop::Deconfigured | Stop::Reconfigured | Stop::Crowded => Rest::Asleep,
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

    /// The way to the neighbour is good, as BFD says: no pause is waited for, nor an attempt that was begun while it was not.
    pub fn handle_reachable(&mut self, now: Instant) {
        if self.rest == Rest::Awake && self.connections.is_empty() {
            self.give_up();
            self.begin(now);
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

    /// Bytes came that are still to be handled, which may take a while when others have much to say: the neighbour lives.
    pub fn handle_waiting(&mut self, id: ConnectionId, now: Instant) {
        if let Some(connection) = self.connection(id) {
            connection.handle_life(now);
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
                Some(Timer::Early) => self.establish_now(id, now),
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
