//! Writes the maps: every entry before what leads to it, and removes in the reverse order, so that no packet finds
//! half of a change.

use std::collections::BTreeMap;

use weft_dataplane_abi::{FloodKey, IpKey, VtepAddr, VtepEntry, flood_group};
use weft_vxlan::Vtep;

use crate::bpf::{Maps, PrefixKey, Table, size_key};
use crate::change::{Change, Operation};
use crate::diff::MapDiff;
use crate::error::chain;
use crate::plan::Tables;
use crate::{Failure, Report};

/// The changes of one map that wait to be made.
pub(crate) trait Pending {
    /// What would be changed.
    fn changes(&self) -> Vec<Change>;
    /// Whether the map has no room for the new entries before the old ones have gone.
    fn is_tight(&self) -> bool;
    /// Writes the new entries.
    fn write(&mut self, report: &mut Report);
    /// Removes the old ones.
    fn remove(&mut self, report: &mut Report);
}

/// What must change of the maps for them to be as `wanted`, in the order of writing. A map that cannot be read, or
/// into which the entries do not fit, stays as it is and becomes a failure.
pub(crate) fn pending<'a>(
    maps: &'a mut Maps,
    wanted: &Tables,
    ports: &BTreeMap<u32, String>,
) -> (Vec<Box<dyn Pending + 'a>>, Vec<Failure>) {
    let endpoint = |ifindex: &u32| match ports.get(ifindex) {
        Some(port) => format!("port {port}"),
        None => format!("device {ifindex}"),
    };
    let candidates = [
        update(&mut maps.vnis, &wanted.vnis, |vni| format!("VNI {vni}")),
        update(&mut maps.vteps, &wanted.vteps, |vtep| format!("VTEP {}", address(vtep))),
        update(&mut maps.vtep_vnis, &wanted.vtep_vnis, |key| {
            format!("VTEP {} in VNI {}", address(key.vtep()), key.vni())
        }),
        update(&mut maps.prefixes, &wanted.prefixes, prefix),
        update(&mut maps.hosts, &wanted.hosts, host),
        update(&mut maps.fdb, &wanted.fdb, |key| format!("MAC {} in subnet {}", key.mac(), key.subnet())),
        update(&mut maps.endpoints, &wanted.endpoints, endpoint),
        update(&mut maps.flood, &wanted.flood, member),
    ];
    let mut pending = Vec::new();
    let mut failures = Vec::new();
    for candidate in candidates {
        match candidate {
            Ok(update) => pending.push(update),
            Err(failure) => failures.push(failure),
        }
    }
    (pending, failures)
}

/// Writes the ways to VTEPs that have changed. Those that come and go do so with what leads to them: not here.
pub(crate) fn write_vteps(maps: &mut Maps, wanted: &BTreeMap<VtepAddr, VtepEntry>, report: &mut Report) {
    match update(&mut maps.vteps, wanted, |vtep| format!("VTEP {}", address(vtep))) {
        Ok(mut update) => update.write(report),
        Err(failure) => report.failures.push(failure),
    }
}

/// A map, how it must change, and each change in words.
struct Update<'a, T: Table> {
    table: &'a mut T,
    writes: Vec<(T::Key, T::Value, Change)>,
    removals: Vec<(T::Key, Change)>,
    tight: bool,
}

fn update<'a, T>(
    table: &'a mut T,
    wanted: &BTreeMap<T::Key, T::Value>,
    describe: impl Fn(&T::Key) -> String,
) -> Result<Box<dyn Pending + 'a>, Failure>
where
    T: Table,
    T::Key: 'a,
    T::Value: 'a,
{
    let map = table.name();
    let capacity = table.capacity();
    if wanted.len() > capacity {
        let wanted = wanted.len();
        let key = size_key(map).unwrap_or("its size");
        return Err(Failure::new(
            format!("map {map}"),
            format!(
                "{wanted} entries are wanted but {capacity} fit: the map stays as it was. Raise {key} in weftd.toml and \
                 restart weftd, which interrupts no workload, or remove objects"
            ),
        ));
    }
    let held = table.read().map_err(|error| Failure::new(format!("map {map}"), chain(&error)))?;
    let MapDiff { writes, removals, peak } = MapDiff::new(&held, wanted);
    let change = |operation, key: &_| Change::Table { map, operation, entry: describe(key) };
    Ok(Box::new(Update {
        tight: peak > capacity,
        writes: writes
            .into_iter()
            .map(|(key, value, operation)| (key, value, change(operation, &key)))
            .collect(),
        removals: removals.into_iter().map(|key| (key, change(Operation::Remove, &key))).collect(),
        table,
    }))
}

impl<T: Table> Pending for Update<'_, T> {
    fn changes(&self) -> Vec<Change> {
        let writes = self.writes.iter().map(|(.., change)| change);
        writes.chain(self.removals.iter().map(|(_, change)| change)).cloned().collect()
    }

    fn is_tight(&self) -> bool {
        self.tight
    }

    fn write(&mut self, report: &mut Report) {
        for (key, value, change) in self.writes.drain(..) {
            let done = self.table.insert(&key, &value);
            report.record(change, done.map_err(|error| chain(&error)));
        }
    }

    fn remove(&mut self, report: &mut Report) {
        for (key, change) in self.removals.drain(..) {
            let done = self.table.remove(&key);
            report.record(change, done.map_err(|error| chain(&error)));
        }
    }
}

fn host(key: &IpKey) -> String {
    match key.address() {
        Some(address) => format!("address {address} in network {}", key.network()),
        None => format!("{key:?}"),
    }
}

fn member(key: &FloodKey) -> String {
    let group = if key.group() == flood_group::PORTS { "port" } else { "VTEP" };
    format!("{group} {} for copies in subnet {}", key.index(), key.subnet())
}

fn prefix(key: &PrefixKey) -> String {
    let bits = key.bits.saturating_sub(IpKey::SCOPE_BITS);
    match key.address.address() {
        Some(address) => format!("prefix {address}/{bits} in network {}", key.address.network()),
        None => format!("{key:?}"),
    }
}

fn address(vtep: &VtepAddr) -> String {
    Vtep::from_bytes(vtep.bytes()).map_or_else(|_| format!("{vtep:?}"), |vtep| vtep.to_string())
}
