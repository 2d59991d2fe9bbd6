//! Hosts that nobody told of each other: they learn by BGP-EVPN.
//!
//! ```text
//! red-1 10.0.0.11 ┐
//! red-3 10.0.1.13 ┴ h1 192.0.2.1 ──┐
//!                     reflector     ├ sw ── 192.0.2.3 h3 ┬ red-5 10.0.0.15
//! red-2 10.0.0.12 ─ h2 192.0.2.2 ──┘                     └ red-6 10.0.1.16
//! ```

use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Fabric, Intent};
use weft_tests::peers::RawListener;
use weft_tests::probe::Steady;
use weft_tests::{Lab, PATIENCE, Wire, underlay, wait_closely};
use weft_vxlan::Vni;

fn intent() -> Result<Intent> {
    Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-3", "red-b", 0, 13)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-5", "red-a", 2, 15)?
        .pod("red-6", "red-b", 2, 16)
}

fn cloud(lab: &Lab) -> Result<Cloud<'_>> {
    let below = underlay::three_hosts(lab, Wire::default())?;
    let mut cloud = Cloud::start_evpn(lab, below, |vteps| Fabric::reflector(vteps, 0))?;
    cloud.deploy(&intent()?)?;
    Ok(cloud)
}

/// Every pod reaches every other one, as soon as its host knows of it.
fn all_reach_all(cloud: &Cloud<'_>) -> Result<()> {
    for from in cloud.pods() {
        for to in cloud.pods().filter(|to| to.name != from.name) {
            for address in to.addresses() {
                from.namespace.ping_until(address, PATIENCE)?;
            }
        }
    }
    Ok(())
}

/// In: ping, UDP and TCP between all pods, IPv4 and IPv6. Out: all answers, and on the wires nothing of the pods but
/// what is inside VXLAN.
#[test]
fn pods_find_each_other() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab)?;
        all_reach_all(&cloud)?;
        let watch = cloud.watch()?;
        let servers = cloud.pods().map(|pod| pod.serve()).collect::<Result<Vec<_>>>()?;
        for from in cloud.pods() {
            for to in cloud.pods().filter(|to| to.name != from.name) {
                from.talks_to(to)?;
            }
        }
        drop(servers);
        watch.assert_clean().map(drop)
    })
}

/// In: weftd of a host, then of the reflector, killed and started again under ping and UDP. Out: every answer.
#[test]
fn a_restart_loses_nothing() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = cloud(lab)?;
        all_reach_all(&cloud)?;
        let (near, far) = (cloud.pod("red-2"), cloud.pod("red-6"));
        let ping = Steady::ping(&near.namespace, far.v4.into(), 100)?;
        let udp = Steady::udp(&far.namespace, &near.namespace, near.v6.into(), 500)?;
        for host in [2, 0, 1] {
            ping.wait_for_more(20)?;
            cloud.daemon_mut(host).kill()?;
            ping.wait_for_more(50)?;
            cloud.daemon_mut(host).start()?;
            cloud.wait_until_up()?;
            // Past the deferral, and what it sweeps.
            ping.wait_for_more(1200)?;
        }
        for flow in [ping, udp] {
            let tally = flow.stop()?;
            ensure!(tally.lost() == 0, "{} of {} lost", tally.lost(), tally.sent);
        }
        Ok(())
    })
}

/// In: `weft teardown` on a host. Out: the others, which keep routes over a restart for two minutes, have none to it in
/// their kernels.
#[test]
fn a_host_that_is_torn_down_is_forgotten() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = cloud(lab)?;
        all_reach_all(&cloud)?;
        let (gone, network) = (cloud.pod("red-2").addresses(), Vni::new(100)?);
        cloud.daemon(1).weft().must(&["teardown", "--yes"])?;
        cloud.daemon_mut(1).wait_until_ended()?;
        for host in [0, 2] {
            let table = cloud.kernel_hosts(host)?;
            wait_closely(PATIENCE, &format!("no route to h2 at h{}", host + 1), || {
                let reached = gone.into_iter().map(|address| table.has(network, address));
                Ok(!reached.collect::<Result<Vec<_>>>()?.contains(&true))
            })?;
        }
        Ok(())
    })
}

/// In: two tenants whose networks are peered, with pods on the same hosts and on others; then the peering is deleted. Out:
/// each pod has answers from every other one and from the gateways of both, and then only of its own network.
#[test]
fn peered_networks_reach_each_other() -> Result<()> {
    Lab::test(|lab| {
        let below = underlay::three_hosts(lab, Wire::default())?;
        let mut cloud = Cloud::start_evpn(lab, below, |vteps| Fabric::reflector(vteps, 0))?;
        let intent = Intent::default()
            .tenant("red", 100)?
            .network("blue", 200)?
            .subnet("blue-a", "blue", 201, "10.7.0.0/24", "fd00:7::/64")?
            .pod("red-1", "red-a", 0, 11)?
            .pod("red-2", "red-b", 1, 12)?
            .pod("blue-1", "blue-a", 0, 13)?
            .pod("blue-2", "blue-a", 2, 14)?;
        cloud.deploy(&intent)?;
        let peering = lab.folder().join("peering.yaml");
        // A host has only the networks of its pods, and is to know of both.
        let documents = "kind: network\nname: red\ntenant: red\nvni: 100\ndefault_ingress: allow\n---\n\
                         kind: network\nname: blue\ntenant: blue\nvni: 200\ndefault_ingress: allow\n---\n\
                         kind: peering\nname: red-blue\nnetworks: [red, blue]\n";
        fs::write(&peering, documents)?;
        for host in 0..3 {
            cloud.daemon(host).weft().must(&["apply", "-f", &peering.display().to_string()])?;
        }
        all_reach_all(&cloud)?;
        let (red, blue) = (cloud.pod("red-1"), cloud.pod("blue-1"));
        red.namespace.ping_until(Ipv4Addr::new(10, 7, 0, 1).into(), PATIENCE)?;
        let routes = cloud.daemon(0).weft().must(&["routes", "--network", "blue"])?;
        ensure!(
            routes.lines().any(|line| line.contains("10.0.0.11/32") && line.contains("red-1")),
            "{routes}"
        );
        for host in 0..3 {
            cloud.daemon(host).weft().must(&["delete", "peering", "red-blue"])?;
        }
        for (from, to) in [(red, blue), (blue, red), (cloud.pod("red-2"), blue), (cloud.pod("blue-2"), red)] {
            wait_closely(PATIENCE, &format!("no way from {} to {}", from.name, to.name), || {
                Ok(from.namespace.ping(to.v4.into())?.is_err())
            })?;
        }
        red.namespace.ping_until(cloud.pod("red-2").v4.into(), PATIENCE).map(drop)
    })
}

/// In: somebody listens where the reflector's clients connect to, and then no more. Out: sessions.
#[test]
fn a_port_that_gets_free_is_listened_on() -> Result<()> {
    Lab::test(|lab| {
        let below = underlay::two_hosts(lab, Wire::default())?;
        let taken = RawListener::bind(&below.machines[0].namespace, (Ipv4Addr::UNSPECIFIED, 179).into())?;
        let cloud = Cloud::start_evpn(lab, below, |vteps| Fabric::reflector(vteps, 0))?;
        drop(taken);
        cloud.wait_until_up()
    })
}
