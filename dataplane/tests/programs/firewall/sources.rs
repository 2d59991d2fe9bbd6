//! Where a port may send from: allowed pairs of addresses and MACs, and ports that may send from anywhere.

use std::net::Ipv4Addr;

use etherparse::{ArpEthIpv4Packet, ArpOperation, EtherType, Ethernet2Header};
use weft_dataplane_abi as abi;
use weft_dataplane_abi::programs::FROM_POD;
use weft_dataplane_abi::{DropReason, IpKey, maps, port_flags};
use weft_vxlan::MacAddr;

use crate::world::*;

/// Of ALICE.
const IFINDEX: u32 = 1;
/// A router's shared address and MAC (RFC 5798).
const SHARED: Station = Station {
    mac: MacAddr::new([0x00, 0x00, 0x5e, 0x00, 0x01, 0x07]),
    ipv4: Ipv4Addr::new(10, 0, 0, 100),
    ipv6: ALICE.ipv6,
};

/// ALICE with the pair, on top of her own addresses.
fn world() -> Option<World> {
    let mut world = World::load()?;
    let flags = port_flags::PAIRS;
    world.secure(ALICE_SLOT, abi::PortSecurity { ingress: 0, egress: 0, tenant: TENANT, flags });
    let key = IpKey::ipv4(IFINDEX, SHARED.ipv4.octets());
    world.put_lpm(maps::PAIRS, IpKey::SCOPE_BITS + 30, key, abi::AllowedPair::new(IFINDEX, SHARED.mac));
    Some(world)
}

fn from(mac: MacAddr, ipv4: Ipv4Addr) -> Vec<u8> {
    udp(Station { mac, ipv4, ipv6: ALICE.ipv6 }, BOB, (4000, 5000))
}

/// In: packets with her own MAC and that of the pair, from her own address, from those of the pair, and from others. Out: each
/// address passes with its own MAC.
#[test]
fn an_address_has_the_mac_of_its_pair() {
    let Some(mut world) = world() else { return };
    let near = Ipv4Addr::new(10, 0, 0, 103);
    for (mac, ipv4) in [(ALICE.mac, ALICE.ipv4), (SHARED.mac, SHARED.ipv4), (SHARED.mac, near)] {
        assert_eq!(world.run(FROM_POD, &from(mac, ipv4)).verdict, REDIRECT, "{mac} {ipv4}");
    }
    for (mac, ipv4, reason) in [
        (SHARED.mac, ALICE.ipv4, DropReason::SpoofedMac),
        (ALICE.mac, SHARED.ipv4, DropReason::SpoofedMac),
        (SHARED.mac, Ipv4Addr::new(10, 0, 0, 104), DropReason::SpoofedMac),
        (ALICE.mac, Ipv4Addr::new(10, 0, 0, 104), DropReason::SpoofedIp),
    ] {
        world.assert_dropped(FROM_POD, &from(mac, ipv4), reason);
    }
}

/// ARP for BOB from these MACs and address.
fn arp(frame_mac: MacAddr, sender_mac: MacAddr, sender: Ipv4Addr) -> Vec<u8> {
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: sender_mac.bytes(),
        sender_ipv4: sender.octets(),
        target_mac: [0; 6],
        target_ipv4: BOB.ipv4.octets(),
    };
    let packet: etherparse::ArpPacket = arp.into();
    let (source, destination) = (frame_mac.bytes(), MacAddr::BROADCAST.bytes());
    let mut frame = Ethernet2Header { source, destination, ether_type: EtherType::ARP }.to_bytes().to_vec();
    frame.extend(packet.to_bytes());
    frame
}

/// In: ARP likewise, and with one MAC on the frame and another inside. Out: answered where both are of the address.
#[test]
fn neighbours_hear_it_the_same_way() {
    let Some(mut world) = world() else { return };
    for (mac, sender) in [(ALICE.mac, ALICE.ipv4), (SHARED.mac, SHARED.ipv4)] {
        let outcome = world.run(FROM_POD, &arp(mac, mac, sender));
        assert_eq!((outcome.verdict, &outcome.frame[..6]), (REDIRECT, &mac.bytes()[..]));
    }
    for (frame_mac, sender_mac, sender) in [
        (ALICE.mac, SHARED.mac, SHARED.ipv4),
        (SHARED.mac, ALICE.mac, ALICE.ipv4),
        (SHARED.mac, SHARED.mac, ALICE.ipv4),
        (BOB.mac, BOB.mac, SHARED.ipv4),
    ] {
        world.assert_dropped(FROM_POD, &arp(frame_mac, sender_mac, sender), DropReason::SpoofedMac);
    }
}

/// In: another one's addresses, from a port that may send from any. Out: all pass, and then none any more.
#[test]
fn a_router_sends_for_others() {
    let Some(mut world) = World::load() else { return };
    let any = abi::PortSecurity { ingress: 0, egress: 0, tenant: TENANT, flags: port_flags::ANY_SOURCE };
    world.secure(ALICE_SLOT, any);
    let frame = from(CAROL.mac, CAROL.ipv4);
    assert_eq!(world.run(FROM_POD, &frame).verdict, REDIRECT);
    world.secure(ALICE_SLOT, abi::PortSecurity { flags: 0, ..any });
    world.assert_dropped(FROM_POD, &frame, DropReason::SpoofedMac);
}
