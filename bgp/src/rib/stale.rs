//! Sessions end: routes go, or stay as stale ones for a while (RFC 4724 section 4.2, RFC 9494 section 4.2).
//!
//! A peer can have a million routes. They are found by a walk through the table in slices, between which the owner can
//! do other work; [`Rib::next_deadline`] is now as long as slices are left.

use std::time::{Duration, Instant};

use super::facts::Retain;
use super::families::{self, Families};
use super::query::Kept;
use super::{PeerId, Rib, settle};
use crate::wire::{Community, Family};

/// Slots that one slice looks at: some milliseconds.
const SLICE: u32 = 32_768;

/// A walk through the table because of a peer.
#[derive(Debug)]
pub(super) struct Sweep {
    peer: PeerId,
    families: Families,
    work: Work,
    next: u32,
}

/// What is done with the peer's paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Remove,
    /// What came in another round of refresh.
    RemoveOthers(u8),
    RemoveStale,
    MarkStale,
    MarkLongLived,
}

/// Until when the stale routes of a family stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timer {
    at: Instant,
    family: Family,
    restart: Duration,
    long_lived: Duration,
    /// The second time runs.
    late: bool,
}

impl Timer {
    pub(super) const fn kept(&self) -> Kept {
        Kept { until: self.at, long_lived: self.late }
    }

    /// The peer is back: it gets the time once more to announce its routes.
    pub(super) fn restarted(&mut self, now: Instant) {
        if !self.late {
            self.at = now + self.restart;
        }
    }
}

impl Rib {
    /// The session with `peer` ended.
    pub fn handle_down(&mut self, peer: PeerId, retain: &Retain, now: Instant) {
        self.now = Some(now);
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        neighbour.out = None;
        neighbour.timers.clear();
        neighbour.refreshes.iter_mut().for_each(|refresh| refresh.until = None);
        let kept = Families::of(&retain.families.iter().map(|kept| kept.family).collect::<Vec<_>>());
        for kept in &retain.families {
            let (restart, long_lived) = (kept.restart, kept.long_lived);
            let timer = Timer { at: now + restart, family: kept.family, restart, long_lived, late: false };
            neighbour.timers.push(timer);
        }
        let gone = kept.iter().fold(Families::EVERY, Families::without);
        self.sweep(peer, gone, Work::Remove);
        // What is stale from the session before is not kept twice (RFC 4724 section 4.2).
        self.sweep(peer, kept, Work::RemoveStale);
        self.sweep(peer, kept, Work::MarkStale);
        self.trim();
    }

    /// The peer announced all its routes of `family`: what is still stale is gone.
    pub fn handle_end_of_rib(&mut self, peer: PeerId, family: Family) {
        self.drop_stale(peer, Families::of(&[family]));
        if let Some(out) = self.neighbours.get_mut(&peer).and_then(|neighbour| neighbour.out.as_mut())
            && family == Family::ROUTE_TARGETS
        {
            out.stop_waiting(self.quiet);
        }
    }

    /// The peer did not keep the forwarding state of these families: what is stale of them is gone (RFC 4724 section
    /// 4.2).
    pub fn forget_stale(&mut self, peer: PeerId, families: &[Family]) {
        self.drop_stale(peer, Families::of(families));
    }

