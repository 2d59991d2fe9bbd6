//! Floods: one frame after another, each a little different, as fast as one CPU sends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use socket2::{Domain, Protocol, Socket, Type};

use crate::capture::link_address;
use crate::{Namespace, PATIENCE, socket_option, wait_until};

/// A running flood. Dropping it ends it.
#[derive(Debug)]
pub struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<Duration>>>,
}

/// What became of a flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flooded {
    /// Frames that were sent.
    pub sent: u64,
    /// How long that took.
    pub took: Duration,
}

impl Flooded {
    /// Frames per second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        let milliseconds = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX).max(1);
        self.sent.saturating_mul(1000) / milliseconds
    }
}

impl Namespace {
    /// Sends `frame` out of a device at most `count` times. `vary` is called before each time, with the number of the frame from
    /// 0, to make it another one.
    ///
    /// # Errors
    /// The device is missing.
    pub fn flood(
        &self,
        device: &str,
        count: u64,
        mut frame: Vec<u8>,
        vary: impl Fn(u64, &mut [u8]) + Send + 'static,
    ) -> Result<Flood> {
        let address = link_address(self.link(device)?.index, 0)?;
        let (stop, sent) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = self.spawn(move || {
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
            socket_option::set(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)?;
            socket.bind(&address)?;
            let start = Instant::now();
            while counter.load(Ordering::Relaxed) < count && !stopped.load(Ordering::Relaxed) {
                vary(counter.load(Ordering::Relaxed), &mut frame);
                match socket.send(&frame) {
                    Ok(_) => counter.fetch_add(1, Ordering::Relaxed),
                    // The device takes no more at this moment.
                    Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => continue,
                    Err(error) => return Err(error).context("a frame of a flood"),
                };
            }
            Ok(start.elapsed())
        })?;
        Ok(Flood { stop, sent, thread: Some(thread) })
    }
}

impl Flood {
    /// How many were sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until `more` further ones are sent.
    ///
    /// # Errors
    /// They are not in time.
    pub fn wait_for_more(&self, more: u64) -> Result<()> {
        let goal = self.sent() + more;
        wait_until(PATIENCE * 2, &format!("{more} more frames of a flood"), || self.sent() >= goal)
    }

    /// Waits until all are sent, if there is an end to them, and counts.
    ///
    /// # Errors
    /// It broke.
    pub fn finish(mut self) -> Result<Flooded> {
        let thread = self.thread.take().context("it runs until it is asked for")?;
        let took = thread.join().map_err(|_| anyhow!("the flooding thread panicked"))??;
        Ok(Flooded { sent: self.sent(), took })
    }

    /// Ends it and counts.
    ///
    /// # Errors
    /// It broke.
    pub fn stop(self) -> Result<Flooded> {
        self.stop.store(true, Ordering::Relaxed);
        self.finish()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Nobody asks for the result any more.
            drop(thread.join());
        }
    }
}
