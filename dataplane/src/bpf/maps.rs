//! The pinned maps as typed tables, and what they must look like.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use aya::Pod;
use aya::maps::{Array, Map, MapData, MapError, MapInfo, MapType, PerCpuArray, PerCpuValues};
use aya::util::nr_cpus;
use weft_dataplane_abi::{
    AllowedPair, Endpoint, FloodKey, FloodMember, Flow, FlowCounts, FlowKey, Fragment, FragmentKey,
    HalfOpenKey, HostConfig, HostRoute, IdentityKey, IpKey, MacKey, MembershipKey, NextHop, PathKey,
    PolicyClass, PolicyRule, PortCounters, PortLimits, RuleKey, ServiceKey, Underlay, VniEntry, VtepAddr,
    VtepEntry, VtepVniKey, maps,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::elements::{self, Refused, Walk};
use super::tallies::{FlowTallies, Generation};
use crate::Sizes;

/// A value that goes to and comes from the kernel as its bytes.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(super) struct Raw<T>(pub(super) T);

// SAFETY: zerocopy proves that every byte of `T` is initialized and that any bytes are a `T`; `Raw` is transparent.
unsafe impl<T: Copy + FromBytes + IntoBytes + Immutable + 'static> Pod for Raw<T> {}

/// A type that [`Raw`] makes fit for the kernel.
pub(crate) trait Plain: Copy + FromBytes + IntoBytes + Immutable + 'static {}
impl<T: Copy + FromBytes + IntoBytes + Immutable + 'static> Plain for T {}

/// What makes two maps interchangeable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    pub(crate) kind: MapType,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
}

impl Shape {
    pub(super) fn of(info: &MapInfo) -> Result<Self, MapError> {
        Ok(Self {
            kind: info.map_type()?,
            key_size: info.key_size(),
            value_size: info.value_size(),
            max_entries: info.max_entries(),
        })
    }

    /// Whether a map of this shape can take the entries of one of the `other`, as far as they fit: by the rule of the
    /// contract, values of one ABI differ at their end only.
    pub(super) fn takes_entries_of(&self, other: &Self) -> bool {
        Self { value_size: other.value_size, max_entries: other.max_entries, ..*self } == *other
    }

    fn new<K, V>(kind: MapType, max_entries: u32) -> Self {
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { kind, key_size: size(size_of::<K>()), value_size: size(size_of::<V>()), max_entries }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, key_size, value_size, max_entries } = self;
        if *kind == MapType::RingBuf {
            return write!(f, "a {kind:?} of {max_entries} bytes");
        }
        write!(f, "a {kind:?} of {max_entries} entries ({key_size} bytes to {value_size} bytes)")
    }
}

/// Underlay devices that there is room for: more than a host has.
const UNDERLAYS: u32 = 64;
/// Pairs of addresses and MACs that there is room for, for each port.
const PAIRS: u32 = 16;
/// Fragmented packets of which more is to come, on the whole host.
const FRAGMENTS: u32 = 16_384;

