//! Which host is to be tested when, and what was found out. Pure.
//!
//! ```text
//!             Whole                                  Whole
//! Waiting ─▶ Testing ─────▶ Good       Asked ─▶ Testing ─────▶ Verified
//!    ▲          │ Damaged ──────────────▲          ▲ │
//!    │          ▼ Silent, Lossy                    │ ▼ anything else
//!    └──── Unanswered                           Unverified
//!   the way as it is                    the way around: Damaged
//! ```
//! Whether checksums are computed in software is asked for VTEP by VTEP, but in force for all that the kernel's vxlan
//! device sends. So while there is one, a way without a resolved next hop, which that device serves, is not tested: it
//! would be found good for the wrong reason.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use weft_vxlan::Vtep;

use super::address;
use super::probe::Probe;
use super::trial::{Outcome, Step, Trial};

/// Between rounds, whosever: a hundred a second.
const PACE: Duration = Duration::from_millis(10);
/// First pause before somebody who does not answer is asked again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What is to be tested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// This host's own port is there to test from.
    pub ready: bool,
    /// Other hosts, and whether the programs send to them themselves: there is a next hop that is resolved.
    pub vteps: BTreeMap<Vtep, bool>,
}

/// What is known of the way to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Not yet anything.
    Testing,
    /// Checksums that are left to the underlay device arrive right.
    Good,
    /// They do not; this host computes them.
    Damaged(Workaround),
    /// Why it cannot be said.
    NotTested(Reason),
}

/// Whether packets arrive whose checksums this host computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workaround {
    /// Not known yet.
    Testing,
    /// They do.
    Verified,
    /// They do not.
    Failing,
    /// It cannot be said.
    NotTested(Reason),
}

/// Why something cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is no next hop, or no port of ours to send from.
    NoWay,
    /// Nobody answers.
    Silent,
    /// Too much is lost.
    Lossy,
}

#[derive(Debug)]
enum State {
    Waiting,
    Testing(Trial),
    Unanswered,
    Good,
    /// Damaged. Software was asked for and is not in force yet.
    Asked,
    Verifying(Trial),
    Verified,
    Unverified,
}

#[derive(Debug)]
struct Host {
    state: State,
    /// What the last trial found.
    finding: Finding,
    resolved: bool,
    /// When something is due; it is in the agenda then.
    due: Option<Instant>,
    /// Pause after the next trial that says nothing.
    pause: Duration,
}

/// Probes to send to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The address.
    pub to: Ipv6Addr,
    /// The flows, each of which carries all of the probes.
    pub flows: Vec<usize>,
    /// The probes.
    pub probes: [Probe; 4],
}

/// The self-test of all ways.
#[derive(Debug)]
pub struct Core {
    hosts: BTreeMap<Vtep, Host>,
    by_address: HashMap<Ipv6Addr, Vtep>,
    agenda: BTreeSet<(Instant, Vtep)>,
    /// No round before then.
    rest: Option<Instant>,
    rounds: VecDeque<Round>,
    ready: bool,
    /// VTEPs to which checksums are damaged; those for which software was last asked, and those for which it is in force.
    damaged: BTreeSet<Vtep>,
    asked: BTreeSet<Vtep>,
    applied: BTreeSet<Vtep>,
    /// Source of nonces.
    seed: u64,
    news: BTreeSet<Vtep>,
    /// Findings may have changed.
    changed: bool,
}

impl Core {
    /// Of no hosts, with the VTEPs for which software is in force from before. `seed` is of chance.
    #[must_use]
    pub fn new(kept: BTreeSet<Vtep>, seed: u64) -> Self {
        Self {
            hosts: BTreeMap::new(),
            by_address: HashMap::new(),
            agenda: BTreeSet::new(),
            rest: None,
            rounds: VecDeque::new(),
            ready: false,
            damaged: BTreeSet::new(),
            asked: kept.clone(),
            applied: kept,
            seed,
            news: BTreeSet::new(),
            changed: false,
        }
    }

