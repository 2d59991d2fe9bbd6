//! Next hops alone, between reconciliations: a way that moved carries traffic, which does not wait for the rest.

use weft_dataplane_abi::VtepAddr;

use super::Kernel;
use crate::apply::{Hands, write_vteps};
use crate::diff::missing_neighbours;
use crate::error::ObserveError;
use crate::plan::NextHops;
use crate::{Failure, Report};

impl Kernel {
    /// As [`Dataplane::refresh_next_hops`](crate::Dataplane::refresh_next_hops).
    pub(crate) fn refresh_next_hops(&mut self) -> Report {
        let mut report = Report::default();
        if let Err(error) = self.refresh(&mut report) {
            report.failures.push(Failure::new("next hops".to_owned(), error.to_string()));
        }
        report
    }

    fn refresh(&mut self, report: &mut Report) -> Result<(), ObserveError> {
        let Some((host, observed)) = &mut self.last else { return Ok(()) };
        observed.look_at_underlay(&mut self.netlink, host.vtep)?;
        let (next_hops, _) = NextHops::plan(host, observed);
        let mut hands = Hands::new(&mut self.netlink, None);
        for change in missing_neighbours(&next_hops.targets().collect(), observed) {
            let done = hands.apply(&change);
            report.record(change, done);
        }
        let wanted = next_hops.entries().map(|(vtep, entry)| (VtepAddr::new(vtep), entry)).collect();
        write_vteps(&mut self.maps, &wanted, report);
        report.vteps = next_hops.states();
        Ok(())
    }
}
