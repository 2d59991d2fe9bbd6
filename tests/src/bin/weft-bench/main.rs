//! weft's packet path against what a user would have instead, measured side by side on this machine.
//!
//! All subjects are up at the same time, each with two hosts in network namespaces. A round runs one test on every
//! subject in turn, a fraction of a second each; what is compared are the results of one round, and of those ratios
//! the median is taken. So what else the machine does meanwhile meets all subjects alike.

mod bgp;
mod cpu;
mod load;
mod machine;
mod plan;
mod plot;
mod policy;
mod programs;
mod report;
mod routes;
mod statistics;
mod subject;
mod table;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;

use plan::{Plan, Results};
use report::Report;

/// Measures weft against kernel vxlan with a bridge and against plain routing, in namespaces of its own.
#[derive(Debug, Parser)]
struct Args {
    /// How often every test is run on every subject
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Only the tests whose name contains this, such as `same-host` or `udp`
    #[arg(long)]
    only: Option<String>,

    /// Milliseconds of each run
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(50..))]
    slice: u64,

    /// Name of the report: FOLDER/NAME.json
    #[arg(long, default_value = "bench")]
    name: String,

    /// Where the report goes
    #[arg(long, global = true, default_value = "target/bench")]
    folder: PathBuf,

    #[command(subcommand)]
    instead: Option<Instead>,
}

/// What is measured in place of the packet path.
#[derive(Debug, clap::Subcommand)]
enum Instead {
    /// Measures BGP-EVPN beside FRR and GoBGP
    Bgp(bgp::Args),
    /// Measures security groups beside kernel vxlan with nftables and without rules
    Policy(policy::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.instead {
        Some(Instead::Bgp(bgp)) => bgp::run(bgp, &args.folder),
        Some(Instead::Policy(policy)) => policy::run(policy, &args.folder),
        None => run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            table::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let plan = Plan::new(args.only.as_deref(), args.rounds, Duration::from_millis(args.slice))?;
    let mut report = Report::new(&args.name, Some(plan.slice))?;
    let lab = weft_tests::Lab::new()?;
    subject::with_all(&lab, |subjects, cloud| {
        table::head(&plan, subjects);
        if plan.tests().next().is_some() {
            table::columns(&subjects.iter().map(|subject| subject.name).collect::<Vec<_>>());
        }
        for test in plan.tests() {
            let results = Results::measure(&test.name(), test, subjects, &plan);
            let results = results.with_context(|| test.name())?;
            let rows = results.rows();
            table::rows(&rows);
            report.add(rows);
        }
        if let (true, Some(weft)) = (plan.programs, subjects.first()) {
            let rows = programs::measure(weft, cloud, &plan).context("the cost of each program")?;
            table::columns(&["weft", programs::EMPTY]);
            table::rows(&rows);
            report.add(rows);
        }
        Ok(())
    })?;
    drop(lab);
    if plan.routes {
        let rows = routes::measure(&plan).context("the cost of routes")?;
        report.add(rows);
    }
    let path = report.write(&args.folder)?;
    table::end(&path);
    Ok(())
}
