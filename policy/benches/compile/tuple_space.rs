//! Tuple space search (Srinivasan, Suri, Varghese: "Packet Classification using Tuple Space Search", SIGCOMM 1999): the
//! alternative that is compared.
//!
//! One hash table for each combination of prefix lengths that rules have. A packet is looked up in all of them, those with
//! the best rules first, until what was found is better than all that is left.

use hashbrown::HashMap;
use ipnet::IpNet;
use weft_policy::{Action, GroupId, Packet, Peer, Rule, Service, ServicePrefix};

/// What counts first: priority, deny, then the number.
type Rank = (u16, Action, usize);

/// What the keys of one table have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Tuple {
    peer: PeerKind,
    service_len: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum PeerKind {
    Any,
    Prefix(u8),
    Group,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum PeerKey {
    Any,
    Prefix(IpNet),
    Group(GroupId),
}

struct Table {
    tuple: Tuple,
    best: Rank,
    entries: HashMap<(PeerKey, ServicePrefix), Rank>,
}

pub struct TupleSpace {
    tables: Vec<Table>,
}

/// What a look-up found and what it took.
#[derive(Default)]
pub struct Found {
    pub rule: Option<usize>,
    /// Hash tables that were asked until nothing better could come.
    pub lookups: usize,
}

impl TupleSpace {
    /// The tables for IPv4 rules, in the order in which they count.
    pub fn compile(rules: &[Rule]) -> Self {
        let mut tables: HashMap<Tuple, Table> = HashMap::new();
        for (number, rule) in rules.iter().enumerate() {
            let rank = (rule.priority(), rule.action(), number);
            let (kind, peer) = match rule.peer() {
                Peer::Any => (PeerKind::Any, PeerKey::Any),
                Peer::Prefix(prefix) => (PeerKind::Prefix(prefix.prefix_len()), PeerKey::Prefix(prefix)),
                Peer::Group(group) => (PeerKind::Group, PeerKey::Group(group)),
            };
            for prefix in prefixes(rule) {
                let tuple = Tuple { peer: kind, service_len: prefix.len() };
                let new = || Table { tuple, best: rank, entries: HashMap::new() };
                let table = tables.entry(tuple).or_insert_with(new);
                table.best = table.best.min(rank);
                let entry = table.entries.entry((peer, prefix)).or_insert(rank);
                *entry = rank.min(*entry);
            }
        }
        let mut tables: Vec<_> = tables.into_values().collect();
        tables.sort_by_key(|table| table.best);
        Self { tables }
    }

    pub fn tuples(&self) -> usize {
        self.tables.len()
    }

    pub fn entries(&self) -> usize {
        self.tables.iter().map(|table| table.entries.len()).sum()
    }

    pub fn look_up(&self, packet: &Packet<'_>) -> Found {
        let service = packet.service().unwrap();
        let mut best: Option<Rank> = None;
        let mut lookups = 0;
        for table in &self.tables {
            if best.is_some_and(|best| best < table.best) {
                break;
            }
            let prefix = ServicePrefix::containing(service, table.tuple.service_len);
            let mut ask = |peer| {
                lookups += 1;
                if let Some(rank) = table.entries.get(&(peer, prefix)) {
                    best = Some(best.map_or(*rank, |best| best.min(*rank)));
                }
            };
            match table.tuple.peer {
                PeerKind::Any => ask(PeerKey::Any),
                PeerKind::Prefix(len) => {
                    ask(PeerKey::Prefix(IpNet::new(packet.peer, len).unwrap().trunc()));
                }
                PeerKind::Group => packet.groups.iter().for_each(|group| ask(PeerKey::Group(group))),
            }
        }
        Found { rule: best.map(|(_, _, number)| number), lookups }
    }
}

/// The prefixes that a rule's services are, none within another.
fn prefixes(rule: &Rule) -> Vec<ServicePrefix> {
    let protocol = rule.protocol().number().unwrap();
    let Some(ports) = rule.ports() else {
        return vec![ServicePrefix::containing(Service::new(protocol, 0), 8)];
    };
    let (mut first, end) = (u32::from(*ports.start()), u32::from(*ports.end()) + 1);
    let mut prefixes = Vec::new();
    while first < end {
        let bits = first.trailing_zeros().min((end - first).ilog2());
        let service = Service::new(protocol, u16::try_from(first).unwrap());
        prefixes.push(ServicePrefix::containing(service, Service::BITS - u8::try_from(bits).unwrap()));
        first += 1 << bits;
    }
    prefixes
}
