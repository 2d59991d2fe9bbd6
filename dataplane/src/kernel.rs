//! The data plane itself, on a thread of its own: it blocks in system calls, belongs to one network namespace, and
//! finishes what it began, whoever stops waiting for it.

mod next_hops;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use weft_dataplane_abi::{Endpoint, FloodKey, FloodMember, HostConfig, maps};

use crate::apply::{Hands, pending};
use crate::bpf::{Maps, PinFolder, Programs, Table};
use crate::change::{Change, Operation};
use crate::desired::Desired;
use crate::diff::{Stage, devices};
use crate::error::{ObserveError, OpenError, chain};
use crate::names::{self, Owned};
use crate::netlink::Netlink;
use crate::observe::{Namespaces, Observed, asking};
use crate::plan::{self, Devices, Flood, LocalPort, NextHops, Slots, Tables};
use crate::tenure::Tenure;
use crate::{Failure, Options, Owner, PortState, Report};

use next_hops::Reached;

/// The kernel, with weft's programs in it.
pub(crate) struct Kernel {
    netlink: Netlink,
    programs: Programs,
    maps: Maps,
    /// What was last reconciled, as far as next hops follow from it.
    reached: Option<Reached>,
    /// Second to last, so that the lock goes when all else has gone.
    folder: PinFolder,
    _tenure: Tenure,
}

/// Devices and their programs are set up before the maps lead packets to them.
const BEFORE_MAPS: [Stage; 2] = [Stage::Create, Stage::Prepare];
/// Devices come up, and go, when the maps are as desired. What the kernel takes along with an address that is
/// removed, routes and secondary addresses, is found missing at the second look.
const AFTER_MAPS: [Stage; 4] = [Stage::Open, Stage::Open, Stage::Remove, Stage::Detach];

impl Kernel {
    /// As [`Dataplane::open`](crate::Dataplane::open).
    pub(crate) fn open(options: &Options, owner: &Owner) -> Result<Self, OpenError> {
        let mut netlink = Netlink::open().map_err(asking("socket"))?;
        let tenure = Tenure::take()?;
        let links = netlink.links().map_err(asking("links"))?;
        let vxlan = links.iter().find(|link| names::owned(link) == Some(Owned::Vxlan));
        let folder = PinFolder::create(&options.pin_folder)?;
        let checked = folder.check_namespace(tenure.namespace());
        let checked =
            checked.and_then(|()| vxlan.map_or(Ok(()), |vxlan| folder.require_no_stranger_on(&vxlan.name)));
        // The mark comes before the first link.
        let checked = checked.and_then(|()| folder.mark_namespace(tenure.namespace()));
        let loaded = checked.and_then(|()| Programs::load(&folder, &options.sizes, owner));
        let (programs, maps) = loaded.inspect_err(|_| folder.remove_if_empty())?;
        Ok(Self { netlink, programs, maps, reached: None, folder, _tenure: tenure })
    }

    /// As [`Dataplane::reconcile`](crate::Dataplane::reconcile).
    pub(crate) fn reconcile(&mut self, desired: &Desired) -> Report {
        let mut report = Report::default();
        if let Err(error) = self.run(desired, &mut report) {
            report.failures.push(Failure::new("kernel".to_owned(), error.to_string()));
        }
        report
    }

    fn run(&mut self, desired: &Desired, report: &mut Report) -> Result<(), ObserveError> {
        let mut observed = self.observe(desired)?;
        let (_, unreachable) = NextHops::plan(&desired.host, &observed);
        let (_, unfit) = plan(desired, &observed);
        report.failures.extend(unfit.into_iter().chain(unreachable));
        let desired = self.workable(desired, &observed)?;
        let desired = desired.as_ref();
        self.reached = Some(Reached::of(desired));

        for stage in BEFORE_MAPS {
            observed = self.stage(stage, desired, observed, report)?;
        }
        self.write_maps(desired, &observed, report)?;
        for stage in AFTER_MAPS {
            observed = self.stage(stage, desired, observed, report)?;
        }
        report.ports = port_states(desired, &observed);
        report.vteps = NextHops::plan(&desired.host, &observed).0.states();
        Ok(())
    }

    fn observe(&mut self, desired: &Desired) -> Result<Observed, ObserveError> {
        Observed::observe(&mut self.netlink, &self.folder, desired, Namespaces::new())
    }

    /// Makes the changes of one stage. What was observed holds until something is changed.
    fn stage(
        &mut self,
        stage: Stage,
        desired: &Desired,
        observed: Observed,
        report: &mut Report,
    ) -> Result<Observed, ObserveError> {
        let (wanted, _) = plan(desired, &observed);
        let (changes, failures) = devices(stage, &wanted, &observed);
        report.failures.extend(failures);
        if changes.is_empty() {
            return Ok(observed);
        }
        let known = observed.untouched(changes.iter(), desired);
        let mut hands = Hands::new(&mut self.netlink, Some((&mut self.programs, &self.folder)));
        for change in changes {
            let done = hands.apply(&change);
            report.record(change, done);
        }
        Observed::observe(&mut self.netlink, &self.folder, desired, known)
    }

