//! The data plane itself, on a thread of its own: it blocks in system calls, belongs to one network namespace, and
//! finishes what it began, whoever stops waiting for it.

mod audit;
mod hits;
mod next_hops;
mod routes;
mod security;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use weft_dataplane_abi::{
    AllowedPair, Endpoint, FloodKey, FloodMember, HostConfig, Underlay, maps, programs,
};
use weft_vxlan::{Vni, Vtep};

use crate::apply::{Hands, pending, told};
use crate::bpf::{KernelLog, Maps, PinFolder, PrefixKey, Programs, Table};
use crate::change::{Change, Operation};
use crate::desired::{Desired, Host, Update};
use crate::diff::{Stage, devices, xdp};
use crate::error::{ObserveError, OpenError, chain};
use crate::flows::{EndedLog, FlowThread};
use crate::names::{self, Owned};
use crate::netlink::{Link, Netlink};
use crate::observe::{Namespaces, Observed, asking};
use crate::plan::{
    self, Devices, Flood, Guard, LocalPort, NextHops, Policies, RouteTables, Slots, Tables, WantedXdp,
};
use crate::tenure::Tenure;
use crate::{Failure, Hook, Options, Owner, PortState, Report, TableFill};
use audit::Turns;
use hits::Totals;
use security::Rejudge;

/// The kernel, with weft's programs in it.
pub(crate) struct Kernel {
    netlink: Netlink,
    programs: Programs,
    maps: Maps,
    /// What the maps should hold that grow with the routes.
    routes: RouteTables,
    /// What the maps hold of the ports' policies.
    policies: Policies,
    /// Entries that each table of these may have.
    rules: usize,
    rejudge: Rejudge,
    totals: Totals,
    flows: FlowThread,
    /// Whether there were maps already.
    adopts: bool,
    /// What else is desired, without routes; `None` until it was told.
    local: Option<Desired>,
    /// The host as it can work, and the kernel, as the last reconciliation left them.
    last: Option<(Host, Observed)>,
    turns: Turns,
    /// Who gets copies of what is for a whole subnet, as the map was last written.
    flood: BTreeMap<FloodKey, FloodMember>,
    /// How full the small maps were made.
    small: Vec<TableFill>,
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
    pub(crate) fn open(
        options: &Options,
        owner: &Owner,
        ended: EndedLog,
    ) -> Result<(Self, KernelLog), OpenError> {
        let mut netlink = Netlink::open().map_err(asking("socket"))?;
        let tenure = Tenure::take()?;
        let links = netlink.links().map_err(asking("links"))?;
        let vxlan = links.iter().find(|link| names::owned(link) == Some(Owned::Vxlan));
        let mut folder = PinFolder::create(&options.pin_folder)?;
        let checked = folder.check_namespace(tenure.namespace());
        let checked = checked.and_then(|()| {
            vxlan.map_or(Ok(()), |vxlan| folder.require_no_stranger_on(&vxlan.name, vxlan.index))
        });
        // The mark comes before the first link.
        let checked = checked.and_then(|()| folder.mark_namespace(tenure.namespace()));
        let adopts = folder.is_complete();
        let loaded = checked.and_then(|()| Programs::load(&mut folder, options, owner));
        let (programs, maps, log) = loaded.inspect_err(|_| folder.remove_if_empty())?;
        let flows = FlowThread::start(&options.pin_folder, ended)?;
        let mut kernel = Self {
            netlink,
            programs,
            maps,
            routes: RouteTables::new(),
            policies: Policies::default(),
            rules: usize::try_from(options.sizes.rules).unwrap_or(usize::MAX),
            rejudge: Rejudge::default(),
            totals: Totals::default(),
            flows,
            adopts,
            local: None,
            last: None,
            turns: Turns::default(),
            flood: BTreeMap::new(),
            small: Vec::new(),
            folder,
            _tenure: tenure,
        };
        kernel.find_numbers()?;
        if options.keep_routes {
            kernel.keep_routes()?;
        }
        Ok((kernel, log))
    }

