//! Drops, one by one: read from the kernel, named, remembered, and passed on to those who watch.
//!
//! One task, [`run`], waits for drops and for its own deadline, a second after the last drop, at which it tells how many
//! were counted only. It writes into a [`Board`], which the API's handlers read: the last [`REMEMBERED`] lines, and a
//! channel of as many that a slow watcher may lag behind before lines are lost to it. The task is aborted: it owns
//! nothing but its place in the kernel's buffer, and the next one goes on there.

mod names;
mod time;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, watch};
use tracing::warn;
use weft_api::view::{Drop, DropLine, Frame, Tunnel, Untold};
use weft_dataplane::{DropReader, Dropped, Transport};

pub use names::Names;

/// Lines that are remembered, and that a watcher may lag behind.
const REMEMBERED: usize = 1024;
/// How often it is told what was counted only.
const INTERVAL: Duration = Duration::from_secs(1);

/// Where drops are read from by those who ask. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The sender is within, so that a subscription neither misses nor repeats a line.
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    last: VecDeque<Arc<DropLine>>,
    sender: broadcast::Sender<Arc<DropLine>>,
}

/// What somebody who asks gets.
#[derive(Debug)]
pub struct Subscription {
    /// The last lines, the oldest first.
    pub last: Vec<Arc<DropLine>>,
    /// What comes from now on.
    pub live: broadcast::Receiver<Arc<DropLine>>,
}

impl Board {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        let (sender, _) = broadcast::channel(REMEMBERED);
        Self(Arc::new(Inner { lines: Mutex::new(Lines { last: VecDeque::new(), sender }) }))
    }

    /// The last lines, and those to come.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let lines = self.lines();
        Subscription { last: lines.last.iter().cloned().collect(), live: lines.sender.subscribe() }
    }

    fn tell(&self, line: DropLine) {
        let mut lines = self.lines();
        let line = Arc::new(line);
        if lines.last.len() == REMEMBERED {
            lines.last.pop_front();
        }
        lines.last.push_back(line.clone());
        // Nobody watches: nobody to tell.
        let _ = lines.sender.send(line);
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Whoever panicked had pushed a line or not.
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads drops until the kernel's buffer fails, or for ever.
pub async fn run(mut reader: DropReader, board: Board, names: watch::Receiver<Arc<Names>>) {
    // What was counted while nobody read is history, and `weft counters` has it.
    let mut untold = CountedOnly(reader.untold().unwrap_or_default());
    let mut deadline = None;
    loop {
        let drops = tokio::select! {
            drops = reader.next() => drops,
            () = until(deadline) => {
                deadline = None;
                match reader.untold() {
                    Ok(counted) => untold.news(counted).for_each(|line| board.tell(DropLine::Untold(line))),
                    Err(error) => warn!(%error, "it is not known how many more packets were dropped"),
                }
                continue;
            }
        };
        match drops {
            Ok(drops) => {
                let names = names.borrow().clone();
                drops.iter().for_each(|dropped| board.tell(DropLine::Drop(Box::new(view(dropped, &names)))));
                deadline.get_or_insert_with(|| Instant::now() + INTERVAL);
            }
            Err(error) => return warn!(%error, "drops are not told any more, only counted; restart weftd"),
        }
    }
}

/// How many drops of each port were counted only, when last looked at.
#[derive(Debug, Default)]
struct CountedOnly(BTreeMap<String, u64>);

impl CountedOnly {
    /// How many more there are `now`. Counters that began anew count from zero.
    fn news(&mut self, now: BTreeMap<String, u64>) -> impl Iterator<Item = Untold> {
        let before = std::mem::replace(&mut self.0, now.clone());
        now.into_iter().filter_map(move |(port, now)| {
            let before = before.get(&port).copied().filter(|before| *before <= now).unwrap_or_default();
            (now > before).then(|| Untold { port, count: now - before })
        })
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn view(dropped: &Dropped, names: &Names) -> Drop {
    let vni = dropped.tunnel.as_ref().and_then(|tunnel| tunnel.vni);
    let (network, subnet) = match dropped.port {
        Some((network, subnet)) => (names.network(network), names.subnet(subnet).map(|(name, _)| name)),
        None => match vni.and_then(|vni| names.subnet(vni)) {
            Some((subnet, network)) => (Some(network), Some(subnet)),
            None => (vni.and_then(|vni| names.network(vni)), None),
        },
    };
    Drop {
        time: time::rfc3339(dropped.time),
        reason: dropped.reason.name().to_owned(),
        port: names.port(dropped.ifindex).unwrap_or_default(),
        network,
        subnet,
        program: dropped.place.program().to_owned(),
        ifindex: dropped.ifindex,
        length: dropped.length,
        tunnel: dropped.tunnel.map(|tunnel| Tunnel { vtep: tunnel.vtep, vni: tunnel.vni }),
        frame: dropped.frame.as_ref().map(frame),
    }
}

fn frame(frame: &weft_dataplane::Frame) -> Frame {
    let packet = frame.packet.as_ref();
    let (source_port, destination_port, icmp) = match packet.and_then(|packet| packet.transport) {
        Some(Transport::Ports { source, destination }) => (Some(source), Some(destination), None),
        Some(Transport::Icmp { kind, code }) => (None, None, Some((kind, code))),
        None => (None, None, None),
    };
    Frame {
        source_mac: frame.source_mac,
        destination_mac: frame.destination_mac,
        ethertype: frame.ethertype,
        source: packet.map(|packet| packet.source),
        destination: packet.map(|packet| packet.destination),
        protocol: packet.and_then(|packet| packet.protocol),
        source_port,
        destination_port,
        icmp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_told_once_and_counters_may_begin_anew() {
        let counted = |web: u64, db: u64| BTreeMap::from([("web".to_owned(), web), ("db".to_owned(), db)]);
        let mut untold = CountedOnly(counted(5, 5));
        let mut news = |now| untold.news(now).map(|line| (line.port, line.count)).collect::<Vec<_>>();
        assert_eq!(news(counted(5, 7)), [("db".to_owned(), 2)]);
        assert_eq!(news(counted(5, 7)), []);
        assert_eq!(news(counted(3, 8)), [("db".to_owned(), 1), ("web".to_owned(), 3)]);
        assert_eq!(news(BTreeMap::from([("new".to_owned(), 4)])), [("new".to_owned(), 4)]);
    }

    #[test]
    fn a_bounded_memory_and_no_gap() {
        let board = Board::new();
        let count = |line: &DropLine| match line {
            DropLine::Missed(count) => *count,
            DropLine::Drop(_) | DropLine::Untold(_) => unreachable!("not told here"),
        };
        (0..2000).for_each(|number| board.tell(DropLine::Missed(number)));
        let mut subscription = board.subscribe();
        assert_eq!(subscription.last.len(), REMEMBERED);
        assert_eq!(count(subscription.last.last().unwrap()), 1999);
        board.tell(DropLine::Missed(2000));
        assert_eq!(count(&subscription.live.try_recv().unwrap()), 2000);
    }
}
