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

/// Part of the time that may go into looking after next hops alone, and again into reconciling everything: one in so
/// many. A host whose routes never rest, or where a workload's device never does, must have time for the rest.
const SHARE: u32 = 4;

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
    /// Not before then.
    rest: Option<Instant>,
    failures: u32,
    next_hops: Option<Instant>,
    /// Not before then.
    next_hops_rest: Option<Instant>,
}

impl Schedule {
    /// The kernel changed. What failed before is not tried faster than it is allowed to fail: its own attempts
    /// change the kernel too. Nor is everything looked at sooner than its share of the time allows. Next hops are looked after at once in any case: traffic waits for them.
    pub(super) fn handle_kernel_changed(&mut self, now: Instant) {
        let pause = if self.failures == 0 { SETTLE } else { FIRST_PAUSE };
        let at = self.rest.map_or(now + pause, |rest| rest.max(now + pause));
        self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
        self.next_hops.get_or_insert(self.next_hops_rest.map_or(now, |rest| rest.max(now)));
    }

    /// Next hops were looked after; it took so long.
    pub(super) fn handle_next_hops(&mut self, now: Instant, took: Duration) {
        self.next_hops = None;
        self.next_hops_rest = Some(now + pause_after(took));
    }

    /// A reconciliation ended; it took so long.
    pub(super) fn handle_report(&mut self, now: Instant, failed: bool, took: Duration) {
        self.next_hops = None;
        let rest = now + pause_after(took);
        self.rest = Some(rest);
        if !failed {
            self.deadline = Some(now + RESYNC);
            self.failures = 0;
            return;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(8)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.deadline = Some(rest.max(now + pause));
    }

    /// When something is due, and what, if anything ever is.
    pub(super) fn next_deadline(&self) -> Option<(Instant, Work)> {
        let next_hops = self.next_hops.map(|at| (at, Work::NextHops));
        let everything = self.deadline.map(|at| (at, Work::Everything));
        next_hops.into_iter().chain(everything).min_by_key(|(at, _)| *at)
    }
}

/// How long work that took so long is left alone for its share of the time; no longer than the kernel ever is.
fn pause_after(took: Duration) -> Duration {
    took.saturating_mul(SHARE - 1).min(RESYNC)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of no account.
    const QUICK: Duration = Duration::from_millis(1);

    fn everything(schedule: &Schedule) -> Option<Instant> {
        schedule.deadline
    }

    #[test]
    fn pauses_grow_and_end_with_a_success() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        assert_eq!(everything(&schedule), None);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            schedule.handle_report(now, true, QUICK);
            pauses.push(everything(&schedule).unwrap().duration_since(now).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        schedule.handle_report(now, false, QUICK);
        schedule.handle_report(now, true, QUICK);
        assert_eq!(everything(&schedule), Some(now + FIRST_PAUSE));
    }

    #[test]
    fn the_kernel_is_looked_at_though_it_tells_nothing() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.handle_report(now, false, QUICK);
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
            schedule.handle_report(now, true, QUICK);
        }
        schedule.handle_kernel_changed(now);
        assert_eq!(everything(&schedule), Some(now + FIRST_PAUSE));
    }

    #[test]
    fn next_hops_wait_for_no_failure_and_for_nothing_to_settle() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        for _ in 0..7 {
            schedule.handle_report(now, true, QUICK);
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
        schedule.handle_report(now, false, QUICK);
        schedule.handle_kernel_changed(now);
        schedule.handle_next_hops(now, took);
        schedule.handle_kernel_changed(now);
        schedule.handle_kernel_changed(now + took);
        assert_eq!(schedule.next_deadline(), Some((now + took * 3, Work::NextHops)));
        // A reconciliation has looked after them too.
        schedule.handle_report(now, false, QUICK);
        assert_eq!(schedule.next_deadline(), Some((now + RESYNC, Work::Everything)));
    }

    /// A reconciliation that took so long, and changes of the kernel so long after its end: when the next is due.
    #[test]
    fn everything_has_its_share_of_the_time() {
        let cases = [
            // (took, changes of the kernel, due), in milliseconds.
            (10, vec![0], 100),
            (10, vec![500], 600),
            (1_000, vec![0], 3_000),
            (1_000, vec![0, 100, 2_000], 3_000),
            (1_000, vec![2_950], 3_050),
            (1_000, vec![60_000], 30_000),
            (1_000, vec![], 30_000),
            (20_000, vec![0], 30_000),
            (u64::MAX, vec![0, 1], 30_000),
        ];
        for (took, changes, due) in cases {
            let (mut schedule, now) = (Schedule::default(), Instant::now());
            schedule.handle_report(now, false, Duration::from_millis(took));
            for &after in &changes {
                schedule.handle_kernel_changed(now + Duration::from_millis(after));
            }
            let due = now + Duration::from_millis(due);
            assert_eq!(everything(&schedule), Some(due), "took {took} ms, changes after {changes:?} ms");
        }
    }

    #[test]
    fn the_first_change_waits_for_nothing_but_the_rest_of_its_crowd() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.handle_kernel_changed(now);
        assert_eq!(everything(&schedule), Some(now + SETTLE));
    }

    /// What fails and takes long has no more of the time than what succeeds.
    #[test]
    fn failures_have_the_same_share() {
        for (took, due) in [(100, 1_000), (2_000, 6_000), (20_000, 30_000)] {
            let (mut schedule, now) = (Schedule::default(), Instant::now());
            schedule.handle_report(now, true, Duration::from_millis(took));
            schedule.handle_kernel_changed(now);
            let due = now + Duration::from_millis(due);
            assert_eq!(everything(&schedule), Some(due), "took {took} ms");
        }
    }

    /// A device that never rests: of each minute a quarter goes into reconciling everything.
    #[test]
    fn a_device_that_flaps_leaves_time_for_the_rest() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        let (took, mut now, mut spent) = (Duration::from_millis(200), start, Duration::ZERO);
        while now < start + Duration::from_secs(60) {
            schedule.handle_kernel_changed(now);
            if everything(&schedule).is_some_and(|due| due <= now) {
                now += took;
                spent += took;
                schedule.handle_report(now, false, took);
            }
            now += Duration::from_millis(1);
        }
        assert!((14..=15).contains(&spent.as_secs()), "{spent:?} of a minute");
    }
}
