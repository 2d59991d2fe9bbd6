//! Chance that can be had again: the moments of faults, from a seed that a failed test prints.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What repeats a run: the seed as it was printed.
const SEED: &str = "WEFT_TEST_SEED";

/// Random numbers from a seed (xorshift64*, Vigna 2016).
#[derive(Debug)]
pub struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// From the seed in `WEFT_TEST_SEED`, or from one that nobody has had.
    #[must_use]
    pub fn new() -> Self {
        let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            now.as_secs() << 20 | u64::from(now.subsec_micros())
        });
        Self { seed, state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// How to throw the same again, to be printed.
    #[must_use]
    pub fn seed(&self) -> String {
        format!("{SEED}={}", self.seed)
    }

    /// Dice of their own for the `number`th of many things, so that each of them can be had alone.
    #[must_use]
    pub fn of(&self, number: u64) -> Self {
        let mixed =
            (self.seed ^ number.wrapping_mul(0xd134_2543_de82_ef95)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { seed: self.seed, state: (mixed ^ mixed >> 29) | 1 }
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit
    }

    /// One of `of`.
    ///
    /// # Panics
    /// There is none.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let at = self.below(of.len() as u64);
        of[usize::try_from(at).unwrap_or(0)]
    }

    /// A time up to `most`.
    pub fn time(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.below(micros))
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::new()
    }
}
