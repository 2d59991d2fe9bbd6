//! Tunnels over IPv6.
//!
//! ```text
//! red-1 10.0.0.11 ┐                                          ┌ red-2 10.0.0.12
//! red-3 10.0.1.13 ┴ h1 2001:db8::1 ─────── 2001:db8::2 h2 ┴ red-4 10.0.1.14
//! ```
//! Subnet red-a (VNI 101) has red-1 and red-2, red-b (VNI 102) red-3 and red-4. All have IPv6 addresses too.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE};
use weft_tests::{Direction, Lab, Offloads, PATIENCE, Wire, frame, underlay, wait_until};
use weft_vxlan::Vni;

const BYTES: u64 = 50_000_000;

fn intent() -> Result<Intent> {
    Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-b", 0, 13)?
        .pod("red-4", "red-b", 1, 14)
}

/// In: ping, UDP and TCP between all pods, IPv4 and IPv6; full packets, which nobody may cut. Out: all answers, pods with
/// an MTU of 70 bytes less than the underlay's, and on the cable nothing of the pods but what is inside VXLAN.
#[test]
fn pods_of_two_hosts_talk() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts_over_ipv6(lab, Wire::default())?)?;
        cloud.deploy(&intent()?)?;
        let watch = cloud.watch()?;
        let servers = cloud.pods().map(|pod| pod.serve()).collect::<Result<Vec<_>>>()?;
        for from in cloud.pods() {
            ensure!(from.namespace.link(POD_DEVICE)?.mtu == 1430);
            for to in cloud.pods().filter(|to| to.name != from.name) {
                from.talks_to(to)?;
                for (address, headers) in to.addresses().into_iter().zip([28, 48]) {
                    let full = from.namespace.ping_sized(address, 1430 - headers, PATIENCE)?;
                    ensure!(full.is_ok(), "a full packet from {} to {address}: {full:?}", from.name);
                }
            }
        }
        drop(servers);
        watch.assert_clean().map(drop)
    })
}

/// In: 50 MB over TCP, and datagrams many to a send call (UDP GSO), inside over each family; the cable takes
/// super-packets, or packets that are cut and summed before. Out: the same bytes, all datagrams.
#[test]
fn bulk() -> Result<()> {
    for offloads in [Offloads::On, Offloads::Off] {
        Lab::test(|lab| {
            let wire = Wire { offloads, ..Wire::default() };
            let mut cloud = Cloud::start(lab, underlay::two_hosts_over_ipv6(lab, wire)?)?;
            cloud.deploy(&intent()?)?;
            let (a, b) = (cloud.pod("red-1"), cloud.pod("red-4"));
            for address in b.addresses() {
                a.namespace.transfer(&b.namespace, address, BYTES)?;
                let arrived = a.namespace.segmented(&b.namespace, address, 400, 1000, 40)?;
                ensure!(arrived == 400, "{arrived} of 400 datagrams reached {address}");
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// In: a VXLAN packet for red-1 with a UDP checksum that is wrong, then one whose checksum is right (RFC 6936 section 4
/// has checksums that are there verified). Out: only the second arrives.
#[test]
fn checksums_that_are_there_are_verified() -> Result<()> {
    Lab::test(|lab| {
        let wire = Wire { offloads: Offloads::Off, ..Wire::default() };
        let mut cloud = Cloud::start(lab, underlay::two_hosts_over_ipv6(lab, wire)?)?;
        cloud.deploy(&intent()?)?;
        let (here, there) = (cloud.machine(0), cloud.machine(1));
        let (to, from) = (cloud.pod("red-1"), cloud.pod("red-2"));
        let packet = |text: &str| -> Result<Vec<u8>> {
            let inner = frame::Between {
                source_mac: from.mac,
                destination_mac: to.mac,
                source: from.v4.into(),
                destination: to.v4.into(),
            };
            let outer = frame::Between {
                source_mac: there.namespace.mac(underlay::UPLINK)?,
                destination_mac: here.namespace.mac(underlay::UPLINK)?,
                source: there.vtep.address(),
                destination: here.vtep.address(),
            };
            frame::vxlan(outer, Vni::new(101)?, &frame::udp(inner, (7000, 7000), text.as_bytes())?)
        };
        let arrived = |text: &'static str| {
            to.capture(move |packet| packet.direction == Direction::In && packet.says(text))
        };
        let (wrong, right) = (arrived("wrong")?, arrived("right")?);
        let mut damaged = packet("wrong")?;
        damaged[60] ^= 0x5a;
        there.namespace.inject(underlay::UPLINK, &damaged)?;
        there.namespace.inject(underlay::UPLINK, &packet("right")?)?;
        wait_until(PATIENCE, "the packet with the right checksum", || right.count() == 1)?;
        wrong.assert_none("packets with a wrong checksum")
    })
}

/// In: pings between pods of two hosts with a router between them and the tunnel addresses on `lo`. Out: answers; the
/// next hop is the router, found by neighbour discovery.
#[test]
fn through_a_router() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::through_a_router(lab, Wire::default(), true)?)?;
        cloud.deploy(&intent()?)?;
        for (from, to) in [("red-1", "red-2"), ("red-4", "red-3")] {
            cloud.pod(from).pings(cloud.pod(to))?;
        }
        let router = cloud.underlay.routers[0].mac("h1")?;
        weft_tests::wait_for(PATIENCE, "the router to be the next hop", || {
            let status = cloud.daemon(0).weft().status().map_err(|error| format!("{error:#}"))?;
            let hops = &status.vteps[0].next_hops;
            let found = hops.len() == 1 && hops[0].mac == Some(router);
            if found { Ok(()) } else { Err(format!("{:#?}", status.vteps)) }
        })
    })
}

/// In: an intent in which another host has a VTEP of IPv4. Out: it is refused, by name.
#[test]
fn a_remote_of_the_other_family_is_refused() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts_over_ipv6(lab, Wire::default())?)?;
        cloud.deploy(&intent()?)?;
        let file = lab.folder().join("remote.yaml");
        let address: IpAddr = "10.0.0.99".parse()?;
        let text = format!(
            "kind: remote\nname: h9\nvtep: 192.0.2.9\naddresses:\n  - {{subnet: red-a, address: \"{address}\", mac: \"02:00:00:00:00:99\"}}\n"
        );
        std::fs::write(&file, text)?;
        let output = cloud.daemon(0).weft().run(&["apply", "-f", &file.to_string_lossy()])?;
        ensure!(!output.success && output.stderr.contains("remote/h9"), "{output:?}");
        ensure!(output.stderr.contains("is not of the family of this host's VTEP 2001:db8::1"), "{output:?}");
        Ok(())
    })
}
