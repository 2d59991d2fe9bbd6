//! When the kernel is next to be made as desired without anybody asking: after it changed, after a failure, and now and
//! then, since it does not tell of everything (not of what happens inside workloads' namespaces).
//!
//! Pure; the engine sleeps until [`Schedule::next_deadline`].

use std::time::{Duration, Instant};

/// Changes come in bursts (a link appears with its addresses and routes): one reconciliation for all.
const SETTLE: Duration = Duration::from_millis(100);
/// First pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Pause after a success.
const RESYNC: Duration = Duration::from_secs(30);

/// Part of the time that may go into looking after next hops alone: one in so many. A host whose routes never rest
/// must have time for the rest.
const NEXT_HOPS_SHARE: u32 = 4;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// The next hops of VTEPs.
    NextHops,
    /// Everything.
    Everything,
}

/// When to reconcile next.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    deadline: Option<Instant>,
    failures: u32,
    next_hops: Option<Instant>,
    /// Not before then.
    next_hops_rest: Option<Instant>,
}

impl Schedule {
    /// The kernel changed. What failed before is not tried faster than it is allowed to fail: its own attempts
    /// change the kernel too. Next hops are looked after at once in any case: traffic waits for them.
    pub(super) fn handle_kernel_changed(&mut self, now: Instant) {
        let pause = if self.failures == 0 { SETTLE } else { FIRST_PAUSE };
        let at = now + pause;
        self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
        self.next_hops.get_or_insert(self.next_hops_rest.map_or(now, |rest| rest.max(now)));
    }

    /// Next hops were looked after; it took so long.
    pub(super) fn handle_next_hops(&mut self, now: Instant, took: Duration) {
        self.next_hops = None;
        self.next_hops_rest = Some(now + took * (NEXT_HOPS_SHARE - 1));
    }

    /// A reconciliation ended.
    pub(super) fn handle_report(&mut self, now: Instant, failed: bool) {
        self.next_hops = None;
        if !failed {
            self.deadline = Some(now + RESYNC);
            self.failures = 0;
            return;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(8)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.deadline = Some(now + pause);
    }

    /// When something is due, and what, if anything ever is.
    pub(super) fn next_deadline(&self) -> Option<(Instant, Work)> {
        let next_hops = self.next_hops.map(|at| (at, Work::NextHops));
        let everything = self.deadline.map(|at| (at, Work::Everything));
        next_hops.into_iter().chain(everything).min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything(schedule: &Schedule) -> Option<Instant> {
        schedule.deadline
    }

    #[test]
    fn pauses_grow_and_end_with_a_success() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        assert_eq!(everything(&schedule), None);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            schedule.handle_report(now, true);
            pauses.push(everything(&schedule).unwrap().duration_since(now).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        schedule.handle_report(now, false);
        schedule.handle_report(now, true);
        assert_eq!(everything(&schedule), Some(now + FIRST_PAUSE));
    }

    #[test]
    fn the_kernel_is_looked_at_though_it_tells_nothing() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.handle_report(now, false);
        assert_eq!(everything(&schedule), Some(now + RESYNC));
        schedule.handle_kernel_changed(now);
        assert_eq!(everything(&schedule), Some(now + SETTLE));
    }

    #[test]
    fn a_burst_of_changes_is_one_reconciliation() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.handle_kernel_changed(now);
        schedule.handle_kernel_changed(now + SETTLE / 2);
        assert_eq!(everything(&schedule), Some(now + SETTLE));
        // After failures, a change of the kernel shortens the pause, but not to nothing.
        for _ in 0..7 {
            schedule.handle_report(now, true);
        }
        schedule.handle_kernel_changed(now);
        assert_eq!(everything(&schedule), Some(now + FIRST_PAUSE));
    }

    #[test]
    fn next_hops_wait_for_no_failure_and_for_nothing_to_settle() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        for _ in 0..7 {
            schedule.handle_report(now, true);
        }
        schedule.handle_kernel_changed(now);
        assert_eq!(schedule.next_deadline(), Some((now, Work::NextHops)));
        schedule.handle_next_hops(now, Duration::from_millis(2));
        assert_eq!(schedule.next_deadline(), Some((now + FIRST_PAUSE, Work::Everything)));
    }

    #[test]
    fn next_hops_leave_time_for_the_rest() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        let took = Duration::from_millis(20);
        schedule.handle_report(now, false);
        schedule.handle_kernel_changed(now);
        schedule.handle_next_hops(now, took);
        schedule.handle_kernel_changed(now);
        schedule.handle_kernel_changed(now + took);
        assert_eq!(schedule.next_deadline(), Some((now + took * 3, Work::NextHops)));
        // A reconciliation has looked after them too.
        schedule.handle_report(now, false);
        assert_eq!(schedule.next_deadline(), Some((now + RESYNC, Work::Everything)));
    }
}
