//! Four hosts in two data centres, over routers that know nothing of tenants.
//!
//! ```text
//!      data centre a                    data centre b
//! red-1 ─ h1 ┐                                 ┌ h3 ─ red-3
//!            ├ r1 ─────────────── r2 ┤
//! red-2 ─ h2 ┘                                 └ h4 ─ red-4
//! ```
//! Tunnel addresses are on `lo`, reached by routes; underlay MTU 1600. red-1 to red-3 share a subnet, red-4 is in
//! another of the same network.

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE};
use weft_tests::probe::PingError;
use weft_tests::{Capture, Lab, Wire, underlay};

fn intent() -> Result<Intent> {
    Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-a", 2, 13)?
        .pod("red-4", "red-b", 3, 14)
}

fn start(lab: &Lab) -> Result<Cloud<'_>> {
    let wire = Wire { mtu: underlay::ROUTED_MTU, ..Wire::default() };
    let mut cloud = Cloud::start(lab, underlay::two_data_centres(lab, wire)?)?;
    cloud.deploy(&intent()?)?;
    Ok(cloud)
}

/// In: ping, UDP and TCP between all pods, both families. Out: all answers; on no wire a packet of a pod outside
/// VXLAN; every outer packet that leaves a host goes to its router's MAC.
#[test]
fn pods_of_two_data_centres_talk() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let watch = cloud.watch()?;
        let gateway = cloud.underlay.routers[0].mac("port1")?;
        let astray = Capture::start(&cloud.machine(0).namespace, underlay::UPLINK, move |packet| {
            packet.vxlan().is_some()
                && packet.direction == weft_tests::Direction::Out
                && packet.destination_mac != gateway
        })?;
        let servers = cloud.pods().map(|pod| pod.serve()).collect::<Result<Vec<_>>>()?;
        for from in cloud.pods() {
            for to in cloud.pods().filter(|to| to.name != from.name) {
                from.talks_to(to)?;
            }
        }
        drop(servers);
        astray.assert_none("the next hop of every other host is the router")?;
        watch.assert_clean().map(drop)
    })
}

/// In: pings across data centres that fill the pod's MTU to the byte, and one byte more, never to be fragmented.
/// Out: the full ones are answered; the pod's own device refuses the larger ones.
#[test]
fn the_mtu_is_used_to_the_byte() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let (from, to) = (cloud.pod("red-1"), cloud.pod("red-4"));
        let mtu = from.namespace.link(POD_DEVICE)?.mtu;
        ensure!(mtu == underlay::ROUTED_MTU - 50, "the pod's MTU is {mtu}");
        for (address, headers) in [(to.v4.into(), 28), (to.v6.into(), 48)] {
            let full = usize::try_from(mtu)? - headers;
            let answer = from.namespace.ping_sized(address, full, weft_tests::probe::ANSWER)?;
            ensure!(answer.is_ok(), "{full} bytes to {address}: {answer:?}");
            let answer = from.namespace.ping_sized(address, full + 1, weft_tests::probe::ANSWER)?;
            ensure!(matches!(answer, Err(PingError::Send(_))), "{} bytes to {address}: {answer:?}", full + 1);
        }
        Ok(())
    })
}

/// In: pings to an address of a prefix that lies behind h4, where no port has it. Out: they reach h4 and are dropped
/// there with a reason; an address that no route leads to is dropped where it was sent.
#[test]
fn prefixes_lead_to_their_host() -> Result<()> {
    use weft_dataplane_abi::DropReason;
    Lab::test(|lab| {
        let wire = Wire { mtu: underlay::ROUTED_MTU, ..Wire::default() };
        let mut cloud = Cloud::start(lab, underlay::two_data_centres(lab, wire)?)?;
        cloud.deploy(&intent()?.prefix("red", 3, "172.16.0.0/16")?.prefix("red", 3, "fd00:f::/64")?)?;
        let from = cloud.pod("red-1");
        for (address, host, reason) in [
            ("172.16.1.2", 3, DropReason::NoRoute),
            ("fd00:f::2", 3, DropReason::NoRoute),
            ("172.17.1.2", 0, DropReason::NoRoute),
        ] {
            let weft = cloud.daemon(host).weft();
            let before = weft.drops(reason)?;
            let answer =
                from.namespace.ping_sized(address.parse()?, 56, std::time::Duration::from_millis(200))?;
            ensure!(answer.is_err(), "{address} answers");
            weft.wait_for_drop(reason, before)?;
        }
        Ok(())
    })
}
