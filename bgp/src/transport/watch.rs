//! BFD for neighbours: the driver is started for the first one that is to be watched.
//!
//! Of a neighbour that may be any number of hops away, nobody knows which kind of session it expects: on a shared subnet,
//! FRR expects one over a single hop, and others one over several. Both are offered, and the one that comes up watches.
//!
//! One task hands wishes to the driver in their order, and what the driver says to the owner of the sockets. Wishes wait
//! without a bound: there is at most one for each change of the configuration. The task ends with the [`Watcher`].

use std::num::NonZeroU8;

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
            for peer in peers(path) {
                // The task reads until it is aborted.
                let _ = started.wishes.send((peer, config));
            }
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

/// The neighbour as BFD may know it.
fn peers(path: &Path) -> impl Iterator<Item = Peer> {
    let over = |hops: NonZeroU8| match hops.get() - 1 {
        0 => Hops::Single,
        routers => Hops::Multiple { minimum_ttl: 255 - routers },
    };
    let (first, second) = match path.distance {
        Distance::Within(hops) | Distance::Reach(hops) => (over(hops), None),
        Distance::Any => (Hops::Single, Some(Hops::Multiple { minimum_ttl: 1 })),
    };
    let (remote, local) = (path.remote.ip(), path.local);
    [Some(first), second].into_iter().flatten().map(move |hops| Peer { remote, local, interface: None, hops })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_for_each_distance() {
        let far = |hops| NonZeroU8::new(hops).unwrap();
        let multiple = |minimum_ttl| Hops::Multiple { minimum_ttl };
        let cases = [
            (Distance::Any, vec![Hops::Single, multiple(1)]),
            (Distance::Reach(far(1)), vec![Hops::Single]),
            (Distance::Within(far(1)), vec![Hops::Single]),
            (Distance::Within(far(2)), vec![multiple(254)]),
            (Distance::Reach(far(255)), vec![multiple(1)]),
        ];
        for (distance, hops) in cases {
            let local = Some("192.0.2.1".parse().unwrap());
            let remote = "192.0.2.2:179".parse().unwrap();
            let path = Path { remote, local, distance, password: None };
            let expected =
                hops.into_iter().map(|hops| Peer { remote: remote.ip(), local, interface: None, hops });
            assert!(peers(&path).eq(expected), "{distance:?}");
        }
    }
}
