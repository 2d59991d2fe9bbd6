//! One side of one session in asynchronous mode (RFC 5880 section 6.8), without a socket or a clock.
//!
//! Packets that belong to it go into [`Session::handle_packet`], time into [`Session::handle_timeout`] at
//! [`Session::next_deadline`]; after each, packets to send come out of [`Session::poll_transmit`] and what the user
//! must know out of [`Session::poll_event`]. Both are made from the state at the time of the call, so that nothing
//! piles up in a session that is not asked. The session is always in the active role. It never asks for demand mode,
//! and honours the other side's; there is no echo function.

use std::collections::VecDeque;
use std::num::{NonZeroU8, NonZeroU32};
use std::time::{Duration, Instant};

use super::config::Config;
use super::interval::Interval;
use super::packet::Packet;
use super::state::{Diagnostic, State, Stimulus};
use super::timers::Timers;
use crate::dice::{Dice, Jitter};

/// What the user of a session must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Each side hears the other.
    Up,
    /// The session was up and is not any more.
    Down {
        /// Why, as the other side is told too.
        diagnostic: Diagnostic,
        /// State of the other side as last heard.
        peer_state: State,
        /// The other side's reason as last heard.
        peer_diagnostic: Diagnostic,
    },
}

impl Event {
    /// Whether the path failed. A session that an administrator of either side took down says nothing about the path,
    /// and what runs over it must go on (RFC 5882 section 3.2).
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        match self {
            Self::Up => false,
            Self::Down { diagnostic: Diagnostic::AdministrativelyDown, .. } => false,
            Self::Down { diagnostic: Diagnostic::ControlDetectionTimeExpired, .. } => true,
            Self::Down { peer_state, .. } => !matches!(peer_state, State::AdminDown),
        }
    }
}

/// The other side, as its packets tell.
#[derive(Debug, Clone, Copy)]
struct Remote {
    discriminator: Option<NonZeroU32>,
    state: State,
    diagnostic: Diagnostic,
    demand: bool,
    detect_multiplier: NonZeroU8,
    desired_min_tx: Interval,
    required_min_rx: Interval,
}

impl Remote {
    /// The initial values of RFC 5880 section 6.8.1.
    const UNKNOWN: Self = Self {
        discriminator: None,
        state: State::Down,
        diagnostic: Diagnostic::None,
        demand: false,
        detect_multiplier: NonZeroU8::MIN,
        desired_min_tx: Interval::ZERO,
        required_min_rx: Interval::from_micros(1),
    };
}

/// One side of a session.
#[derive(Debug)]
pub struct Session {
    config: Config,
    discriminator: NonZeroU32,
    state: State,
    diagnostic: Diagnostic,
    timers: Timers,
    remote: Remote,
    /// When the last packet was received, while its sender counts as known.
    heard: Option<Instant>,
    /// When the last packet other than an answer to a poll was due.
    sent: Instant,
    /// How much of the interval after that packet is waited.
    jitter: Jitter,
    dice: Dice,
    send: bool,
    answer: bool,
    events: VecDeque<Event>,
}

impl Session {
    /// A session that is down and has its first packet to send. `discriminator` is its name, different from that of
    /// any other session of this system; `seed` is what its jitter is drawn from.
    #[must_use]
    pub fn new(config: Config, discriminator: NonZeroU32, now: Instant, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        Self {
            config,
            discriminator,
            state: State::Down,
            diagnostic: Diagnostic::None,
            timers: Timers::new(&config),
            remote: Remote::UNKNOWN,
            heard: None,
            sent: now,
            jitter: dice.jitter(config.detect_multiplier().get()),
            dice,
            send: true,
            answer: false,
            events: VecDeque::new(),
        }
    }

    /// Takes in a packet that was found to be of this session (RFC 5880 section 6.8.6, from "Set bfd.RemoteDiscr" on).
    pub fn handle_packet(&mut self, packet: &Packet, now: Instant) {
        self.remote = Remote {
            discriminator: Some(packet.my_discriminator),
            state: packet.state,
            diagnostic: packet.diagnostic,
            demand: packet.demand,
            detect_multiplier: packet.detect_multiplier,
            desired_min_tx: packet.desired_min_tx,
            required_min_rx: packet.required_min_rx,
        };
        self.timers.handle_final(packet.final_);
        // Whoever is silent for the detection time is forgotten, in whatever state (section 6.8.1, bfd.RemoteDiscr).
        self.heard = Some(now);
        if self.state == State::AdminDown {
            return;
        }
        self.step(Stimulus::Heard(packet.state), now);
        self.timers.choose(&self.config, self.state, self.remote.discriminator.is_some());
        self.answer |= packet.poll;
        // The other side may now accept packets faster than the next one is due.
        self.send_if_due(now);
    }

