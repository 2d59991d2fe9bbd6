//! Writes the maps: every entry before what leads to it, and removes in the reverse order, so that no packet finds
//! half of a change.

mod update;
mod words;

use std::collections::BTreeMap;

use weft_dataplane_abi::{FloodKey, FloodMember, VtepAddr, VtepEntry};

use crate::bpf::{Maps, Table, size_key};
use crate::diff::MapDiff;
use crate::error::chain;
use crate::plan::{Entries, RouteTables, Source, Tables};
use crate::{Failure, Report};
use update::Update;

pub(crate) use update::Pending;

/// Changes of maps that wait to be made, in the order of writing, and why others cannot be: a map that cannot be read,
/// or into which the entries do not fit, stays as it is.
#[derive(Default)]
pub(crate) struct Waiting<'a> {
    pub(crate) updates: Vec<Box<dyn Pending + 'a>>,
    pub(crate) failures: Vec<Failure>,
}

/// What must change of the maps for them to be as wanted.
pub(crate) fn pending<'a>(
    maps: &'a mut Maps,
    wanted: &'a Tables,
    routes: &'a mut RouteTables,
    ports: &'a BTreeMap<u32, String>,
) -> Waiting<'a> {
    let endpoint = |ifindex: &u32| match ports.get(ifindex) {
        Some(port) => format!("port {port}"),
        None => format!("device {ifindex}"),
    };
    let mut waiting = Waiting::default();
    waiting.add(whole(&mut maps.underlays, &wanted.underlays, |ifindex| format!("device {ifindex}")));
    waiting.add(whole(&mut maps.vnis, &wanted.vnis, |vni| format!("VNI {vni}")));
    waiting.add(whole(&mut maps.vteps, &wanted.vteps, words::vtep));
    waiting.add(known(&mut maps.vtep_vnis, &mut routes.vtep_vnis.entries, words::membership));
    // A port whose packets are judged is found by its rules before packets are led to it.
    waiting.add(whole(&mut maps.pairs, &wanted.pairs, words::pair));
    waiting.add(whole(&mut maps.endpoints, &wanted.endpoints, endpoint));
    waiting.add(known(&mut maps.paths, &mut routes.paths.entries, words::path));
    waiting.add(known(&mut maps.prefixes, &mut routes.prefixes, words::prefix));
    waiting.add(known(&mut maps.hosts, &mut routes.hosts, words::host));
    waiting.add(known(&mut maps.fdb, &mut routes.fdb.entries, words::mac));
    waiting.add(whole(&mut maps.flood, &wanted.flood, words::member));
    waiting
}

/// The same of those that grow with the routes alone, when nothing else has changed.
pub(crate) fn pending_routes<'a>(maps: &'a mut Maps, routes: &'a mut RouteTables) -> Waiting<'a> {
    let mut waiting = Waiting::default();
    waiting.add(known(&mut maps.vtep_vnis, &mut routes.vtep_vnis.entries, words::membership));
    waiting.add(known(&mut maps.paths, &mut routes.paths.entries, words::path));
    waiting.add(known(&mut maps.prefixes, &mut routes.prefixes, words::prefix));
    waiting.add(known(&mut maps.hosts, &mut routes.hosts, words::host));
    waiting.add(known(&mut maps.fdb, &mut routes.fdb.entries, words::mac));
    waiting
}

/// The same of lists of who gets copies: from `held` to `wanted`, beside so many `others`.
pub(crate) fn pending_flood<'a>(
    maps: &'a mut Maps,
    held: &BTreeMap<FloodKey, FloodMember>,
    wanted: &'a BTreeMap<FloodKey, FloodMember>,
    others: usize,
) -> Waiting<'a> {
    let mut waiting = Waiting::default();
    let table = &mut maps.flood;
    waiting.add(require_room(table, others + wanted.len()).map(|()| {
        let MapDiff { work, peak } = MapDiff::new(held, wanted);
        let tight = others + peak > table.capacity();
        let update: Box<dyn Pending> =
            Box::new(Update { table, wanted, work, tight, describe: words::member });
        update
    }));
    waiting
}

impl<'a> Waiting<'a> {
    fn add(&mut self, update: Result<Box<dyn Pending + 'a>, Failure>) {
        match update {
            Ok(update) => self.updates.push(update),
            Err(failure) => self.failures.push(failure),
        }
    }

    /// Makes the changes.
    pub(crate) fn carry_out(mut self, report: &mut Report) {
        report.failures.append(&mut self.failures);
        for update in &mut self.updates {
            if update.is_tight() {
                update.remove(report);
            }
            update.write(report);
        }
        for update in self.updates.iter_mut().rev() {
            update.remove(report);
        }
    }
}

/// Writes the ways to VTEPs that have changed. Those that come and go do so with what leads to them: not here.
pub(crate) fn write_vteps(maps: &mut Maps, wanted: &BTreeMap<VtepAddr, VtepEntry>, report: &mut Report) {
    match whole(&mut maps.vteps, wanted, words::vtep) {
        Ok(mut update) => update.write(report),
        Err(failure) => report.failures.push(failure),
    }
}

/// What must change of a map that is small enough to be read as a whole.
fn whole<'a, T>(
    table: &'a mut T,
    wanted: &'a BTreeMap<T::Key, T::Value>,
    describe: impl Fn(&T::Key) -> String + 'a,
) -> Result<Box<dyn Pending + 'a>, Failure>
where
    T: Table,
    T::Key: 'a,
    T::Value: 'a,
{
    require_room(table, wanted.len())?;
    let held = table.read().map_err(|error| unread(table.name(), &error))?;
    let MapDiff { work, peak } = MapDiff::new(&held, wanted);
    let tight = peak > table.capacity();
    Ok(Box::new(Update { table, wanted, work, tight, describe }))
}

/// What must change of a map as far as it is known.
fn known<'a, T, S>(
    table: &'a mut T,
    wanted: &'a mut Entries<T::Key, S>,
    describe: impl Fn(&T::Key) -> String + 'a,
) -> Result<Box<dyn Pending + 'a>, Failure>
where
    T: Table,
    T::Key: 'a,
    S: Source<T::Key, Value = T::Value> + 'a,
{
    require_room(table, wanted.len())?;
    let work = wanted.take_work();
    let tight = wanted.len() + work.removals.len() > table.capacity();
    Ok(Box::new(Update { table, wanted, work, tight, describe }))
}

fn require_room<T: Table>(table: &T, wanted: usize) -> Result<(), Failure> {
    let (map, capacity) = (table.name(), table.capacity());
    if wanted <= capacity {
        return Ok(());
    }
    let key = size_key(map).unwrap_or("its size");
    Err(Failure::new(
        format!("map {map}"),
        format!(
            "{wanted} entries are wanted but {capacity} fit: the map stays as it was. Raise {key} in weftd.toml and \
             restart weftd, which interrupts no workload, or remove objects"
        ),
    ))
}

/// Why a map could not be read.
pub(crate) fn unread(map: &str, error: &aya::maps::MapError) -> Failure {
    Failure::new(format!("map {map}"), chain(error))
}
