//! How often a port may cause what costs others something.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::assert_size;

const SECOND: u64 = 1_000_000_000;

/// So many events a second, after a pause as many at once.
///
/// A leaky bucket in one word of state, the virtual scheduling algorithm of ITU-T I.371 annex A: the time at which the
/// next event is due. CPUs that race for the word let a few events too many through, and never lock.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Rate {
    /// Nanoseconds between two events; 0: none ever.
    interval: u64,
}
assert_size!(Rate, 8);

impl Rate {
    /// `events` a second; 0: none ever.
    #[must_use]
    pub const fn per_second(events: u32) -> Self {
        let interval = match events {
            0 => 0,
            events if events as u64 >= SECOND => 1,
            events => SECOND / events as u64,
        };
        Self { interval }
    }

    /// Whether an event may happen at `now`, a clock's nanoseconds. `due` is the state, at first 0.
    #[must_use]
    #[inline(always)]
    pub fn admit(&self, due: &mut u64, now: u64) -> bool {
        let start = if *due > now { *due } else { now };
        if self.interval == 0 || start - now > SECOND - self.interval {
            return false;
        }
        *due = start + self.interval;
        true
    }
}

/// The limits of each port.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Limits {
    /// Frames that are flooded.
    pub floods: Rate,
    /// ICMP errors that it is sent.
    pub icmp_errors: Rate,
    /// Drops that are told one by one.
    pub drop_events: Rate,
}
assert_size!(Limits, 24);

/// When each of a port's limited events is next due, as [`Rate::admit`] keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PortLimits {
    /// See [`Limits::floods`].
    pub floods: u64,
    /// See [`Limits::icmp_errors`].
    pub icmp_errors: u64,
    /// See [`Limits::drop_events`].
    pub drop_events: u64,
}
assert_size!(PortLimits, 24);

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `events` at the same time are admitted.
    fn admitted(rate: Rate, due: &mut u64, now: u64, events: usize) -> usize {
        (0..events).filter(|_| rate.admit(due, now)).count()
    }

    #[test]
    fn a_second_s_worth_at_once_and_then_evenly() {
        let rate = Rate::per_second(100);
        let mut due = 0;
        let start = 5 * SECOND;
        assert_eq!(admitted(rate, &mut due, start, 1000), 100);
        assert_eq!(admitted(rate, &mut due, start + SECOND / 100, 10), 1);
        assert_eq!(admitted(rate, &mut due, start + SECOND / 2, 1000), 49);
        assert_eq!(admitted(rate, &mut due, start + 60 * SECOND, 1000), 100, "pauses do not add up");
    }

    #[test]
    fn one_a_second_and_none() {
        let mut due = 0;
        assert_eq!(admitted(Rate::per_second(1), &mut due, SECOND, 10), 1);
        assert_eq!(admitted(Rate::per_second(1), &mut due, SECOND * 3 / 2, 10), 0);
        assert_eq!(admitted(Rate::per_second(1), &mut due, SECOND * 2, 10), 1);
        assert_eq!(admitted(Rate::per_second(0), &mut 0, SECOND, 10), 0);
    }

    #[test]
    fn the_most_that_can_be_asked_for() {
        let rate = Rate::per_second(u32::MAX);
        assert!(rate.admit(&mut 0, 0));
    }
}
