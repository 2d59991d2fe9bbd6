//! weft at work: two data centres, four hosts with a real weftd each, two tenants with the same addresses.
//!
//! Sets everything up in network namespaces, lets the hosts learn of each other by BGP-EVPN, by a route reflector in each
//! data centre and eBGP between the two, lets the tenants' workloads talk, tries to break in, closes one tenant's
//! workloads to all but members of a security group, shows the picture
//! with the counters of every weftd, removes everything, and ends with a verdict.

mod checks;
mod groups;
mod learned;
mod live;
mod outsiders;
mod picture;
mod report;
mod tenants;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use weft_tests::cloud::{Cloud, Fabric, Reflector, Reflectors};
use weft_tests::{Lab, Wire, remove_lab, underlay};

use report::Report;

/// Name of the lab that is kept.
const KEPT: &str = "weft-demo";

/// Shows weft at work on this machine, in network namespaces of its own.
#[derive(Debug, Parser)]
struct Args {
    /// Leave everything up, and say what to try
    #[arg(long, conflicts_with = "clean")]
    keep: bool,

    /// Remove what --keep left up
    #[arg(long)]
    clean: bool,

    /// Whose route reflectors: weft, frr or gobgp
    #[arg(long, default_value = "weft")]
    rr: Reflector,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.clean {
        remove_lab(KEPT);
        report::say(format_args!("{KEPT} is removed"));
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new();
    match run(&mut report, &args) {
        Ok(()) => report.verdict(),
        Err(error) => report.failed(&error),
    }
}

fn run(report: &mut Report, args: &Args) -> Result<()> {
    let keep = args.keep;
    let lab = if keep { Lab::kept(KEPT)? } else { Lab::new()? };
    show(report, &lab, args.rr)?;
    if keep {
        lab.hand_over();
        return Ok(());
    }
    report.step("everything removed again", || {
        drop(lab);
        Ok(())
    })
}

fn show(report: &mut Report, lab: &Lab, rr: Reflector) -> Result<()> {
    let below = report.step("two data centres: four hosts, two routers, a link between them", || {
        underlay::two_data_centres(lab, Wire { mtu: underlay::ROUTED_MTU, ..Wire::default() })
    })?;
    let what = format!("a route reflector in each data centre ({rr}), eBGP between them");
    let reflectors = report.step(&what, || Reflectors::start(lab, rr, &below))?;
    let mut cloud = report.step("weftd on each host, which learn of each other by BGP-EVPN", || {
        Cloud::start_evpn(lab, below, Fabric::data_centres)
    })?;
    report.step("tenants red and blue, both on 10.0.0.0/24 and fd00:a::/64, eleven workloads", || {
        cloud.deploy(&tenants::intent()?)
    })?;
    report.step("all routes at all hosts", || learned::wait_until_complete(&cloud))?;
    checks::run(report, &cloud)?;
    learned::run(report, &mut cloud, rr)?;
    outsiders::run(report, &cloud)?;
    groups::run(report, &cloud)?;
    if rr == Reflector::Frr {
        report::say(
            "\nno weftd is killed: FRR knows graceful restart for unicast routes alone, and would have the other hosts\n\
             forget this one's until it is back",
        );
    } else {
        checks::restart(report, &mut cloud)?;
    }
    live::show(&cloud)?;
    if lab.is_kept() {
        report.try_these(&cloud);
        // They go on as the hosts do.
        std::mem::forget(reflectors);
    }
    Ok(())
}
