//! What must change of the XDP programs.

use weft_dataplane_abi::programs;

use crate::change::Change;
use crate::observe::Observed;
use crate::plan::WantedXdp;

/// Comes last: by then the workloads' devices take what a program sends them.
pub(crate) fn xdp(wanted: &WantedXdp, observed: &Observed) -> Vec<Change> {
    let program = wanted.program();
    // A program takes the place of another of ours. What is on other devices, or not wanted, goes.
    let unwanted = observed.attachments.iter().filter(|held| {
        let is_kept = held.is_healthy() && held.ifindex == wanted.ifindex && program.is_some();
        programs::XDP.contains(&held.program) && !is_kept
    });
    let mut changes: Vec<_> =
        unwanted.map(|held| Change::Detach { program: held.program, ifindex: held.ifindex }).collect();
    if let Some(program) = program.filter(|program| !observed.is_attached(program, wanted.ifindex)) {
        changes.push(Change::Attach {
            program,
            device: wanted.device.clone(),
            ifindex: wanted.ifindex,
            port: None,
        });
    }
    changes
}
