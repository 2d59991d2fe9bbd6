//! BFD for neighbours: the driver is started for the first one that is to be watched.
//!
//! One task hands wishes to the driver in their order, and what the driver says to the owner of the sockets. Wishes wait
//! without a bound: there is at most one for each change of the configuration. The task ends with the [`Watcher`].

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{error, warn};

use super::Kind;
use crate::bfd::{self, Hops, Peer, driver};
use crate::speaker::{Distance, Path};

/// How fast a neighbour is to be watched; `None`: no more.
type Wish = (Peer, Option<bfd::Config>);

/// Who is watched.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    started: Option<Started>,
}

#[derive(Debug)]
struct Started {
    wishes: mpsc::UnboundedSender<Wish>,
    handle: driver::Handle,
    task: AbortHandle,
}

impl Watcher {
    /// Watches a neighbour, or no more.
    pub(super) fn set(&mut self, path: &Path, config: Option<bfd::Config>, inputs: &mpsc::Sender<Kind>) {
        if self.started.is_none() {
            let (handle, events) = match driver::start() {
                Ok(started) => started,
                Err(error) => {
                    return error!(%error, "BFD cannot start; neighbours are watched by hold timers alone");
                }
            };
            let (wishes, queue) = mpsc::unbounded_channel();
            let task = tokio::spawn(run(queue, handle.clone(), events, inputs.clone())).abort_handle();
            self.started = Some(Started { wishes, handle, task });
        }
        if let Some(started) = &self.started {
            // The task reads until it is aborted.
            let _ = started.wishes.send((peer(path), config));
        }
    }

    /// What commands the driver, if there is one.
    pub(super) fn handle(&self) -> Option<driver::Handle> {
        self.started.as_ref().map(|started| started.handle.clone())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(started) = &self.started {
            started.task.abort();
        }
    }
}

/// The neighbour as BFD knows it.
fn peer(path: &Path) -> Peer {
    let hops = match path.distance {
        Distance::Within(hops) if hops.get() > 1 => Hops::Multiple { minimum_ttl: 255 - (hops.get() - 1) },
        Distance::Reach(ttl) if ttl.get() > 1 => Hops::Multiple { minimum_ttl: 255 - (ttl.get() - 1) },
        Distance::Any => Hops::Multiple { minimum_ttl: 1 },
        Distance::Within(_) | Distance::Reach(_) => Hops::Single,
    };
    Peer { remote: path.remote.ip(), local: path.local, interface: None, hops }
}

async fn run(
    mut wishes: mpsc::UnboundedReceiver<Wish>,
    handle: driver::Handle,
    mut events: mpsc::Receiver<(Peer, bfd::Event)>,
    inputs: mpsc::Sender<Kind>,
) {
    loop {
        tokio::select! {
            wish = wishes.recv() => match wish {
                Some((peer, Some(config))) => {
                    if let Err(error) = handle.add(peer, config).await {
                        warn!(%error, "a neighbour is not watched by BFD");
                    }
                }
                Some((peer, None)) => handle.remove(peer).await,
                None => return,
            },
            event = events.recv() => match event {
                // The owner reads until it goes.
                Some((peer, event)) => drop(inputs.send(Kind::Bfd { remote: peer.remote, event }).await),
                None => return error!("BFD ended; neighbours are watched by hold timers alone"),
            },
        }
    }
}
