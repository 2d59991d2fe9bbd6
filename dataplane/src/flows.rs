//! Connections: lists those that there are. Those that are over are removed by the
//! [`sweeper`].

mod sweeper;
mod thread;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use weft_dataplane_abi::{
    Endpoint, Flow as Entry, FlowAddress, FlowKey, Phase, PortSecurity, Ruling, Side, address_of, maps,
};
use weft_policy::{Direction, Rule};

use crate::bpf::{EntryTable, Generation, Table};
use crate::error::{ObserveError, chain};
use crate::names::{self, Owned};
use crate::netlink::Netlink;

pub(crate) use sweeper::{Counted, Guarded};
pub(crate) use thread::{EndedLog, FlowThread};

/// A connection of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// The port's name; empty if it has gone.
    pub port: String,
    /// Interface index of its host end.
    pub ifindex: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// The port's address and transport port, or the identifier of a ping that it asks.
    pub own: SocketAddr,
    /// The same of the other side.
    pub peer: SocketAddr,
    /// How far it is.
    pub phase: Phase,
    /// Who started it.
    pub starter: Side,
    /// What let it through; `None` if rules have changed since, and no packet has been judged again.
    pub rule: Option<RuleId>,
    /// When it began, in whole seconds of the programs' clock ([`FlowReader::now`]).
    pub since: u32,
    /// Since when it is there.
    pub age: Duration,
    /// Since when there was no packet.
    pub idle: Duration,
    /// Packets of both sides; a super-packet is one.
    pub packets: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// Whether the other side has yet to agree.
    pub half_open: bool,
}

/// A rule as the programs call it, for [`Dataplane::rules`](crate::Dataplane::rules).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId {
    /// Number of the policy; 0: one without rules.
    pub policy: u32,
    /// Number of the rule; `None`: none matched.
    pub rule: Option<u32>,
}

impl RuleId {
    /// From the numbers in an entry.
    pub(crate) fn new(policy: u32, rule: u32) -> Self {
        Self { policy, rule: (rule != Ruling::DEFAULT).then_some(rule) }
    }
}

/// What decided about packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecidedBy {
    /// Which packets: those that come to a port, or those that it sends.
    pub direction: Direction,
    /// The rule; `None`: no rule matched, so the policy's default did.
    pub rule: Option<Rule>,
}

/// How often a rule, or a default, decided about a packet that belonged to no connection, or had to be judged again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleHits {
    /// Which.
    pub by: DecidedBy,
    /// In all policies of this host that have it, since weftd started.
    pub hits: u64,
}

/// Reads connections, without the data plane's thread. Cheap to clone.
#[derive(Clone)]
pub struct FlowReader(Arc<Handles>);

/// Handles of its own on the maps.
struct Handles {
    flows: EntryTable<FlowKey, Entry>,
    half_open: EntryTable<FlowKey, Entry>,
    endpoints: EntryTable<u32, Endpoint>,
    generation: Generation,
    netlink: Mutex<Netlink>,
}

impl fmt::Debug for FlowReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlowReader")
    }
}

impl FlowReader {
    /// Opens the maps that are pinned in the pin folder `root`.
    pub(crate) fn open(root: &Path) -> Result<Self, ObserveError> {
        let path = |name: &str| path(root, name);
        let netlink = Netlink::open().map_err(|error| asking("socket", &error))?;
        let generation =
            Generation::at(&path(maps::GENERATION)).map_err(|error| failed(maps::GENERATION, &error))?;
        Ok(Self(Arc::new(Handles {
            flows: at(&path(maps::FLOWS), maps::FLOWS)?,
            half_open: at(&path(maps::HALF_OPEN), maps::HALF_OPEN)?,
            endpoints: at(&path(maps::ENDPOINTS), maps::ENDPOINTS)?,
            generation,
            netlink: Mutex::new(netlink),
        })))
    }

    /// The programs' clock: seconds, by which a connection that begins from now on has begun at this one or a later.
    #[must_use]
    pub fn now() -> u32 {
        now()
    }

