//! One host.
//!
//! ```text
//! red-1 10.0.0.11  fd00:a::b ┐
//! red-2 10.0.0.12  fd00:a::c ┼ h1 (weftd) ─── r
//! red-3 10.0.1.13  fd00:b::d ┘
//! ```
//! red-1 and red-2 share a subnet, red-3 is in another of the same network.

use anyhow::{Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::{Lab, PATIENCE, underlay, wait_for};

fn intent() -> Result<Intent> {
    Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 0, 12)?
        .pod("red-3", "red-b", 0, 13)
}

/// In: ping, UDP and TCP between all pods, IPv4 and IPv6. Out: each is answered by the right pod, within the subnet
/// with its hop count as it was, between subnets with one hop less. Nothing leaves the host.
#[test]
fn pods_of_one_host_talk() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::one_host(lab)?)?;
        cloud.deploy(&intent()?)?;
        let pods = ["red-1", "red-2", "red-3"].map(|name| cloud.pod(name));
        let servers = pods.iter().map(|pod| pod.serve()).collect::<Result<Vec<_>>>()?;
        let uplink = weft_tests::Capture::start(&cloud.machine(0).namespace, underlay::UPLINK, |packet| {
            packet.ip.is_some() && packet.destination_mac.is_unicast()
        })?;
        let [first, _, third] = pods.map(|pod| pod.addresses());
        let hops = |hops| {
            move |packet: &weft_tests::Packet| {
                packet
                    .ip
                    .as_ref()
                    .is_some_and(|ip| ip.protocol == 17 && ip.hops == hops && first.contains(&ip.source))
            }
        };
        let (switched, routed) = (pods[1].capture(hops(64))?, pods[2].capture(hops(63))?);
        for from in pods {
            for to in pods.iter().filter(|to| to.name != from.name) {
                from.talks_to(to)?;
            }
        }
        ensure!(switched.finish()?.count > 0, "no packet within the subnet came as it was sent");
        ensure!(routed.finish()?.count > 0, "no packet to {third:?} lost one hop");
        uplink.assert_none("what stays on the host is no business of the underlay")?;
        drop(servers);
        Ok(())
    })
}

/// In: pings to the gateways of both subnets, both families, and UDP and TCP to one. Out: the gateways answer ping
/// and nothing else, which is counted.
#[test]
fn gateways_answer_ping() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::one_host(lab)?)?;
        cloud.deploy(&intent()?)?;
        let (pod, other) = (cloud.pod("red-1"), cloud.pod("red-3"));
        for gateway in pod.gateways().into_iter().chain(other.gateways()) {
            pod.pings_address(gateway)?;
        }
        for gateway in pod.gateways() {
            ensure!(pod.namespace.udp_echo(gateway, "anyone?").is_err());
        }
        let refused = cloud.daemon(0).weft().drops(DropReason::NotForGateway)?;
        ensure!(refused >= 2, "{refused} drops for the gateway");
        Ok(())
    })
}

/// In: a port is detached. Out: the device is gone from the pod's namespace, the
/// others still talk, and a ping to it fails; attached again, it answers at once.
#[test]
fn detach_and_attach_again() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::one_host(lab)?)?;
        cloud.deploy(&intent()?)?;
        let weft = cloud.daemon(0).weft();
        let (first, second, third) = (cloud.pod("red-1"), cloud.pod("red-2"), cloud.pod("red-3"));
        first.pings(second)?;
        weft.must(&["port", "detach", "red-2"])?;
        wait_for(PATIENCE, "the end of the device", || match second.namespace.links() {
            Ok(links) if links.iter().all(|link| link.name == "lo") => Ok(()),
            links => Err(links),
        })?;
        ensure!(
            first.namespace.ping_sized(second.v4.into(), 56, std::time::Duration::from_millis(500))?.is_err()
        );
        first.pings(third)?;
        weft.must(&["port", "attach", "red-2", "--netns", &second.namespace.path().to_string_lossy()])?;
        cloud.wait_until_up()?;
        first.pings(second)
    })
}
