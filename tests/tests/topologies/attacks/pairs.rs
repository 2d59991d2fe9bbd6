//! Allowed pairs: what a port with a second address and MAC may send, and nothing beside, in packets, ARP and neighbour discovery.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result, ensure};
use etherparse::ArpOperation;
use weft_api::view::Counters;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, POD_DEVICE};
use weft_tests::frame::{self, Between};
use weft_tests::{Direction, Lab, PATIENCE, wait_until};
use weft_vxlan::MacAddr;

use super::{Legitimate, cloud, intent};

const SHARED4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 200);
const SHARED6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xa, 0, 0, 0, 0, 0, 0x200);
const NOBODY4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 201);
const NOBODY6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xa, 0, 0, 0, 0, 0, 0x201);
/// That of VRRP (RFC 5798 section 7.3).
const SHARED_MAC: MacAddr = MacAddr::new([0, 0, 0x5e, 0, 1, 0x51]);

/// red-3 may send as 10.0.0.200 and fd00:a::200, with the MAC of VRRP.
fn share(cloud: &Cloud<'_>) -> Result<()> {
    let pair = |prefix: &str| format!("  - {{prefix: {prefix}, mac: '{SHARED_MAC}'}}\n");
    let text = format!(
        "kind: port\nname: red-3\nsubnet: red-a\nallowed_pairs:\n{}{}",
        pair("10.0.0.200/32"),
        pair("fd00:a::200/128")
    );
    let file = cloud.lab().folder().join("pairs.yaml");
    std::fs::write(&file, text)?;
    cloud.daemon(0).weft().must(&["apply", "-f", &file.display().to_string()]).map(drop)
}

/// In: packets, ARP and neighbour discovery with an address and MAC of red-3's own, of its pairs, mixed of both, and of nobody.
/// Out: what is a pair comes to the server; all else is dropped by its name, and the server's client does not notice.
#[test]
fn a_pair_is_an_address_and_its_mac() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab, "", &intent()?)?;
        share(&cloud)?;
        let legitimate = Legitimate::start(&cloud)?;
        let (from, to) = (cloud.pod("red-3"), cloud.pod("red-2"));
        let weft = cloud.daemon(0).weft();
        let packet = |mac, source: IpAddr| {
            let destination = if source.is_ipv4() { to.v4.into() } else { to.v6.into() };
            let between = Between { source_mac: mac, destination_mac: to.mac, source, destination };
            frame::udp(between, (9, 1500), b"from a pair")
        };
        for source in [IpAddr::from(SHARED4), SHARED6.into()] {
            let came = to.capture(move |packet| {
                packet.direction == Direction::In && packet.ip.as_ref().is_some_and(|ip| ip.source == source)
            })?;
            from.namespace.inject(POD_DEVICE, &packet(SHARED_MAC, source)?)?;
            wait_until(PATIENCE, &format!("a packet from {source}"), || came.count() > 0)?;
            ensure!(came.finish()?.count == 1, "it came more than once");
        }
        let arp = |mac, address| {
            let target = (MacAddr::new([0; 6]), address);
            frame::arp((mac, MacAddr::BROADCAST), ArpOperation::REQUEST, (mac, address), target)
        };
        let advertises = |mac: MacAddr, target| {
            let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
            let between = Between {
                source_mac: mac,
                destination_mac: MacAddr::new([0x33, 0x33, 0, 0, 0, 1]),
                source: IpAddr::V6(target),
                destination: all_nodes.into(),
            };
            frame::neighbour_advertisement(between, target, mac)
        };
        let (mac, ip) = (DropReason::SpoofedMac, DropReason::SpoofedIp);
        for (what, frame, reason) in [
            ("its own MAC with the shared IPv4", packet(from.mac, SHARED4.into())?, mac),
            ("its own MAC with the shared IPv6", packet(from.mac, SHARED6.into())?, mac),
            ("the shared MAC with its own IPv4", packet(SHARED_MAC, from.v4.into())?, mac),
            ("the shared MAC with its own IPv6", packet(SHARED_MAC, from.v6.into())?, mac),
            ("its own MAC with nobody's IPv4", packet(from.mac, NOBODY4.into())?, ip),
            ("its own MAC with nobody's IPv6", packet(from.mac, NOBODY6.into())?, ip),
            ("the shared MAC with nobody's IPv4", packet(SHARED_MAC, NOBODY4.into())?, mac),
            ("ARP: the shared IPv4 at its own MAC", arp(from.mac, SHARED4)?, mac),
            ("ARP: nobody's IPv4 at its own MAC", arp(from.mac, NOBODY4)?, ip),
            ("ARP: the server's IPv4 at its own MAC", arp(from.mac, to.v4)?, ip),
            ("ND: the shared IPv6 at its own MAC", advertises(from.mac, SHARED6)?, mac),
            ("ND: nobody's IPv6 at its own MAC", advertises(from.mac, NOBODY6)?, ip),
            ("ND: the server's IPv6 at the shared MAC", advertises(SHARED_MAC, to.v6)?, mac),
        ] {
            let before = weft.drops(reason)?;
            from.namespace.inject(POD_DEVICE, &frame)?;
            weft.wait_for_drop(reason, before).context(what)?;
        }
        // What is a pair is said to all, and dropped by nobody as a lie.
        for (what, frame) in [("ARP", arp(SHARED_MAC, SHARED4)?), ("ND", advertises(SHARED_MAC, SHARED6)?)] {
            let before = (weft.drops(mac)?, weft.drops(ip)?);
            // Sent on, or dropped as noise, as it is of ports without pairs.
            let seen = |all: &[Counters]| {
                let own = all.iter().find(|counters| counters.port == "red-3");
                own.map(|own| own.from_port.packets + own.drops.values().sum::<u64>())
            };
            let sent = seen(&weft.counters()?);
            from.namespace.inject(POD_DEVICE, &frame)?;
            wait_until(PATIENCE, what, || weft.counters().is_ok_and(|now| seen(&now) > sent))?;
            ensure!((weft.drops(mac)?, weft.drops(ip)?) == before, "{what} of the pair is taken for a lie");
        }
        println!("{}", legitimate.finish("13 lies about a shared address")?);
        Ok(())
    })
}
