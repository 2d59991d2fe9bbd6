//! Changes of routes alone: a control plane brings thousands a second, so nothing is looked at but what they change.

use std::collections::BTreeSet;

use weft_dataplane_abi::VtepAddr;

use super::{Kernel, fill};
use crate::apply::pending_routes;
use crate::bpf::{Maps, Table};
use crate::change::{Change, Operation};
use crate::error::{ObserveError, chain};
use crate::observe::ways;
use crate::plan::NextHops;
use crate::{Failure, Report, TableFill};

impl Kernel {
    /// Brings the changes of routes into the maps. What failed before is tried again too.
    pub(super) fn update_routes(&mut self) -> Report {
        let mut report = Report::default();
        if let Err(error) = self.introduce(&mut report) {
            report.failures.push(Failure::new("kernel".to_owned(), error.to_string()));
        }
        pending_routes(&mut self.maps, &mut self.routes).carry_out(&mut report);
        report.tables = self.fills();
        report
    }

    /// Gives VTEPs that no route led to before a way. Their next hops are resolved by the reconciliation that the report
    /// asks for; until then the kernel's vxlan device sends. VTEPs that no route leads to any more go then too.
    fn introduce(&mut self, report: &mut Report) -> Result<(), ObserveError> {
        let vteps = self.local.as_ref().map(|local| self.vteps(local)).unwrap_or_default();
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

    /// How full the maps are, as far as their entries are counted.
    pub(super) fn fills(&self) -> Vec<TableFill> {
        let (routes, Maps { hosts, prefixes, fdb, vtep_vnis, .. }) = (&self.routes, &self.maps);
        let mut fills = self.small.clone();
        fills.extend([
            fill(hosts, routes.hosts.len()),
            fill(prefixes, routes.prefixes.len()),
            fill(fdb, routes.fdb.entries.len()),
            fill(vtep_vnis, routes.vtep_vnis.entries.len()),
        ]);
        fills
    }
}
