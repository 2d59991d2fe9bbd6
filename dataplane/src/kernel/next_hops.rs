//! Next hops alone, between reconciliations: a way that moved carries traffic, which does not wait for the rest.

use std::collections::BTreeSet;

use weft_dataplane_abi::VtepAddr;
use weft_vxlan::Vtep;

use super::Kernel;
use crate::apply::{Hands, write_vteps};
use crate::desired::{Desired, Host};
use crate::diff::missing_neighbours;
use crate::error::ObserveError;
use crate::observe::{Observed, remote_vteps};
use crate::plan::NextHops;
use crate::{Failure, Report};

/// What next hops are planned by: the part of what was last desired that they follow from.
#[derive(Debug)]
pub(super) struct Reached {
    host: Host,
    vteps: BTreeSet<Vtep>,
}

impl Reached {
    pub(super) fn of(desired: &Desired) -> Self {
        Self { host: desired.host.clone(), vteps: remote_vteps(desired) }
    }
}

impl Kernel {
    /// As [`Dataplane::refresh_next_hops`](crate::Dataplane::refresh_next_hops).
    pub(crate) fn refresh_next_hops(&mut self) -> Report {
        let mut report = Report::default();
        let Some(reached) = self.reached.take() else { return report };
        if let Err(error) = self.refresh(&reached, &mut report) {
            report.failures.push(Failure::new("next hops".to_owned(), error.to_string()));
        }
        self.reached = Some(reached);
        report
    }

    fn refresh(&mut self, reached: &Reached, report: &mut Report) -> Result<(), ObserveError> {
        let observed = Observed::underlay(&mut self.netlink, &reached.vteps)?;
        let (next_hops, _) = NextHops::plan(&reached.host, &observed);
        let mut hands = Hands::new(&mut self.netlink, None);
        for change in missing_neighbours(&next_hops.targets().collect(), &observed) {
            let done = hands.apply(&change);
            report.record(change, done);
        }
        let wanted = next_hops.entries().map(|(vtep, entry)| (VtepAddr::new(vtep), entry)).collect();
        write_vteps(&mut self.maps, &wanted, report);
        report.vteps = next_hops.states();
        Ok(())
    }
}
