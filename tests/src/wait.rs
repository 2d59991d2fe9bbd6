//! Waiting for a condition with a deadline: the only place of this crate that sleeps.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

/// How long a condition that needs no traffic may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// How much slower than usual this machine is: `WEFT_TEST_SLOWNESS`, which an emulated machine sets. Waits are so much
/// longer.
fn slowness() -> u32 {
    std::env::var("WEFT_TEST_SLOWNESS").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

/// How long to leave the machine alone between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` gives a value; tells what it saw last if that does not happen within `patience`.
///
/// `look` answers `Ok(value)` when the condition holds and `Err(what it saw)` when it does not yet.
///
/// # Errors
/// The deadline passed.
pub fn wait_for<T, Seen: Debug>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> std::result::Result<T, Seen>,
) -> Result<T> {
    let patience = patience * slowness();
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(seen) if Instant::now() >= deadline => {
                bail!("{what}: not within {patience:?}; last seen: {seen:?}")
            }
            Err(_) => pause(),
        }
    }
}

/// Looks until `condition` is true.
///
/// # Errors
/// The deadline passed.
pub fn wait_until(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    wait_for(patience, what, || if condition() { Ok(()) } else { Err("not yet") })
}

/// Looks until `condition` is true, as often as the machine lets it: for what is measured in milliseconds.
///
/// # Errors
/// The deadline passed, or it cannot be looked at.
pub fn wait_closely(
    patience: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let patience = patience * slowness();
    let deadline = Instant::now() + patience;
    while !condition()? {
        ensure!(Instant::now() < deadline, "{what}: not within {patience:?}");
        std::thread::yield_now();
    }
    Ok(())
}

/// Lets time pass where time itself is meant: the pace of a flow, the moment of a fault. Not to wait for something.
#[expect(clippy::disallowed_methods, reason = "nothing is waited for")]
pub fn let_pass(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one poll loop: there is no event for most of what tests wait for"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}
