//! Fragments of pods' packets: those that their kernels make, in any order that a network may deliver them in, and those
//! that only somebody who means harm makes.
//!
//! ```text
//! red-1 10.0.0.11 ┐                  ┌ red-2 10.0.0.12
//! red-3 10.0.0.13 ┴ h1 ────── h2 ┴ red-4 10.0.1.14
//! ```
//! red-1 sends to red-3 on its own host, and to red-2 (switched) and red-4 (routed) on the other. weft looks at each fragment
//! as at any packet; what belongs together is the receiver's to find.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::probe::{ANSWER, Refusals};
use weft_tests::underlay::{two_hosts, two_hosts_over_ipv6};
use weft_tests::{Lab, Wire};
use weft_vxlan::MacAddr;

/// The gateways' MAC.
const GATEWAY: MacAddr = MacAddr::new([0, 0, 0x5e, 0, 1, 1]);
const PORT: u16 = 2000;
/// Bytes of a datagram with its UDP header.
const WHOLE: usize = 104;

/// Fragments by what of the datagram they hold, and whether it arrives.
type Cut = (&'static str, &'static [Range<usize>], bool);
const CUTS: [Cut; 8] = [
    ("in order", &[0..48, 48..96, 96..WHOLE], true),
    ("in reverse", &[96..WHOLE, 48..96, 0..48], true),
    ("the middle last", &[0..48, 96..WHOLE, 48..96], true),
    ("a first one that is all header", &[0..8, 8..WHOLE], true),
    ("with a gap", &[0..48, 96..WHOLE], false),
    // RFC 5722, and Linux with IPv4 too: nobody may write over what was there.
    ("overlapping", &[0..48, 40..96, 96..WHOLE], false),
    // What lies wholly within what is there already is dropped as said twice, and nothing else.
    ("said twice", &[0..48, 0..8, 48..96, 8..56, 96..WHOLE], true),
    ("without a first", &[48..96, 96..WHOLE], false),
];

fn start(lab: &Lab, over_ipv6: bool) -> Result<Cloud<'_>> {
    let wire = Wire::default();
    let underlay = if over_ipv6 { two_hosts_over_ipv6(lab, wire) } else { two_hosts(lab, wire) };
    let mut cloud = Cloud::start(lab, underlay?)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-a", 0, 13)?
        .pod("red-4", "red-b", 1, 14)?;
    cloud.deploy(&intent)?;
    Ok(cloud)
}

/// From red-1 to `to`, by way of the gateway where that is in another subnet; once for each family.
fn ways(from: &Pod, to: &Pod) -> impl Iterator<Item = Between> {
    let destination_mac = if from.gateway4 == to.gateway4 { to.mac } else { GATEWAY };
    let addresses = from.addresses().into_iter().zip(to.addresses());
    let source_mac = from.mac;
    addresses.map(move |(source, destination)| Between { source_mac, destination_mac, source, destination })
}

/// A datagram that says which one it is.
fn datagram(between: Between, id: u16) -> Result<(Vec<u8>, Vec<u8>)> {
    let payload: Vec<u8> = id.to_be_bytes().into_iter().cycle().take(WHOLE - 8).collect();
    Ok((frame::udp(between, (1000, PORT), &payload)?, payload))
}

/// In: from red-1, by hand, datagrams of both families cut in each way, in tunnels over both families; behind each that
/// must not arrive a whole one. Out: those arrive that are all there and do not overlap, with the bytes that were sent, and
/// no others; all pods go on talking.
#[test]
fn arrive_in_any_order_and_do_not_overlap() -> Result<()> {
    for over_ipv6 in [false, true] {
        Lab::test(|lab| {
            let cloud = start(lab, over_ipv6)?;
            let from = cloud.pod("red-1");
            let mut ids = 1..;
            for to in ["red-2", "red-3", "red-4"].map(|name| cloud.pod(name)) {
                let inbox = inbox(to)?;
                for (between, (what, parts, arrives)) in
                    ways(from, to).flat_map(|way| CUTS.into_iter().map(move |cut| (way, cut)))
                {
                    let id = ids.next().context("an id")?;
                    let (whole, payload) = datagram(between, id)?;
                    let what = || format!("{what}, to {}", between.destination);
                    let pieces = frame::pieces(&whole, id, parts).with_context(what)?;
                    from.namespace.inject_all(POD_DEVICE, &pieces)?;
                    let expected = if arrives {
                        payload
                    } else {
                        let (next, payload) = datagram(between, ids.next().context("an id")?)?;
                        from.namespace.inject(POD_DEVICE, &next)?;
                        payload
                    };
                    let mut got = vec![0; 2048];
                    let length = inbox.recv(&mut got).with_context(what)?;
                    ensure!(got[..length] == expected, "{}: {:02x?} arrived", what(), &got[..length]);
                }
                from.pings(to)?;
            }
            Ok(())
        })
        .with_context(|| format!("over IPv6: {over_ipv6}"))?;
    }
    Ok(())
}