    /// How programs are attached.
    pub(crate) fn hook(&self) -> Hook {
        self.programs.hook()
    }

    /// As [`Dataplane::adopted`](crate::Dataplane::adopted).
    pub(crate) fn adopted(&self) -> bool {
        self.adopts
    }

    /// As [`Dataplane::reconcile`](crate::Dataplane::reconcile).
    pub(crate) fn reconcile(&mut self, desired: Desired) -> Report {
        let update = self.update_to(desired);
        self.update(update)
    }

    /// As [`Dataplane::update`](crate::Dataplane::update).
    pub(crate) fn update(&mut self, update: Update) -> Report {
        self.routes.change(update.routes);
        match (update.local, self.last.is_some()) {
            (None, true) => return self.update_routes(),
            (Some(local), _) => self.local = Some(*local),
            (None, false) => {}
        }
        self.resync()
    }

    /// As [`Dataplane::resync`](crate::Dataplane::resync).
    pub(crate) fn resync(&mut self) -> Report {
        let mut report = Report { is_whole: true, ..Report::default() };
        // Taken out for a while: it is read while the rest of the kernel is written.
        if let Some(local) = self.local.take() {
            if let Err(error) = self.run(&local, &mut report) {
                report.failures.push(Failure::new("kernel".to_owned(), error.to_string()));
            }
            self.local = Some(local);
        }
        report.tables = self.fills();
        report.unconfirmed = self.routes.unconfirmed();
        report
    }

    fn update_to(&self, desired: Desired) -> Update {
        let routes = self.routes.delta_to(&desired);
        let (remote_hosts, remote_prefixes) = (BTreeMap::new(), BTreeMap::new());
        let (remote_macs, flood) = (BTreeMap::new(), BTreeMap::new());
        let local = Desired { remote_hosts, remote_prefixes, remote_macs, flood, ..desired };
        Update { local: Some(Box::new(local)), routes }
    }

    fn run(&mut self, desired: &Desired, report: &mut Report) -> Result<(), ObserveError> {
        let mut observed = self.observe(desired)?;
        let (_, unreachable) = NextHops::plan(&desired.host, &observed);
        let (_, unfit) = plan(desired, &observed);
        report.failures.extend(unfit.into_iter().chain(unreachable));
        let desired = self.workable(desired, &mut observed)?;
        let desired = desired.as_ref();

        for stage in BEFORE_MAPS {
            observed = self.stage(stage, desired, observed, report)?;
        }
        self.write_maps(desired, &observed, report)?;
        for stage in AFTER_MAPS {
            observed = self.stage(stage, desired, observed, report)?;
        }
        observed = self.accelerate(desired, observed, report)?;
        report.ports = port_states(desired, &observed);
        report.vteps = NextHops::plan(&desired.host, &observed).0.states();
        self.last = Some((desired.host.clone(), observed));
        Ok(())
    }

    fn observe(&mut self, desired: &Desired) -> Result<Observed, ObserveError> {
        self.observe_again(desired, Namespaces::new())
    }

    fn observe_again(&mut self, desired: &Desired, known: Namespaces) -> Result<Observed, ObserveError> {
        let vteps = self.routes.vteps();
        Observed::observe(&mut self.netlink, &self.folder, desired, &vteps, known)
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
        self.make(changes, desired, observed, report)
    }

    /// Makes `changes`, and looks again if there were any.
    fn make(
        &mut self,
        changes: Vec<Change>,
        desired: &Desired,
        observed: Observed,
        report: &mut Report,
    ) -> Result<Observed, ObserveError> {
        if changes.is_empty() {
            return Ok(observed);
        }
        let known = observed.untouched(changes.iter(), desired);
        let mut hands = Hands::new(&mut self.netlink, Some((&mut self.programs, &self.folder)));
        for change in changes {
            let done = hands.apply(&change);
            report.record(change, done);
        }
        self.observe_again(desired, known)
    }

