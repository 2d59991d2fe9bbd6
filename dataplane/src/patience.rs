//! Waits for what the kernel does a little after it was asked to.

use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);

/// Looks until what is seen is as it is waited for, or `patience` is over, and returns what was seen last. Blocks.
pub(crate) fn look_until<T>(
    patience: Duration,
    mut look: impl FnMut() -> T,
    awaited: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        let seen = look();
        if awaited(&seen) || Instant::now() >= deadline {
            return seen;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the one poll loop, of conditions that nothing tells of"
        )]
        thread::sleep(PAUSE);
    }
}