    /// These are to be tested from now on.
    pub fn handle_targets(&mut self, now: Instant, targets: &Targets) {
        self.ready = targets.ready;
        self.changed = true;
        let gone: Vec<_> =
            self.hosts.keys().copied().filter(|vtep| !targets.vteps.contains_key(vtep)).collect();
        for vtep in gone {
            self.schedule(vtep, None);
            self.hosts.remove(&vtep);
            self.by_address.remove(&address::address(vtep));
            self.news.remove(&vtep);
            self.damaged.remove(&vtep);
        }
        for (&vtep, &resolved) in &targets.vteps {
            if !self.hosts.contains_key(&vtep) {
                let (state, finding) = if self.applied.contains(&vtep) {
                    self.damaged.insert(vtep);
                    (State::Asked, Finding::Damaged(Workaround::Testing))
                } else {
                    (State::Waiting, Finding::Testing)
                };
                self.hosts.insert(vtep, Host { state, finding, resolved, due: None, pause: FIRST_PAUSE });
                self.by_address.insert(address::address(vtep), vtep);
                self.news.insert(vtep);
            }
            let Some(host) = self.hosts.get_mut(&vtep) else { continue };
            host.resolved = resolved;
            let may_begin = match host.state {
                State::Waiting => true,
                State::Asked => self.applied.contains(&vtep),
                State::Testing(_)
                | State::Unanswered
                | State::Good
                | State::Verifying(_)
                | State::Verified
                | State::Unverified => false,
            };
            if may_begin {
                self.schedule(vtep, Some(now));
            }
        }
    }

    /// An answer came from `from` to this flow's socket.
    pub fn handle_answer(&mut self, now: Instant, from: Ipv6Addr, flow: usize, answer: Probe) {
        let Some(&vtep) = self.by_address.get(&from) else { return };
        let Some(host) = self.hosts.get_mut(&vtep) else { return };
        if let State::Testing(trial) | State::Verifying(trial) = &mut host.state
            && trial.handle_answer(flow, answer)
        {
            self.schedule(vtep, Some(now));
        }
    }

    /// A host asks us: it is there now, if it was not before.
    pub fn handle_request(&mut self, now: Instant, from: Ipv6Addr) {
        let Some(&vtep) = self.by_address.get(&from) else { return };
        let Some(host) = self.hosts.get_mut(&vtep) else { return };
        // Not faster than one who never answers is asked at first; and two who lose each other's answers do not wake each
        // other for ever.
        let at = now + FIRST_PAUSE;
        let silent = match host.finding {
            Finding::NotTested(reason) | Finding::Damaged(Workaround::NotTested(reason)) => {
                reason == Reason::Silent
            }
            Finding::Testing | Finding::Good | Finding::Damaged(_) => false,
        };
        let rests = matches!(host.state, State::Unanswered | State::Unverified);
        if silent && rests && host.due.is_none_or(|due| at < due) {
            host.pause = FIRST_PAUSE;
            self.schedule(vtep, Some(at));
        }
    }

    /// Checksums of what goes to `vteps` are computed in software from now on, and of nothing else.
    pub fn handle_applied(&mut self, now: Instant, vteps: BTreeSet<Vtep>) {
        let before = std::mem::replace(&mut self.applied, vteps);
        self.changed = true;
        let (began, ended) = (before.is_empty(), self.applied.is_empty());
        let mut again = Vec::new();
        for (&vtep, host) in &mut self.hosts {
            match host.state {
                State::Asked if self.applied.contains(&vtep) => again.push(vtep),
                // What goes through the vxlan device is summed now, or no more: it was another way.
                State::Testing(_) if began && !ended && !host.resolved => {
                    host.state = State::Waiting;
                    again.push(vtep);
                }
                State::Good if ended && !began => {
                    host.state = State::Waiting;
                    again.push(vtep);
                }
                State::Waiting => again.push(vtep),
                State::Asked
                | State::Testing(_)
                | State::Unanswered
                | State::Good
                | State::Verifying(_)
                | State::Verified
                | State::Unverified => {}
            }
        }
        for vtep in again {
            self.schedule(vtep, Some(now));
        }
    }

