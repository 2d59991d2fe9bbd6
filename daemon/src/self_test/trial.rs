//! One trial of the way to a host: rounds of probes, their answers, and what follows from them. Pure.
//!
//! The way may be several: uplinks, routers and queues are chosen by a hash of the flow. So a trial has many flows, each
//! judged by itself. Until the host has answered at all, one of them is enough.

use std::time::{Duration, Instant};

use super::probe::{Kind, Probe, SEGMENTS};

/// Flows of a trial, by the sender's port. Of two uplinks they miss a damaged one in one trial of 65,000.
pub const FLOWS: usize = 16;
/// Rounds of a trial once the host has answered, and those in which it may answer first.
pub(super) const ROUNDS: u8 = 12;
/// Pause between rounds.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);
/// How long the last round's answers may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Rounds whose probe without a checksum must be answered before the silence of the same flow's others means something:
/// where so few are lost, it is no chance that all of the others are.
const ENOUGH: u32 = 9;

/// A trial under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trial {
    nonce: u64,
    /// Rounds sent.
    rounds: u8,
    /// Rounds that had been sent when the first answer came.
    met: Option<u8>,
    flows: [Flow; FLOWS],
}

/// What came back of a flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flow {
    plain: bool,
    /// Segments that were answered, by bit.
    segments: u32,
    /// The same over TCP.
    bulk: u32,
    /// Rounds whose probe without a checksum was answered, by bit.
    unsummed: u32,
}

/// What a trial found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything arrives.
    Whole,
    /// Of some flow, what has a checksum to be filled in does not arrive, and what has none does.
    Damaged,
    /// Nobody answers.
    Silent,
    /// Too much is lost to say.
    Lossy,
}

/// What is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Send in each of these flows these probes, and come back then.
    Send(Vec<usize>, [Probe; 4], Instant),
    /// It is over.
    Over(Outcome),
}

impl Trial {
    pub(super) fn new(nonce: u64) -> Self {
        Self { nonce, rounds: 0, met: None, flows: [Flow::default(); FLOWS] }
    }

    /// Notes an answer; true if there is something to do at once.
    pub(super) fn handle_answer(&mut self, flow: usize, answer: Probe) -> bool {
        let Probe { kind, round, segment, nonce } = answer;
        if nonce != self.nonce || round >= self.rounds || segment >= SEGMENTS {
            return false;
        }
        let Some(flow) = self.flows.get_mut(flow) else { return false };
        let first = self.met.is_none();
        let met = *self.met.get_or_insert(self.rounds);
        match kind {
            Kind::Plain => flow.plain = true,
            Kind::Segmented => flow.segments |= 1 << segment,
            Kind::Bulk => flow.bulk |= 1 << segment,
            // From before the rounds of all flows: those are what is counted.
            Kind::Unsummed if round < met => {}
            Kind::Unsummed => flow.unsummed |= 1 << round,
        }
        first || self.is_whole()
    }

    /// The next round, or the end.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Step {
        let end = self.met.unwrap_or_default() + ROUNDS;
        if self.is_whole() || self.rounds == end {
            return Step::Over(self.outcome());
        }
        let (round, nonce) = (self.rounds, self.nonce);
        self.rounds += 1;
        let pause = if self.rounds == end { PATIENCE } else { INTERVAL };
        let asked = if self.met.is_some() { FLOWS } else { 1 };
        let left = self.flows.iter().enumerate().take(asked).filter(|(_, flow)| !flow.is_whole());
        let flows = left.map(|(flow, _)| flow).collect();
        Step::Send(flows, Kind::ALL.map(|kind| Probe { kind, round, segment: 0, nonce }), now + pause)
    }

    fn is_whole(&self) -> bool {
        self.flows.iter().all(Flow::is_whole)
    }

    /// A flow over TCP goes another way than that of datagrams with the same ports, so nothing can be compared with it but
    /// all of these: they would hardly all pass by an uplink that is merely dead.
    fn is_bulk_damaged(&self) -> bool {
        self.flows.iter().all(|flow| flow.is_whole() || flow.is_heard())
            && self.flows.iter().any(|flow| !flow.is_bulk_whole())
    }

    fn outcome(&self) -> Outcome {
        if self.is_whole() {
            Outcome::Whole
        } else if self.flows.iter().any(Flow::is_damaged) || self.is_bulk_damaged() {
            Outcome::Damaged
        } else if self.met.is_none() {
            Outcome::Silent
        } else {
            Outcome::Lossy
        }
    }
}

impl Flow {
    fn is_whole(&self) -> bool {
        self.are_datagrams_whole() && self.is_bulk_whole()
    }

    fn are_datagrams_whole(&self) -> bool {
        self.plain && self.segments == (1 << SEGMENTS) - 1
    }

    fn is_bulk_whole(&self) -> bool {
        self.bulk == (1 << SEGMENTS) - 1
    }

    fn is_heard(&self) -> bool {
        self.unsummed.count_ones() >= ENOUGH
    }

