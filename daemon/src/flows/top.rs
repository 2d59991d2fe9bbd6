//! Who has the most connections: ports, tenants, and addresses at the other side.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use weft_api::view::Counters;
use weft_api::view::security::{FlowCount, FlowTop};
use weft_dataplane::{Flow, FlowReader};
use weft_dataplane_abi::DropReason;

use super::{Filter, FlowsError};
use crate::names::Names;

/// Why packets are dropped for whose connection there is no room.
const NO_ROOM: [DropReason; 4] =
    [DropReason::FlowsFull, DropReason::PortFlowQuota, DropReason::TenantFlowQuota, DropReason::FlowsBusy];
/// Addresses that are told apart: a flood comes from as many as it likes.
const MOST_PEERS: usize = 1 << 17;

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Open ones of a port.
    pub per_port: u32,
    /// Those of a tenant.
    pub per_tenant: u32,
    /// Of a port, those whose other side has yet to answer.
    pub half_open_per_port: u32,
    /// Open ones of this host.
    pub open: u32,
    /// Those whose other side has yet to answer.
    pub half_open: u32,
}

/// Connections by who has them.
#[derive(Debug, Default)]
struct Counted {
    all: Tally,
    ports: HashMap<String, Tally>,
    peers: HashMap<IpAddr, Tally>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    open: u64,
    half_open: u64,
}

/// Counts all connections of this host, and of those that are wanted who has them: tells at most `limit` of each kind of who has them.
///
/// # Errors
/// [`FlowsError`]
pub async fn top(
    reader: &FlowReader,
    names: &Names,
    counters: &[Counters],
    room: Room,
    (filter, limit): (Filter, usize),
) -> Result<FlowTop, FlowsError> {
    let reader = reader.clone();
    let work = tokio::task::spawn_blocking(move || {
        let mut counted = Counted::default();
        reader.for_each(|flow| {
            counted.all.add(&flow);
            if filter.wants(&flow) {
                counted.add(&flow);
            }
        })?;
        Ok(counted)
    });
    let counted = work.await.unwrap_or(Err(FlowsError::Panicked))?;
    Ok(counted.told(names, counters, room, limit))
}

impl Counted {
    /// One of those that are wanted.
    fn add(&mut self, flow: &Flow) {
        // Most connections are of a port that is known.
        match self.ports.get_mut(&flow.port) {
            Some(port) => port.add(flow),
            None => self.ports.entry(flow.port.clone()).or_default().add(flow),
        }
        let peer = flow.peer.ip();
        if self.peers.len() < MOST_PEERS || self.peers.contains_key(&peer) {
            self.peers.entry(peer).or_default().add(flow);
        }
    }

    fn told(self, names: &Names, counters: &[Counters], room: Room, limit: usize) -> FlowTop {
        let refused: HashMap<&str, u64> =
            counters.iter().map(|counters| (counters.port.as_str(), refused(counters))).collect();
        let mut tenants: HashMap<&str, Tally> = HashMap::new();
        for (port, tally) in &self.ports {
            let tenant = names.tenant_of(port).unwrap_or_default();
            tenants.entry(tenant).or_default().join(*tally);
        }
        let limits = |open: u32, half_open: Option<u32>| (Some(open.into()), half_open.map(u64::from));
        let host = (room.open, Some(room.half_open));
        let ports = sorted(self.ports, limit).into_iter().map(|(name, tally)| FlowCount {
            refused: Some(refused.get(name.as_str()).copied().unwrap_or_default()),
            ..tally.told(name, limits(room.per_port, Some(room.half_open_per_port)))
        });
        let told = |(name, tally): (&str, Tally)| tally.told(name.to_owned(), limits(room.per_tenant, None));
        let peers = sorted(self.peers, limit).into_iter();
        FlowTop {
            host: self.all.told("host".to_owned(), limits(host.0, host.1)),
            tenants: sorted(tenants, limit).into_iter().map(told).collect(),
            ports: ports.collect(),
            peers: peers.map(|(peer, tally)| tally.told(peer.to_string(), (None, None))).collect(),
        }
    }
}

/// Those with the most first, and by name where they have as many.
fn sorted<K: Ord + Hash>(tallies: HashMap<K, Tally>, limit: usize) -> Vec<(K, Tally)> {
    let mut sorted: Vec<_> = tallies.into_iter().collect();
    sorted.sort_unstable_by(|(one, a), (other, b)| b.all().cmp(&a.all()).then_with(|| one.cmp(other)));
    sorted.truncate(limit);
    sorted
}

fn refused(counters: &Counters) -> u64 {
    let count = |reason: DropReason| counters.drops.get(reason.name()).copied().unwrap_or_default();
    NO_ROOM.into_iter().map(count).sum()
}

impl Tally {
    fn add(&mut self, flow: &Flow) {
        if flow.half_open {
            self.half_open += 1;
        } else {
            self.open += 1;
        }
    }

    fn join(&mut self, other: Self) {
        self.open += other.open;
        self.half_open += other.half_open;
    }

    const fn all(self) -> u64 {
        self.open + self.half_open
    }

    fn told(self, name: String, (open_limit, half_open_limit): (Option<u64>, Option<u64>)) -> FlowCount {
        let Self { open, half_open } = self;
        FlowCount { name, open, open_limit, half_open, half_open_limit, refused: None }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use weft_api::view::Traffic;

    use super::super::tests::flow;
    use super::*;

    #[test]
    fn those_with_the_most_come_first_with_what_they_may_have() {
        let mut counted = Counted::default();
        for (port, peer, half_open) in [
            ("web", "10.0.0.9:1", false),
            ("web", "10.0.0.9:2", true),
            ("db", "10.0.0.8:1", false),
            ("web", "10.0.0.8:1", false),
            ("web", "10.0.0.8:2", false),
        ] {
            counted.all.add(&flow(port, peer, half_open));
            counted.add(&flow(port, peer, half_open));
        }
        let none = Traffic { packets: 0, bytes: 0 };
        let drops = BTreeMap::from([("port_flow_quota".to_owned(), 5), ("no_route".to_owned(), 9)]);
        let counters = [Counters { port: "web".to_owned(), from_port: none, to_port: none, drops }];
        let room = Room { per_port: 10, per_tenant: 20, half_open_per_port: 3, open: 100, half_open: 50 };
        let top = counted.told(&Names::default(), &counters, room, 1);
        let count = |name: &str, open, half_open| (name.to_owned(), open, half_open);
        let told = |counts: &[FlowCount]| {
            counts.iter().map(|of| count(&of.name, of.open, of.half_open)).collect::<Vec<_>>()
        };
        assert_eq!(told(&top.ports), [count("web", 3, 1)]);
        assert_eq!(told(&top.peers), [count("10.0.0.8", 3, 0)]);
        assert_eq!(told(&top.tenants), [count("", 4, 1)]);
        assert_eq!((top.host.open, top.host.open_limit, top.host.half_open_limit), (4, Some(100), Some(50)));
        let [web] = top.ports.as_slice() else { panic!("{top:?}") };
        assert_eq!((web.open_limit, web.half_open_limit, web.refused), (Some(10), Some(3), Some(5)));
    }
}
