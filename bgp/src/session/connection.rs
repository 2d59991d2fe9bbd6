//! One connection of a session, from the first byte to the last.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::config::Config;
use super::established::Established;
use super::machine::{Event, Reaction, State, react};
use crate::dice::Jitter;
use crate::peer::PeerId;
use crate::wire::{
    Dialect, Frame, HEADER_LEN, MAX_EXTENDED_LEN, Message, MessageError, MessageKind, Received,
};

/// What a connection is called, from the first attempt on. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Whose it is.
    pub peer: PeerId,
    /// Which of the neighbour's.
    pub number: u32,
}

/// A connection that is there.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    /// Whether this side began it.
    pub(super) own: bool,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) state: State,
    pub(super) began: Instant,
    /// From OpenConfirm on.
    pub(super) agreed: Option<Box<Established>>,
    pub(super) timers: Timers,
    /// The start of a message that is not complete.
    rest: Vec<u8>,
}

/// When a connection does something by itself.
#[derive(Debug, Default)]
pub(super) struct Timers {
    hold: Option<Instant>,
    keepalive: Option<Instant>,
    send: Option<Instant>,
    /// The neighbour confirmed the connection, but may still prefer another one until then.
    early: Option<Instant>,
}

/// A timer of a connection that went off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    Hold,
    Keepalive,
    Send,
    Early,
}

/// What stands next in the stream.
#[expect(clippy::large_enum_variant, reason = "nearly every piece is a message: a box would cost each one")]
pub(super) enum Next {
    /// A message.
    Message(Received),
    /// A message that does not belong here, with the subcode that says so (RFC 6608). It is not even read.
    Unexpected(MessageKind, u8),
    /// What is no message.
    Malformed(MessageError),
}

impl Connection {
    pub(super) fn new(
        id: ConnectionId,
        own: bool,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) -> Self {
        let timers = Timers { hold: Some(now + Config::FIRST_HOLD), ..Timers::default() };
        let state = State::OpenSent;
        Self { id, own, local, remote, state, began: now, agreed: None, timers, rest: Vec::new() }
    }

    /// How messages are read and written.
    pub(super) fn dialect(&self) -> Dialect {
        // Until the OPENs are exchanged, a long message is as illegal as ever (RFC 8654 section 4).
        self.agreed.as_ref().map_or(Dialect::plain(), |agreed| agreed.dialect)
    }

    /// The silence that ends the session, if any does.
    fn hold_time(&self) -> Option<Duration> {
        let agreed = self.agreed.as_ref()?.hold_time;
        (!agreed.is_zero()).then_some(agreed)
    }

    /// The neighbour lives. Where no hold time was agreed, that of the OPEN goes on until the session is established: a
    /// neighbour that never confirms would hold the connection for ever.
    pub(super) fn handle_life(&mut self, now: Instant) {
        match self.hold_time() {
            Some(time) => self.timers.hold = Some(now + time),
            None if self.state == State::Established => self.timers.hold = None,
            None => {}
        }
    }

    /// The neighbour confirmed the connection; whether it keeps it shows until `until`.
    pub(super) fn handle_early(&mut self, until: Instant) {
        self.timers.early.get_or_insert(until);
    }

    /// Whether the neighbour confirmed it and may still prefer another one.
    pub(super) const fn is_early(&self) -> bool {
        self.timers.early.is_some()
    }

    /// The session is established on it.
    pub(super) fn handle_established(&mut self, now: Instant) {
        self.state = State::Established;
        self.timers.early = None;
        self.handle_life(now);
    }

    /// Something was sent: the next sign of life is due a third of the hold time later, less up to a quarter of that
    /// (RFC 4271 section 10).
    pub(super) fn handle_sent(&mut self, config: &Config, jitter: Jitter, now: Instant) {
        self.timers.keepalive = self.hold_time().map(|time| now + jitter.of(time / 3));
        self.timers.send.get_or_insert(now + config.send_hold());
    }

    /// The socket took something.
    pub(super) const fn handle_written(&mut self) {
        self.timers.send = None;
    }

    /// The first timer that is due.
    pub(super) fn due(&self, now: Instant) -> Option<Timer> {
        let Timers { hold, keepalive, send, early } = self.timers;
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        [(hold, Timer::Hold), (send, Timer::Send), (early, Timer::Early), (keepalive, Timer::Keepalive)]
            .into_iter()
            .find_map(|(at, timer)| due(at).then_some(timer))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let Timers { hold, keepalive, send, early } = self.timers;
        [hold, keepalive, send, early].into_iter().flatten().min()
    }

    /// The message at `at` in `stream`, which it moves behind it; `None` if there is no whole one.
    pub(super) fn split(&self, stream: &[u8], at: &mut usize) -> Option<Next> {
        let dialect = self.dialect();
        let frame = match Frame::next(stream.get(*at..)?, dialect.receive_extended) {
            Ok(frame) => frame?,
            Err(error) => return Some(Next::Malformed(error.into())),
        };
        *at += frame.len();
        if let Reaction::Unexpected(subcode) = react(self.state, Event::of(frame.kind)) {
            return Some(Next::Unexpected(frame.kind, subcode));
        }
        Some(Received::decode(frame, &dialect).map_or_else(Next::Malformed, Next::Message))
    }

    /// What is left of what came before, with these bytes behind it.
    pub(super) fn take_with(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = std::mem::take(&mut self.rest);
        stream.extend_from_slice(bytes);
        stream
    }

    /// Keeps what is behind `at` for the next time: less than a message.
    pub(super) fn keep(&mut self, mut stream: Vec<u8>, at: usize) {
        stream.drain(..at);
        // A large read is not kept as room for a small rest.
        if stream.capacity() > 2 * MAX_EXTENDED_LEN {
            stream.shrink_to(MAX_EXTENDED_LEN);
        }
        self.rest = stream;
    }

    /// The message as bytes; `None` if it has no form on the wire, which none of those of a session is.
    pub(super) fn encode(&self, message: &Message) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        message.encode(&self.dialect(), &mut bytes).ok()?;
        Some(bytes)
    }
}