    /// Puts the XDP programs as wanted, when all that they lead to is in place.
    fn accelerate(
        &mut self,
        desired: &Desired,
        observed: Observed,
        report: &mut Report,
    ) -> Result<Observed, ObserveError> {
        let (devices, _) = plan(desired, &observed);
        let (wanted, failures) = WantedXdp::plan(&desired.host, &devices, &observed);
        report.failures.extend(failures);
        let changes = xdp(&wanted, devices.underlay.is_none(), &observed);
        let observed = self.make(changes, desired, observed, report)?;
        report.xdp.extend(wanted.iter().map(|wanted| wanted.state(&observed)));
        Ok(observed)
    }

    fn write_maps(
        &mut self,
        desired: &Desired,
        observed: &Observed,
        report: &mut Report,
    ) -> Result<(), ObserveError> {
        let held = self.held()?;
        let capacity = self.maps.endpoints.capacity();
        let (mut rules, tenants) = self.plan_guards(desired, observed, &held);
        self.fill_policies(&mut rules, &held, report);
        let guards = self.guards(desired, observed, &rules, &tenants);
        let (slots, wanted, unfit) = tables(desired, observed, &self.routes.flood, &held, capacity, &guards);
        self.routes.take_changed_floods();
        report.failures.extend(unfit);
        self.clear_counts(&slots.fresh, &tenants.fresh);
        if let Some(change) = self.host_change(&wanted)? {
            let done = self.maps.host.write(&wanted.host).map_err(|error| chain(&error));
            report.record(change, done);
        }
        self.routes.yield_to(&wanted);
        self.routes.set_local(&wanted);
        self.small = vec![
            fill(&self.maps.endpoints, wanted.endpoints.len()),
            fill(&self.maps.vnis, wanted.vnis.len()),
            fill(&self.maps.vteps, wanted.vteps.len()),
            fill(&self.maps.flood, wanted.flood.len()),
        ];
        report.failures.extend(self.audit());
        let ports = port_names(desired, observed);
        pending(&mut self.maps, &wanted, &mut self.routes, &ports).carry_out(report);
        self.settle_policies(rules, &held, &wanted, report);
        self.tell_ports(&wanted, &ports);
        self.flood = wanted.flood;
        Ok(())
    }

    /// Has ports and tenants that are new begin at zero.
    fn clear_counts(&mut self, slots: &BTreeSet<u32>, tenants: &BTreeSet<u32>) {
        for slot in slots {
            // A slot beyond the map has no counters; the endpoint will not fit either.
            if let Err(error) = self.maps.counters.clear(*slot) {
                tracing::debug!(slot, error = chain(&error), "counters not cleared");
            }
        }
        for index in slots.iter().chain(tenants) {
            if let Err(error) = self.maps.flow_counts.clear(*index) {
                tracing::debug!(index, error = chain(&error), "counts of connections not cleared");
            }
        }
    }