    /// Does what is due at `now`: declares the other side gone, sends the periodic packet. Packets that came before
    /// `now` must have been handed over before.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.detection_deadline().is_some_and(|deadline| deadline <= now) {
            // The event tells what was last heard: forget it afterwards.
            self.step(Stimulus::Expired, now);
            self.heard = None;
            self.remote = Remote::UNKNOWN;
            self.timers.forget_poll();
        }
        self.send_if_due(now);
    }

    /// When to call [`Session::handle_timeout`], if the session waits for anything but packets.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.detection_deadline(), self.send_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// The next packet to send now.
    pub fn poll_transmit(&mut self) -> Option<Packet> {
        if std::mem::take(&mut self.answer) {
            return Some(Packet { final_: true, ..self.packet() });
        }
        std::mem::take(&mut self.send).then(|| Packet { poll: self.timers.polling(), ..self.packet() })
    }

    /// The next thing that the user must know. Of what was not asked for in time, pairs that cancel each other out are
    /// left out.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Holds the session down, or lets go of it. A session that is held down goes on saying so.
    pub fn set_admin_down(&mut self, down: bool, now: Instant) {
        if down {
            self.step(Stimulus::Disabled, now);
        } else if self.state == State::AdminDown {
            // Nobody watched over it: the other side may be another one by now.
            self.heard = None;
            self.remote = Remote::UNKNOWN;
            self.step(Stimulus::Enabled, now);
        }
    }

    /// Changes the timers of the session, in whatever state it is. A session that is up stays so: the other side is
    /// told in a poll sequence before anything that it must know comes into force (RFC 5880 section 6.8.3).
    pub fn reconfigure(&mut self, config: Config, now: Instant) {
        self.config = config;
        self.timers.choose(&self.config, self.state, self.remote.discriminator.is_some());
        self.send_if_due(now);
    }

    /// Whether [`Session::poll_transmit`] has something.
    pub(super) const fn wants_to_send(&self) -> bool {
        self.send || self.answer
    }

    /// Whether [`Session::poll_event`] has something.
    pub(super) fn wants_to_tell(&self) -> bool {
        !self.events.is_empty()
    }

    /// The other side's detection time for us, if it went by our wishes alone.
    pub(super) fn farewell_time(&self) -> Duration {
        self.timers.advertised_tx().duration() * u32::from(self.config.detect_multiplier().get())
    }

    /// The session's own name.
    #[must_use]
    pub const fn discriminator(&self) -> NonZeroU32 {
        self.discriminator
    }

    /// State of this side.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why the state last changed.
    #[must_use]
    pub const fn diagnostic(&self) -> Diagnostic {
        self.diagnostic
    }

    /// State of the other side, if it was heard within the detection time.
    #[must_use]
    pub fn peer_state(&self) -> Option<State> {
        self.remote.discriminator.map(|_| self.remote.state)
    }

    /// Silence that means failure, as negotiated (RFC 5880 section 6.8.4); zero before the other side is known.
    #[must_use]
    pub fn detection_time(&self) -> Duration {
        if self.remote.discriminator.is_none() {
            return Duration::ZERO;
        }
        let interval = self.timers.rx().max(self.remote.desired_min_tx).duration();
        interval * u32::from(self.remote.detect_multiplier.get())
    }

    /// Time between packets sent, before jitter, as negotiated (RFC 5880 section 6.8.2).
    #[must_use]
    pub fn transmit_interval(&self) -> Duration {
        self.timers.tx().max(self.remote.required_min_rx).duration()
    }

    fn detection_deadline(&self) -> Option<Instant> {
        self.heard.map(|heard| heard + self.detection_time())
    }

    /// When the next periodic packet is due, if they are wanted (RFC 5880 section 6.8.7).
    fn send_deadline(&self) -> Option<Instant> {
        let both_up = self.state == State::Up && self.remote.state == State::Up;
        let on_demand = self.remote.demand && both_up && !self.timers.polling();
        if on_demand || self.remote.required_min_rx == Interval::ZERO {
            return None;
        }
        Some(self.sent + self.jitter.of(self.transmit_interval()))
    }

    fn send_if_due(&mut self, now: Instant) {
        if self.send_deadline().is_some_and(|deadline| deadline <= now) {
            self.send_now(now);
        }
    }

    /// One packet, however long the last one has been overdue: missed ones are not made up for.
    fn send_now(&mut self, now: Instant) {
        self.send = true;
        self.sent = now;
        self.jitter = self.dice.jitter(self.config.detect_multiplier().get());
    }

    fn step(&mut self, stimulus: Stimulus, now: Instant) {
        let Some(step) = self.state.step(stimulus) else { return };
        let before = std::mem::replace(&mut self.state, step.state);
        self.diagnostic = step.diagnostic.unwrap_or(self.diagnostic);
        if before == State::Up {
            self.tell(Event::Down {
                diagnostic: self.diagnostic,
                peer_state: self.remote.state,
                peer_diagnostic: self.remote.diagnostic,
            });
        } else if self.state == State::Up {
            self.tell(Event::Up);
        }
        let known = self.remote.discriminator.is_some() && stimulus != Stimulus::Expired;
        self.timers.restart(&self.config, self.state, known);
        // A change of state does not wait for the next periodic packet (RFC 5880 section 6.8.7).
        self.send_now(now);
    }

    /// Events alternate, so of two that nobody asked for, a third one makes nothing but the last worth telling.
    fn tell(&mut self, event: Event) {
        if self.events.len() >= 2 {
            self.events.clear();
        }
        self.events.push_back(event);
    }

    fn packet(&self) -> Packet {
        Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            poll: false,
            final_: false,
            // The sessions end with the process that the user of them runs in.
            control_plane_independent: false,
            demand: false,
            detect_multiplier: self.config.detect_multiplier(),
            my_discriminator: self.discriminator,
            your_discriminator: self.remote.discriminator,
            desired_min_tx: self.timers.advertised_tx(),
            required_min_rx: self.timers.advertised_rx(),
            required_min_echo_rx: Interval::ZERO,
        }
    }
}

#[cfg(test)]
mod tests;
