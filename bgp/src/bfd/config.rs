//! What an administrator chooses for a session: how fast, and how patient.

use std::num::NonZeroU8;
use std::time::Duration;

use super::interval::Interval;

/// The fastest that is accepted, in either direction.
pub const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// Timers of a session, checked. The default is three packets of 300 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    desired_min_tx: Interval,
    required_min_rx: Interval,
    detect_multiplier: NonZeroU8,
}

/// Why timers are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Faster than a process can be relied on to be.
    #[error("a BFD {what} interval of {interval:?} is too short: the shortest is {MIN_INTERVAL:?}")]
    Short {
        /// Which one.
        what: &'static str,
        /// What was asked for.
        interval: Duration,
    },
    /// More than 32 bits of microseconds.
    #[error("a BFD {what} interval of {interval:?} is too long: the longest is 4294 s")]
    Long {
        /// Which one.
        what: &'static str,
        /// What was asked for.
        interval: Duration,
    },
    /// Nothing could ever be missed.
    #[error("a BFD detection multiplier of 0 has no meaning: the smallest is 1, and 3 is usual")]
    Multiplier,
}

impl Config {
    /// Sends each `desired_min_tx` or slower, is ready to receive each `required_min_rx` or slower, and tells the other
    /// side to give up after `detect_multiplier` packets missed. What is in force is negotiated: each direction runs
    /// at the slower of the two sides' wishes.
    ///
    /// # Errors
    /// An interval below 10 ms or above 32 bits of microseconds; a multiplier of zero.
    pub fn new(
        desired_min_tx: Duration,
        required_min_rx: Duration,
        detect_multiplier: u8,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            desired_min_tx: checked("transmit", desired_min_tx)?,
            required_min_rx: checked("receive", required_min_rx)?,
            detect_multiplier: NonZeroU8::new(detect_multiplier).ok_or(ConfigError::Multiplier)?,
        })
    }

    /// The fastest that this side sends.
    #[must_use]
    pub const fn desired_min_tx(&self) -> Interval {
        self.desired_min_tx
    }

    /// The fastest that this side wants to receive.
    #[must_use]
    pub const fn required_min_rx(&self) -> Interval {
        self.required_min_rx
    }

    /// How many packets of ours the other side may miss.
    #[must_use]
    pub const fn detect_multiplier(&self) -> NonZeroU8 {
        self.detect_multiplier
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            desired_min_tx: Interval::from_micros(300_000),
            required_min_rx: Interval::from_micros(300_000),
            detect_multiplier: NonZeroU8::MIN.saturating_add(2),
        }
    }
}

fn checked(what: &'static str, interval: Duration) -> Result<Interval, ConfigError> {
    if interval < MIN_INTERVAL {
        return Err(ConfigError::Short { what, interval });
    }
    Interval::from_duration(interval).ok_or(ConfigError::Long { what, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let good = MIN_INTERVAL;
        let short = good - Duration::from_nanos(1);
        let longest = Duration::from_micros(u32::MAX.into());
        let long = longest + Duration::from_micros(1);
        assert!(Config::new(good, longest, 1).is_ok());
        assert!(Config::new(longest, good, 255).is_ok());
        let refused = |what, interval| Err(ConfigError::Short { what, interval });
        assert_eq!(Config::new(short, good, 3), refused("transmit", short));
        assert_eq!(Config::new(good, Duration::ZERO, 3), refused("receive", Duration::ZERO));
        let refused = |what, interval| Err(ConfigError::Long { what, interval });
        assert_eq!(Config::new(long, good, 3), refused("transmit", long));
        assert_eq!(Config::new(good, Duration::MAX, 3), refused("receive", Duration::MAX));
        assert_eq!(Config::new(good, good, 0), Err(ConfigError::Multiplier));
        let default = Duration::from_millis(300);
        assert_eq!(Config::new(default, default, 3), Ok(Config::default()));
    }
}
