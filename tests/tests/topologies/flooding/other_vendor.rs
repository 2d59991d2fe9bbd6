//! A VTEP that is not weft's, with a host behind it of which the control plane knows nothing.
//!
//! ```text
//!  red-1, red-2 ─ h1 ┐
//!                    ├ r1        vendor: the kernel's vxlan device, VNI 101, to h1,
//!             vendor ┘                   with the silent host's addresses 10.0.0.50 and fd00:a::50
//! ```

use std::fs;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context as _, Result, ensure};
use etherparse::ArpOperation;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::Cloud;
use weft_tests::frame::{self, Between};
use weft_tests::{Direction, Lab, Namespace, PATIENCE};
use weft_vxlan::MacAddr;

use super::{ALL_NODES, WORD, hears, start};

const TUNNEL: &str = "vx101";
const SILENT: [&str; 2] = ["10.0.0.50", "fd00:a::50"];

/// Makes the vendor's VTEP and tells h1 of it.
fn add_vendor<'a>(cloud: &'a Cloud<'_>) -> Result<&'a Namespace> {
    let (vendor, own) = cloud.underlay.stranger.as_ref().context("a stranger")?;
    let IpAddr::V4(h1) = cloud.machine(0).vtep.address() else { anyhow::bail!("an IPv4 underlay") };
    vendor.add_tunnel(TUNNEL, 101, 4789, (*own, h1), 1500)?;
    vendor.sysctl(&format!("ipv6/conf/{TUNNEL}/accept_dad"), "0")?;
    vendor.set_up(TUNNEL, true)?;
    for (address, length) in SILENT.into_iter().zip([24, 64]) {
        vendor.add_address(TUNNEL, format!("{address}/{length}").parse()?)?;
    }
    let daemon = cloud.daemon(0);
    let file = daemon.settings().folder.join("vendor.yaml");
    fs::write(&file, format!("kind: remote\nname: vendor\nvtep: {own}\nsubnets: [red-a]\n"))?;
    daemon.weft().must(&["apply", "-f", file.to_str().context("UTF-8")?])?;
    cloud.wait_until_up()?;
    Ok(vendor)
}

/// In: red-1 pings the silent host, and the silent host pings red-2, of whom it knows nothing either. Out: all answers;
/// each has the other's true MAC; nobody else in the subnet hears the silent host's question for red-2.
#[test]
fn a_silent_host_is_found() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let vendor = add_vendor(&cloud)?;
        let (asking, asked) = (cloud.pod("red-1"), cloud.pod("red-2"));
        for address in SILENT {
            asking.namespace.ping_until(address.parse()?, PATIENCE)?;
        }
        let mac = vendor.mac(TUNNEL)?;
        let neighbours = asking.namespace.neighbours()?;
        for address in SILENT {
            let address: IpAddr = address.parse()?;
            let found = neighbours.iter().find(|neighbour| neighbour.address == address);
            ensure!(found.and_then(|found| found.mac) == Some(mac), "{address}: {neighbours:#?}");
        }
        let elsewhere = asking.capture(move |packet| {
            packet.direction == Direction::In && packet.ethertype == 0x0806 && packet.source_mac == mac
        })?;
        for address in asked.addresses() {
            vendor.ping_until(address, PATIENCE)?;
        }
        elsewhere.assert_none("a question for another")
    })
}

