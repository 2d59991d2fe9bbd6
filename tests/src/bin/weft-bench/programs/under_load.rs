//! Run times as the kernel counts them while packets flow.

use anyhow::{Context as _, Result, ensure};
use aya::sys::{Stats, enable_stats};
use weft_dataplane_abi::programs::{FROM_POD, FROM_UNDERLAY, FROM_VXLAN};
use weft_tests::cloud::Cloud;

use super::{attached, row};
use crate::load::Load;
use crate::plan::Plan;
use crate::report::Row;
use crate::subject::{Place, Subject};

/// What is run, and the programs that meet its packets, each with the number of the host that it is on. A TCP stream
/// is made of super-packets, of which the kernel's vxlan device takes the outer headers off.
const LOADS: [(Load, [(&str, usize); 2]); 4] = [
    (Load::Udp64, [(FROM_POD, 0), (FROM_UNDERLAY, 1)]),
    (Load::UdpTransactions, [(FROM_POD, 0), (FROM_UNDERLAY, 1)]),
    (Load::TcpTransactions, [(FROM_POD, 0), (FROM_UNDERLAY, 1)]),
    (Load::Tcp1, [(FROM_POD, 0), (FROM_VXLAN, 1)]),
];

pub(super) fn measure(weft: &Subject<'_>, cloud: &Cloud<'_>, plan: &Plan) -> Result<Vec<Row>> {
    // Counts as long as it is open.
    let _counting = enable_stats(Stats::RunTime).context("counting run times")?;
    let mut rows = Vec::new();
    for (load, programs) in LOADS {
        let mut figures = programs.map(|_| Vec::new());
        for round in 0..plan.rounds {
            let before = totals(cloud, programs)?;
            load.run(weft.path(Place::TwoHosts), round, plan.slice)?;
            let after = totals(cloud, programs)?;
            for ((figures, before), after) in figures.iter_mut().zip(before).zip(after) {
                let (seconds, runs) = (after.0 - before.0, after.1 - before.1);
                ensure!(runs > 0.0, "a program met no packet of {}", load.name());
                figures.push(seconds * 1e9 / runs);
            }
        }
        for ((program, _), figures) in programs.iter().zip(&figures) {
            let test = format!("programs/{program}/under-load/{}", load.name());
            rows.push(row(&test, weft.name, figures, None));
        }
    }
    Ok(rows)
}

/// Seconds and runs of each program so far.
fn totals(cloud: &Cloud<'_>, programs: [(&str, usize); 2]) -> Result<Vec<(f64, f64)>> {
    let of = |(program, host): (&str, usize)| {
        let attached = attached::find(cloud, host, program)?;
        // On a host one loaded program serves all devices.
        let info = &attached.first().with_context(|| format!("{program} is attached nowhere"))?.info;
        #[expect(clippy::cast_precision_loss, reason = "runs of some seconds are far below 2^52")]
        Ok((info.run_time().as_secs_f64(), info.run_count() as f64))
    };
    programs.into_iter().map(of).collect()
}
