//! A peer as the RIB sees it: its facts, how much it announced, and what it was told.

use std::time::Instant;

use super::facts::Facts;
use super::families::Families;
use super::log::{Cursor, Log};
use super::membership::Memberships;
use super::refresh::Refresh;
use super::stale::Timer;
use super::{PeerId, Policy, Rib, families};
use crate::wire::Family;

/// A peer that is up, or whose routes are kept.
#[derive(Debug)]
pub(super) struct Neighbour {
    pub(super) facts: Facts,
    /// Paths in the table, by family in the order of [`families::ALL`].
    pub(super) held: [usize; families::ALL.len()],
    /// There while the session is up.
    pub(super) out: Option<Out>,
    pub(super) timers: Vec<Timer>,
    /// By family, as `held`.
    pub(super) refreshes: [Refresh; families::ALL.len()],
}

/// Adj-RIB-out.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) cursor: Cursor,
    pub(super) families: Families,
    /// Those of them whose routes it gets already.
    opened: Families,
    pub(super) announced: Bits,
    pub(super) memberships: Memberships,
    /// Families that the peer wants told again, between marks.
    pub(super) asked: Families,
    /// Those of which it was told that they begin.
    pub(super) answering: Families,
    /// EVPN waits for the peer's memberships, until then.
    pub(super) waits: Option<Instant>,
}

/// One bit for each slot.
#[derive(Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn get(&self, slot: u32) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|word| word & 1 << (slot % 64) != 0)
    }

    pub(super) fn set(&mut self, slot: u32, value: bool) {
        let word = slot as usize / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let bit = 1 << (slot % 64);
        if value {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
    }
}

impl Out {
    fn new(facts: &Facts, log: &Log, quiet: bool, now: Instant) -> Self {
        let families = Families::of(&facts.families);
        let waits = families.has(Family::ROUTE_TARGETS) && families.has(Family::EVPN);
        let mut opened = if quiet { families.only(Family::ROUTE_TARGETS) } else { families };
        if waits {
            opened = opened.without(Family::EVPN);
        }
        Self {
            cursor: log.join(opened),
            families,
            opened,
            announced: Bits::default(),
            memberships: Memberships::default(),
            asked: Families::NONE,
            answering: Families::NONE,
            waits: waits.then(|| now + facts.membership_wait),
        }
    }

    /// Whether the peer gets routes of `family` now.
    pub(super) fn open(&self, family: Family) -> bool {
        self.opened.has(family)
    }

    /// Starts with EVPN, whether the peer's memberships are complete or not.
    pub(super) fn stop_waiting(&mut self, quiet: bool) {
        if self.waits.take().is_some() && !quiet {
            self.open_up();
        }
    }

    /// Starts with every family that it does not have to wait for.
    fn open_up(&mut self) {
        let wanted = if self.waits.is_some() { self.families.without(Family::EVPN) } else { self.families };
        let new = self.opened.iter().fold(wanted, Families::without);
        if !new.is_empty() {
            self.opened = self.opened.with_all(new);
            self.cursor.walk(new, false, new);
        }
    }
}

impl Rib {
    /// The session with `peer` is established. What is kept of its last one counts on until its End-of-RIB.
    pub fn handle_up(&mut self, peer: PeerId, facts: Facts, now: Instant) {
        self.now = Some(now);
        self.finish_sweeps(peer);
        let out = Some(Out::new(&facts, &self.log, self.quiet, now));
        let (held, mut timers, refreshes) = match self.neighbours.remove(&peer) {
            Some(kept) => (kept.held, kept.timers, kept.refreshes),
            None => Default::default(),
        };
        for timer in &mut timers {
            timer.restarted(now);
        }
        let lost = Families::of(&facts.families);
        let lost = lost.iter().fold(Families::EVERY, Families::without);
        self.neighbours.insert(peer, Neighbour { facts, held, out, timers, refreshes });
        self.drop_stale(peer, lost);
    }

    /// While it is quiet, peers are told nothing but which routes the speaker wants (RFC 4724 section 4.1): without that
    /// they would not tell theirs.
    pub fn set_quiet(&mut self, quiet: bool) {
        self.quiet = quiet;
        if !quiet {
            self.neighbours
                .values_mut()
                .filter_map(|neighbour| neighbour.out.as_mut())
                .for_each(Out::open_up);
        }
    }

    /// Changes what the peer is told from now on: all routes are looked at once more.
    pub fn set_export(&mut self, peer: PeerId, export: Policy) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        neighbour.facts.export = export;
        if let Some(out) = &mut neighbour.out {
            out.cursor.walk(out.families, true, Families::NONE);
        }
    }

    /// Changes what is taken from the peer from now on. What it sent before is judged anew when it sends it again, for
    /// which a refresh can ask.
    pub fn set_import(&mut self, peer: PeerId, import: Policy) {
        if let Some(neighbour) = self.neighbours.get_mut(&peer) {
            neighbour.facts.import = import;
        }
    }
}