    /// Calls `each` with every connection of this host's ports, in no particular order. It blocks, for a second if there are
    /// a million. What comes and goes meanwhile is told or not.
    ///
    /// # Errors
    /// [`ObserveError`] if the kernel does not answer.
    pub fn for_each(&self, mut each: impl FnMut(Flow)) -> Result<(), ObserveError> {
        let Handles { flows, half_open, endpoints, generation, .. } = &*self.0;
        let endpoints = endpoints.read().map_err(|error| failed(maps::ENDPOINTS, &error))?;
        let generation = generation.read().map_err(|error| failed(maps::GENERATION, &error))?;
        let names = self.names()?;
        let now = now();
        for (table, half_open) in [(flows, false), (half_open, true)] {
            let tell = |key: FlowKey, entry: Entry| {
                let name = names.get(&key.ifindex).map_or("", String::as_str);
                let endpoint = endpoints.get(&key.ifindex).filter(|_| entry.generation() == generation);
                let security = endpoint.map(Endpoint::security);
                each(Flow::of(&key, &entry, name, security, half_open, now));
            };
            table.for_each(tell).map_err(|error| failed(table.name(), &error))?;
        }
        Ok(())
    }

    fn names(&self) -> Result<BTreeMap<u32, String>, ObserveError> {
        // A panic elsewhere leaves at worst answers that nobody reads, which the socket skips.
        let mut netlink = self.0.netlink.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let links = netlink.links().map_err(|error| asking("links", &error))?;
        let named = links.iter().filter_map(|link| match names::owned(link) {
            Some(Owned::Port(port)) => Some((link.index, port.to_owned())),
            _ => None,
        });
        Ok(named.collect())
    }
}

impl Flow {
    /// `security` is what the rule's number is of, unless that has changed since.
    fn of(
        key: &FlowKey,
        entry: &Entry,
        port: &str,
        security: Option<&PortSecurity>,
        half_open: bool,
        now: u32,
    ) -> Self {
        let (packets, bytes) = entry.traffic();
        let starter = entry.starter();
        let rule = security.map(|security| {
            let policy = match starter {
                Side::Own => security.egress,
                Side::Peer => security.ingress,
            };
            RuleId::new(policy, entry.rule())
        });
        Self {
            port: port.to_owned(),
            ifindex: key.ifindex,
            protocol: key.protocol,
            own: socket(key.family, key.own, key.own_port),
            peer: socket(key.family, key.peer, key.peer_port),
            phase: entry.phase(),
            starter,
            rule,
            since: entry.since(),
            age: ago(now, entry.since()),
            idle: ago(now, entry.seen()),
            packets,
            bytes,
            half_open,
        }
    }
}

fn socket(family: u8, address: FlowAddress, port: [u8; 2]) -> SocketAddr {
    SocketAddr::new(address_of(family, address), u16::from_be_bytes(port))
}

/// Seconds of the programs' clock.
fn now() -> u32 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| now.tv_sec());
    // As the programs cut it off.
    u32::try_from(now & i64::from(u32::MAX)).unwrap_or(0)
}

/// Programs may be a moment ahead.
fn ago(now: u32, then: u32) -> Duration {
    let seconds = now.wrapping_sub(then).cast_signed().max(0);
    Duration::from_secs(u64::from(seconds.cast_unsigned()))
}

fn path(root: &Path, name: &str) -> PathBuf {
    root.join(names::MAPS).join(name)
}

fn at<K: crate::bpf::Plain, V: crate::bpf::Plain>(
    path: &Path,
    name: &'static str,
) -> Result<EntryTable<K, V>, ObserveError> {
    EntryTable::at(path, name).map_err(|error| failed(name, &error))
}

fn failed(map: &'static str, error: &aya::maps::MapError) -> ObserveError {
    ObserveError::Map { map, cause: chain(error) }
}

fn asking(what: &'static str, error: &crate::netlink::NetlinkError) -> ObserveError {
    ObserveError::Netlink { what, cause: chain(error) }
}