    fn is_damaged(&self) -> bool {
        !self.are_datagrams_whole() && self.is_heard()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds that answers come of, by bit, counted from the first after the host was met: of the plain probes, the
    /// segmented ones, and of those without a checksum; of the segmented ones the first `segments`.
    #[derive(Debug, Clone, Copy)]
    struct Way {
        plain: u32,
        segments: u8,
        segmented: u32,
        unsummed: u32,
        /// Of those over TCP.
        bulk: u32,
    }

    const fn way(plain: u32, segments: u8, segmented: u32, unsummed: u32) -> Way {
        Way { plain, segments, segmented, unsummed, bulk: ALL }
    }

    const fn with_bulk(bulk: u32, way: Way) -> Way {
        Way { bulk, ..way }
    }

    /// Every round.
    const ALL: u32 = 0xfff;
    const GOOD: Way = way(ALL, 3, ALL, ALL);

    /// The outcome if the host is met by an answer without a checksum to the first round, and then each flow is as
    /// `of` says.
    fn outcome(of: impl Fn(usize) -> Way) -> Outcome {
        let (mut trial, mut now) = (Trial::new(7), Instant::now());
        loop {
            let (flows, probes, next) = match trial.handle_timeout(now) {
                Step::Send(flows, probes, next) => (flows, probes, next),
                Step::Over(outcome) => return outcome,
            };
            now = next;
            for flow in flows {
                for probe in probes {
                    let Some(round) = probe.round.checked_sub(1) else {
                        trial.handle_answer(flow, probes[0]);
                        continue;
                    };
                    let way = of(flow);
                    let (rounds, segments) = match probe.kind {
                        Kind::Plain => (way.plain, 1),
                        Kind::Unsummed => (way.unsummed, 1),
                        Kind::Segmented => (way.segmented, way.segments),
                        Kind::Bulk => (way.bulk, SEGMENTS),
                    };
                    for segment in (0..segments).filter(|_| rounds >> round & 1 == 1) {
                        trial.handle_answer(flow, Probe { segment, ..probe });
                    }
                }
            }
        }
    }

    #[test]
    fn what_answers_say() {
        let table = [
            (GOOD, Outcome::Whole),
            // One answer to each is enough, for it was whole.
            (way(0x800, 3, 0x001, 0), Outcome::Whole),
            (way(0, 0, 0, ALL), Outcome::Damaged),
            (way(0, 3, ALL, ALL), Outcome::Damaged),
            (way(ALL, 0, 0, ALL), Outcome::Damaged),
            (way(ALL, 2, ALL, ALL), Outcome::Damaged),
            (way(0, 0, 0, 0xff8), Outcome::Damaged),
            (way(0, 0, 0, 0xff0), Outcome::Lossy),
            (way(ALL, 2, ALL, 0xff0), Outcome::Lossy),
            (way(1, 0, 0, 0), Outcome::Lossy),
            (way(0, 0, 0, 0), Outcome::Lossy),
            (with_bulk(0x800, GOOD), Outcome::Whole),
            (with_bulk(0, GOOD), Outcome::Damaged),
            (with_bulk(0, way(ALL, 3, ALL, 0xff8)), Outcome::Damaged),
            (with_bulk(0, way(ALL, 3, ALL, 0xff0)), Outcome::Lossy),
        ];
        for (way, expected) in table {
            assert_eq!(outcome(|_| way), expected, "all flows {way:?}");
            for one in 0..FLOWS {
                let found = outcome(|flow| if flow == one { way } else { GOOD });
                assert_eq!(found, expected, "only flow {one} {way:?}");
            }
        }
        // One that is lost says nothing about another that is damaged.
        let mixed = |flow| way(0, 0, 0, if flow == 0 { 0 } else { ALL });
        assert_eq!(outcome(mixed), Outcome::Damaged);
        // Where a flow of datagrams is lost, one over TCP may be lost as well.
        let lost = |flow| if flow == 0 { way(0, 0, 0, 0) } else { with_bulk(0, GOOD) };
        assert_eq!(outcome(lost), Outcome::Lossy);
    }

    #[test]
    fn one_flow_asks_until_somebody_answers() {
        let (mut trial, mut now) = (Trial::new(7), Instant::now());
        for round in 0..ROUNDS {
            let Step::Send(flows, probes, next) = trial.handle_timeout(now) else { panic!("{round}") };
            assert_eq!((flows, probes[0].round), (vec![0], round));
            now = next;
        }
        let mut met = trial.clone();
        assert_eq!(trial.handle_timeout(now), Step::Over(Outcome::Silent));
        // Though it comes late: from then on there are as many rounds as ever, of all flows but those that are whole.
        let late = Probe { kind: Kind::Plain, round: 2, segment: 0, nonce: 7 };
        assert!(met.handle_answer(0, late) && !met.handle_answer(0, late));
        for (kind, segment) in [Kind::Segmented, Kind::Bulk]
            .into_iter()
            .flat_map(|kind| (0..SEGMENTS).map(move |segment| (kind, segment)))
        {
            met.handle_answer(0, Probe { kind, segment, ..late });
        }
        for round in 0..ROUNDS {
            let Step::Send(flows, _, next) = met.handle_timeout(now) else { panic!("{round}") };
            assert!(flows.into_iter().eq(1..FLOWS));
            now = next;
        }
        assert_eq!(met.handle_timeout(now), Step::Over(Outcome::Lossy));
    }

    #[test]
    fn others_answers_say_nothing() {
        let mut trial = Trial::new(7);
        let Step::Send(_, [_, plain, segmented, _], _) = trial.handle_timeout(Instant::now()) else {
            panic!()
        };
        for other in
            [Probe { nonce: 8, ..plain }, Probe { round: 1, ..plain }, Probe { segment: 3, ..segmented }]
        {
            assert!(!trial.handle_answer(0, other));
        }
        assert!(!trial.handle_answer(FLOWS, plain));
        let mut fresh = Trial::new(7);
        fresh.handle_timeout(Instant::now());
        assert_eq!(trial, fresh);
    }
}
