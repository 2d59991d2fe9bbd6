//! A workload tries to get around the data path, into the hosts or onto the underlay, while weftd runs, is dead, does not
//! want to start, or has started by half.
//!
//! ```text
//! red-1 ─ veth ─ h1 (ip_forward = 1) ──────────── h2 (ip_forward = 1) ─ red-2
//!                192.0.2.1, 198.51.100.1 on lo    192.0.2.2, 203.0.113.7 on lo
//!                203.0.113.0/24 via h2            198.51.100.0/24 via h1
//! ```
//! Both hosts listen on UDP and TCP at all their addresses. h1 has a route to all that red-1 tries to reach.

mod attempts;

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::probe::Steady;
use weft_tests::{Capture, Direction, Lab, PATIENCE, Wire, underlay, wait_for, wait_until};

use attempts::{Attempts, WORD};

/// Milliseconds after which a weftd that starts is killed.
const MOMENTS: [u64; 6] = [0, 40, 100, 200, 400, 900];

fn intent() -> Result<Intent> {
    Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)
}

/// The same, with networks of the tenant's own behind h2 that are also the underlay's.
fn overlapping() -> Result<Intent> {
    intent()?.prefix("red", 1, "192.0.2.0/24")?.prefix("red", 1, "203.0.113.0/24")
}

fn start<'lab>(lab: &'lab Lab, intent: &Intent) -> Result<Cloud<'lab>> {
    let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
    cloud.deploy(intent)?;
    let (h1, h2) = (&cloud.machine(0), &cloud.machine(1));
    h1.namespace.add_address("lo", "198.51.100.1/32".parse()?)?;
    h2.namespace.add_address("lo", "203.0.113.7/32".parse()?)?;
    h1.namespace.add_route("203.0.113.0/24".parse()?, h2.vtep.address())?;
    h2.namespace.add_route("198.51.100.0/24".parse()?, h1.vtep.address())?;
    cloud.pod("red-1").pings(cloud.pod("red-2"))?;
    Ok(cloud)
}

/// In: all attempts, where the network has no route to any of it. Out: no host hears anything; nothing of it is on the
/// underlay; what was for the gateway to route is counted as `no_route`; sockets of the workload get nowhere either.
#[test]
fn without_a_route() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, &intent()?)?;
        let watch = cloud.watch()?;
        let attempts = Attempts::new(&cloud)?;
        let weft = cloud.daemon(0).weft();
        let before = weft.drops(DropReason::NoRoute)?;
        attempts.fail(&cloud)?;
        let dropped = weft.drops(DropReason::NoRoute)? - before;
        ensure!(dropped >= attempts::ROUTED, "{dropped} of {} dropped as no_route", attempts::ROUTED);
        let pod = &cloud.pod("red-1").namespace;
        for host in [0, 1] {
            let address = cloud.machine(host).vtep.address();
            let answer = pod.ping_sized(address, 64, Duration::from_millis(300))?;
            ensure!(answer.is_err(), "red-1 pings h{}", host + 1);
        }
        attempts.assert_unheard()?;
        watch.assert_clean().map(drop)
    })
}

/// In: all attempts, where the tenant's own networks have the addresses of the underlay. Out: what is routed is on the
/// underlay in VXLAN only, and h2 drops it; no host hears anything.
#[test]
fn where_the_tenant_has_the_underlays_addresses() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, &overlapping()?)?;
        let watch = cloud.watch()?;
        let attempts = Attempts::new(&cloud)?;
        let tunnelled = Capture::start(&cloud.machine(1).namespace, underlay::UPLINK, |packet| {
            let inner = packet.vxlan().map(|vxlan| &vxlan.inner);
            packet.direction == Direction::In && inner.is_some_and(|inner| inner.says(WORD))
        })?;
        let weft = cloud.daemon(1).weft();
        let before = weft.drops(DropReason::NoRoute)?;
        attempts.fail(&cloud)?;
        wait_until(PATIENCE, "what is routed in VXLAN", || tunnelled.count() > 0)?;
        weft.wait_for_drop(DropReason::NoRoute, before)?;
        attempts.assert_unheard()?;
        watch.assert_clean().map(drop)
    })
}

/// In: all attempts, each time that h1's weftd is dead, has refused its configuration, or was killed at some moment of its
/// start; the workloads' ping goes on. Out: no ping is lost; no host hears anything; nothing is on the underlay as it is;
/// at last weftd starts as if nothing had been.
#[test]
fn whatever_becomes_of_weftd() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = start(lab, &overlapping()?)?;
        let watch = cloud.watch()?;
        let attempts = Attempts::new(&cloud)?;
        let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
        let ping = Steady::ping(&from.namespace, to.v4.into(), 50)?;
        let back = Steady::ping(&to.namespace, from.v6.into(), 50)?;
        cloud.daemon_mut(0).kill()?;
        attempts.fail(&cloud).context("weftd is dead")?;

        let config = cloud.daemon(0).settings().config();
        let good = cloud.daemon(0).settings().toml();
        fs::write(&config, good.replace("vtep = ", "vtep = \"nonsense\" # "))?;
        cloud.daemon_mut(0).launch()?;
        ensure!(!cloud.daemon_mut(0).wait_until_ended()?.success(), "weftd took a wrong configuration");
        fs::write(&config, good)?;
        attempts.fail(&cloud).context("weftd refused to start")?;

        for moment in MOMENTS {
            kill_at(&mut cloud, moment)?;
            attempts.fail(&cloud).with_context(|| format!("weftd was killed {moment} ms after its start"))?;
            ping.wait_for_more(2)?;
            back.wait_for_more(2)?;
        }
        cloud.daemon_mut(0).start()?;
        cloud.wait_until_up()?;
        attempts.fail(&cloud).context("weftd runs again")?;
        for flow in [ping, back] {
            let tally = flow.stop()?;
            ensure!(tally.lost() == 0, "{tally:?}");
        }
        attempts.assert_unheard()?;
        watch.assert_clean().map(drop)
    })
}

/// In: h1's weftd dies, and all its pins are removed, as when a bpffs is unmounted; then it is killed at some moments of
/// its start. All attempts each time. Out: no host hears anything, nothing is on the underlay as it is; started whole, it
/// attaches the workload again.
#[test]
fn without_any_pin() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = start(lab, &overlapping()?)?;
        let watch = cloud.watch()?;
        let attempts = Attempts::new(&cloud)?;
        cloud.daemon_mut(0).kill()?;
        for moment in [None].into_iter().chain(MOMENTS.map(Some)) {
            let pins = &cloud.daemon(0).settings().pin_folder;
            if pins.exists() {
                fs::remove_dir_all(pins)?;
            }
            if let Some(moment) = moment {
                kill_at(&mut cloud, moment)?;
            }
            attempts.fail(&cloud).with_context(|| format!("killed {moment:?} ms after its start"))?;
        }
        cloud.daemon_mut(0).start()?;
        cloud.wait_until_up()?;
        attempts.fail(&cloud).context("weftd runs again")?;
        attempts.assert_unheard()?;
        let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
        to.namespace.ping_until(from.v4.into(), PATIENCE)?;
        from.pings(to)?;
        watch.assert_clean().map(drop)
    })
}

/// Starts h1's weftd and kills it so many milliseconds later.
fn kill_at(cloud: &mut Cloud<'_>, milliseconds: u64) -> Result<()> {
    cloud.daemon_mut(0).launch()?;
    // Passing time is what is waited for.
    let _ = wait_for(Duration::from_millis(milliseconds), "a moment", || Err::<(), _>("not yet"));
    cloud.daemon_mut(0).kill().map(drop)
}
