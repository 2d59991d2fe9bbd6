//! Tunnels over IPv6: what goes in and comes out, and the rules for outer checksums (RFC 6935, RFC 6936).

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::programs::{FROM_POD, FROM_UNDERLAY};
use weft_vxlan::{Header, UDP_PORT};

use crate::world::*;

/// Bytes in front of the inner frame.
const OUTER: usize = 70;

fn udp(from: Station, to: Station, over_ipv6: bool, payload: usize) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2(from.mac.bytes(), to.mac.bytes());
    let ip = if over_ipv6 {
        ethernet.ipv6(from.ipv6.octets(), to.ipv6.octets(), 64)
    } else {
        ethernet.ipv4(from.ipv4.octets(), to.ipv4.octets(), 64)
    };
    let mut frame = Vec::new();
    ip.udp(4000, 5000).write(&mut frame, &vec![0x5a; payload]).unwrap();
    frame
}

fn address(last: u8) -> [u8; 16] {
    vtep6(last).to_bytes()
}

/// A frame in VXLAN from `from`, without an outer checksum.
fn tunnelled(from: [u8; 16], number: u32, inner: &[u8]) -> Vec<u8> {
    let mut payload = Header { vni: vni(number) }.encode().to_vec();
    payload.extend_from_slice(inner);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(NEXT_HOP_MAC.bytes(), LOOPBACK_MAC.bytes())
        .ipv6(from, address(1), 64)
        .udp(45000, UDP_PORT)
        .write(&mut frame, &payload)
        .unwrap();
    frame[60..62].fill(0);
    frame
}

#[test]
fn both_inner_families_are_wrapped() {
    let Some(mut world) = World::load_over_ipv6() else { return };
    for over_ipv6 in [false, true] {
        let inner = udp(ALICE, CAROL, over_ipv6, 100);
        let outcome = world.run(FROM_POD, &inner);
        assert_eq!(outcome.verdict, REDIRECT);
        assert_eq!(outcome.frame[OUTER..], inner, "a switched frame is untouched");
        let outer = SlicedPacket::from_ethernet(&outcome.frame).unwrap();
        let Some(etherparse::LinkSlice::Ethernet2(ethernet)) = outer.link else {
            panic!("no Ethernet header")
        };
        assert_eq!((ethernet.source(), ethernet.destination()), (UNDERLAY_MAC.bytes(), NEXT_HOP_MAC.bytes()));
        let Some(NetSlice::Ipv6(ip)) = outer.net else { panic!("the outer header is not IPv6") };
        let header = ip.header();
        assert_eq!((header.source(), header.destination()), (address(1), address(2)));
        assert_eq!((header.hop_limit(), header.traffic_class()), (64, 0));
        assert_eq!(usize::from(header.payload_length()), outcome.frame.len() - 54);
        assert_ne!(header.flow_label().value(), 0);
        let Some(TransportSlice::Udp(udp)) = outer.transport else { panic!("no outer UDP header") };
        assert_eq!((udp.destination_port(), udp.checksum()), (UDP_PORT, 0));
        assert!(udp.source_port() >= 32768);
        assert_eq!(usize::from(udp.length()), outcome.frame.len() - 54);
        let header = Header::decode(udp.payload()[..8].try_into().unwrap()).unwrap();
        assert_eq!(header.vni, vni(101));
    }
}

#[test]
fn the_overhead_is_20_bytes_more() {
    let Some(mut world) = World::load_over_ipv6() else { return };
    // 1430 bytes inside are 1500 outside.
    assert_eq!(world.run(FROM_POD, &udp(ALICE, CAROL, false, 1430 - 28)).verdict, REDIRECT);
    let outcome = world.run(FROM_POD, &udp(ALICE, CAROL, false, 1431 - 28));
    // "Fragmentation needed" from the gateway (RFC 1191), with the MTU inside the tunnel.
    assert_eq!((outcome.frame[23], &outcome.frame[34..36]), (1, &[3, 4][..]));
    assert_eq!(outcome.frame[40..42], 1430_u16.to_be_bytes());
}