/// The shape of every map, by name.
pub(crate) fn shapes(sizes: &Sizes) -> [(&'static str, Shape); 29] {
    let Sizes { ports, vnis, vteps, addresses, prefixes, flows, half_open, rules, events } = *sizes;
    // A weftd that starts fills tables of its own beside those in use.
    let policies = rules.saturating_mul(2);
    // Slot 0 belongs to no port, and there are no more tenants than ports.
    let counts = ports.saturating_mul(2).saturating_add(1);
    // A VTEP takes part in a VNI by an address, which brings at most a network and a subnet, by a prefix, or by a path of
    // several to one.
    let by_routes = addresses.saturating_mul(2).saturating_add(prefixes.saturating_mul(2));
    let memberships = vteps.saturating_mul(vnis).min(by_routes);
    let hash = MapType::Hash;
    [
        (maps::ABI, Shape::new::<u32, u32>(MapType::Array, 1)),
        (maps::HOST, Shape::new::<u32, HostConfig>(MapType::Array, 1)),
        (maps::ENDPOINTS, Shape::new::<u32, Endpoint>(hash, ports)),
        (maps::HOSTS, Shape::new::<IpKey, HostRoute>(hash, addresses)),
        (maps::PREFIXES, Shape::new::<PrefixKey, NextHop>(MapType::LpmTrie, prefixes)),
        (maps::FDB, Shape::new::<MacKey, NextHop>(hash, addresses)),
        (maps::PATHS, Shape::new::<PathKey, NextHop>(hash, prefixes)),
        (maps::VNIS, Shape::new::<u32, VniEntry>(hash, vnis)),
        (maps::VTEP_VNIS, Shape::new::<VtepVniKey, u8>(hash, memberships)),
        (maps::VTEPS, Shape::new::<VtepAddr, VtepEntry>(hash, vteps)),
        (maps::UNDERLAYS, Shape::new::<u32, Underlay>(hash, UNDERLAYS)),
        // Ports, and VTEPs by subnet: each takes part in one by an address there, or by being named in it.
        (maps::FLOOD, Shape::new::<FloodKey, FloodMember>(hash, ports.saturating_add(addresses))),
        // Slot 0 belongs to no port.
        (maps::COUNTERS, Shape::new::<u32, PortCounters>(MapType::PerCpuArray, ports.saturating_add(1))),
        (maps::LIMITS, Shape::new::<u32, PortLimits>(MapType::Array, ports.saturating_add(1))),
        // Its size is in bytes, and it has no entries.
        (maps::EVENTS, Shape::new::<(), ()>(MapType::RingBuf, events)),
        (maps::PATH_MTU, Shape::new::<u32, u64>(MapType::Array, 1)),
        (maps::PEERS, Shape::new::<PrefixKey, PolicyClass>(MapType::LpmTrie, policies)),
        (maps::IDENTITIES, Shape::new::<IdentityKey, PolicyClass>(hash, policies)),
        (maps::SERVICES, Shape::new::<ServicePrefixKey, PolicyRule>(MapType::LpmTrie, policies)),
        (maps::GENERATION, Shape::new::<u32, u32>(MapType::Array, 1)),
        (maps::HITS, Shape::new::<RuleKey, u64>(hash, rules)),
        (maps::PAIRS, Shape::new::<PrefixKey, AllowedPair>(MapType::LpmTrie, ports.saturating_mul(PAIRS))),
        (maps::FLOWS, Shape::new::<FlowKey, Flow>(hash, flows)),
        (maps::HALF_OPEN, Shape::new::<FlowKey, Flow>(hash, half_open)),
        (maps::ASKED, Shape::new::<HalfOpenKey, FlowKey>(MapType::LruHash, half_open)),
        (maps::FRAGMENTS, Shape::new::<FragmentKey, Fragment>(MapType::LruHash, FRAGMENTS)),
        (maps::FLOW_COUNTS, Shape::new::<u32, FlowCounts>(MapType::Array, counts)),
        (maps::FLOWS_OVER, Shape::new::<u32, u64>(MapType::Array, counts)),
        (maps::MEMBERSHIPS, Shape::new::<MembershipKey, u8>(hash, rules)),
    ]
    .map(|(name, shape)| (name, Shape { max_entries: shape.max_entries.max(1), ..shape }))
}

/// What in weftd's configuration sets the size of the map `name`; `None` for one that has always the same.
pub(crate) fn size_key(name: &str) -> Option<&'static str> {
    match name {
        maps::ENDPOINTS | maps::COUNTERS | maps::LIMITS => Some("sizes.ports"),
        maps::HOSTS | maps::FDB => Some("sizes.addresses"),
        maps::FLOOD => Some("sizes.ports or sizes.addresses"),
        maps::PREFIXES | maps::PATHS => Some("sizes.prefixes"),
        maps::EVENTS => Some("sizes.events"),
        maps::VNIS => Some("sizes.vnis"),
        maps::VTEPS => Some("sizes.vteps"),
        maps::PEERS | maps::IDENTITIES | maps::SERVICES | maps::HITS | maps::MEMBERSHIPS => {
            Some("sizes.rules")
        }
        maps::PAIRS | maps::FLOW_COUNTS | maps::FLOWS_OVER => Some("sizes.ports"),
        maps::FLOWS => Some("sizes.flows"),
        maps::HALF_OPEN | maps::ASKED => Some("sizes.half_open"),
        maps::VTEP_VNIS => Some("sizes.vteps, sizes.vnis, sizes.addresses or sizes.prefixes"),
        _ => None,
    }
}

/// A map whose entries can be read as a whole and changed one by one.
pub(crate) trait Table {
    type Key: Copy + Ord + Hash;
    type Value: Copy + Eq;

    fn name(&self) -> &'static str;
    /// How many entries fit.
    fn capacity(&self) -> usize;
    /// Calls `each` with every entry, in no particular order.
    fn for_each(&self, each: impl FnMut(Self::Key, Self::Value)) -> Result<(), MapError>;
    /// Writes entries, new or not; returns those that the kernel refuses.
    fn write(&mut self, keys: &[Self::Key], values: &[Self::Value]) -> Vec<Refused>;
    /// Removes entries, there or not; returns those that the kernel refuses.
    fn remove(&mut self, keys: &[Self::Key]) -> Vec<Refused>;