    /// Does what is due, a slice of it where it is much.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = Some(now);
        let (mut due, quiet) = (Vec::new(), self.quiet);
        for (&peer, neighbour) in &mut self.neighbours {
            let up = neighbour.out.is_some();
            let overdue = neighbour.end_overdue(now);
            due.extend(overdue.map(|(of, round)| (peer, Families::of(&[of]), Work::RemoveOthers(round))));
            if let Some(out) = neighbour.out.as_mut().filter(|out| out.waits.is_some_and(|at| at <= now)) {
                out.stop_waiting(quiet);
            }
            neighbour.timers.retain_mut(|timer| {
                if timer.at > now {
                    return true;
                }
                let families = Families::of(&[timer.family]);
                if up || timer.late || timer.long_lived.is_zero() {
                    due.push((peer, families, Work::RemoveStale));
                    return false;
                }
                due.push((peer, families, Work::MarkLongLived));
                (timer.late, timer.at) = (true, now + timer.long_lived);
                true
            });
        }
        for (peer, families, work) in due {
            self.sweep(peer, families, work);
        }
        self.slice();
        self.trim();
    }

    /// When [`Rib::handle_timeout`] wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.sweeps.is_empty() {
            return self.now;
        }
        let timers = self.neighbours.values().flat_map(|neighbour| &neighbour.timers).map(|timer| timer.at);
        let waits = self.neighbours.values().filter_map(|neighbour| neighbour.out.as_ref()?.waits);
        let refreshes = self.neighbours.values().flat_map(|neighbour| &neighbour.refreshes);
        timers.chain(waits).chain(refreshes.filter_map(|refresh| refresh.until)).min()
    }

    /// Removes what is stale of `families`, and the time that it had.
    pub(super) fn drop_stale(&mut self, peer: PeerId, families: Families) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        let before = neighbour.timers.len();
        neighbour.timers.retain(|timer| !families.has(timer.family));
        if neighbour.timers.len() < before {
            self.sweep(peer, families, Work::RemoveStale);
        }
    }

    pub(super) fn sweep(&mut self, peer: PeerId, families: Families, work: Work) {
        if !families.is_empty() {
            self.sweeps.push_back(Sweep { peer, families, work, next: 0 });
        }
    }

    /// Ends the sweeps of a peer at once, for it comes back.
    pub(super) fn finish_sweeps(&mut self, peer: PeerId) {
        while self.sweeps.iter().any(|sweep| sweep.peer == peer) {
            self.slice();
        }
    }

    /// A part of the first sweep.
    fn slice(&mut self) {
        let Some(mut sweep) = self.sweeps.pop_front() else { return };
        let end = sweep.next.saturating_add(SLICE).min(self.table.slots());
        for slot in sweep.next..end {
            self.sweep_slot(&sweep, slot);
        }
        sweep.next = end;
        if end < self.table.slots() {
            self.sweeps.push_front(sweep);
            return;
        }
        let more = self.sweeps.iter().any(|other| other.peer == sweep.peer);
        let idle = |neighbour: &super::Neighbour| neighbour.out.is_none() && neighbour.held == [0; 4];
        if !more && self.neighbours.get(&sweep.peer).is_some_and(idle) {
            self.neighbours.remove(&sweep.peer);
        }
    }

    fn sweep_slot(&mut self, sweep: &Sweep, slot: u32) {
        let Some(entry) = self.table.get_mut(slot) else { return };
        let family = entry.key.family();
        let of_peer = entry.paths.as_slice().iter().any(|path| path.peer == sweep.peer);
        if !of_peer || !sweep.families.has(family) {
            return;
        }
        let before = entry.best().to_vec();
        for path in entry.paths.as_mut_slice().iter_mut().filter(|path| path.peer == sweep.peer) {
            match sweep.work {
                Work::MarkStale => path.flags.stale = true,
                Work::MarkLongLived => path.flags.long_lived |= path.flags.stale,
                Work::Remove | Work::RemoveStale | Work::RemoveOthers(_) => {}
            }
        }
        settle(entry, &self.neighbours);
        self.finish(slot, before);
        let peer = sweep.peer;
        while self.take_from(slot, |path| path.peer == peer && sweep.work.removes(path)) {
            self.count(peer, family, false);
        }
    }

    /// Counts a path that came or went.
    pub(super) fn count(&mut self, peer: PeerId, family: Family, came: bool) {
        let held = self.neighbours.get_mut(&peer).map(|neighbour| &mut neighbour.held);
        if let Some(held) = held.zip(families::index(family)).and_then(|(held, index)| held.get_mut(index)) {
            *held = if came { *held + 1 } else { held.saturating_sub(1) };
        }
    }
}

impl Work {
    fn removes(self, path: &super::Path) -> bool {
        match self {
            Self::Remove => true,
            Self::RemoveStale => path.flags.stale,
            Self::RemoveOthers(round) => path.round != round,
            Self::MarkStale => false,
            // Some routes are too dangerous to be kept for long (RFC 9494 section 4.3).
            Self::MarkLongLived => {
                path.flags.stale && path.shared.0.attributes.communities.contains(&Community::NO_LLGR)
            }
        }
    }
}
