//! ARP is answered in place, and only to those who say who they are.

use etherparse::{ArpEthIpv4Packet, ArpOperation, EtherType, Ethernet2Header};
use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::programs::FROM_POD;
use weft_vxlan::MacAddr;

use crate::world::*;

pub fn frame(arp: &ArpEthIpv4Packet, to: MacAddr) -> Vec<u8> {
    let ethernet =
        Ethernet2Header { source: ALICE.mac.bytes(), destination: to.bytes(), ether_type: EtherType::ARP };
    let packet: etherparse::ArpPacket = arp.clone().into();
    [ethernet.to_bytes().as_slice(), packet.to_bytes().as_slice()].concat()
}

pub fn request(target: [u8; 4]) -> ArpEthIpv4Packet {
    ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: ALICE.mac.bytes(),
        sender_ipv4: ALICE.ipv4.octets(),
        target_mac: [0; 6],
        target_ipv4: target,
    }
}

#[test]
fn known_addresses_of_the_subnet_are_answered() {
    let Some(mut world) = World::load() else { return };
    for (what, target, mac, to) in [
        ("the gateway", [10, 0, 0, 1], GATEWAY_MAC, MacAddr::BROADCAST),
        ("a port of this host", BOB.ipv4.octets(), BOB.mac, MacAddr::BROADCAST),
        ("a port of another host", CAROL.ipv4.octets(), CAROL.mac, MacAddr::BROADCAST),
        ("a neighbour that is only confirmed", CAROL.ipv4.octets(), CAROL.mac, CAROL.mac),
    ] {
        let outcome = world.run(FROM_POD, &frame(&request(target), to));
        assert_eq!(outcome.verdict, REDIRECT, "{what}");
        let reply = ArpEthIpv4Packet {
            operation: ArpOperation::REPLY,
            sender_mac: mac.bytes(),
            sender_ipv4: target,
            target_mac: ALICE.mac.bytes(),
            target_ipv4: ALICE.ipv4.octets(),
        };
        let mut expected = frame(&reply, ALICE.mac);
        expected[6..12].copy_from_slice(&mac.bytes());
        assert_eq!(outcome.frame, expected, "{what}");
    }
    let counters = world.counters(ALICE_SLOT);
    assert_eq!((counters.from_port.packets, counters.to_port.packets), (4, 4));
}

#[test]
fn other_addresses_are_not_answered() {
    let Some(mut world) = World::load() else { return };
    for target in [[10, 0, 0, 77], DAVE.ipv4.octets(), [10, 9, 0, 1]] {
        let frame = frame(&request(target), MacAddr::BROADCAST);
        world.assert_dropped(FROM_POD, &frame, DropReason::UnknownNeighbour);
    }
}

#[test]
fn probes_are_answered_only_when_the_address_is_somebody_elses() {
    let Some(mut world) = World::load() else { return };
    let probe = |target| ArpEthIpv4Packet { sender_ipv4: [0; 4], ..request(target) };
    let own = frame(&probe(ALICE.ipv4.octets()), MacAddr::BROADCAST);
    world.assert_dropped(FROM_POD, &own, DropReason::NeighbourNoise);
    let outcome = world.run(FROM_POD, &frame(&probe(BOB.ipv4.octets()), MacAddr::BROADCAST));
    assert_eq!(outcome.verdict, REDIRECT);
}

#[test]
fn announcements_and_replies_change_nothing() {
    let Some(mut world) = World::load() else { return };
    let announcement = frame(&request(ALICE.ipv4.octets()), MacAddr::BROADCAST);
    world.assert_dropped(FROM_POD, &announcement, DropReason::NeighbourNoise);
    let reply = ArpEthIpv4Packet { operation: ArpOperation::REPLY, ..request(BOB.ipv4.octets()) };
    world.assert_dropped(FROM_POD, &frame(&reply, BOB.mac), DropReason::NeighbourNoise);
}

#[test]
fn spoofed_senders_are_dropped() {
    let Some(mut world) = World::load() else { return };
    let target = BOB.ipv4.octets();
    let mac = ArpEthIpv4Packet { sender_mac: CAROL.mac.bytes(), ..request(target) };
    world.assert_dropped(FROM_POD, &frame(&mac, MacAddr::BROADCAST), DropReason::SpoofedMac);
    for sender in [CAROL.ipv4.octets(), [10, 0, 0, 1]] {
        for operation in [ArpOperation::REQUEST, ArpOperation::REPLY] {
            let arp = ArpEthIpv4Packet { operation, sender_ipv4: sender, ..request(target) };
            world.assert_dropped(FROM_POD, &frame(&arp, MacAddr::BROADCAST), DropReason::SpoofedIp);
        }
    }
    let short = &frame(&request(target), MacAddr::BROADCAST)[..40];
    world.assert_dropped(FROM_POD, short, DropReason::Malformed);
    let mut formats = frame(&request(target), MacAddr::BROADCAST);
    formats[18] = 8;
    world.assert_dropped(FROM_POD, &formats, DropReason::Malformed);
}
