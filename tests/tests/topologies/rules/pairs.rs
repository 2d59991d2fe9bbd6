//! A port that may send from addresses besides its own, with a MAC that belongs to them.
//!
//! ```text
//! red-1 own MAC: 10.0.0.11, fd00:a::b, 10.0.0.201, fd00:a::c9 ┐
//!   00:00:5e:00:01:07: 10.0.0.200, fd00:a::c8                 ┼ h1 ─────── h2 ┬ red-3
//! red-2, red-4                                                ┘               └ red-5
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result, ensure};
use etherparse::ArpOperation;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::{Capture, Direction, Lab, PATIENCE, wait_until};
use weft_vxlan::MacAddr;

use super::{OPEN, intent, silence, start, tell};

/// Of a virtual router (RFC 9568 section 7.3).
const SHARED: MacAddr = MacAddr::new([0, 0, 0x5e, 0, 1, 7]);
const OTHER: MacAddr = MacAddr::new([2, 0xbb, 0, 0, 0, 1]);
/// Last bytes of addresses: the port's own, the pair's with a MAC, the pair's without, and nobody's.
const OWN: u8 = 11;
const WITH_MAC: u8 = 200;
const WITHOUT_MAC: u8 = 201;
const NOBODYS: u8 = 202;

fn v4(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn v6(last: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0xa, 0, 0, 0, 0, 0, last.into())
}

/// Who may say that an address is at a MAC: the address, the MAC, and what is wrong with that.
fn claims(own: MacAddr) -> [(u8, MacAddr, Option<DropReason>); 10] {
    let (mac, address) = (Some(DropReason::SpoofedMac), Some(DropReason::SpoofedIp));
    [
        (OWN, own, None),
        (WITH_MAC, SHARED, None),
        (WITHOUT_MAC, own, None),
        (OWN, SHARED, mac),
        (WITH_MAC, own, mac),
        (WITH_MAC, OTHER, mac),
        (WITHOUT_MAC, SHARED, mac),
        (WITHOUT_MAC, OTHER, mac),
        (NOBODYS, own, address),
        (NOBODYS, SHARED, mac),
    ]
}

/// A message of red-1, and whether it is answered, or reaches a pod.
struct Message {
    what: String,
    frame: Vec<u8>,
    wrong: Option<DropReason>,
    /// Who sees what comes of it, and from whom that is.
    seen: (&'static str, IpAddr),
}

/// In: for each address and MAC, right or wrong, from red-1: packets to pods of its own host and of the other, requests of ARP
/// and solicitations for red-3, and announcements to all. Then ARP and neighbour discovery in which the frame's MAC is right and
/// the one in the message is not. Out: the right ones arrive, or are answered at once; the wrong ones are dropped for the MAC if
/// that is not the one of the address, and for the address if the port has none such.
#[test]
fn lend_addresses_with_their_macs_only() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let with_pairs = intent(OPEN, OPEN)?
            .pair("red-1", "10.0.0.200/32", Some(SHARED))?
            .pair("red-1", "fd00:a::c8/128", Some(SHARED))?
            .pair("red-1", "10.0.0.201/32", None)?
            .pair("red-1", "fd00:a::c9/128", None)?;
        tell(&cloud, &with_pairs)?;
        let _silent = silence(&cloud)?;
        let (mut right, mut wrong) = (0, 0);
        for message in messages(&cloud)? {
            check(&cloud, &message).with_context(|| message.what.clone())?;
            *(if message.wrong.is_some() { &mut wrong } else { &mut right }) += 1;
        }
        println!("{right} messages from pairs passed, {wrong} were dropped");
        Ok(())
    })
}

fn check(cloud: &Cloud<'_>, message: &Message) -> Result<()> {
    let liar = cloud.pod("red-1");
    let weft = cloud.daemon(liar.host).weft();
    let seen = seen(cloud, message)?;
    match message.wrong {
        Some(reason) => {
            let before = weft.drops(reason)?;
            liar.namespace.inject_directly(POD_DEVICE, &message.frame)?;
            weft.wait_for_drop(reason, before)?;
            seen.assert_none("it had an effect")
        }
        None => {
            liar.namespace.inject_directly(POD_DEVICE, &message.frame)?;
            wait_until(PATIENCE, "what comes of it", || seen.count() > 0)?;
            ensure!(seen.finish()?.count == 1, "it came more than once");
            Ok(())
        }
    }
}