    /// Does what is due: at most one round, so that they keep their pace.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(due, vtep)) = self.agenda.first()
            && due <= now
            && self.rest.is_none_or(|rest| rest <= now)
        {
            self.schedule(vtep, None);
            self.advance(now, vtep);
        }
    }

    /// When [`Core::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let (due, _) = *self.agenda.first()?;
        Some(self.rest.map_or(due, |rest| rest.max(due)))
    }

    /// Probes to send.
    pub fn poll_round(&mut self) -> Option<Round> {
        self.rounds.pop_front()
    }

    /// The VTEPs that checksums are to be computed for, if these are others than before.
    pub fn poll_software(&mut self) -> Option<BTreeSet<Vtep>> {
        // Before the first targets nobody is known to be gone.
        if !self.ready || self.damaged == self.asked {
            return None;
        }
        self.asked.clone_from(&self.damaged);
        Some(self.damaged.clone())
    }

    /// A host of which something new is known.
    pub fn poll_news(&mut self) -> Option<(Vtep, Finding)> {
        let vtep = self.news.pop_first()?;
        Some((vtep, self.hosts.get(&vtep)?.finding))
    }

    /// What is known of every host, if it may be something else than before.
    pub fn poll_findings(&mut self) -> Option<BTreeMap<Vtep, Finding>> {
        std::mem::take(&mut self.changed).then(|| self.findings())
    }

    /// What is known of every host.
    #[must_use]
    pub fn findings(&self) -> BTreeMap<Vtep, Finding> {
        let finding = |(&vtep, host): (&Vtep, &Host)| {
            let waits = matches!(host.state, State::Waiting) && !self.is_possible(vtep);
            (vtep, if waits { Finding::NotTested(Reason::NoWay) } else { host.finding })
        };
        self.hosts.iter().map(finding).collect()
    }

    /// Whether a trial of the way as it is would say something.
    fn is_possible(&self, vtep: Vtep) -> bool {
        let resolved = self.hosts.get(&vtep).is_some_and(|host| host.resolved);
        self.ready && (resolved || self.applied.is_empty())
    }

    /// The next step of a host whose time has come.
    fn advance(&mut self, now: Instant, vtep: Vtep) {
        let (possible, ready) = (self.is_possible(vtep), self.ready);
        let Some(host) = self.hosts.get_mut(&vtep) else { return };
        match &mut host.state {
            State::Waiting | State::Unanswered if possible => {
                host.state = State::Testing(Trial::new(nonce(&mut self.seed)));
                self.trial(now, vtep);
            }
            State::Asked | State::Unverified if ready => {
                host.state = State::Verifying(Trial::new(nonce(&mut self.seed)));
                self.trial(now, vtep);
            }
            // The next targets bring them back.
            State::Unanswered => host.state = State::Waiting,
            State::Unverified => host.state = State::Asked,
            State::Testing(_) | State::Verifying(_) => self.trial(now, vtep),
            State::Waiting | State::Asked | State::Good | State::Verified => {}
        }
    }

    /// The next step of a trial.
    fn trial(&mut self, now: Instant, vtep: Vtep) {
        let Some(host) = self.hosts.get_mut(&vtep) else { return };
        let (State::Testing(trial) | State::Verifying(trial)) = &mut host.state else { return };
        match trial.handle_timeout(now) {
            Step::Send(flows, probes, next) => {
                self.rounds.push_back(Round { to: address::address(vtep), flows, probes });
                self.rest = Some(now + PACE);
                self.schedule(vtep, Some(next));
            }
            Step::Over(outcome) => {
                let verifying = matches!(host.state, State::Verifying(_));
                let before = host.finding;
                let pause = host.conclude(verifying, outcome);
                if host.state.is_damaged() {
                    self.damaged.insert(vtep);
                }
                if host.finding != before {
                    self.news.insert(vtep);
                    self.changed = true;
                }
                self.schedule(vtep, pause.map(|pause| now + pause));
            }
        }
    }

    fn schedule(&mut self, vtep: Vtep, due: Option<Instant>) {
        let Some(host) = self.hosts.get_mut(&vtep) else { return };
        if let Some(before) = std::mem::replace(&mut host.due, due) {
            self.agenda.remove(&(before, vtep));
        }
        self.agenda.extend(due.map(|due| (due, vtep)));
    }
}

impl Host {
    /// What follows from a trial, and after which pause there is to be another.
    fn conclude(&mut self, verifying: bool, outcome: Outcome) -> Option<Duration> {
        let reason = match outcome {
            Outcome::Whole | Outcome::Damaged => None,
            Outcome::Silent => Some(Reason::Silent),
            Outcome::Lossy => Some(Reason::Lossy),
        };
        (self.state, self.finding) = match (verifying, outcome, reason) {
            (false, _, Some(reason)) => (State::Unanswered, Finding::NotTested(reason)),
            (true, _, Some(reason)) => (State::Unverified, Finding::Damaged(Workaround::NotTested(reason))),
            (false, Outcome::Damaged, None) => (State::Asked, Finding::Damaged(Workaround::Testing)),
            (true, Outcome::Damaged, None) => (State::Unverified, Finding::Damaged(Workaround::Failing)),
            (false, _, None) => (State::Good, Finding::Good),
            (true, _, None) => (State::Verified, Finding::Damaged(Workaround::Verified)),
        };
        let pause = matches!(self.state, State::Unanswered | State::Unverified).then_some(self.pause);
        self.pause = pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        pause
    }
}

impl State {
    fn is_damaged(&self) -> bool {
        match self {
            Self::Asked | Self::Verifying(_) | Self::Verified | Self::Unverified => true,
            Self::Waiting | Self::Testing(_) | Self::Unanswered | Self::Good => false,
        }
    }
}

/// Numbers that nobody guesses who does not know the seed (SplitMix64, Steele, Lea and Flood 2014).
fn nonce(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
#[path = "core/tests.rs"]
mod tests;
