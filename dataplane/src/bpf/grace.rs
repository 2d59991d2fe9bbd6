//! Waiting for the programs: a grace period of the kernel's RCU ends when whatever ran when it began has come to its end.

use std::io;
use std::time::Duration;

const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;

/// Where the kernel refuses to wait (with `nohz_full`, membarrier(2)): longer than any program runs.
const LONGER_THAN_A_PROGRAM: Duration = Duration::from_millis(100);

/// Waits until no program runs any more that may have read the maps before this.
pub(crate) fn grace_period() {
    // SAFETY: the command takes no pointers.
    let waited = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if waited != 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(%error, "the kernel does not tell when its programs have ended");
        #[expect(clippy::disallowed_methods, reason = "there is no condition that could be looked at")]
        std::thread::sleep(LONGER_THAN_A_PROGRAM);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// The figure is printed, not judged.
    #[test]
    fn a_grace_period_ends() {
        let start = Instant::now();
        (0..10).for_each(|_| grace_period());
        eprintln!("a grace period: {:?}", start.elapsed() / 10);
    }
}
