//! A pod that lies about who it is.
//!
//! ```text
//! red-1 10.0.0.11 ┐                                     ┌ red-3 10.0.0.13
//! red-2 10.0.0.12 ┼ h1 192.0.2.1 ────── 192.0.2.2 h2 ┴ blue-3
//! blue-1          ┘
//! ```
//! red-1 sends frames with the MAC or the addresses of red-2, of red-3, or of nobody.

mod every_lie;
mod extension_headers;
mod provoked_errors;
mod random;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use etherparse::ArpOperation;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE};
use weft_tests::frame::{self, Between};
use weft_tests::{Lab, Wire, underlay};
use weft_vxlan::MacAddr;

const WORD: &str = "spoofed";

fn start(lab: &Lab) -> Result<Cloud<'_>> {
    let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .tenant("blue", 200)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 0, 12)?
        .pod("red-3", "red-a", 1, 13)?
        .pod("blue-1", "blue-a", 0, 11)?
        .pod("blue-3", "blue-a", 1, 13)?;
    cloud.deploy(&intent)?;
    Ok(cloud)
}

/// In: one frame for each lie: source MAC, IPv4 and IPv6 address of a neighbour and of nobody; ARP and neighbour
/// discovery that claim a neighbour's or the gateway's address, or another MAC. Out: no other pod sees any of them, on
/// this host or the other; each is counted under its reason; afterwards everyone still reaches the right one.
#[test]
fn lies_go_nowhere() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let liar = cloud.pod("red-1");
        let mut captures = Vec::new();
        for pod in cloud.pods().filter(|pod| pod.name != liar.name) {
            // What the liar says, and all of ARP and neighbour advertisements: nobody else is talking.
            captures.push(pod.capture(|packet| {
                let arp = packet.ethertype == 0x0806;
                let from_outside = packet.direction == weft_tests::Direction::In;
                from_outside && (arp || packet.says(WORD))
            })?);
        }
        let weft = cloud.daemon(0).weft();
        for (what, frame, reason) in lies(&cloud)? {
            let before = weft.drops(reason)?;
            liar.namespace.inject(POD_DEVICE, &frame)?;
            weft.wait_for_drop(reason, before).context(what)?;
        }
        captures.into_iter().try_for_each(|capture| capture.assert_none("a lie was delivered"))?;
        cloud.pod("red-2").pings(cloud.pod("red-3"))?;
        cloud.pod("red-3").pings(cloud.pod("red-2"))?;
        liar.pings(cloud.pod("red-2"))
    })
}

type Lie = (&'static str, Vec<u8>, DropReason);

fn lies(cloud: &Cloud<'_>) -> Result<Vec<Lie>> {
    let (liar, near, far) = (cloud.pod("red-1"), cloud.pod("red-2"), cloud.pod("red-3"));
    let nobody = MacAddr::new([2, 0xbb, 0, 0, 0, 1]);
    let (nobody4, nobody6): (Ipv4Addr, Ipv6Addr) = ("10.0.0.99".parse()?, "fd00:a::99".parse()?);
    let says = |source_mac, source: IpAddr, to_mac, destination: IpAddr| {
        frame::udp(
            Between { source_mac, destination_mac: to_mac, source, destination },
            (9, 9),
            WORD.as_bytes(),
        )
    };
    let mut lies = vec![
        ("nobody's MAC", says(nobody, liar.v4.into(), near.mac, near.v4.into())?, DropReason::SpoofedMac),
        (
            "a far neighbour's MAC",
            says(far.mac, liar.v4.into(), near.mac, near.v4.into())?,
            DropReason::SpoofedMac,
        ),
        (
            "a near neighbour's IPv4",
            says(liar.mac, near.v4.into(), far.mac, far.v4.into())?,
            DropReason::SpoofedIp,
        ),
        (
            "a far neighbour's IPv4",
            says(liar.mac, far.v4.into(), near.mac, near.v4.into())?,
            DropReason::SpoofedIp,
        ),
        ("nobody's IPv4", says(liar.mac, nobody4.into(), far.mac, far.v4.into())?, DropReason::SpoofedIp),
        (
            "a far neighbour's IPv6",
            says(liar.mac, far.v6.into(), near.mac, near.v6.into())?,
            DropReason::SpoofedIp,
        ),
        ("nobody's IPv6", says(liar.mac, nobody6.into(), far.mac, far.v6.into())?, DropReason::SpoofedIp),
    ];

    let broadcast = MacAddr::BROADCAST;
    let unknown = MacAddr::new([0; 6]);
    for (what, frame_mac, sender, operation, reason) in [
        ("ARP from a neighbour", liar.mac, (liar.mac, near.v4), ArpOperation::REQUEST, DropReason::SpoofedIp),
        (
            "ARP as the gateway",
            liar.mac,
            (liar.mac, liar.gateway4),
            ArpOperation::REPLY,
            DropReason::SpoofedIp,
        ),
        ("ARP with another MAC", liar.mac, (nobody, liar.v4), ArpOperation::REQUEST, DropReason::SpoofedMac),
        ("ARP in another's frame", far.mac, (far.mac, far.v4), ArpOperation::REQUEST, DropReason::SpoofedMac),
    ] {
        lies.push((what, frame::arp((frame_mac, broadcast), operation, sender, (unknown, far.v4))?, reason));
    }

    let between = |source: Ipv6Addr, to_mac, destination: Ipv6Addr| Between {
        source_mac: liar.mac,
        destination_mac: to_mac,
        source: source.into(),
        destination: destination.into(),
    };
    let all_nodes = (MacAddr::new([0x33, 0x33, 0, 0, 0, 1]), "ff02::1".parse::<Ipv6Addr>()?);
    lies.push((
        "a solicitation from a neighbour",
        frame::neighbour_solicitation(between(near.v6, far.mac, far.v6), far.v6)?,
        DropReason::SpoofedIp,
    ));
    lies.push((
        "an advertisement of a neighbour's address",
        frame::neighbour_advertisement(between(liar.v6, all_nodes.0, all_nodes.1), far.v6, liar.mac)?,
        DropReason::SpoofedIp,
    ));
    lies.push((
        "an advertisement of the gateway's address",
        frame::neighbour_advertisement(between(liar.v6, near.mac, near.v6), liar.gateway6, liar.mac)?,
        DropReason::SpoofedIp,
    ));
    lies.push((
        "an advertisement of another MAC",
        frame::neighbour_advertisement(between(liar.v6, near.mac, near.v6), liar.v6, nobody)?,
        DropReason::SpoofedMac,
    ));
    Ok(lies)
}