    fn held(&self) -> Result<Held, ObserveError> {
        Ok(Held {
            endpoints: read(&self.maps.endpoints)?,
            flood: read(&self.maps.flood)?,
            pairs: read(&self.maps.pairs)?,
        })
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

    /// What is desired, as far as this host can have it. With another VTEP there may be other ways.
    fn workable<'a>(
        &mut self,
        desired: &'a Desired,
        observed: &mut Observed,
    ) -> Result<Cow<'a, Desired>, ObserveError> {
        let host = plan::workable(&desired.host, &self.host()?, observed);
        if host == desired.host {
            return Ok(Cow::Borrowed(desired));
        }
        observed.look_at_underlay(&mut self.netlink, host.vtep)?;
        Ok(Cow::Owned(Desired { host, ..desired.clone() }))
    }

    /// As [`Dataplane::plan`](crate::Dataplane::plan).
    pub(crate) fn plan(&mut self, desired: Desired) -> Result<Vec<Change>, ObserveError> {
        let update = self.update_to(desired);
        self.preview(update)
    }

    /// As [`Dataplane::preview`](crate::Dataplane::preview).
    pub(crate) fn preview(&mut self, update: Update) -> Result<Vec<Change>, ObserveError> {
        let Some(local) = update.local.map(|local| *local).or_else(|| self.local.clone()) else {
            return Ok(Vec::new());
        };
        let before = self.routes.mark();
        let undo = self.routes.change(update.routes);
        let changes = self.preview_all(&local);
        self.routes.change(undo);
        self.routes.back_to(before);
        changes
    }

    fn preview_all(&mut self, desired: &Desired) -> Result<Vec<Change>, ObserveError> {
        let mut observed = self.observe(desired)?;
        let desired = self.workable(desired, &mut observed)?;
        let desired = desired.as_ref();
        let mut changes = Vec::new();
        for stage in BEFORE_MAPS {
            changes.extend(preview(stage, desired, &mut observed));
        }
        let held = self.held()?;
        let capacity = self.maps.endpoints.capacity();
        let (rules, tenants) = self.plan_guards(desired, &observed, &held);
        let guards = self.guards(desired, &observed, &rules, &tenants);
        changes.extend(told(&rules.steps));
        let (_, wanted, _) = tables(desired, &observed, &self.routes.flood, &held, capacity, &guards);
        changes.extend(self.host_change(&wanted)?);
        self.routes.set_local(&wanted);
        // What a map cannot take is told when it is tried.
        let _ = self.audit();
        let ports = port_names(desired, &observed);
        let waiting = pending(&mut self.maps, &wanted, &mut self.routes, &ports);
        changes.extend(waiting.updates.iter().flat_map(|update| update.changes()));
        for stage in AFTER_MAPS {
            for change in preview(stage, desired, &mut observed) {
                if !changes.contains(&change) {
                    changes.push(change);
                }
            }
        }
        let (devices, _) = plan(desired, &observed);
        let (wanted, _) = WantedXdp::plan(&desired.host, &devices, &observed);
        changes.extend(xdp(&wanted, devices.underlay.is_none(), &observed));
        Ok(changes)
    }
}

/// What the maps hold that what they should hold depends on: numbers that were given stay.
struct Held {
    endpoints: BTreeMap<u32, Endpoint>,
    flood: BTreeMap<FloodKey, FloodMember>,
    pairs: BTreeMap<PrefixKey, AllowedPair>,
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
    flood: &BTreeMap<Vni, BTreeMap<Vtep, Vni>>,
    held: &Held,
    capacity: usize,
    guards: &BTreeMap<u32, Guard>,
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
    let Flood { members, failures } = Flood::plan(desired, flood, &ports, &held.flood);
    let vxlan = observed.vxlan().map_or(0, |link| link.index);
    let (next_hops, _) = NextHops::plan(&desired.host, observed);
    let (devices, _) = Devices::plan(desired, observed, &next_hops);
    let mut tables = Tables::plan(desired, &ports, guards, vxlan, &next_hops, members);
    let underlays = underlays(&devices, observed);
    tables.underlays = underlays.filter_map(|link| Some((link.index, Underlay::new(link.mac?)))).collect();
    (slots, tables, failures)
}

fn fill(table: &impl Table, entries: usize) -> TableFill {
    TableFill { map: table.name(), entries, capacity: table.capacity() }
}

/// The underlay devices; if there is none of the name that is configured, also those that receive, which go on as they are.
fn underlays<'a>(devices: &'a Devices, observed: &'a Observed) -> impl Iterator<Item = &'a Link> {
    let goes_on = |link: &&Link| {
        devices.underlay.is_none() && observed.is_attached(programs::FROM_UNDERLAY, link.index)
    };
    devices.underlays(observed).chain(observed.links.iter().filter(goes_on))
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