    fn write_maps(
        &mut self,
        desired: &Desired,
        observed: &Observed,
        report: &mut Report,
    ) -> Result<(), ObserveError> {
        let held = self.held()?;
        let (slots, wanted, unfit) = tables(desired, observed, &held, self.maps.endpoints.capacity());
        report.failures.extend(unfit);
        for slot in slots.fresh {
            // A slot beyond the map has no counters; the endpoint will not fit either.
            if let Err(error) = self.maps.counters.clear(slot) {
                tracing::debug!(slot, error = chain(&error), "counters not cleared");
            }
        }
        if let Some(change) = self.host_change(&wanted)? {
            let done = self.maps.host.write(&wanted.host).map_err(|error| chain(&error));
            report.record(change, done);
        }
        let (mut pending, failures) = pending(&mut self.maps, &wanted, &port_names(desired, observed));
        report.failures.extend(failures);
        for update in &mut pending {
            if update.is_tight() {
                update.remove(report);
            }
            update.write(report);
        }
        for update in pending.iter_mut().rev() {
            update.remove(report);
        }
        Ok(())
    }

    fn held(&self) -> Result<Held, ObserveError> {
        Ok(Held { endpoints: read(&self.maps.endpoints)?, flood: read(&self.maps.flood)? })
    }

    fn host_change(&self, wanted: &Tables) -> Result<Option<Change>, ObserveError> {
        let change = || Change::Table {
            map: maps::HOST,
            operation: Operation::Replace,
            entry: "this host".to_owned(),
        };
        Ok((self.host()? != wanted.host).then(change))
    }

    fn host(&self) -> Result<HostConfig, ObserveError> {
        self.maps.host.read().map_err(|error| ObserveError::Map { map: maps::HOST, cause: chain(&error) })
    }

    /// What is desired, as far as this host can have it.
    fn workable<'a>(
        &self,
        desired: &'a Desired,
        observed: &Observed,
    ) -> Result<Cow<'a, Desired>, ObserveError> {
        let host = plan::workable(&desired.host, &self.host()?, observed);
        if host == desired.host {
            return Ok(Cow::Borrowed(desired));
        }
        Ok(Cow::Owned(Desired { host, ..desired.clone() }))
    }

    /// As [`Dataplane::plan`](crate::Dataplane::plan).
    pub(crate) fn plan(&mut self, desired: &Desired) -> Result<Vec<Change>, ObserveError> {
        let mut observed = self.observe(desired)?;
        let desired = self.workable(desired, &observed)?;
        let desired = desired.as_ref();
        let mut changes = Vec::new();
        for stage in BEFORE_MAPS {
            changes.extend(preview(stage, desired, &mut observed));
        }
        let held = self.held()?;
        let (_, wanted, _) = tables(desired, &observed, &held, self.maps.endpoints.capacity());
        changes.extend(self.host_change(&wanted)?);
        let (pending, _) = pending(&mut self.maps, &wanted, &port_names(desired, &observed));
        changes.extend(pending.iter().flat_map(|update| update.changes()));
        for stage in AFTER_MAPS {
            for change in preview(stage, desired, &mut observed) {
                if !changes.contains(&change) {
                    changes.push(change);
                }
            }
        }
        Ok(changes)
    }
}

/// What the maps hold that what they should hold depends on: numbers that were given stay.
struct Held {
    endpoints: BTreeMap<u32, Endpoint>,
    flood: BTreeMap<FloodKey, FloodMember>,
}

fn read<T: Table>(table: &T) -> Result<BTreeMap<T::Key, T::Value>, ObserveError> {
    let map = table.name();
    table.read().map_err(|error| ObserveError::Map { map, cause: chain(&error) })
}

/// The changes of one stage, which are then assumed to be made.
fn preview(stage: Stage, desired: &Desired, observed: &mut Observed) -> Vec<Change> {
    let (wanted, _) = plan(desired, observed);
    let (changes, _) = devices(stage, &wanted, observed);
    for change in &changes {
        observed.assume(change);
    }
    changes
}

fn plan(desired: &Desired, observed: &Observed) -> (Devices, Vec<Failure>) {
    let (next_hops, _) = NextHops::plan(&desired.host, observed);
    Devices::plan(desired, observed, &next_hops)
}

fn tables(
    desired: &Desired,
    observed: &Observed,
    held: &Held,
    capacity: usize,
) -> (Slots, Tables, Vec<Failure>) {
    let ifindexes: BTreeMap<&str, u32> = desired
        .ports
        .keys()
        .filter_map(|port| Some((port.as_str(), observed.host_end(port)?.index)))
        .collect();
    let capacity = u32::try_from(capacity).unwrap_or(u32::MAX);
    let slots = Slots::plan(&ifindexes.values().copied().collect::<BTreeSet<_>>(), &held.endpoints, capacity);
    let ports = ifindexes.into_iter().filter_map(|(port, ifindex)| {
        let slot = *slots.by_ifindex.get(&ifindex)?;
        Some((port, LocalPort { ifindex, slot }))
    });
    let ports = ports.collect();
    let Flood { members, failures } = Flood::plan(desired, &ports, &held.flood);
    let vxlan = observed.vxlan().map_or(0, |link| link.index);
    let (next_hops, _) = NextHops::plan(&desired.host, observed);
    let tables = Tables::plan(desired, &ports, vxlan, &next_hops, members);
    (slots, tables, failures)
}

fn port_names(desired: &Desired, observed: &Observed) -> BTreeMap<u32, String> {
    let named = desired.ports.keys().filter_map(|port| Some((observed.host_end(port)?.index, port.clone())));
    named.collect()
}

fn port_states(desired: &Desired, observed: &Observed) -> BTreeMap<String, PortState> {
    let state = |port: &String| {
        let link = observed.host_end(port)?;
        let state = PortState { device: link.name.clone(), ifindex: link.index, mtu: link.mtu };
        Some((port.clone(), state))
    };
    desired.ports.keys().filter_map(state).collect()
}
