//! ICMP errors that call a packet of ours too big: they pass to the host's stack, and the daemon is told.

use etherparse::{Icmpv4Type, Icmpv6Type, PacketBuilder, icmpv4::DestUnreachableHeader};
use weft_dataplane_abi::programs::FROM_UNDERLAY;
use weft_vxlan::UDP_PORT;

use crate::world::*;

const ROUTER: [u8; 4] = [203, 0, 113, 1];
const ROUTER6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// The packet that is quoted: UDP from a VTEP to another, without its Ethernet header.
fn quoted4(from: u8, to: u8, port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ipv4([192, 0, 2, from], [192, 0, 2, to], 63)
        .udp(45000, port)
        .write(&mut frame, &[0; 64])
        .unwrap();
    frame
}

fn quoted6(from: u8, to: u8, port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ipv6(vtep6(from).to_bytes(), vtep6(to).to_bytes(), 63)
        .udp(45000, port)
        .write(&mut frame, &[0; 64])
        .unwrap();
    frame
}

fn error4(error: Icmpv4Type, quoted: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(NEXT_HOP_MAC.bytes(), LOOPBACK_MAC.bytes())
        .ipv4(ROUTER, [192, 0, 2, 1], 64)
        .icmpv4(error)
        .write(&mut frame, quoted)
        .unwrap();
    frame
}

fn error6(error: Icmpv6Type, quoted: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(NEXT_HOP_MAC.bytes(), LOOPBACK_MAC.bytes())
        .ipv6(ROUTER6, vtep6(1).to_bytes(), 64)
        .icmpv6(error)
        .write(&mut frame, quoted)
        .unwrap();
    frame
}

fn too_big4(mtu: u16) -> Icmpv4Type {
    Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: mtu })
}

fn too_big6(mtu: u32) -> Icmpv6Type {
    Icmpv6Type::PacketTooBig { mtu }
}

/// Whether the programs tell the daemon. Any such packet goes on to the host's stack as it is.
#[track_caller]
fn is_told(world: &mut World, frame: &[u8]) -> bool {
    let before = world.path_mtu_signal();
    let outcome = world.run(FROM_UNDERLAY, frame);
    assert_eq!((outcome.verdict, outcome.frame.as_slice()), (PASS, frame));
    world.path_mtu_signal() != before
}

#[test]
fn a_smaller_mtu_of_the_way_to_a_vtep_is_told() {
    let Some(mut world) = World::load() else { return };
    assert!(is_told(&mut world, &error4(too_big4(1400), &quoted4(1, 2, UDP_PORT))));
    let Some(mut world) = World::load_over_ipv6() else { return };
    assert!(is_told(&mut world, &error6(too_big6(1400), &quoted6(1, 2, UDP_PORT))));
}

#[test]
fn what_says_nothing_new_is_not() {
    let Some(mut world) = World::load() else { return };
    let unreachable = Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port);
    for (what, frame) in [
        ("no less than is known", error4(too_big4(1500), &quoted4(1, 2, UDP_PORT))),
        ("another error", error4(unreachable, &quoted4(1, 2, UDP_PORT))),
        ("not from our VTEP", error4(too_big4(1400), &quoted4(7, 2, UDP_PORT))),
        ("to no VTEP", error4(too_big4(1400), &quoted4(1, 99, UDP_PORT))),
        ("not VXLAN", error4(too_big4(1400), &quoted4(1, 2, 53))),
        ("cut short", error4(too_big4(1400), &quoted4(1, 2, UDP_PORT)[..24])),
    ] {
        assert!(!is_told(&mut world, &frame), "{what}");
    }
    let Some(mut world) = World::load_over_ipv6() else { return };
    for (what, frame) in [
        ("no less than is known", error6(too_big6(1500), &quoted6(1, 2, UDP_PORT))),
        ("not from our VTEP", error6(too_big6(1400), &quoted6(7, 2, UDP_PORT))),
        ("to no VTEP", error6(too_big6(1400), &quoted6(1, 99, UDP_PORT))),
        ("not VXLAN", error6(too_big6(1400), &quoted6(1, 2, 53))),
    ] {
        assert!(!is_told(&mut world, &frame), "{what}");
    }
}
