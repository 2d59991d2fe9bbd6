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
    started: Option<(mpsc::UnboundedSender<Wish>, AbortHandle)>,
}

impl Watcher {
    /// Watches a neighbour, or no more.
    pub(super) fn set(&mut self, path: &Path, config: Option<bfd::Config>, inputs: &mpsc::Sender<Kind>) {
        let (wishes, _) = self.started.get_or_insert_with(|| {
            let (wishes, queue) = mpsc::unbounded_channel();
            (wishes, tokio::spawn(run(queue, inputs.clone())).abort_handle())
        });
        // A task that could not start its driver has said so.
        let _ = wishes.send((peer(path), config));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.started {
            task.abort();
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

async fn run(mut wishes: mpsc::UnboundedReceiver<Wish>, inputs: mpsc::Sender<Kind>) {
    let (handle, mut events) = match driver::start() {
        Ok(started) => started,
        Err(error) => return error!(%error, "BFD cannot start; neighbours are watched by hold timers alone"),
    };
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
