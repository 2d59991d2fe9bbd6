//! Drops, one by one: read from the kernel, named, remembered, and passed on to those who watch.
//!
//! One task, [`run`], waits for drops and for its own deadline, a second after the last drop, at which it tells how many
//! were counted only. It writes on a [`Board`], which the API's handlers read. The task is aborted: it owns nothing but its
//! place in the kernel's buffer, and the next one goes on there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::warn;
use weft_api::resource::security::Direction;
use weft_api::view::security::Judgement;
use weft_api::view::{Drop, DropLine, Frame, Tunnel, Untold};
use weft_dataplane::{DropReader, Dropped, RuleId, Side, Transport};

use crate::board::Board;
use crate::decided::Decided;
use crate::engine::Handle;
use crate::names::Names;
use crate::time;

/// How often it is told what was counted only.
const INTERVAL: Duration = Duration::from_secs(1);

/// Reads drops until the kernel's buffer fails, or for ever.
pub async fn run(
    mut reader: DropReader,
    board: Board<DropLine>,
    names: watch::Receiver<Arc<Names>>,
    engine: Handle,
) {
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
                let decided = Decided::ask(&engine, &names, judged(&drops, &names)).await;
                for dropped in &drops {
                    board.tell(DropLine::Drop(Box::new(view(dropped, &names, &decided))));
                }
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

/// What rules denied, by the port whose rules they are.
fn judged(drops: &[Dropped], names: &Names) -> BTreeSet<(String, RuleId)> {
    let judged = drops.iter().filter_map(|dropped| dropped.judged);
    judged.map(|judged| (names.port(judged.ifindex).unwrap_or_default().to_owned(), judged.rule)).collect()
}

fn view(dropped: &Dropped, names: &Names, decided: &Decided) -> Drop {
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
        port: names.port(dropped.ifindex).unwrap_or_default().to_owned(),
        network,
        subnet,
        program: dropped.place.program().to_owned(),
        ifindex: dropped.ifindex,
        length: dropped.length,
        judged: dropped.judged.map(|judged| {
            let port = names.port(judged.ifindex).unwrap_or_default();
            let direction = match judged.side {
                Side::Own => Direction::Egress,
                Side::Peer => Direction::Ingress,
            };
            Judgement { port: port.to_owned(), direction, by: decided.by(port, judged.rule) }
        }),
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
}
