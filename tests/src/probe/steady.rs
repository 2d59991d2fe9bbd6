//! Flows at a fixed rate in the background, to see whether anything is lost while something else happens.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::ANSWER;
use super::echo::unspecified;
use super::ping::Pinger;
use crate::{Namespace, PATIENCE, wait_until};

/// A flow that goes on until it is stopped.
#[derive(Debug)]
pub struct Steady {
    what: String,
    stop: Sender<()>,
    answered: Arc<AtomicU64>,
    thread: JoinHandle<Result<Tally>>,
}

/// What became of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Requests, datagrams or blocks sent.
    pub sent: u64,
    /// Those that were answered, or arrived.
    pub answered: u64,
    /// Longest time without one.
    pub longest_gap: Duration,
}

impl Tally {
    /// Those that were neither answered nor arrived.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sent - self.answered
    }
}

/// Ticks at a fixed rate, late or not, until told to stop.
struct Clock {
    stop: Receiver<()>,
    next: Instant,
    period: Duration,
}

impl Clock {
    /// Waits for the next tick; false when it is time to stop.
    fn tick(&mut self) -> bool {
        let left = self.next.saturating_duration_since(Instant::now());
        self.next += self.period;
        matches!(self.stop.recv_timeout(left), Err(RecvTimeoutError::Timeout))
    }
}

impl Steady {
    fn start(
        namespace: &Namespace,
        what: String,
        per_second: u32,
        flow: impl FnOnce(Clock, &AtomicU64) -> Result<Tally> + Send + 'static,
    ) -> Result<Self> {
        let (stop, stopped) = channel();
        let answered = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&answered);
        let period = Duration::from_secs(1) / per_second;
        let thread =
            namespace.spawn(move || flow(Clock { stop: stopped, next: Instant::now(), period }, &counter))?;
        Ok(Self { what, stop, answered, thread })
    }

    /// Pings `to` at a fixed rate.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn ping(from: &Namespace, to: IpAddr, per_second: u32) -> Result<Self> {
        let what = format!("ping {to} from {}", from.name());
        Self::start(from, what, per_second, move |clock, answered| ping(to, clock, answered))
    }

    /// Sends datagrams to `receiver`, whose address is `to`, at a fixed rate.
    ///
    /// # Errors
    /// No socket could be made.
    pub fn udp(from: &Namespace, receiver: &Namespace, to: IpAddr, per_second: u32) -> Result<Self> {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let socket = receiver.run(|| UdpSocket::bind(any))??;
        // What is lost shall be lost on the way, not because we read slowly.
        crate::socket_option::set_queue(&socket, 16 << 20)?;
        let to = SocketAddr::new(to, socket.local_addr()?.port());
        let what = format!("UDP to {to} from {}", from.name());
        Self::start(from, what, per_second, move |clock, arrived| udp(&socket, to, clock, arrived))
    }

    /// Sends blocks over one TCP connection to `receiver`, whose address is `to`, which sends each back.
    ///
    /// # Errors
    /// No socket could be made.
    pub fn tcp(from: &Namespace, receiver: &Namespace, to: IpAddr, per_second: u32) -> Result<Self> {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let listener = receiver.run(|| TcpListener::bind(any))??;
        let to = SocketAddr::new(to, listener.local_addr()?.port());
        // Ends when the client closes its connection, or never connects and the test is over.
        drop(receiver.spawn(move || {
            let (mut stream, _) = listener.accept()?;
            let mut writer = stream.try_clone()?;
            Ok(std::io::copy(&mut stream, &mut writer)?)
        })?);
        let what = format!("TCP to {to} from {}", from.name());
        Self::start(from, what, per_second, move |clock, answered| tcp(to, clock, answered))
    }

    /// How many were answered, or arrived, so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until `more` further ones are answered or arrive.
    ///
    /// # Errors
    /// They do not in time.
    pub fn wait_for_more(&self, more: u64) -> Result<()> {
        let goal = self.answered() + more;
        wait_until(PATIENCE, &format!("{more} more of {}", self.what), || self.answered() >= goal)
    }

    /// Stops sending, waits for what is under way, and counts.
    ///
    /// # Errors
    /// The flow broke.
    pub fn stop(self) -> Result<Tally> {
        // A flow that broke has stopped listening; its error is the answer.
        let _ = self.stop.send(());
        let tally = self.thread.join().map_err(|_| anyhow!("{}: panicked", self.what))?;
        tally.with_context(|| self.what.clone())
    }
}