    /// All entries.
    fn read(&self) -> Result<BTreeMap<Self::Key, Self::Value>, MapError> {
        let mut entries = Vec::new();
        self.for_each(|key, value| entries.push((key, value)))?;
        Ok(entries.into_iter().collect())
    }
}

/// A hash map or LPM trie.
pub(crate) struct EntryTable<K, V> {
    name: &'static str,
    map: MapData,
    capacity: usize,
    entries: PhantomData<(K, V)>,
}

impl<K: Plain + Ord + Hash, V: Plain + Eq> Table for EntryTable<K, V> {
    type Key = K;
    type Value = V;

    fn name(&self) -> &'static str {
        self.name
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn for_each(&self, each: impl FnMut(K, V)) -> Result<(), MapError> {
        elements::read(self.fd(), each).map_err(MapError::IoError)
    }

    fn write(&mut self, keys: &[K], values: &[V]) -> Vec<Refused> {
        elements::write(self.fd(), keys, values)
    }

    fn remove(&mut self, keys: &[K]) -> Vec<Refused> {
        elements::remove(self.fd(), keys)
    }
}

impl<K: Plain, V: Plain> EntryTable<K, V> {
    /// The map `name` that is pinned at `path`.
    pub(crate) fn at(path: &Path, name: &'static str) -> Result<Self, MapError> {
        let map = MapData::from_pin(path)?;
        let Shape { key_size, value_size, max_entries, .. } = Shape::of(&map.info()?)?;
        let size = |bytes: u32| usize::try_from(bytes).unwrap_or(0);
        // What the element operations rely on.
        if size(key_size) != size_of::<K>() {
            return Err(MapError::InvalidKeySize { size: size_of::<K>(), expected: size(key_size) });
        }
        if size(value_size) != size_of::<V>() {
            return Err(MapError::InvalidValueSize { size: size_of::<V>(), expected: size(value_size) });
        }
        Ok(Self { name, map, capacity: size(max_entries), entries: PhantomData })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }

    /// The next entries of a walk; says whether there are more.
    pub(crate) fn step(&self, walk: &mut Walk<K, V>, each: impl FnMut(K, V)) -> Result<bool, MapError> {
        walk.step(self.fd(), each).map_err(MapError::IoError)
    }

    /// Removes an entry of a hash map, and returns what it was at that moment.
    pub(crate) fn take(&self, key: &K) -> Result<Option<V>, MapError> {
        elements::take(self.fd(), key).map_err(MapError::IoError)
    }

    /// Writes an entry, unless there is one.
    pub(crate) fn put_absent(&self, key: &K, value: &V) -> Result<(), MapError> {
        elements::put_absent(self.fd(), key, value).map_err(MapError::IoError)
    }
}

/// A prefix within a network, as the key of an LPM trie; or of a policy, or for a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct PrefixKey {
    /// Bits that count, [`IpKey::SCOPE_BITS`] included.
    pub(crate) bits: u32,
    /// The first address.
    pub(crate) address: IpKey,
}

/// By address, so that prefixes which share a path in the trie are neighbours.
impl Ord for PrefixKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.address, self.bits).cmp(&(other.address, other.bits))
    }
}

impl PartialOrd for PrefixKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Services of a class of a policy, as the key of an LPM trie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ServicePrefixKey {
    /// Bits that count, [`ServiceKey::SCOPE_BITS`] included.
    pub(crate) bits: u32,
    /// The first service.
    pub(crate) service: ServiceKey,
}

impl Ord for ServicePrefixKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.service, self.bits).cmp(&(other.service, other.bits))
    }
}

impl PartialOrd for ServicePrefixKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// All maps that the daemon writes.
pub(crate) struct Maps {
    pub(crate) host: HostTable,
    pub(crate) endpoints: EntryTable<u32, Endpoint>,
    pub(crate) hosts: EntryTable<IpKey, HostRoute>,
    pub(crate) prefixes: EntryTable<PrefixKey, NextHop>,
    pub(crate) fdb: EntryTable<MacKey, NextHop>,
    pub(crate) paths: EntryTable<PathKey, NextHop>,
    pub(crate) vnis: EntryTable<u32, VniEntry>,
    pub(crate) vtep_vnis: EntryTable<VtepVniKey, u8>,
    pub(crate) vteps: EntryTable<VtepAddr, VtepEntry>,
    pub(crate) underlays: EntryTable<u32, Underlay>,
    pub(crate) flood: EntryTable<FloodKey, FloodMember>,
    pub(crate) peers: EntryTable<PrefixKey, PolicyClass>,
    pub(crate) identities: EntryTable<IdentityKey, PolicyClass>,
    pub(crate) services: EntryTable<ServicePrefixKey, PolicyRule>,
    pub(crate) pairs: EntryTable<PrefixKey, AllowedPair>,
    pub(crate) memberships: EntryTable<MembershipKey, u8>,
    pub(crate) hits: EntryTable<RuleKey, u64>,
    pub(crate) generation: Generation,
    pub(crate) flow_counts: FlowTallies,
    pub(crate) counters: Counters,
}