#[test]
fn an_unresolved_next_hop_is_left_to_the_vxlan_device() {
    let Some(mut world) = World::load_over_ipv6() else { return };
    let frame = udp(ALICE, FRANK, true, 100);
    let outcome = world.run(FROM_POD, &frame);
    assert_eq!((outcome.verdict, outcome.frame), (REDIRECT, frame));
}

#[test]
fn both_inner_families_are_unwrapped() {
    let Some(mut world) = World::load_over_ipv6() else { return };
    for over_ipv6 in [false, true] {
        let inner = udp(CAROL, BOB, over_ipv6, 100);
        let outcome = world.run(FROM_UNDERLAY, &tunnelled(address(2), 101, &inner));
        assert_eq!(outcome.verdict, REDIRECT);
        assert_eq!(outcome.frame, inner);
    }
    assert_eq!(world.counters(BOB_SLOT).to_port.packets, 2);
}

#[test]
fn only_vteps_that_take_part() {
    let Some(mut world) = World::load_over_ipv6() else { return };
    let inner = udp(CAROL, BOB, false, 100);
    let mapped = vtep(2).to_bytes();
    for from in [address(99), address(5), mapped] {
        world.assert_dropped(FROM_UNDERLAY, &tunnelled(from, 101, &inner), DropReason::UnknownVtep);
    }
    world.assert_dropped(FROM_UNDERLAY, &tunnelled(address(2), 7777, &inner), DropReason::UnknownVni);
}

#[test]
fn lengths_that_cannot_be_right() {
    let Some(mut world) = World::load_over_ipv6() else { return };
    let good = tunnelled(address(2), 101, &udp(CAROL, BOB, false, 100));
    let payload = u16::try_from(good.len() - 54).unwrap();
    for (ip, udp) in [(payload + 1, payload + 1), (payload, payload - 1), (payload - 1, payload), (10, 10)] {
        let mut frame = good.clone();
        frame[18..20].copy_from_slice(&ip.to_be_bytes());
        frame[58..60].copy_from_slice(&udp.to_be_bytes());
        world.assert_dropped(FROM_UNDERLAY, &frame, DropReason::Malformed);
    }
    let padded = [good.as_slice(), &[0; 6]].concat();
    assert_eq!(world.run(FROM_UNDERLAY, &padded).verdict, REDIRECT);
}

/// A checksum that is there has to be verified, which the host's stack does; what has extension headers, fragments among
/// them, is made whole there too.
#[test]
fn what_the_hosts_stack_must_look_at_passes() {
    let Some(mut world) = World::load_over_ipv6() else { return };
    let ours = tunnelled(address(2), 101, &udp(CAROL, BOB, false, 100));
    let changed = |at: usize, byte: u8| {
        let mut frame = ours.clone();
        frame[at] = byte;
        frame
    };
    for (what, frame) in [
        ("a checksum", changed(61, 1)),
        ("a fragment", changed(20, 44)),
        ("hop-by-hop options", changed(20, 0)),
        ("another address", changed(53, 9)),
        ("another port", changed(57, 0)),
        ("another station's", changed(0, 2)),
        ("short", ours[..60].to_vec()),
    ] {
        let outcome = world.run(FROM_UNDERLAY, &frame);
        assert_eq!((outcome.verdict, outcome.frame), (PASS, frame), "{what}");
    }
    let outcome = world.run_with(FROM_UNDERLAY, &ours, 1400);
    assert_eq!(outcome.verdict, PASS, "a super-packet, for the vxlan device");
    assert_eq!(world.drops(0), [].into());
}

/// A host has tunnels over one family: the other's VXLAN is none of its business.
#[test]
fn families_do_not_mix() {
    let inner = udp(CAROL, BOB, false, 100);
    let over_ipv6 = tunnelled(address(2), 101, &inner);
    let Some(mut world) = World::load() else { return };
    assert_eq!(world.run(FROM_UNDERLAY, &over_ipv6).verdict, PASS);
    assert_eq!(world.drops(0), [].into());
}
