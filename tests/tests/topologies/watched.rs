//! Hosts whose neighbours are watched by BFD.
//!
//! ```text
//! red-1 ─ h1 192.0.2.1 ──┐
//!                        ├ sw ── 192.0.2.3 h3 ─ red-3
//! red-2 ─ h2 192.0.2.2 ──┘
//! ```

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use weft_api::view::bgp::PeerState;
use weft_tests::cloud::{ASN, Cloud, Fabric, Intent};
use weft_tests::probe::Steady;
use weft_tests::{Lab, PATIENCE, Wire, underlay, wait_closely, wait_for};
use weft_vxlan::{Vni, Vtep};

const ROUNDS: usize = 10;
/// Three packets of 100 ms that do not come, and what a busy machine takes to notice it.
const NOTICED: Duration = Duration::from_millis(400);
/// From there until its routes are out of the kernel.
const GONE: Duration = Duration::from_millis(100);

/// Each with each, watched at 100 ms and 3.
fn fabric(vteps: &[Vtep]) -> Fabric {
    let documents = (0..vteps.len()).map(|host| {
        let others = vteps.iter().enumerate().filter(|(other, _)| *other != host);
        let watched = r#","bfd":{"interval_ms":100,"multiplier":3}"#;
        others.map(|(other, vtep)| Fabric::peer(&format!("h{}", other + 1), *vtep, ASN, watched)).collect()
    });
    Fabric { documents: documents.collect(), ..Fabric::mesh(vteps) }
}

fn cloud(lab: &Lab) -> Result<Cloud<'_>> {
    let below = underlay::three_hosts(lab, Wire::default())?;
    let mut cloud = Cloud::start_evpn(lab, below, fabric)?;
    let intent = Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?;
    cloud.deploy(&intent.pod("red-2", "red-a", 1, 12)?.pod("red-3", "red-a", 2, 13)?)?;
    (0..3).try_for_each(|host| wait_until_watched(&cloud, host))?;
    Ok(cloud)
}

/// The sessions of a host are established, and BFD is up with what was agreed on.
fn wait_until_watched(cloud: &Cloud<'_>, host: usize) -> Result<()> {
    wait_for(PATIENCE, "watched neighbours", || {
        let neighbors = cloud.daemon(host).weft().neighbors().map_err(|error| format!("{error:#}"))?;
        let good = neighbors.iter().all(|neighbor| {
            let bfd = neighbor.bfd.as_ref();
            neighbor.summary.state == PeerState::Established
                && bfd.is_some_and(|bfd| bfd.state == "up" && (bfd.transmit_ms, bfd.detect_ms) == (100, 300))
        });
        if good && !neighbors.is_empty() { Ok(()) } else { Err(format!("{neighbors:#?}")) }
    })
}

/// When h1 notices of h3's silence, and when its kernel has no route to it any more.
fn silence(cloud: &Cloud<'_>) -> Result<(Duration, Duration)> {
    let (switch, far) = (&cloud.underlay.routers[0], cloud.pod("red-3"));
    let (client, table, network) = (cloud.daemon(0).weft().client(), cloud.kernel_hosts(0)?, Vni::new(100)?);
    let reached = || -> Result<Vec<bool>> {
        far.addresses().into_iter().map(|address| table.has(network, address)).collect()
    };
    ensure!(reached()? == [true, true], "no route to h3 before");
    // No carrier is lost but h3's own.
    switch.set_up("port3", false)?;
    let since = Instant::now();
    let mut noticed = None;
    wait_closely(PATIENCE, "the end of the session and of the routes", || {
        if noticed.is_none() {
            let neighbors = client.bgp_neighbors()?;
            let h3 = neighbors.iter().find(|neighbor| neighbor.summary.name == "h3").context("h3")?;
            noticed = (h3.summary.state != PeerState::Established).then(|| since.elapsed());
        }
        Ok(noticed.is_some() && reached()? == [false, false])
    })?;
    let gone = since.elapsed();
    switch.set_up("port3", true)?;
    Ok((noticed.context("a moment")?, gone))
}

/// In: a host that falls silent, ten times. Out: its neighbour ends the session, and no packet goes there any more;
/// between the others nothing is lost. And each time it comes back, it is found again.
#[test]
fn a_host_that_falls_silent_is_left_alone() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab)?;
        let [near, other, far] = ["red-1", "red-2", "red-3"].map(|pod| cloud.pod(pod));
        near.namespace.ping_until(IpAddr::V4(other.v4), PATIENCE)?;
        let ping = Steady::ping(&near.namespace, other.v4.into(), 100)?;
        let (mut noticed, mut more) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            near.namespace.ping_until(IpAddr::V4(far.v4), PATIENCE)?;
            let (ended, gone) = silence(&cloud).with_context(|| format!("round {round}"))?;
            noticed.push(ended);
            more.push(gone.saturating_sub(ended));
            (0..3).try_for_each(|host| wait_until_watched(&cloud, host))?;
        }
        noticed.sort();
        more.sort();
        println!("silence noticed after {:?} (median; {noticed:?})", noticed[ROUNDS / 2]);
        println!("routes gone {:?} later (median; {more:?})", more[ROUNDS / 2]);
        ensure!(noticed[ROUNDS / 2] < NOTICED, "{noticed:?}");
        ensure!(more[ROUNDS / 2] < GONE, "{more:?}");
        let tally = ping.stop()?;
        ensure!(tally.lost() == 0, "{} of {} lost", tally.lost(), tally.sent);
        Ok(())
    })
}

/// In: weftd of a host killed and started again, while its neighbours watch it. Out: no answer is lost: the session ends
/// first and says that routes stay, and what BFD says afterwards is of a process that is gone, not of the way.
#[test]
fn a_restart_is_no_silence() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = cloud(lab)?;
        let (near, far) = (cloud.pod("red-1"), cloud.pod("red-3"));
        near.namespace.ping_until(IpAddr::V4(far.v4), PATIENCE)?;
        let ping = Steady::ping(&near.namespace, far.v4.into(), 100)?;
        for _ in 0..3 {
            ping.wait_for_more(20)?;
            cloud.daemon_mut(2).kill()?;
            // Longer than BFD waits.
            ping.wait_for_more(100)?;
            cloud.daemon_mut(2).start()?;
            (0..3).try_for_each(|host| wait_until_watched(&cloud, host))?;
            ping.wait_for_more(100)?;
        }
        let tally = ping.stop()?;
        ensure!(tally.lost() == 0, "{} of {} lost", tally.lost(), tally.sent);
        Ok(())
    })
}
