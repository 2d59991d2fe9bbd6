//! What other hosts send: only VXLAN for us is touched, and only from those who may send it.

use etherparse::{NetSlice, PacketBuilder, SlicedPacket};
use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::programs::FROM_UNDERLAY;
use weft_vxlan::{Header, MacAddr};

use crate::reference::checksum;
use crate::world::*;

/// An inner UDP packet between two stations.
pub fn inner4(from: Station, to: Station, from_mac: MacAddr, to_mac: MacAddr, ttl: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from_mac.bytes(), to_mac.bytes())
        .ipv4(from.ipv4.octets(), to.ipv4.octets(), ttl)
        .udp(4000, 5000)
        .write(&mut frame, &[0x5a; 64])
        .unwrap();
    frame
}

pub fn inner6(from: Station, to: Station, from_mac: MacAddr, to_mac: MacAddr, hop_limit: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from_mac.bytes(), to_mac.bytes())
        .ipv6(from.ipv6.octets(), to.ipv6.octets(), hop_limit)
        .udp(4000, 5000)
        .write(&mut frame, &[0x5a; 64])
        .unwrap();
    frame
}

/// A frame inside VXLAN from the VTEP 192.0.2.`from` to ours.
pub fn tunnelled(from: u8, number: u32, inner: &[u8]) -> Vec<u8> {
    let mut payload = Header { vni: vni(number) }.encode().to_vec();
    payload.extend_from_slice(inner);
    outer([192, 0, 2, from], [192, 0, 2, 1], weft_vxlan::UDP_PORT, &payload)
}

