//! FRR and GoBGP as route reflectors of weft's hosts, beside the data path.
//!
//! ```text
//! red-1 10.0.0.11 ┐
//! red-3 10.0.1.13 ┴ h1 192.0.2.1 ──┐
//!                                  ├ sw ── 192.0.2.3 h3 (reflector)
//! red-2 10.0.0.12 ─ h2 192.0.2.2 ──┘
//! ```

use std::net::IpAddr;

use anyhow::{Result, ensure};
use weft_tests::cloud::{ASN, Cloud, Fabric, Intent};
use weft_tests::peers::{self, Frr, FrrSettings, GoBgp, Program};
use weft_tests::underlay::{Machine, UPLINK};
use weft_tests::{Capture, Lab, PATIENCE};

use crate::{ROUTE_TARGETS, bgpd, cloud_and_others, gobgp_toml, host, vtep};

/// In: two weft hosts, clients of FRR. Out: all pods reach each other, and h3 sees none of their packets; both hosts
/// have the other's routes with originator and cluster.
#[test]
fn frr_reflects() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let (cloud, machine) = clients(lab)?;
        let bgpd = frr_reflector();
        let settings = FrrSettings { bgpd: &bgpd, ..FrrSettings::default() };
        let _frr = Frr::start(lab, "frr", &machine.namespace, settings)?;
        reach_each_other(&cloud, &machine)
    })
}

/// The same by GoBGP, which asks for route target membership (RFC 4684).
#[test]
fn gobgp_reflects() -> Result<()> {
    peers::test(&[Program::GoBgp], |lab| {
        let (cloud, machine) = clients(lab)?;
        let _gobgp = GoBgp::start(lab, "gobgp", &machine.namespace, &gobgp_reflector())?;
        reach_each_other(&cloud, &machine)
    })
}

fn clients(lab: &Lab) -> Result<(Cloud<'_>, Machine)> {
    let reflector = vtep(3)?;
    let (mut cloud, mut others) = cloud_and_others(lab, 2, |vteps| Fabric::clients(vteps, reflector, ""))?;
    let intent = Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?;
    cloud.deploy(&intent.pod("red-3", "red-b", 0, 13)?.pod("red-2", "red-a", 1, 12)?)?;
    Ok((cloud, others.remove(0)))
}

fn frr_reflector() -> String {
    bgpd(3, ASN, &[(1, ASN), (2, ASN)], "", "  neighbor PEER route-reflector-client\n")
}

fn gobgp_reflector() -> String {
    let reflector = "[neighbors.route-reflector.config]\nroute-reflector-client = true\n\
                     route-reflector-cluster-id = \"192.0.2.3\"\n";
    gobgp_toml(3, ASN, &[(1, ASN), (2, ASN)], &format!("{reflector}{ROUTE_TARGETS}"))
}

fn reach_each_other(cloud: &Cloud<'_>, reflector: &Machine) -> Result<()> {
    let (one, two, three) = (cloud.pod("red-1"), cloud.pod("red-2"), cloud.pod("red-3"));
    for (from, to) in [(one, two), (two, one), (three, two), (two, three)] {
        for address in to.addresses() {
            from.namespace.ping_until(address, PATIENCE)?;
        }
    }
    let third: IpAddr = host(3);
    let seen = Capture::start(&reflector.namespace, UPLINK, move |packet| {
        packet.vxlan().is_some() && packet.ip.as_ref().is_some_and(|ip| ip.destination == third)
    })?;
    for (from, to) in [(one, two), (two, one), (three, two), (two, three)] {
        from.pings(to)?;
    }
    seen.assert_none("nothing of the pods goes through the reflector")?;
    for (own, other) in [(0, host(2)), (1, host(1))] {
        let rib = cloud.daemon(own).weft().must(&["bgp", "rib", "-o", "json"])?;
        let (originator, cluster) = (format!("originator {other}"), format!("clusters {third}"));
        ensure!(rib.contains(&originator) && rib.contains(&cluster), "no {originator}, {cluster}: {rib}");
    }
    Ok(())
}
