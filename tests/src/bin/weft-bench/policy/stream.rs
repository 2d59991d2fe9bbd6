//! Datagrams of one connection, every tenth of a millisecond or so: when each was sent, and when it arrived if it did.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use weft_tests::probe::ANSWER;
use weft_tests::{PATIENCE, let_pass, wait_until};

use crate::load::{ANY, Path};

/// Between two datagrams; the kernel's timers make it somewhat more.
const PAUSE: Duration = Duration::from_micros(50);

/// Without a datagram for so long, the receiver has all that will arrive.
const WHILE: Duration = Duration::from_millis(50);

/// When datagrams were sent, and when they arrived, by their number.
#[derive(Default)]
struct Log {
    sent: Vec<Instant>,
    arrived: Vec<Option<Instant>>,
    /// When the receiver last found that nothing had come for a while.
    idle: Option<Instant>,
}

/// A stream that goes on until it is dropped.
pub(super) struct Stream {
    log: Arc<Mutex<Log>>,
    over: Arc<AtomicBool>,
    ends: Vec<JoinHandle<Result<()>>>,
}

/// A datagram: when it was sent, and when it arrived.
pub(super) type Datagram = (Instant, Option<Instant>);

impl Stream {
    /// Starts it. The first datagram is answered: both sides have agreed to the connection.
    pub(super) fn start(path: Path<'_>) -> Result<Self> {
        let inbox = path.server.run(|| UdpSocket::bind(ANY))??;
        let outbox = path.client.run(|| UdpSocket::bind(ANY))??;
        outbox.connect(SocketAddr::new(path.address, inbox.local_addr()?.port()))?;
        for socket in [&inbox, &outbox] {
            socket.set_read_timeout(Some(ANSWER))?;
        }
        outbox.send(&[0; 8])?;
        let mut buffer = [0; 8];
        let (_, from) = inbox.recv_from(&mut buffer).context("the first datagram")?;
        inbox.send_to(&buffer, from)?;
        outbox.recv(&mut buffer).context("its answer")?;
        inbox.set_read_timeout(Some(WHILE))?;
        let (log, over) = (Arc::<Mutex<Log>>::default(), Arc::<AtomicBool>::default());
        let ends = vec![
            path.client.spawn({
                let (log, over) = (Arc::clone(&log), Arc::clone(&over));
                move || send(&outbox, &log, &over)
            })?,
            path.server.spawn({
                let (log, over) = (Arc::clone(&log), Arc::clone(&over));
                move || receive(&inbox, &log, &over)
            })?,
        ];
        Ok(Self { log, over, ends })
    }

    /// All that was sent from `start` to `end`, which is over: waits until what arrives of it has, however busy the receiver.
    pub(super) fn between(&self, start: Instant, end: Instant) -> Result<Vec<Datagram>> {
        let lock = || self.log.lock().unwrap_or_else(PoisonError::into_inner);
        wait_until(PATIENCE, "the end of a stream", || {
            let log = lock();
            let later = log.sent.iter().zip(&log.arrived).rev().take_while(|(sent, _)| **sent > end);
            // They arrive in order.
            log.idle.is_some_and(|idle| idle > end + WHILE) || later.into_iter().any(|(_, at)| at.is_some())
        })?;
        let log = lock();
        let all = log.sent.iter().copied().zip(log.arrived.iter().copied());
        Ok(all.filter(|(sent, _)| (start..=end).contains(sent)).collect())
    }

    /// Ends it.
    pub(super) fn end(mut self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        let ends = std::mem::take(&mut self.ends);
        ends.into_iter().try_for_each(|end| end.join().map_err(|_| anyhow!("a stream panicked"))?)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn send(outbox: &UdpSocket, log: &Mutex<Log>, over: &AtomicBool) -> Result<()> {
    while !over.load(Ordering::Relaxed) {
        let number = {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.sent.push(Instant::now());
            log.arrived.push(None);
            u64::try_from(log.sent.len() - 1)?
        };
        outbox.send(&number.to_be_bytes())?;
        let_pass(PAUSE);
    }
    Ok(())
}

fn receive(inbox: &UdpSocket, log: &Mutex<Log>, over: &AtomicBool) -> Result<()> {
    let mut number = [0; 8];
    while !over.load(Ordering::Relaxed) {
        let received = inbox.recv(&mut number);
        let now = Instant::now();
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if received.is_err() {
            log.idle = Some(now);
            continue;
        }
        let number = usize::try_from(u64::from_be_bytes(number))?;
        if let Some(arrived) = log.arrived.get_mut(number) {
            *arrived = Some(now);
        }
    }
    Ok(())
}
