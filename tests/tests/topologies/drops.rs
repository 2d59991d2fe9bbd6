//! Drops that are told one by one, as `weft drops --follow` shows them.
//!
//! ```text
//! red-1 10.0.0.11 ┐
//! red-3 10.0.1.13 ┴ h1 192.0.2.1 ────── 192.0.2.2 h2 ─ red-2 10.0.0.12
//! ```
//! h2 also sends what no weft would, from its end of the cable.

mod provoked;

use std::fs;

use anyhow::{Context as _, Result, ensure};
use weft_api::view::DropLine;
use weft_dataplane_abi::{DropReason, programs};
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::{Lab, Wire, underlay};

use provoked::Lie;

fn start(lab: &Lab) -> Result<Cloud<'_>> {
    let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-b", 0, 13)?;
    cloud.deploy(&intent)?;
    cloud.pod("red-1").pings(cloud.pod("red-2"))?;
    Ok(cloud)
}

/// In: for every reason that packets alone can cause, such a packet, from the pod or from the cable. Out: an event with
/// the reason, the port or the VTEP, the names of its subnet and network, and the packet's addresses; and it is counted
/// for that port. The reasons that need a broken host are provoked in `dataplane/tests/programs/reasons.rs`.
#[test]
fn each_reason_is_told() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let weft = cloud.daemon(0).weft();
        let drops = weft.follow_drops()?;
        for reason in DropReason::ALL {
            let Some(lie) = Lie::provoking(reason, &cloud)? else { continue };
            let name = reason.name();
            let port = lie.port();
            let counted = || -> Result<u64> {
                let counters = weft.counters()?;
                let of_port = counters.iter().find(|counters| counters.port == port);
                Ok(of_port.and_then(|counters| counters.drops.get(name)).copied().unwrap_or_default())
            };
            let before = counted()?;
            let told = drops.wait(name, || lie.send(&cloud), |told| lie.is(told))?;
            ensure!(counted()? > before, "{name} was told, not counted");
            ensure!(told.port == port && told.program == lie.program(), "{name}: {told:?}");
            ensure!(told.time.starts_with("20") && told.time.ends_with('Z'), "{name}: {told:?}");
            lie.check(&told, &cloud).with_context(|| format!("{name}: {told:?}"))?;
        }
        Ok(())
    })
}

/// In: a pod sends 300 packets from another's address at once, then the cable one for an unknown VNI. Out: some of the
/// pod's are told, and how many more there were; together they are what was counted; the cable's is told all the same.
#[test]
fn a_flood_is_told_in_part() -> Result<()> {
    const FLOOD: u64 = 300;
    const FEW: usize = 150;
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let weft = cloud.daemon(0).weft();
        let spoofed = Lie::provoking(DropReason::SpoofedIp, &cloud)?.context("packets can")?;
        let unknown = Lie::provoking(DropReason::UnknownVni, &cloud)?.context("packets can")?;
        let drops = weft.follow_drops()?;
        drops.wait("a first one", || spoofed.send(&cloud), |told| spoofed.is(told))?;
        let before = weft.drops(DropReason::SpoofedIp)?;
        for _ in 0..FLOOD {
            spoofed.send(&cloud)?;
        }
        drops.wait("one from the cable", || unknown.send(&cloud), |told| unknown.is(told))?;
        let untold = drops.wait_for_untold("red-1")?;
        let counted = weft.drops(DropReason::SpoofedIp)? - before;
        let told = drops
            .all()
            .iter()
            .filter(|line| matches!(line, DropLine::Drop(told) if spoofed.is(told)))
            .count();
        ensure!(counted == FLOOD, "{counted} of {FLOOD} were counted");
        // Some of those that are not told may be noise of the pod's stack.
        ensure!(untold >= FLOOD / 2, "only {untold} of {FLOOD} more, {told} told");
        ensure!(told < FEW, "{told} of {FLOOD} were told");
        Ok(())
    })
}

/// In: weftd is killed, the pin of the pod's program is removed, and the pod goes on; then weftd starts again. Out: the
/// watcher's stream has ended; the new weftd tells the drop of the time between (`program_missing`), and those to come.
#[test]
fn a_restart_loses_none() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = start(lab)?;
        let spoofed = Lie::provoking(DropReason::SpoofedIp, &cloud)?.context("packets can")?;
        let mut drops = cloud.daemon(0).weft().follow_drops()?;
        drops.wait("one before", || spoofed.send(&cloud), |told| spoofed.is(told))?;
        cloud.daemon_mut(0).kill()?;
        ensure!(drops.wait_until_ended()? == 1, "`weft drops` ends with a failure");
        for pin in fs::read_dir(cloud.daemon(0).settings().pin_folder.join("links"))? {
            let pin = pin?;
            if pin.file_name().to_string_lossy().starts_with(programs::FROM_POD) {
                fs::remove_file(pin.path())?;
            }
        }
        // The last of them may still be judged by the program that is just being taken off.
        for _ in 0..5 {
            spoofed.send(&cloud)?;
            cloud.pod("red-1").namespace.ping(cloud.pod("red-2").v4.into())?.ok();
        }
        cloud.daemon_mut(0).start()?;
        cloud.wait_until_up()?;
        let drops = cloud.daemon(0).weft().follow_drops()?;
        let told = drops.wait(
            "one of the time between",
            || Ok(()),
            // The stack of another pod of the host may have spoken as well.
            |told| told.reason == DropReason::ProgramMissing.name() && told.port == "red-1",
        )?;
        ensure!(told.program == programs::GUARD, "{told:?}");
        let table =
            cloud.daemon(0).weft().must(&["drops", "--port", "red-1", "--reason", "program_missing"])?;
        ensure!(table.contains("red-1") && table.contains("10.0.0.12"), "{table}");
        let before = drops.all().len();
        drops.wait("one after", || spoofed.send(&cloud), |told| spoofed.is(told))?;
        ensure!(drops.all().len() > before);
        Ok(())
    })
}
