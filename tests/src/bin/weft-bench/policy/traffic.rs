//! A byte there and back, over one connection and over a new one each, and what weftd itself takes meanwhile.

use std::time::Instant;

use anyhow::{Context as _, Result};

use super::first_beside_all;
use super::subjects::Secured;
use crate::load::Load;
use crate::plan::{Plan, Results, Test};
use crate::report::Row;
use crate::subject::{Place, Subject};
use crate::usage;

const LOADS: [Load; 2] = [Load::TcpTransactions, Load::Connections];

/// Runs both on all.
pub(super) fn measure(subjects: &[Subject<'_>], clouds: &[Secured<'_>], plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for load in LOADS {
        let name = format!("policy/{}", load.name());
        let test = Test { place: Place::TwoHosts, load };
        let (begun, before) = (Instant::now(), daemons(clouds)?);
        let results = Results::measure(&name, test, subjects, plan).with_context(|| name.clone())?;
        let share = (daemons(clouds)? - before) / begun.elapsed().as_secs_f64();
        rows.extend(first_beside_all(results.rows()));
        let test = format!("{name}/all-weftds");
        rows.push(super::constant(&test, "CPUs", "weft", share));
    }
    Ok(rows)
}

/// CPU seconds of all weftds so far: they remove connections that are over, and look at the kernel now and then.
fn daemons(clouds: &[Secured<'_>]) -> Result<f64> {
    let daemons = clouds.iter().flat_map(|one| one.cloud.daemons());
    let processes: Vec<_> = daemons.filter_map(|daemon| daemon.pid()).collect();
    Ok(usage::cpu(&processes)?.as_secs_f64())
}