/// Watches for gaps.
struct Gap {
    last: Instant,
    longest: Duration,
}

impl Gap {
    fn new() -> Self {
        Self { last: Instant::now(), longest: Duration::ZERO }
    }

    fn note(&mut self) {
        self.longest = self.longest.max(self.last.elapsed());
        self.last = Instant::now();
    }
}

fn ping(to: IpAddr, mut clock: Clock, answered: &AtomicU64) -> Result<Tally> {
    let pinger = Pinger::open(to)?;
    let mut pending = BTreeSet::new();
    let mut gap = Gap::new();
    let mut sent = 0_u64;
    let mut collect = |pending: &mut BTreeSet<u16>, until: Instant| -> Result<()> {
        while !pending.is_empty() {
            let Some(sequence) = pinger.receive(until)? else { break };
            if pending.remove(&sequence) {
                answered.fetch_add(1, Ordering::Relaxed);
                gap.note();
            }
        }
        Ok(())
    };
    while clock.tick() {
        let sequence = u16::try_from(sent % 65_536)?;
        pinger.send(sequence, &[0x5a; 56])?;
        pending.insert(sequence);
        sent += 1;
        collect(&mut pending, clock.next)?;
    }
    collect(&mut pending, Instant::now() + ANSWER)?;
    Ok(Tally { sent, answered: answered.load(Ordering::Relaxed), longest_gap: gap.longest })
}

fn udp(receiver: &UdpSocket, to: SocketAddr, mut clock: Clock, arrived: &AtomicU64) -> Result<Tally> {
    let sender = UdpSocket::bind(SocketAddr::new(unspecified(to.ip()), 0))?;
    receiver.set_nonblocking(true)?;
    let mut gap = Gap::new();
    let mut seen = BTreeSet::new();
    let mut sent = 0_u64;
    let mut collect = |seen: &mut BTreeSet<[u8; 8]>| -> Result<()> {
        let mut number = [0; 8];
        loop {
            match receiver.recv(&mut number) {
                // A datagram that comes twice counts once.
                Ok(_) if seen.insert(number) => {
                    arrived.fetch_add(1, Ordering::Relaxed);
                    gap.note();
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    };
    while clock.tick() {
        sender.send_to(&sent.to_be_bytes(), to)?;
        sent += 1;
        collect(&mut seen)?;
    }
    let all = || arrived.load(Ordering::Relaxed) == sent;
    // Those that are still missing then are lost, which is for the caller to judge.
    let deadline = Instant::now() + ANSWER;
    drop(wait_until(ANSWER, "the last datagrams", || {
        collect(&mut seen).is_err() || all() || Instant::now() >= deadline
    }));
    Ok(Tally { sent, answered: arrived.load(Ordering::Relaxed), longest_gap: gap.longest })
}

fn tcp(to: SocketAddr, mut clock: Clock, answered: &AtomicU64) -> Result<Tally> {
    const BLOCK: usize = 4096;
    let mut stream = TcpStream::connect_timeout(&to, ANSWER).context("connecting")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut gap = Gap::new();
    let mut sent = 0_u64;
    let mut back = [0; BLOCK];
    while clock.tick() {
        let mut block = [0x5a; BLOCK];
        if let Some((counter, _)) = block.split_first_chunk_mut() {
            *counter = sent.to_be_bytes();
        }
        stream.write_all(&block).with_context(|| format!("block {sent}"))?;
        stream.read_exact(&mut back).with_context(|| format!("the echo of block {sent}"))?;
        ensure!(back == block, "block {sent} came back changed");
        sent += 1;
        answered.fetch_add(1, Ordering::Relaxed);
        gap.note();
    }
    Ok(Tally { sent, answered: sent, longest_gap: gap.longest })
}