impl Maps {
    /// The maps that are pinned at `path` of their name.
    pub(super) fn open(path: impl Fn(&str) -> PathBuf) -> Result<Self, MapError> {
        Ok(Self {
            host: HostTable { map: pinned(&path(maps::HOST))?.try_into()? },
            endpoints: EntryTable::at(&path(maps::ENDPOINTS), maps::ENDPOINTS)?,
            hosts: EntryTable::at(&path(maps::HOSTS), maps::HOSTS)?,
            prefixes: EntryTable::at(&path(maps::PREFIXES), maps::PREFIXES)?,
            fdb: EntryTable::at(&path(maps::FDB), maps::FDB)?,
            paths: EntryTable::at(&path(maps::PATHS), maps::PATHS)?,
            vnis: EntryTable::at(&path(maps::VNIS), maps::VNIS)?,
            vtep_vnis: EntryTable::at(&path(maps::VTEP_VNIS), maps::VTEP_VNIS)?,
            vteps: EntryTable::at(&path(maps::VTEPS), maps::VTEPS)?,
            underlays: EntryTable::at(&path(maps::UNDERLAYS), maps::UNDERLAYS)?,
            flood: EntryTable::at(&path(maps::FLOOD), maps::FLOOD)?,
            peers: EntryTable::at(&path(maps::PEERS), maps::PEERS)?,
            identities: EntryTable::at(&path(maps::IDENTITIES), maps::IDENTITIES)?,
            services: EntryTable::at(&path(maps::SERVICES), maps::SERVICES)?,
            pairs: EntryTable::at(&path(maps::PAIRS), maps::PAIRS)?,
            memberships: EntryTable::at(&path(maps::MEMBERSHIPS), maps::MEMBERSHIPS)?,
            hits: EntryTable::at(&path(maps::HITS), maps::HITS)?,
            generation: Generation::at(&path(maps::GENERATION))?,
            flow_counts: FlowTallies::at(&path)?,
            counters: Counters::at(&path(maps::COUNTERS))?,
        })
    }
}

/// The map of the one host.
pub(crate) struct HostTable {
    map: Array<MapData, Raw<HostConfig>>,
}

impl HostTable {
    pub(crate) fn read(&self) -> Result<HostConfig, MapError> {
        self.map.get(&0, 0).map(|raw| raw.0)
    }

    pub(crate) fn write(&mut self, host: &HostConfig) -> Result<(), MapError> {
        self.map.set(0, Raw(*host), 0)
    }
}

/// When a router last said that an outer packet was too big for it.
pub(crate) struct PathMtuSignal {
    map: Array<MapData, u64>,
}

impl PathMtuSignal {
    /// The one that is pinned at `path`.
    pub(crate) fn at(path: &Path) -> Result<Self, MapError> {
        Ok(Self { map: pinned(path)?.try_into()? })
    }

    /// Nanoseconds of the kernel's monotonic clock; 0: never.
    pub(crate) fn read(&self) -> Result<u64, MapError> {
        self.map.get(&0, 0)
    }
}

/// The counters of all slots.
pub(crate) struct Counters {
    map: PerCpuArray<MapData, Raw<PortCounters>>,
}

impl Counters {
    /// Those that are pinned at `path`.
    pub(crate) fn at(path: &Path) -> Result<Self, MapError> {
        Ok(Self { map: pinned(path)?.try_into()? })
    }

    /// A slot's counters, summed over CPUs.
    pub(crate) fn read(&self, slot: u32) -> Result<PortCounters, MapError> {
        let mut sum = PortCounters::ZERO;
        for of_cpu in self.map.get(&slot, 0)?.iter() {
            sum.add(&of_cpu.0);
        }
        Ok(sum)
    }

    /// Sets a slot's counters to zero.
    pub(crate) fn clear(&mut self, slot: u32) -> Result<(), MapError> {
        let cpus = nr_cpus().map_err(|(_, error)| error)?;
        let zeros = PerCpuValues::try_from(vec![Raw(PortCounters::ZERO); cpus])?;
        self.map.set(slot, zeros, 0)
    }
}

pub(crate) fn pinned(path: &Path) -> Result<Map, MapError> {
    Map::from_map_data(MapData::from_pin(path)?)
}
