//! FRR and the kernel as a VTEP beside weft: pods behind both.
//!
//! ```text
//! red-1 10.0.0.11 ─ h1 192.0.2.1 (weft) ──── sw ──── (FRR, kernel) 192.0.2.2 h2 ─ 10.0.0.22 or 10.0.1.22
//! ```

use std::net::IpAddr;

use anyhow::{Result, ensure};
use weft_tests::cloud::{ASN, Cloud, Fabric, Intent};
use weft_tests::peers::{self, Frr, FrrSettings, KernelVtep, Pod, Program};
use weft_tests::underlay::UPLINK;
use weft_tests::{Capture, PATIENCE};

use crate::{bgpd, cloud_and_others, host, kernel, vtep};

fn intent() -> Result<Intent> {
    Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)
}

/// In: a pod behind weft and one behind FRR in one subnet, L2 VNI 101, all in one AS. Out: they ping each other; on the
/// wire are pings inside VXLAN of that VNI and none outside.
#[test]
fn pods_of_one_subnet() -> Result<()> {
    one_subnet(ASN, "")
}

/// The same with an AS for each: weft takes targets of FRR's AS, and FRR those of weft's.
#[test]
fn pods_of_one_subnet_in_two_ases() -> Result<()> {
    one_subnet(
        65001,
        "  vni 101\n   route-target import 65000:101\n   route-target export 65000:101\n  exit-vni\n",
    )
}

fn one_subnet(asn: u32, vni: &str) -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let documents = vec![vec![Fabric::peer("frr", vtep(2)?, asn, "")]];
        let (mut cloud, others) =
            cloud_and_others(lab, 1, |_| Fabric { asns: vec![ASN], any_as: false, documents })?;
        cloud.deploy(&intent()?)?;
        let machine = kernel(&others[0]);
        machine.add_vni(101)?;
        let pod = machine.pod(lab, "frr-2", 101, "10.0.0.22/24".parse()?, None)?;
        let bgpd = bgpd(2, asn, &[(1, ASN)], "", &format!("  advertise-all-vni\n{vni}"));
        let settings = FrrSettings { bgpd: &bgpd, ..FrrSettings::default() };
        let frr = Frr::start(lab, "frr", machine.underlay, settings)?;
        frr.wait_established(host(1))?;
        pinged_in_vxlan(&cloud, &pod, &[101])
    })
}

/// In: a pod behind weft in red-a and one behind FRR in red-b; FRR knows red-b and L3 VNI 100, all in one AS. Out: they
/// ping each other, and on the wire is the L3 VNI alone. FRR has type 5 of red-a and type 2 of the pod with weft's
/// router MAC.
#[test]
fn pods_of_two_subnets_by_symmetric_irb() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let (mut cloud, others) =
            cloud_and_others(lab, 1, |vteps| Fabric::clients(vteps, vtep(2).unwrap(), ""))?;
        cloud.deploy(&intent()?)?;
        let vrf = lab.router("h2-red")?;
        let machine =
            KernelVtep { underlay: &others[0].namespace, overlay: &vrf, address: others[0].vtep.address() };
        machine.add_vni(102)?;
        let gateway: IpAddr = "10.0.1.1".parse()?;
        machine.add_gateway(102, "10.0.1.1/24".parse()?, "02:00:00:00:00:42".parse()?)?;
        let pod = machine.pod(lab, "frr-2", 102, "10.0.1.22/24".parse()?, Some(gateway))?;
        machine.add_vni(100)?;
        let own_vrf = format!(
            "router bgp {ASN} vrf red\n address-family ipv4 unicast\n  redistribute connected\n \
             exit-address-family\n address-family l2vpn evpn\n  advertise ipv4 unicast\n exit-address-family\n"
        );
        let bgpd = bgpd(2, ASN, &[(1, ASN)], "", "  advertise-all-vni\n") + &own_vrf;
        let settings = FrrSettings {
            zebra: "vrf red\n netns red\n vni 100\nexit-vrf\n",
            bgpd: &bgpd,
            vrfs: &[("red", &vrf)],
            ..FrrSettings::default()
        };
        let frr = Frr::start(lab, "frr", machine.underlay, settings)?;
        frr.wait_established(host(1))?;
        for route in ["[5]:[0]:[24]:[10.0.0.0]", "[2]:[0]:[48]:[02:ee:00:00:65:0b]:[32]:[10.0.0.11]"] {
            let path = frr.wait_for_evpn(route, |path| path.route == route && path.neighbour.is_some())?;
            ensure!(path.extended_communities.contains("Rmac:02:00:c0:00:02:01"), "{path:?}");
        }
        pinged_in_vxlan(&cloud, &pod, &[100])
    })
}

/// red-1 and the pod ping each other, both ways, and what the wire has of it are packets of these VNIs only.
fn pinged_in_vxlan(cloud: &Cloud<'_>, pod: &Pod, vnis: &[u32]) -> Result<()> {
    let one = cloud.pod("red-1");
    let (one_at, other_at) = (IpAddr::V4(one.v4), pod.address.addr());
    pod.namespace.ping_until(one_at, PATIENCE)?;
    one.namespace.ping_until(other_at, PATIENCE)?;
    let wire = &cloud.machine(0).namespace;
    let tunnelled = Capture::start(wire, UPLINK, move |packet| {
        packet
            .vxlan()
            .is_some_and(|vxlan| vxlan.inner.has_address(one_at) && vxlan.inner.has_address(other_at))
    })?;
    let bare = Capture::start(wire, UPLINK, move |packet| {
        packet.ip.as_ref().is_some_and(|ip| ip.source == one_at || ip.source == other_at)
    })?;
    for _ in 0..5 {
        for (from, to) in [(&one.namespace, other_at), (&pod.namespace, one_at)] {
            let answer = from.ping(to)?;
            ensure!(answer.is_ok(), "ping from {} to {to}: {answer:?}", from.name());
        }
    }
    let caught = tunnelled.finish()?;
    ensure!(caught.count >= 20, "{} packets", caught.count);
    let is_right =
        |packet: &weft_tests::Packet| packet.vxlan().is_some_and(|vxlan| vnis.contains(&vxlan.vni));
    ensure!(caught.packets.iter().all(is_right), "{:#?}", caught.packets);
    bare.assert_none("no ping goes without VXLAN")
}