pub fn outer(from: [u8; 4], to: [u8; 4], port: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(NEXT_HOP_MAC.bytes(), LOOPBACK_MAC.bytes())
        .ipv4(from, to, 64)
        .udp(45000, port)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

#[test]
fn switched_frames_are_delivered_as_they_are() {
    let Some(mut world) = World::load() else { return };
    for inner in [inner4(CAROL, BOB, CAROL.mac, BOB.mac, 64), inner6(CAROL, BOB, CAROL.mac, BOB.mac, 64)] {
        let before = world.counters(BOB_SLOT).to_port.packets;
        let Some(outcome) = world.decapsulated(&tunnelled(2, 101, &inner), &inner) else { continue };
        assert_eq!(outcome.verdict, REDIRECT);
        assert_eq!(outcome.frame, inner);
        assert_eq!(world.counters(BOB_SLOT).to_port.packets, before + 1);
    }
    assert_eq!(world.counters(BLUE_SLOT).to_port.packets, 0);
}

#[test]
fn routed_packets_get_the_ports_mac_and_lose_a_hop() {
    let Some(mut world) = World::load() else { return };
    let peer = vtep(2).default_router_mac();
    for inner in [inner4(ERIN, BOB, peer, ROUTER_MAC, 63), inner6(ERIN, BOB, peer, ROUTER_MAC, 63)] {
        let Some(outcome) = world.decapsulated(&tunnelled(2, 5001, &inner), &inner) else { continue };
        assert_eq!(outcome.verdict, REDIRECT);
        assert_eq!(outcome.frame[..6], BOB.mac.bytes());
        assert_eq!(outcome.frame[6..12], GATEWAY_MAC.bytes());
        match SlicedPacket::from_ethernet(&outcome.frame).unwrap().net {
            Some(NetSlice::Ipv4(ip)) => {
                let header = ip.header().to_header();
                assert_eq!(header.time_to_live, 62);
                assert_eq!(header.header_checksum, header.calc_header_checksum());
            }
            Some(NetSlice::Ipv6(ip)) => assert_eq!(ip.header().hop_limit(), 62),
            _ => panic!("no IP header"),
        }
    }
}

#[test]
fn the_vni_selects_the_network() {
    let Some(mut world) = World::load() else { return };
    let inner = inner4(CAROL, BOB, CAROL.mac, BOB.mac, 64);
    assert_eq!(world.run(FROM_UNDERLAY, &tunnelled(5, 201, &inner)).verdict, REDIRECT);
    assert_eq!(world.counters(BLUE_SLOT).to_port.packets, 1);
    assert_eq!(world.counters(BOB_SLOT).to_port.packets, 0);
}

#[test]
fn only_vteps_that_take_part_in_the_vni() {
    let Some(mut world) = World::load() else { return };
    let inner = inner4(CAROL, BOB, CAROL.mac, BOB.mac, 64);
    // A stranger; a VTEP of another network; one that is in the network but not in the subnet.
    for from in [99, 5, 3] {
        world.assert_dropped(FROM_UNDERLAY, &tunnelled(from, 101, &inner), DropReason::UnknownVtep);
    }
    world.assert_dropped(FROM_UNDERLAY, &tunnelled(2, 7777, &inner), DropReason::UnknownVni);
}

#[test]
fn never_back_to_another_host() {
    let Some(mut world) = World::load() else { return };
    let peer = vtep(3).default_router_mac();
    let routed = inner4(ERIN, CAROL, peer, ROUTER_MAC, 63);
    world.assert_dropped(FROM_UNDERLAY, &tunnelled(3, 5001, &routed), DropReason::NotLocal);
    let switched = inner4(CAROL, FRANK, CAROL.mac, FRANK.mac, 64);
    world.assert_dropped(FROM_UNDERLAY, &tunnelled(2, 101, &switched), DropReason::NotLocal);
    // Nor does the gateway answer across the tunnel: everyone has a gateway of its own.
    let gateway = Station { ipv4: [10, 0, 0, 1].into(), ..BOB };
    let routed = inner4(ERIN, gateway, peer, ROUTER_MAC, 63);
    world.assert_dropped(FROM_UNDERLAY, &tunnelled(3, 5001, &routed), DropReason::NotLocal);
}

#[test]
fn inner_frames_that_cannot_be_right() {
    let Some(mut world) = World::load() else { return };
    let peer = vtep(2).default_router_mac();
    let wrong_mac = inner4(ERIN, BOB, peer, GATEWAY_MAC, 63);
    world.assert_dropped(FROM_UNDERLAY, &tunnelled(2, 5001, &wrong_mac), DropReason::NotRouterMac);
    let stranger = inner4(CAROL, BOB, CAROL.mac, MacAddr::new([2, 9, 9, 9, 9, 9]), 64);
    world.assert_dropped(FROM_UNDERLAY, &tunnelled(2, 101, &stranger), DropReason::UnknownMac);
    let mut tagged = inner4(CAROL, BOB, CAROL.mac, MacAddr::BROADCAST, 64);
    tagged[12..14].copy_from_slice(&[0x81, 0x00]);
    world.assert_dropped(FROM_UNDERLAY, &tunnelled(2, 101, &tagged), DropReason::UnsupportedEthertype);
    let mut arp = inner4(ERIN, BOB, peer, ROUTER_MAC, 64);
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    world.assert_dropped(FROM_UNDERLAY, &tunnelled(2, 5001, &arp), DropReason::UnsupportedEthertype);
    let inner = inner4(CAROL, BOB, CAROL.mac, BOB.mac, 64);
    world.assert_dropped(FROM_UNDERLAY, &tunnelled(2, 101, &inner[..20]), DropReason::Malformed);
    world.assert_dropped(FROM_UNDERLAY, &tunnelled(2, 101, &inner[..0]), DropReason::Malformed);
}

#[test]
fn what_is_for_a_subnet_is_left_to_the_vxlan_device_once_its_sender_is_known() {
    let Some(mut world) = World::load() else { return };
    let broadcast = inner4(CAROL, BOB, CAROL.mac, MacAddr::BROADCAST, 64);
    let mut arp = inner4(CAROL, BOB, CAROL.mac, BOB.mac, 64);
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    for inner in [broadcast, arp] {
        let sent = tunnelled(2, 101, &inner);
        let outcome = world.run(FROM_UNDERLAY, &sent);
        assert_eq!((outcome.verdict, outcome.frame), (PASS, sent));
        world.assert_dropped(FROM_UNDERLAY, &tunnelled(3, 101, &inner), DropReason::UnknownVtep);
        world.assert_dropped(FROM_UNDERLAY, &tunnelled(2, 7777, &inner), DropReason::UnknownVni);
    }
}

#[test]
fn vxlan_headers_that_cannot_be_right() {
    let Some(mut world) = World::load() else { return };
    let inner = inner4(CAROL, BOB, CAROL.mac, BOB.mac, 64);
    let good = tunnelled(2, 101, &inner);
    let mut no_flag = good.clone();
    no_flag[42] = 0;
    world.assert_dropped(FROM_UNDERLAY, &no_flag, DropReason::BadVxlanHeader);
    let mut zero = good;
    zero[46..49].fill(0);
    world.assert_dropped(FROM_UNDERLAY, &zero, DropReason::BadVxlanHeader);
}

#[test]
fn outer_lengths_that_cannot_be_right() {
    let Some(mut world) = World::load() else { return };
    let good = tunnelled(2, 101, &inner4(CAROL, BOB, CAROL.mac, BOB.mac, 64));
    let lengths = |ip: u16, udp: u16| {
        let mut frame = good.clone();
        frame[16..18].copy_from_slice(&ip.to_be_bytes());
        frame[38..40].copy_from_slice(&udp.to_be_bytes());
        checksum::mend(&mut frame);
        frame
    };
    let total = u16::try_from(good.len() - 14).unwrap();
    for (what, frame) in [
        ("longer than the frame", lengths(total + 1, total - 19)),
        ("UDP shorter than IP", lengths(total, total - 21)),
        ("UDP longer than IP", lengths(total, total - 19)),
        ("no room for VXLAN", lengths(30, 10)),
        ("inner packet cut", lengths(total - 1, total - 21)),
    ] {
        println!("{what}");
        world.assert_dropped(FROM_UNDERLAY, &frame, DropReason::Malformed);
    }
    // Padding behind the IP packet, as Ethernet has it, is not part of the inner frame.
    let padded = [good.as_slice(), &[0; 6]].concat();
    assert_eq!(world.run(FROM_UNDERLAY, &padded).verdict, REDIRECT);
}

/// In: a good frame with each bit of its outer IPv4 header's checksum turned over, with other fields than were summed up,
/// and without a checksum; then with several fields and the checksum that belongs to them. Out: only the last are delivered.
#[test]
fn an_outer_header_whose_checksum_is_wrong() {
    let Some(mut world) = World::load() else { return };
    let good = tunnelled(2, 101, &inner4(CAROL, BOB, CAROL.mac, BOB.mac, 64));
    for bit in 0..16 {
        let mut frame = good.clone();
        frame[24 + bit / 8] ^= 1 << (bit % 8);
        world.assert_dropped(FROM_UNDERLAY, &frame, DropReason::Malformed);
    }
    for at in [15, 18, 19, 22] {
        let mut frame = good.clone();
        frame[at] ^= 0x04;
        world.assert_dropped(FROM_UNDERLAY, &frame, DropReason::Malformed);
    }
    let mut none = good.clone();
    none[24..26].fill(0);
    world.assert_dropped(FROM_UNDERLAY, &none, DropReason::Malformed);
    // Identifications and TTLs whose sums need the carry more than once, with the checksum that belongs to each.
    for (identification, ttl) in [([0xff, 0xff], 0xff), ([0x00, 0x01], 1), ([0x80, 0x00], 0x80)] {
        let mut frame = good.clone();
        frame[18..20].copy_from_slice(&identification);
        frame[22] = ttl;
        checksum::mend(&mut frame);
        assert_eq!(world.run(FROM_UNDERLAY, &frame).verdict, REDIRECT);
    }
}

#[test]
fn what_is_not_ours_passes_untouched() {
    let Some(mut world) = World::load() else { return };
    let inner = inner4(CAROL, BOB, CAROL.mac, BOB.mac, 64);
    let ours = tunnelled(2, 101, &inner);
    let payload = &ours[42..];
    let mut fragment = ours.clone();
    fragment[20] = 0x20;
    let mut arp = ours.clone();
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    let mut other = ours.clone();
    other[..6].copy_from_slice(&NEXT_HOP_MAC.bytes());
    let mut tcp = ours.clone();
    tcp[23] = 6;
    for (what, frame) in [
        ("another address", outer([192, 0, 2, 2], [192, 0, 2, 9], weft_vxlan::UDP_PORT, payload)),
        ("another port", outer([192, 0, 2, 2], [192, 0, 2, 1], 4790, payload)),
        ("a fragment, for the host to reassemble", fragment),
        ("not IP", arp),
        ("for another station", other),
        ("not UDP", tcp),
        ("short", ours[..40].to_vec()),
    ] {
        let outcome = world.run(FROM_UNDERLAY, &frame);
        assert_eq!(outcome.verdict, PASS, "{what}");
        assert_eq!(outcome.frame, frame, "{what}");
    }
    let outcome = world.run_with(FROM_UNDERLAY, &ours, 1400);
    assert_eq!((outcome.verdict, outcome.frame), (PASS, ours), "a super-packet, for the vxlan device");
    assert_eq!(world.drops(0), [].into());
}
