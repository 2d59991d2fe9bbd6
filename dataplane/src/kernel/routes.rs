//! Changes of routes alone: a control plane brings thousands a second, so nothing is looked at but what they change.

use std::collections::{BTreeMap, BTreeSet};

use weft_dataplane_abi::{VtepAddr, flood_group, maps};
use weft_policy::Size;

use super::{Kernel, fill, read};
use crate::apply::{pending_flood, pending_routes};
use crate::bpf::{Maps, Table};
use crate::change::{Change, Operation};
use crate::desired::Update;
use crate::error::{ObserveError, chain};
use crate::observe::ways;
use crate::plan::{Flood, NextHops, Pinned, flood_list};
use crate::{Failure, Report, TableFill};

impl Kernel {
    /// Brings the changes of routes into the maps. What failed before is tried again too.
    pub(super) fn update_routes(&mut self) -> Report {
        let mut report = Report::default();
        if let Err(error) = self.introduce(&mut report) {
            report.failures.push(Failure::new("kernel".to_owned(), error.to_string()));
        }
        self.update_policies(&mut report);
        pending_routes(&mut self.maps, &mut self.routes).carry_out(&mut report);
        self.settle_routes(&mut report);
        self.update_flood(&mut report);
        report.tables = self.fills();
        report.unconfirmed = self.routes.unconfirmed();
        report
    }

    /// Gives VTEPs that no route led to before a way. Their next hops are resolved by the reconciliation that the report
    /// asks for; until then the kernel's vxlan device sends. VTEPs that no route leads to any more go then too.
    fn introduce(&mut self, report: &mut Report) -> Result<(), ObserveError> {
        let vteps = self.routes.vteps();
        let Some((host, observed)) = &mut self.last else { return Ok(()) };
        let new: BTreeSet<_> =
            vteps.iter().copied().filter(|vtep| !observed.ways.contains_key(vtep)).collect();
        report.is_unsettled = vteps.len() - new.len() < observed.ways.len() || !new.is_empty();
        if new.is_empty() {
            return Ok(());
        }
        let ways = ways(&mut self.netlink, &new, host.vtep, &observed.addresses)?;
        observed.ways.extend(ways);
        let (next_hops, _) = NextHops::plan(host, observed);
        for (vtep, entry) in next_hops.entries().filter(|(vtep, _)| new.contains(vtep)) {
            let refused = self.maps.vteps.write(&[VtepAddr::new(vtep)], &[entry]).pop();
            let change = Change::Table {
                map: self.maps.vteps.name(),
                operation: Operation::Insert,
                entry: format!("VTEP {vtep}"),
            };
            report.record(change, refused.map_or(Ok(()), |(_, error)| Err(chain(&error))));
        }
        Ok(())
    }

    /// Brings changes of who takes part in subnets into the map.
    fn update_flood(&mut self, report: &mut Report) {
        let changed = self.routes.take_changed_floods();
        let Some(local) = self.local.as_ref().filter(|_| !changed.is_empty()) else { return };
        let Flood { members, failures } = Flood::plan_vteps(local, &self.routes.flood, &changed, &self.flood);
        report.failures.extend(failures);
        let lists = changed.iter().flat_map(|vni| flood_list(&self.flood, *vni, flood_group::VTEPS));
        let held: BTreeMap<_, _> = lists.collect();
        let others = self.flood.len() - held.len();
        pending_flood(&mut self.maps, &held, &members, others).carry_out(report);
        // Whatever failed is found by the reconciliation that follows failures.
        self.flood.retain(|key, _| !held.contains_key(key));
        self.flood.extend(members);
    }

    /// Takes over the routes that are in the maps.
    pub(super) fn keep_routes(&mut self) -> Result<(), ObserveError> {
        let Maps { hosts, prefixes, fdb, paths, flood, .. } = &self.maps;
        let mut pinned = Pinned { flood: read(flood)?, ..Pinned::default() };
        let unread = |map, error| ObserveError::Map { map, cause: chain(&error) };
        let each = |key, route| pinned.hosts.push((key, route));
        hosts.for_each(each).map_err(|error| unread(hosts.name(), error))?;
        let each = |key, hop| pinned.prefixes.push((key, hop));
        prefixes.for_each(each).map_err(|error| unread(prefixes.name(), error))?;
        let each = |key, hop| {
            pinned.fdb.insert(key, hop);
        };
        fdb.for_each(each).map_err(|error| unread(fdb.name(), error))?;
        let each = |key, hop| {
            pinned.paths.insert(key, hop);
        };
        paths.for_each(each).map_err(|error| unread(paths.name(), error))?;
        self.routes.keep(&pinned);
        Ok(())
    }

    /// As [`Dataplane::sweep`](crate::Dataplane::sweep).
    pub(crate) fn sweep(&mut self) -> Report {
        let routes = self.routes.sweep();
        self.update(Update { local: None, routes })
    }

    /// How full the maps are, as far as their entries are counted.
    pub(super) fn fills(&self) -> Vec<TableFill> {
        let (routes, Maps { hosts, prefixes, fdb, paths, vtep_vnis, .. }) = (&self.routes, &self.maps);
        let mut fills = self.small.clone();
        fills.extend([
            fill(hosts, routes.hosts.len()),
            fill(prefixes, routes.prefixes.len()),
            fill(fdb, routes.fdb.entries.len()),
            fill(paths, routes.paths.entries.len()),
            fill(vtep_vnis, routes.vtep_vnis.entries.len()),
        ]);
        let Size { peers, identities, services } = self.policies.size();
        // There is room for twice as many, for those that are on their way in or out.
        let policies = [(maps::PEERS, peers), (maps::IDENTITIES, identities), (maps::SERVICES, services)];
        fills.extend(policies.map(|(map, entries)| TableFill { map, entries, capacity: self.rules }));
        fills
    }
}
