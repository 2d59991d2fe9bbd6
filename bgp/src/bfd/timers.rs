//! The timers that one side advertises and those that it goes by, and the poll sequence in which one becomes the other
//! (RFC 5880 sections 6.5 and 6.8.3).

use super::config::Config;
use super::interval::Interval;
use super::state::State;

/// The fastest that a session which is not up sends.
pub(super) const SLOW: Interval = Interval::from_micros(1_000_000);

/// A pair of timers of this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    /// bfd.DesiredMinTxInterval
    tx: Interval,
    /// bfd.RequiredMinRxInterval
    rx: Interval,
}

impl Pair {
    fn of(config: &Config, state: State) -> Self {
        let tx = config.desired_min_tx();
        match state {
            State::Up => Self { tx, rx: config.required_min_rx() },
            State::AdminDown | State::Down | State::Init => {
                Self { tx: tx.max(SLOW), rx: config.required_min_rx() }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Poll {
    /// The other side is known to know what is advertised, or no other side is known.
    Idle,
    /// Packets ask for an answer.
    Running,
    /// The answer came; a second one to the same question may come. What follows without F is later than all of them,
    /// and only then another answer can be told from those.
    Settling,
}

/// Timers of one session.
#[derive(Debug)]
pub(super) struct Timers {
    advertised: Pair,
    in_force: Pair,
    poll: Poll,
}

impl Timers {
    /// Those of a session that is down.
    pub(super) fn new(config: &Config) -> Self {
        let pair = Pair::of(config, State::Down);
        Self { advertised: pair, in_force: pair, poll: Poll::Idle }
    }

    pub(super) const fn advertised_tx(&self) -> Interval {
        self.advertised.tx
    }

    pub(super) const fn advertised_rx(&self) -> Interval {
        self.advertised.rx
    }

    /// The fastest that this side sends at present.
    pub(super) const fn tx(&self) -> Interval {
        self.in_force.tx
    }

    /// The fastest that the other side may be expected to send at present.
    pub(super) const fn rx(&self) -> Interval {
        self.in_force.rx
    }

    /// Whether packets carry P.
    pub(super) fn polling(&self) -> bool {
        self.poll == Poll::Running
    }

    /// Takes the timers for a state that was just entered. They come into force at once: no session is up that a
    /// change could hurt, or it has just come up and gets faster.
    pub(super) fn restart(&mut self, config: &Config, state: State, known: bool) {
        let wanted = Pair::of(config, state);
        if wanted != self.advertised {
            self.advertised = wanted;
            // Nobody would answer while no other side is known; whoever comes learns the timers from any packet.
            self.poll = if known { Poll::Running } else { Poll::Idle };
        }
        self.in_force = wanted;
    }

    /// Takes the timers that `config` now wants, or waits until the poll sequence before is over.
    pub(super) fn choose(&mut self, config: &Config, state: State, known: bool) {
        let wanted = Pair::of(config, state);
        if wanted == self.advertised {
            return;
        }
        match state {
            State::AdminDown | State::Down | State::Init => self.restart(config, state, known),
            State::Up if self.poll == Poll::Idle => {
                // Slower sending and faster detection wait until the other side knows.
                self.in_force =
                    Pair { tx: self.in_force.tx.min(wanted.tx), rx: self.in_force.rx.max(wanted.rx) };
                self.advertised = wanted;
                self.poll = Poll::Running;
            }
            State::Up => {}
        }
    }

    /// Takes note of F, or of its absence, in a packet.
    pub(super) fn handle_final(&mut self, final_: bool) {
        match (self.poll, final_) {
            (Poll::Running, true) => {
                self.poll = Poll::Settling;
                self.in_force = self.advertised;
            }
            (Poll::Settling, false) => self.poll = Poll::Idle,
            (Poll::Idle, _) | (Poll::Running, false) | (Poll::Settling, true) => {}
        }
    }

    /// The other side is gone: there is nobody to answer.
    pub(super) const fn forget_poll(&mut self) {
        self.poll = Poll::Idle;
    }
}
