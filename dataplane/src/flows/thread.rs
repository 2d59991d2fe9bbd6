//! A thread that sweeps once a second. It waits for news of the ports meanwhile, and ends when whoever tells them has gone.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc as log;

use super::Flow;
use super::sweeper::{Guarded, Sweeper};
use crate::error::ObserveError;

const PERIOD: Duration = Duration::from_secs(1);
/// Sweeps whose ended connections wait to be read: who is slower misses some, rather than have them fill the memory.
const WAITING: usize = 4;

/// Where connections that ended are told, once somebody listens.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndedLog(Arc<OnceLock<log::Sender<Vec<Flow>>>>);

impl EndedLog {
    /// Listens; `None` if somebody does.
    pub(crate) fn listen(&self) -> Option<log::Receiver<Vec<Flow>>> {
        let (sender, receiver) = log::channel(WAITING);
        self.0.set(sender).is_ok().then_some(receiver)
    }

    fn tell(&self, ended: Vec<Flow>) {
        let count = ended.len();
        if count > 0
            && let Some(listener) = self.0.get()
            && listener.try_send(ended).is_err()
        {
            tracing::debug!(count, "nobody has read of connections that ended");
        }
    }
}

/// The thread. It ends with this.
pub(crate) struct FlowThread {
    tell: Option<Sender<Guarded>>,
    thread: Option<JoinHandle<()>>,
}

impl FlowThread {
    /// Starts it, on the maps in the pin folder `root`. Nothing is removed before the ports are told.
    pub(crate) fn start(root: &Path, ended: EndedLog) -> Result<Self, ObserveError> {
        let sweeper = Sweeper::open(root)?;
        let (tell, told) = channel();
        let thread = Builder::new().name("weft-flows".to_owned()).spawn(move || run(sweeper, &told, &ended));
        let failed = |error: io::Error| ObserveError::Netlink { what: "thread", cause: error.to_string() };
        Ok(Self { tell: Some(tell), thread: Some(thread.map_err(failed)?) })
    }

    /// These are the ports from now on.
    pub(crate) fn tell(&self, guarded: Guarded) {
        if let Some(tell) = &self.tell {
            // If it has panicked, its end is told when it is joined.
            let _ = tell.send(guarded);
        }
    }
}

impl Drop for FlowThread {
    /// Waits for its end, so that nobody uses the maps any more.
    fn drop(&mut self) {
        self.tell = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that removes connections panicked");
        }
    }
}

fn run(mut sweeper: Sweeper, told: &Receiver<Guarded>, ended: &EndedLog) {
    let Ok(mut guarded) = told.recv() else { return };
    loop {
        let next = Instant::now() + PERIOD;
        ended.tell(sweeper.sweep(&guarded));
        loop {
            match told.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(news) => {
                    sweeper.meet(&guarded, &news);
                    guarded = news;
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}
