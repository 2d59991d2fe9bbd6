//! A small generator of numbers that look random, seeded from outside, so that a run can be repeated.

use std::time::Duration;

/// SplitMix64. Good enough for jitter and for names that do not collide; no secret may rest on it.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) const fn roll_u32(&mut self) -> u32 {
        let [_, _, _, _, a, b, c, d] = self.roll().to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// How much of an interval to wait this time (RFC 5880 section 6.8.7).
    pub(crate) const fn jitter(&mut self, detect_multiplier: u8) -> Jitter {
        // With a multiplier of 1, a packet that is sent late is a packet that is missed.
        let choices = if detect_multiplier == 1 { 151 } else { 251 };
        Jitter { permille: 750 + self.roll_u32() % choices }
    }
}

/// A part of an interval.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jitter {
    permille: u32,
}

impl Jitter {
    pub(crate) fn of(self, interval: Duration) -> Duration {
        interval * self.permille / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_has_its_whole_range_and_no_more() {
        let second = Duration::from_secs(1);
        for (multiplier, max) in [(1, 900), (2, 1000), (3, 1000), (255, 1000)] {
            let mut dice = Dice::new(7);
            let waits: Vec<_> = (0..10_000).map(|_| dice.jitter(multiplier).of(second)).collect();
            assert_eq!(waits.iter().min(), Some(&Duration::from_millis(750)), "{multiplier}");
            assert_eq!(waits.iter().max(), Some(&Duration::from_millis(max)), "{multiplier}");
        }
    }

    #[test]
    fn the_longest_interval_does_not_overflow() {
        let longest = Duration::from_micros(u32::MAX.into());
        assert_eq!(Jitter { permille: 1000 }.of(longest), longest);
    }
}
