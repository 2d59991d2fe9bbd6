//! Traffic from every pod to every other, of three kinds and over both families, all of it counted: what is sent must
//! arrive, whatever happens meanwhile.
//!
//! The rates are modest and the sockets' queues large, so that a machine with few and busy CPUs loses nothing by itself;
//! what the kernel drops for want of time ([`Report::backlog_drops`]) is told apart.

mod datagrams;
mod pings;
mod streams;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Result, anyhow, ensure};

use crate::cloud::Pod;

/// Messages of one flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// What, from where, and to where.
    pub what: String,
    /// Requests or datagrams sent.
    pub sent: u64,
    /// Those that were answered, or arrived.
    pub arrived: u64,
}

/// One TCP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// From where, and to where.
    pub what: String,
    /// Bytes that arrived, the same as were sent.
    pub bytes: u64,
    /// Segments that were sent again: lost, or late on a busy machine.
    pub retransmitted: u64,
}

/// What became of it all.
#[derive(Debug, Default)]
pub struct Report {
    /// Echo requests, from each pod to each address.
    pub pings: Vec<Flow>,
    /// UDP, likewise.
    pub datagrams: Vec<Flow>,
    /// Datagrams that arrived more than once.
    pub duplicates: u64,
    /// TCP, one connection between any two pods.
    pub streams: Vec<Stream>,
    /// Connections that were reset, hung, or carried other bytes than were sent.
    pub broken: Vec<String>,
    /// Packets that this machine's CPUs dropped meanwhile because their backlog was full, weft's and others'.
    pub backlog_drops: u64,
}

/// Running traffic.
#[derive(Debug)]
pub struct Mesh {
    stop: Arc<AtomicBool>,
    pings: Vec<JoinHandle<Result<Vec<Flow>>>>,
    datagrams: Vec<datagrams::Pair>,
    streams: Vec<(String, JoinHandle<Result<Stream>>)>,
    dropped_before: u64,
}

impl Mesh {
    /// Starts it between `pods`, which must reach each other.
    ///
    /// # Errors
    /// A socket cannot be made, or a connection not be opened.
    pub fn start(pods: &[&Pod]) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let dropped_before = backlog_drops()?;
        let datagrams = datagrams::start(pods, &stop)?;
        let mut pings = Vec::new();
        let mut streams = Vec::new();
        for (number, pod) in pods.iter().enumerate() {
            let others: Vec<IpAddr> =
                pods.iter().filter(|to| to.name != pod.name).flat_map(|to| to.addresses()).collect();
            let (v4, v6): (Vec<_>, Vec<_>) = others.into_iter().partition(IpAddr::is_ipv4);
            for to in [v4, v6] {
                pings.push(pings::start(pod, to, &stop)?);
            }
            for (later, to) in pods.iter().enumerate().skip(number + 1) {
                let address = to.addresses()[(number + later) % 2];
                streams.push((
                    format!("TCP {} to {address}", pod.name),
                    streams::start(pod, to, address, &stop)?,
                ));
            }
        }
        Ok(Self { stop, pings, datagrams, streams, dropped_before })
    }

    /// Stops sending, waits for what is under way, and counts.
    ///
    /// # Errors
    /// A probe failed by itself, which is not the network's fault.
    pub fn finish(self) -> Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        let mut report = Report::default();
        for thread in self.pings {
            report.pings.extend(thread.join().map_err(|_| anyhow!("a ping panicked"))??);
        }
        (report.datagrams, report.duplicates) = datagrams::finish(self.datagrams)?;
        for (what, thread) in self.streams {
            match thread.join().map_err(|_| anyhow!("{what} panicked"))? {
                Ok(stream) => report.streams.push(stream),
                Err(error) => report.broken.push(format!("{what}: {error:#}")),
            }
        }
        report.backlog_drops = backlog_drops()? - self.dropped_before;
        Ok(report)
    }
}

impl Report {
    /// Packets that were counted one by one: echo requests and datagrams.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.flows().map(|flow| flow.sent).sum()
    }

    /// Those of them that were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.flows().map(|flow| flow.sent - flow.arrived).sum()
    }

    fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.pings.iter().chain(&self.datagrams)
    }

    /// Fails if anything was lost, came twice or broke, or if a flow did not flow.
    ///
    /// # Errors
    /// What was.
    pub fn assert_lossless(&self) -> Result<()> {
        let lossy: Vec<_> = self.flows().filter(|flow| flow.arrived != flow.sent || flow.sent == 0).collect();
        ensure!(
            lossy.is_empty() && self.duplicates == 0 && self.broken.is_empty(),
            "{self}; {lossy:#?}; {:#?}",
            self.broken
        );
        let silent: Vec<_> = self.streams.iter().filter(|stream| stream.bytes == 0).collect();
        ensure!(silent.is_empty(), "nothing flowed in {silent:#?}");
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |flows: &[Flow]| -> u64 { flows.iter().map(|flow| flow.sent).sum() };
        let bytes: u64 = self.streams.iter().map(|stream| stream.bytes).sum();
        let retransmitted: u64 = self.streams.iter().map(|stream| stream.retransmitted).sum();
        write!(
            f,
            "{} packets ({} pings, {} datagrams, {} flows), {} lost, {} twice; {} TCP streams ({} MB, {} segments sent \
             again), {} broken; {} dropped by a full backlog of this machine",
            self.sent(),
            sum(&self.pings),
            sum(&self.datagrams),
            self.flows().count(),
            self.lost(),
            self.duplicates,
            self.streams.len() + self.broken.len(),
            bytes / 1_000_000,
            retransmitted,
            self.broken.len(),
            self.backlog_drops,
        )
    }
}

/// Packets that the CPUs dropped because their backlog was full, since the machine's start: the second word of each line
/// of `/proc/net/softnet_stat`.
fn backlog_drops() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/net/softnet_stat")?;
    let dropped = text.lines().filter_map(|line| line.split_whitespace().nth(1));
    let dropped = dropped.map(|word| u64::from_str_radix(word, 16));
    Ok(dropped.sum::<std::result::Result<u64, _>>()?)
}
