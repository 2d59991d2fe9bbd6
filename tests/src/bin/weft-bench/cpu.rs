//! Which CPU the load runs on, and how much of it was used.

use std::fs;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use nix::unistd::Pid;
use weft_tests::Namespace;

/// Where the two ends of a load run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpus {
    /// The client's CPU, which also does all the kernel's work on what the client sends.
    pub(crate) client: usize,
    /// The server's CPU.
    pub(crate) server: usize,
}

impl Cpus {
    /// Both ends on one CPU, another one each round: nothing waits for a CPU to wake up.
    pub(crate) fn one(round: u32) -> Result<Self> {
        let cpus = allowed()?;
        let client = cpus[round as usize % cpus.len()];
        Ok(Self { client, server: client })
    }

    /// The ends on two CPUs, if there are two, in turns.
    pub(crate) fn two(round: u32) -> Result<Self> {
        let cpus = allowed()?;
        let [client, server] = [0, 1].map(|end| cpus[(round as usize + end) % cpus.len()]);
        Ok(Self { client, server })
    }
}

/// The CPUs that this process may use; at least one.
fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).context("asking for our CPUs")?;
    let cpus: Vec<_> = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect();
    if cpus.is_empty() { Err(anyhow!("no CPU is allowed")) } else { Ok(cpus) }
}

/// One end of a load: a thread inside a namespace, kept on one CPU.
pub(crate) struct Worker<R> {
    thread: JoinHandle<Result<(R, Duration)>>,
}

impl<R: Send + 'static> Worker<R> {
    /// Starts `work`.
    pub(crate) fn start(
        namespace: &Namespace,
        cpu: usize,
        work: impl FnOnce() -> Result<R> + Send + 'static,
    ) -> Result<Self> {
        let thread = namespace.spawn(move || {
            let mut set = CpuSet::new();
            set.set(cpu)?;
            sched_setaffinity(Pid::from_raw(0), &set).context("staying on one CPU")?;
            let before = used()?;
            let result = work()?;
            Ok((result, used()?.saturating_sub(before)))
        })?;
        Ok(Self { thread })
    }

    /// Whether it has ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its result, and the CPU time that it took.
    pub(crate) fn join(self) -> Result<(R, Duration)> {
        self.thread.join().map_err(|_| anyhow!("a load panicked"))?
    }
}

/// CPU time of the calling thread. The kernel's work on what it sends is part of it.
fn used() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(microseconds.try_into()?))
}

/// The kernel's threads that take over network work when there is much of it.
pub(crate) struct Ksoftirqd {
    files: Vec<PathBuf>,
}

impl Ksoftirqd {
    /// Those of all CPUs; none where they cannot be seen, as in a container.
    pub(crate) fn find() -> Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let process = entry?.path();
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            if name.starts_with("ksoftirqd/") {
                files.push(process.join("schedstat"));
            }
        }
        Ok(Self { files })
    }

    /// CPU time that they have used since the machine started.
    pub(crate) fn used(&self) -> Duration {
        let times = self.files.iter().filter_map(|file| {
            let text = fs::read_to_string(file).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(times.sum())
    }
}