fn inbox(pod: &Pod) -> Result<UdpSocket> {
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT);
    let inbox = pod.namespace.run(|| UdpSocket::bind(any))??;
    inbox.set_read_timeout(Some(ANSWER))?;
    Ok(inbox)
}

/// In: later fragments that are not red-1's own: with another's source address, or MAC; and a first one of IPv6 that does
/// not say what it is the first of. Out: each is dropped for its reason, as a whole packet would be.
#[test]
fn are_judged_one_by_one() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, false)?;
        let from = cloud.pod("red-1");
        let weft = cloud.daemon(0).weft();
        for to in ["red-2", "red-3", "red-4"].map(|name| cloud.pod(name)) {
            let arrived = to.capture(|packet| packet.direction == weft_tests::Direction::In)?;
            let mut lies = Vec::new();
            for (between, source) in ways(from, to).zip(cloud.pod("red-2").addresses()) {
                lies.push((Between { source, ..between }, DropReason::SpoofedIp));
                lies.push((Between { source_mac: to.mac, ..between }, DropReason::SpoofedMac));
            }
            for (between, reason) in lies {
                let (whole, _) = datagram(between, 1)?;
                for piece in frame::pieces(&whole, 1, &[0..48, 48..96, 96..WHOLE])? {
                    let before = weft.drops(reason)?;
                    from.namespace.inject(POD_DEVICE, &piece)?;
                    weft.wait_for_drop(reason, before).with_context(|| format!("{between:?}"))?;
                }
            }
            let own = ways(from, to).last().context("a way")?;
            let once = frame::behind_extension_header(&datagram(own, 1)?.0, 60)?;
            let twice = frame::behind_extension_header(&once, 60)?;
            let pieces = frame::pieces(&twice, 1, std::slice::from_ref(&(0..8)))?;
            let before = weft.drops(DropReason::ExtensionHeaders)?;
            from.namespace.inject_all(POD_DEVICE, &pieces)?;
            weft.wait_for_drop(DropReason::ExtensionHeaders, before)?;
            arrived.assert_none("a fragment was delivered")?;
        }
        Ok(())
    })
}

/// In: from red-1 to pods of the other host, over IPv4, datagrams of 20,000 bytes in fragments that its kernel made for a
/// larger MTU than the way has. Out: red-1 hears once for the datagram what fits, not of each later fragment; the next
/// datagram is cut so and arrives.
#[test]
fn too_big_are_told_of_once() -> Result<()> {
    Lab::test(|lab| {
        let wire = Wire { mtu: 9000, ..Wire::default() };
        let underlay = two_hosts(lab, wire)?;
        let vtep = underlay.machines[1].vtep.address();
        underlay.machines[0].namespace.add_route_of_mtu(ipnet::IpNet::from(vtep), vtep, 1500)?;
        let mut cloud = Cloud::start(lab, underlay)?;
        let intent = Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?;
        cloud.deploy(&intent.pod("red-2", "red-a", 1, 12)?)?;
        let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
        let address = IpAddr::from(to.v4);
        let refusals = Refusals::listen(&from.namespace, address)?;
        let target = SocketAddr::new(address, PORT);
        let sent = from.namespace.datagram(target, 20_000, libc::IP_PMTUDISC_DONT)?;
        ensure!(sent.is_ok(), "{sent:?}");
        ensure!(refusals.next(address)?.mtu == 1450);
        ensure!(refusals.next(address).is_err(), "told more than once");
        let lost = from.namespace.sizes(&to.namespace, address, &[20_000, 60_000])?;
        ensure!(lost.is_empty(), "datagrams of these sizes did not arrive: {lost:?}");
        Ok(())
    })
}
