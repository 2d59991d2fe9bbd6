//! What must change of the XDP programs.

use std::collections::BTreeMap;

use weft_dataplane_abi::programs;

use crate::change::Change;
use crate::observe::Observed;
use crate::plan::WantedXdp;

/// Comes last: by then the workloads' devices take what a program sends them. What is on devices that are no underlay
/// devices goes, unless it `stays` since the one that is configured is missing: the one that was goes on as it is.
pub(crate) fn xdp(wanted: &[WantedXdp], stays: bool, observed: &Observed) -> Vec<Change> {
    let programs: BTreeMap<u32, _> =
        wanted.iter().map(|wanted| (wanted.ifindex, wanted.program().is_some())).collect();
    // A program takes the place of another of ours.
    let unwanted = observed.attachments.iter().filter(|held| {
        let elsewhere = stays && observed.indexed(held.ifindex).is_some();
        let is_kept = held.is_healthy() && programs.get(&held.ifindex).copied().unwrap_or(elsewhere);
        programs::XDP.contains(&held.program) && !is_kept
    });
    let detached = unwanted.map(|held| Change::Detach { program: held.program, ifindex: held.ifindex });
    let attached = wanted.iter().filter_map(|wanted| {
        let program = wanted.program().filter(|it| !observed.is_attached(it, wanted.ifindex))?;
        let (device, ifindex) = (wanted.device.clone(), wanted.ifindex);
        Some(Change::Attach { program, device, ifindex, port: None })
    });
    detached.chain(attached).collect()
}

#[cfg(test)]
#[path = "xdp/tests.rs"]
mod tests;
