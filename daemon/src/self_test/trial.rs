//! One trial of the way to a host: rounds of probes, their answers, and what follows from them. Pure.

use std::time::{Duration, Instant};

use super::probe::{Kind, Probe, SEGMENTS};

/// Rounds of a trial.
pub(super) const ROUNDS: u8 = 8;
/// Pause between rounds.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);
/// How long the last round's answers may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Rounds whose probe without a checksum must be answered before the silence of the others means something: where so
/// few are lost, it is no chance that all of the others are.
const ENOUGH: u32 = 6;

/// A trial under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trial {
    nonce: u64,
    /// Rounds sent.
    rounds: u8,
    plain: bool,
    /// Segments that were answered, by bit.
    segments: u32,
    /// Rounds whose probe without a checksum was answered, by bit.
    unsummed: u32,
}

/// What a trial found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything arrives.
    Whole,
    /// What has a checksum to be filled in does not arrive, and what has none does.
    Damaged,
    /// Nobody answers.
    Silent,
    /// Too much is lost to say.
    Lossy,
}

/// What is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Send these probes, and come back then.
    Send([Probe; 3], Instant),
    /// It is over.
    Over(Outcome),
}

impl Trial {
    pub(super) fn new(nonce: u64) -> Self {
        Self { nonce, rounds: 0, plain: false, segments: 0, unsummed: 0 }
    }

    /// Notes an answer; true if nothing more is to be found out.
    pub(super) fn handle_answer(&mut self, answer: Probe) -> bool {
        let Probe { kind, round, segment, nonce } = answer;
        if nonce != self.nonce || round >= self.rounds || segment >= SEGMENTS {
            return false;
        }
        match kind {
            Kind::Plain => self.plain = true,
            Kind::Segmented => self.segments |= 1 << segment,
            Kind::Unsummed => self.unsummed |= 1 << round,
        }
        self.is_whole()
    }

    /// The next round, or the end.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Step {
        if self.is_whole() || self.rounds == ROUNDS {
            return Step::Over(self.outcome());
        }
        let (round, nonce) = (self.rounds, self.nonce);
        self.rounds += 1;
        let pause = if self.rounds == ROUNDS { PATIENCE } else { INTERVAL };
        let kinds = [Kind::Unsummed, Kind::Plain, Kind::Segmented];
        Step::Send(kinds.map(|kind| Probe { kind, round, segment: 0, nonce }), now + pause)
    }

    fn is_whole(&self) -> bool {
        self.plain && self.segments == (1 << SEGMENTS) - 1
    }

    fn outcome(&self) -> Outcome {
        if self.is_whole() {
            Outcome::Whole
        } else if self.unsummed.count_ones() >= ENOUGH {
            Outcome::Damaged
        } else if self.unsummed == 0 && !self.plain && self.segments == 0 {
            Outcome::Silent
        } else {
            Outcome::Lossy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome if of each kind these rounds are answered; of the segmented ones the first `segments`.
    fn outcome(plain: u8, segments: u8, segmented: u8, unsummed: u8) -> Outcome {
        let mut trial = Trial::new(7);
        let mut now = Instant::now();
        loop {
            let (probes, next) = match trial.handle_timeout(now) {
                Step::Send(probes, next) => (probes, next),
                Step::Over(outcome) => return outcome,
            };
            now = next;
            for probe in probes {
                let (rounds, segments) = match probe.kind {
                    Kind::Plain => (plain, 1),
                    Kind::Unsummed => (unsummed, 1),
                    Kind::Segmented => (segmented, segments),
                };
                for segment in (0..segments).filter(|_| rounds >> probe.round & 1 == 1) {
                    trial.handle_answer(Probe { segment, ..probe });
                }
            }
        }
    }

    #[test]
    fn what_answers_say() {
        let all = 0xff;
        let table = [
            ((all, 3, all, all), Outcome::Whole),
            // One answer to each is enough, for it was whole.
            ((0x80, 3, 0x01, 0), Outcome::Whole),
            ((0, 0, 0, all), Outcome::Damaged),
            ((0, 3, all, all), Outcome::Damaged),
            ((all, 0, 0, all), Outcome::Damaged),
            ((all, 2, all, all), Outcome::Damaged),
            ((0, 0, 0, 0xfc), Outcome::Damaged),
            ((0, 0, 0, 0xf8), Outcome::Lossy),
            ((all, 2, all, 0xf8), Outcome::Lossy),
            ((1, 0, 0, 0), Outcome::Lossy),
            ((0, 0, 0, 0), Outcome::Silent),
        ];
        for ((plain, segments, segmented, unsummed), expected) in table {
            let found = outcome(plain, segments, segmented, unsummed);
            assert_eq!(found, expected, "{plain:#x} {segments} of {segmented:#x} {unsummed:#x}");
        }
    }

    #[test]
    fn others_answers_say_nothing() {
        let mut trial = Trial::new(7);
        let Step::Send([_, plain, segmented], _) = trial.handle_timeout(Instant::now()) else { panic!() };
        for other in
            [Probe { nonce: 8, ..plain }, Probe { round: 1, ..plain }, Probe { segment: 3, ..segmented }]
        {
            assert!(!trial.handle_answer(other));
        }
        let mut fresh = Trial::new(7);
        fresh.handle_timeout(Instant::now());
        assert_eq!(trial, fresh);
    }
}
