//! Spans of time as BFD has them on the wire: whole microseconds in 32 bits.

use std::fmt;
use std::time::Duration;

/// A span of time, in microseconds; an hour and 11 minutes at most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(u32);

impl Interval {
    /// No time; what it means depends on the field that it stands in.
    pub const ZERO: Self = Self(0);

    /// A span of so many microseconds.
    #[must_use]
    pub const fn from_micros(micros: u32) -> Self {
        Self(micros)
    }

    /// The span as it goes on the wire, if it fits; what is below a microsecond is cut off.
    pub(super) fn from_duration(duration: Duration) -> Option<Self> {
        u32::try_from(duration.as_micros()).ok().map(Self)
    }

    /// The span in microseconds.
    #[must_use]
    pub const fn micros(self) -> u32 {
        self.0
    }

    /// The span for arithmetic with time.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.0 as u64)
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.duration().fmt(out)
    }
}