/// In: the vendor's VTEP claims addresses that are not its own: the gateway's, red-2's, red-3's on another host; red-2's
/// MAC; a router. Out: no pod hears any of it, each is counted under its reason; afterwards red-1 still reaches them.
#[test]
fn what_the_control_plane_knows_is_not_contradicted() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let vendor = add_vendor(&cloud)?;
        let mac = vendor.mac(TUNNEL)?;
        let captures: Vec<_> = ["red-1", "red-2"]
            .into_iter()
            .map(|name| {
                cloud.pod(name).capture(move |packet| {
                    let is_lie = packet.ethertype == 0x0806 || packet.says(WORD) || packet.source_mac == mac;
                    packet.direction == Direction::In && is_lie
                })
            })
            .collect::<Result<_>>()?;
        let weft = cloud.daemon(0).weft();
        for (what, frame, reason) in lies(&cloud, mac)? {
            let before = weft.drops(reason)?;
            vendor.inject(TUNNEL, &frame)?;
            weft.wait_for_drop(reason, before).context(what)?;
        }
        captures.into_iter().try_for_each(|capture| capture.assert_none("a lie was delivered"))?;
        let heard = hears(cloud.pod("red-1"))?;
        let honest = Between {
            source_mac: mac,
            destination_mac: MacAddr::BROADCAST,
            source: SILENT[0].parse()?,
            destination: "10.0.0.255".parse()?,
        };
        vendor.inject(TUNNEL, &frame::udp(honest, (9, 9), WORD.as_bytes())?)?;
        weft_tests::wait_until(PATIENCE, "what is true", || heard.count() == 1)?;
        cloud.pod("red-1").pings(cloud.pod("red-2"))?;
        cloud.pod("red-1").pings(cloud.pod("red-3"))
    })
}

type Lie = (&'static str, Vec<u8>, DropReason);

fn lies(cloud: &Cloud<'_>, mac: MacAddr) -> Result<Vec<Lie>> {
    let (near, far) = (cloud.pod("red-2"), cloud.pod("red-3"));
    let everyone = MacAddr::BROADCAST;
    let nobody = MacAddr::new([0; 6]);
    let target = (nobody, cloud.pod("red-1").v4);
    let mut lies = Vec::new();
    for (what, frame_mac, sender, operation, reason) in [
        ("ARP as the gateway", mac, (mac, near.gateway4), ArpOperation::REPLY, DropReason::SpoofedIp),
        (
            "a question as the gateway",
            mac,
            (mac, near.gateway4),
            ArpOperation::REQUEST,
            DropReason::SpoofedIp,
        ),
        ("ARP as a port here", mac, (mac, near.v4), ArpOperation::REQUEST, DropReason::SpoofedIp),
        ("ARP as a port elsewhere", mac, (mac, far.v4), ArpOperation::REPLY, DropReason::SpoofedIp),
        (
            "ARP with a port's MAC",
            mac,
            (near.mac, SILENT[0].parse()?),
            ArpOperation::REPLY,
            DropReason::SpoofedMac,
        ),
        (
            "a frame with a port's MAC",
            near.mac,
            (mac, SILENT[0].parse()?),
            ArpOperation::REPLY,
            DropReason::SpoofedMac,
        ),
    ] {
        lies.push((what, frame::arp((frame_mac, everyone), operation, sender, target)?, reason));
    }
    let all_nodes = Between {
        source_mac: mac,
        destination_mac: MacAddr::new([0x33, 0x33, 0, 0, 0, 1]),
        source: SILENT[1].parse()?,
        destination: ALL_NODES.into(),
    };
    let advertises = |target: Ipv6Addr, mac| frame::neighbour_advertisement(all_nodes, target, mac);
    let silent: Ipv6Addr = SILENT[1].parse()?;
    lies.push(("an advertisement of the gateway", advertises(near.gateway6, mac)?, DropReason::SpoofedIp));
    lies.push(("an advertisement of a port here", advertises(near.v6, mac)?, DropReason::SpoofedIp));
    lies.push(("an advertisement with a port's MAC", advertises(silent, near.mac)?, DropReason::SpoofedMac));
    let mut router = advertises(silent, mac)?;
    // A router advertisement (RFC 4861 section 4.2) in its place.
    router[54] = 134;
    lies.push(("a router", router, DropReason::NeighbourNoise));
    let spoofed = Between {
        source_mac: mac,
        destination_mac: everyone,
        source: near.v4.into(),
        destination: "10.0.0.255".parse()?,
    };
    lies.push((
        "a broadcast of a port here",
        frame::udp(spoofed, (9, 9), WORD.as_bytes())?,
        DropReason::SpoofedIp,
    ));
    Ok(lies)
}
