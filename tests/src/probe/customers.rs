//! Customers of a service while something happens to it: each comes anew, or one that stays, and how long they wait.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::ECHO_PORT;
use crate::{Namespace, PATIENCE, let_pass, socket_option};

/// How a customer asks an echo server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Over a new TCP connection each time.
    NewTcp,
    /// Over a new UDP socket each time.
    NewUdp,
}

/// Customers that come one after the other until they are told to stop.
#[derive(Debug)]
pub struct Customers {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    thread: JoinHandle<Result<Served>>,
}

/// What they say of the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    /// How many came.
    pub came: u64,
    /// How long each waited who was answered.
    pub waited: Vec<Duration>,
    /// TCP segments that their kernel had to send again.
    pub again: u64,
    /// What the first said who was not answered.
    pub complaint: Option<String>,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.waited.clone();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let most = sorted.last().copied().unwrap_or_default();
        write!(
            f,
            "{} of {} answered, median {} µs, longest {} µs, {} segments sent again",
            self.waited.len(),
            self.came,
            median.as_micros(),
            most.as_micros(),
            self.again
        )
    }
}

impl Served {
    /// Fails unless each was answered, and there were at least `least`.
    ///
    /// # Errors
    /// As it says.
    pub fn all(&self, least: u64) -> Result<()> {
        ensure!(self.came >= least, "only {} came", self.came);
        ensure!(self.came == self.waited.len() as u64, "{self}; {:?}", self.complaint);
        Ok(())
    }
}

impl Customers {
    /// Has customers come from a namespace to the echo server at `to`, `per_second` at most.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(from: &Namespace, to: IpAddr, way: Way, per_second: u32) -> Result<Self> {
        let (stop, served) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&served));
        let period = Duration::from_secs(1) / per_second;
        let thread = from.spawn(move || {
            let mut tally = Served::default();
            while !stopped.load(Ordering::Relaxed) {
                let begin = Instant::now();
                tally.came += 1;
                match way.ask(to, tally.came) {
                    Ok(again) => {
                        tally.waited.push(begin.elapsed());
                        tally.again += again;
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        let complaint = || format!("number {}: {error:#}", tally.came);
                        tally.complaint = Some(tally.complaint.take().unwrap_or_else(complaint));
                    }
                }
                let_pass(period.saturating_sub(begin.elapsed()));
            }
            Ok(tally)
        })?;
        Ok(Self { stop, served, thread })
    }

    /// How many were answered so far.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Lets the last one finish, and asks them all.
    ///
    /// # Errors
    /// They could not even try.
    pub fn stop(self) -> Result<Served> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("a customer panicked"))?
    }
}

impl Way {
    /// Asks once; how many segments were sent again.
    fn ask(self, to: IpAddr, number: u64) -> Result<u64> {
        let text = format!("customer {number}");
        let (answer, again) = match self {
            Self::NewTcp => ask_over_tcp(to, &text)?,
            Self::NewUdp => (super::echo::udp(to, &text, PATIENCE)?, 0),
        };
        ensure!(answer.ends_with(&format!(":{text}")), "{answer:?}");
        Ok(again)
    }
}

fn ask_over_tcp(to: IpAddr, text: &str) -> Result<(String, u64)> {
    let address = SocketAddr::new(to, ECHO_PORT);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).context("connecting")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(text.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("the answer")?;
    Ok((answer, socket_option::retransmissions(&stream)?))
}
