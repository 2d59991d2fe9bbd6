//! What processes use: CPU time, and resident memory from /proc.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// CPU time of all threads of these processes since they started, in user and kernel mode.
pub(crate) fn cpu(processes: &[u32]) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for process in processes {
        let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(*process)?))
            .with_context(|| format!("the CPU clock of process {process}"))?;
        sum += Duration::from(clock.now()?);
    }
    Ok(sum)
}

/// Bytes of these processes that are in memory.
pub(crate) fn resident(processes: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for process in processes {
        let status = read(*process, "status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        sum += kilobytes * 1024;
    }
    Ok(sum)
}

fn read(process: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{process}/{file}");
    fs::read_to_string(&path).with_context(|| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_what_it_takes() {
        let own = [std::process::id()];
        let before = resident(&own).unwrap();
        let taken = vec![1_u8; 64 << 20];
        let after = resident(&own).unwrap();
        assert!(after >= before + (60 << 20), "{before} {after} {}", taken.len());
        let start = cpu(&own).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while cpu(&own).unwrap() == start {
            assert!(std::time::Instant::now() < deadline, "no CPU time is counted");
        }
    }
}