fn seen(cloud: &Cloud<'_>, message: &Message) -> Result<Capture> {
    let (pod, from) = message.seen;
    cloud.pod(pod).capture(move |packet| {
        let from_ip = packet.ip.as_ref().is_some_and(|ip| ip.source == from);
        let from_arp = packet.arp.is_some_and(|(sender, _)| sender == from);
        packet.direction == Direction::In && (from_ip || from_arp)
    })
}

fn messages(cloud: &Cloud<'_>) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    let own = cloud.pod("red-1").mac;
    for (last, mac, wrong) in claims(own) {
        for (name, to) in [("red-2", cloud.pod("red-2")), ("red-3", cloud.pod("red-3"))] {
            for (source, destination) in [(v4(last).into(), to.v4.into()), (v6(last).into(), to.v6.into())] {
                let between = Between { source_mac: mac, destination_mac: to.mac, source, destination };
                let what = format!("a packet from {source} at {mac} to {name}");
                let frame = frame::udp(between, (1, 9), b"from a pair")?;
                messages.push(Message { what, frame, wrong, seen: (name, source) });
            }
        }
        neighbour_messages(cloud.pod("red-3"), (last, mac, mac), wrong, &mut messages)?;
    }
    // The frame is right, and what it says is not.
    let spoofed = Some(DropReason::SpoofedMac);
    for (last, frame, said) in
        [(WITH_MAC, SHARED, own), (WITHOUT_MAC, own, SHARED), (OWN, own, OTHER), (WITH_MAC, own, SHARED)]
    {
        neighbour_messages(cloud.pod("red-3"), (last, frame, said), spoofed, &mut messages)?;
    }
    Ok(messages)
}

/// Where the link-layer address is in neighbour discovery with one option.
const OPTION_MAC: usize = 14 + 40 + 24 + 2;

/// ARP and neighbour discovery about `target`, of which red-1 learns, and to all.
fn neighbour_messages(
    target: &Pod,
    (last, mac, said): (u8, MacAddr, MacAddr),
    wrong: Option<DropReason>,
    messages: &mut Vec<Message>,
) -> Result<()> {
    let mut add = |what: &str, frame, seen, wrong| {
        let what = format!("{what} of {} or {} at {said} in a frame of {mac}", v4(last), v6(last));
        messages.push(Message { what, frame, wrong, seen });
    };
    let nobody = MacAddr::new([0; 6]);
    let asks =
        frame::arp((mac, MacAddr::BROADCAST), ArpOperation::REQUEST, (said, v4(last)), (nobody, target.v4))?;
    add("an ARP request", asks, ("red-1", target.v4.into()), wrong);
    let between = |destination_mac, destination: Ipv6Addr| Between {
        source_mac: mac,
        destination_mac,
        source: v6(last).into(),
        destination: destination.into(),
    };
    let [.., a, b, c] = target.v6.octets();
    let group = (MacAddr::new([0x33, 0x33, 0xff, a, b, c]), {
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
    });
    let mut asks = frame::neighbour_solicitation(between(group.0, group.1), target.v6)?;
    asks[OPTION_MAC..OPTION_MAC + 6].copy_from_slice(&said.bytes());
    add("a solicitation", asks, ("red-1", target.v6.into()), wrong);
    if wrong.is_some() || last != OWN {
        let all_nodes = (MacAddr::new([0x33, 0x33, 0, 0, 0, 1]), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
        let tells = frame::neighbour_advertisement(between(all_nodes.0, all_nodes.1), v6(last), said)?;
        // What is known of neighbours, no advertisement changes.
        add(
            "an advertisement",
            tells,
            ("red-3", v6(last).into()),
            wrong.or(Some(DropReason::NeighbourNoise)),
        );
        let tells = frame::arp(
            (mac, MacAddr::BROADCAST),
            ArpOperation::REQUEST,
            (said, v4(last)),
            (nobody, v4(last)),
        )?;
        add("an announcement by ARP", tells, ("red-3", v4(last).into()), wrong);
    }
    Ok(())
}
