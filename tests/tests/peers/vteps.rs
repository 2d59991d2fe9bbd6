//! FRR at a and at b as VTEPs, with pods behind them that reach each other through VXLAN.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use weft_tests::peers::{self, Frr, FrrSettings, KernelVtep, Pod, Program};
use weft_tests::{Capture, Lab, Namespace, PATIENCE};

use crate::{A, B, frr_between, hosts};

/// In: a pod of the same subnet on each side, L2 VNI 101. Out: they ping each other; on the wire are pings inside VXLAN
/// of that VNI and none outside.
#[test]
fn pods_of_one_subnet() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [a, b] = hosts(lab)?;
        let mut pods = Vec::new();
        let mut speakers = Vec::new();
        for (own, other, host, ases, last) in [(A, B, &a, [65001, 65002], 11), (B, A, &b, [65002, 65001], 12)]
        {
            let vtep = KernelVtep { underlay: &host.namespace, overlay: &host.namespace, address: own };
            vtep.add_vni(101)?;
            let address = format!("10.1.0.{last}/24").parse()?;
            pods.push(vtep.pod(lab, &format!("pod{last}"), 101, address, None)?);
            let bgpd = frr_between([own, other], ases, &["l2vpn evpn"], "  advertise-all-vni\n");
            let settings = FrrSettings { bgpd: &bgpd, ..FrrSettings::default() };
            speakers.push(Frr::start(lab, &format!("frr{last}"), &host.namespace, settings)?);
        }
        speakers[0].wait_established(B)?;
        pinged_in_vxlan(&a.namespace, &pods, &[101])
    })
}

/// In: a pod on each side, in subnets of their own (L2 VNIs 101 and 102) of the same VRF (L3 VNI 9000), which is a
/// network namespace. Out: the pods ping each other through both gateways; on the wire is the L3 VNI alone.
#[test]
fn pods_of_two_subnets_by_symmetric_irb() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [a, b] = hosts(lab)?;
        let mut pods = Vec::new();
        let mut speakers = Vec::new();
        let mut vrfs = Vec::new();
        for (own, other, host, ases, subnet) in [(A, B, &a, [65001, 65002], 1), (B, A, &b, [65002, 65001], 2)]
        {
            let vrf = lab.router(&format!("{}-red", host.name))?;
            let vtep = KernelVtep { underlay: &host.namespace, overlay: &vrf, address: own };
            pods.push(subnet_with_pod(lab, &vtep, subnet)?);
            vtep.add_vni(9000)?;
            let own_vrf = format!(
                "router bgp {} vrf red\n address-family ipv4 unicast\n  redistribute connected\n \
                 exit-address-family\n address-family l2vpn evpn\n  advertise ipv4 unicast\n exit-address-family\n",
                ases[0]
            );
            let bgpd = frr_between([own, other], ases, &["l2vpn evpn"], "  advertise-all-vni\n") + &own_vrf;
            let settings = FrrSettings {
                zebra: "vrf red\n netns red\n vni 9000\nexit-vrf\n",
                bgpd: &bgpd,
                vrfs: &[("red", &vrf)],
                ..FrrSettings::default()
            };
            speakers.push(Frr::start(lab, &format!("frr{subnet}"), &host.namespace, settings)?);
            vrfs.push(vrf);
        }
        for (frr, prefix) in speakers.iter().zip(["10.2.0.0", "10.1.0.0"]) {
            let path = frr.wait_for_evpn("the other's subnet", |path| {
                path.route == format!("[5]:[0]:[24]:[{prefix}]") && path.neighbour.is_some()
            })?;
            ensure!(path.extended_communities.contains("Rmac:"), "{path:?}");
        }
        pinged_in_vxlan(&a.namespace, &pods, &[9000])
    })
}

/// 10.n.0.0/24 in VNI 100+n, with its gateway and a pod.
fn subnet_with_pod(lab: &Lab, vtep: &KernelVtep<'_>, subnet: u32) -> Result<Pod> {
    let vni = 100 + subnet;
    vtep.add_vni(vni)?;
    let gateway: IpAddr = format!("10.{subnet}.0.1").parse()?;
    vtep.add_gateway(vni, format!("{gateway}/24").parse()?, format!("02:00:00:00:00:{subnet:02x}").parse()?)?;
    let address = format!("10.{subnet}.0.11/24").parse()?;
    vtep.pod(lab, &format!("pod{subnet}"), vni, address, Some(gateway))
}

/// The pods ping each other, both ways, and what the underlay sees of it are packets of these VNIs only.
fn pinged_in_vxlan(underlay: &Namespace, pods: &[Pod], vnis: &[u32]) -> Result<()> {
    let [one, other] = pods else { anyhow::bail!("two pods are {pods:?}") };
    let (one_at, other_at) = (one.address.addr(), other.address.addr());
    one.namespace.ping_until(other_at, PATIENCE)?;
    let tunnelled = Capture::start(underlay, "up0", move |packet| {
        packet
            .vxlan()
            .is_some_and(|vxlan| vxlan.inner.has_address(one_at) && vxlan.inner.has_address(other_at))
    })?;
    let bare = Capture::start(underlay, "up0", move |packet| {
        packet.ip.as_ref().is_some_and(|ip| ip.source == one_at || ip.source == other_at)
    })?;
    one.namespace.ping_until(other_at, PATIENCE)?;
    other.namespace.ping_until(one_at, PATIENCE)?;
    let caught = tunnelled.finish()?;
    ensure!(caught.count >= 4, "{} packets", caught.count);
    let right = |vni: u32| vnis.contains(&vni);
    ensure!(
        caught.packets.iter().all(|packet| packet.vxlan().is_some_and(|vxlan| right(vxlan.vni))),
        "{:#?}",
        caught.packets
    );
    bare.assert_none("no ping goes without VXLAN")
}
