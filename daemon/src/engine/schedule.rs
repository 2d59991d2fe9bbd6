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

/// When to reconcile next.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    deadline: Option<Instant>,
    failures: u32,
}

impl Schedule {
    /// The kernel changed. What failed before is not tried faster than it is allowed to fail: its own attempts
    /// change the kernel too.
    pub(super) fn handle_kernel_changed(&mut self, now: Instant) {
        let pause = if self.failures == 0 { SETTLE } else { FIRST_PAUSE };
        let at = now + pause;
        self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
    }

    /// A reconciliation ended.
    pub(super) fn handle_report(&mut self, now: Instant, failed: bool) {
        if !failed {
            *self = Self { deadline: Some(now + RESYNC), failures: 0 };
            return;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(8)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.deadline = Some(now + pause);
    }

    /// When to reconcile, if at all.
    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_with_a_success() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        assert_eq!(schedule.next_deadline(), None);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            schedule.handle_report(now, true);
            pauses.push(schedule.next_deadline().unwrap().duration_since(now).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        schedule.handle_report(now, false);
        schedule.handle_report(now, true);
        assert_eq!(schedule.next_deadline(), Some(now + FIRST_PAUSE));
    }

    #[test]
    fn the_kernel_is_looked_at_though_it_tells_nothing() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.handle_report(now, false);
        assert_eq!(schedule.next_deadline(), Some(now + RESYNC));
        schedule.handle_kernel_changed(now);
        assert_eq!(schedule.next_deadline(), Some(now + SETTLE));
    }

    #[test]
    fn a_burst_of_changes_is_one_reconciliation() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.handle_kernel_changed(now);
        schedule.handle_kernel_changed(now + SETTLE / 2);
        assert_eq!(schedule.next_deadline(), Some(now + SETTLE));
        // After failures, a change of the kernel shortens the pause, but not to nothing.
        for _ in 0..7 {
            schedule.handle_report(now, true);
        }
        schedule.handle_kernel_changed(now);
        assert_eq!(schedule.next_deadline(), Some(now + FIRST_PAUSE));
    }
}
