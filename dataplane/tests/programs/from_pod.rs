//! What a workload sends: anti-spoofing, routing, switching, encapsulation.

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::programs::FROM_POD;
use weft_vxlan::{Header, MacAddr};

use crate::world::*;

const PAYLOAD: [u8; 100] = [0x5a; 100];

/// A UDP packet over IPv4 from ALICE.
fn udp4(mac: MacAddr, to: [u8; 4], ttl: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(ALICE.mac.bytes(), mac.bytes())
        .ipv4(ALICE.ipv4.octets(), to, ttl)
        .udp(4000, 5000)
        .write(&mut frame, &PAYLOAD)
        .unwrap();
    frame
}

/// A UDP packet over IPv6 from ALICE.
fn udp6(mac: MacAddr, to: [u8; 16], hop_limit: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(ALICE.mac.bytes(), mac.bytes())
        .ipv6(ALICE.ipv6.octets(), to, hop_limit)
        .udp(4000, 5000)
        .write(&mut frame, &PAYLOAD)
        .unwrap();
    frame
}

/// Checks the outer headers, and returns the VNI and the inner frame.
#[track_caller]
fn unwrap_outer(frame: &[u8], to: u8) -> (u32, &[u8]) {
    let outer = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(etherparse::LinkSlice::Ethernet2(ethernet)) = outer.link else { panic!("no Ethernet header") };
    assert_eq!(ethernet.source(), UNDERLAY_MAC.bytes());
    assert_eq!(ethernet.destination(), NEXT_HOP_MAC.bytes());
    let Some(NetSlice::Ipv4(ip)) = outer.net else { panic!("outer header is not IPv4") };
    let header = ip.header().to_header();
    assert_eq!(header.source, [192, 0, 2, 1]);
    assert_eq!(header.destination, [192, 0, 2, to]);
    assert!(header.dont_fragment);
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert_eq!(usize::from(header.total_len), frame.len() - 14);
    let Some(TransportSlice::Udp(udp)) = outer.transport else { panic!("no outer UDP header") };
    assert_eq!(udp.destination_port(), weft_vxlan::UDP_PORT);
    assert!(udp.source_port() >= 32768);
    assert_eq!(udp.checksum(), 0);
    assert_eq!(usize::from(udp.length()), frame.len() - 34);
    let header = Header::decode(udp.payload()[..8].try_into().unwrap()).unwrap();
    (header.vni.get(), &frame[50..])
}

/// Checks the inner frame of a packet that was built by `udp4` or `udp6` and routed or not.
#[track_caller]
fn assert_inner(frame: &[u8], to: MacAddr, from: MacAddr, ttl: u8) {
    let inner = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(etherparse::LinkSlice::Ethernet2(ethernet)) = inner.link else { panic!("no Ethernet header") };
    assert_eq!(ethernet.destination(), to.bytes());
    assert_eq!(ethernet.source(), from.bytes());
    match inner.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header().to_header();
            assert_eq!(header.time_to_live, ttl);
            assert_eq!(header.header_checksum, header.calc_header_checksum());
        }
        Some(NetSlice::Ipv6(ip)) => assert_eq!(ip.header().hop_limit(), ttl),
        _ => panic!("no IP header"),
    }
    let Some(TransportSlice::Udp(udp)) = inner.transport else { panic!("no UDP header") };
    assert_eq!(udp.payload(), PAYLOAD);
}

#[test]
fn switched_to_a_port_of_this_host() {
    let Some(mut world) = World::load() else { return };
    for frame in [udp4(BOB.mac, BOB.ipv4.octets(), 64), udp6(BOB.mac, BOB.ipv6.octets(), 64)] {
        let before = world.counters(BOB_SLOT).to_port;
        let outcome = world.run(FROM_POD, &frame);
        assert_eq!(outcome.verdict, REDIRECT);
        assert_eq!(outcome.frame, frame, "a switched frame is untouched");
        let after = world.counters(BOB_SLOT).to_port;
        assert_eq!(after.packets, before.packets + 1);
        assert_eq!(after.bytes, before.bytes + frame.len() as u64);
    }
    assert_eq!(world.counters(ALICE_SLOT).from_port.packets, 2);
    assert_eq!(world.counters(BLUE_SLOT).to_port.packets, 0, "the same address in another network");
}

#[test]
fn routed_to_a_port_of_this_host() {
    let Some(mut world) = World::load() else { return };
    for frame in [udp4(GATEWAY_MAC, DAVE.ipv4.octets(), 64), udp6(GATEWAY_MAC, DAVE.ipv6.octets(), 64)] {
        let outcome = world.run(FROM_POD, &frame);
        assert_eq!(outcome.verdict, REDIRECT);
        assert_inner(&outcome.frame, DAVE.mac, GATEWAY_MAC, 63);
    }
    assert_eq!(world.counters(DAVE_SLOT).to_port.packets, 2);
}

#[test]
fn switched_to_another_host_with_the_subnets_vni() {
    let Some(mut world) = World::load() else { return };
    for frame in [udp4(CAROL.mac, CAROL.ipv4.octets(), 64), udp6(CAROL.mac, CAROL.ipv6.octets(), 64)] {
        let outcome = world.run(FROM_POD, &frame);
        assert_eq!(outcome.verdict, REDIRECT);
        let (vni, inner) = unwrap_outer(&outcome.frame, 2);
        assert_eq!(vni, 101);
        assert_eq!(inner, frame, "a switched frame is untouched");
    }
}

#[test]
fn routed_to_another_host_with_the_networks_vni() {
    let Some(mut world) = World::load() else { return };
    let router = vtep(2).default_router_mac();
    for frame in [udp4(GATEWAY_MAC, ERIN.ipv4.octets(), 64), udp6(GATEWAY_MAC, ERIN.ipv6.octets(), 64)] {
        let outcome = world.run(FROM_POD, &frame);
        assert_eq!(outcome.verdict, REDIRECT);
        let (vni, inner) = unwrap_outer(&outcome.frame, 2);
        assert_eq!(vni, 5001);
        assert_inner(inner, router, ROUTER_MAC, 63);
    }
}

#[test]
fn longest_prefix_when_no_address_matches() {
    let Some(mut world) = World::load() else { return };
    let v6 = "fd00:9::77".parse::<std::net::Ipv6Addr>().unwrap().octets();
    for frame in [udp4(GATEWAY_MAC, [10, 9, 200, 7], 64), udp6(GATEWAY_MAC, v6, 64)] {
        let outcome = world.run(FROM_POD, &frame);
        let (vni, inner) = unwrap_outer(&outcome.frame, 3);
        assert_eq!(vni, 5001);
        assert_inner(inner, vtep(3).default_router_mac(), ROUTER_MAC, 63);
    }
    world.assert_dropped(FROM_POD, &udp4(GATEWAY_MAC, [10, 10, 0, 1], 64), DropReason::NoRoute);
    let outside = "fd00:a0::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    world.assert_dropped(FROM_POD, &udp6(GATEWAY_MAC, outside, 64), DropReason::NoRoute);
    // An IPv4 entry must not be met by the IPv6 address that maps it.
    let mapped = DAVE.ipv4.to_ipv6_mapped().octets();
    world.assert_dropped(FROM_POD, &udp6(GATEWAY_MAC, mapped, 64), DropReason::NoRoute);
}

#[test]
fn unresolved_next_hop_goes_through_the_kernels_device() {
    let Some(mut world) = World::load() else { return };
    let frame = udp4(FRANK.mac, FRANK.ipv4.octets(), 64);
    let outcome = world.run(FROM_POD, &frame);
    assert_eq!(outcome.verdict, REDIRECT);
    assert_eq!(outcome.frame, frame, "without outer headers: the device writes them");
    assert_eq!(world.counters(ALICE_SLOT).from_port.packets, 1);
}

#[test]
fn spoofed_sources_are_dropped() {
    let Some(mut world) = World::load() else { return };
    let mut frame = udp4(BOB.mac, BOB.ipv4.octets(), 64);
    frame[6..12].copy_from_slice(&CAROL.mac.bytes());
    world.assert_dropped(FROM_POD, &frame, DropReason::SpoofedMac);
    for source in [BOB.ipv4.octets(), [10, 0, 0, 1], [0; 4]] {
        let mut frame = udp4(BOB.mac, BOB.ipv4.octets(), 64);
        frame[26..30].copy_from_slice(&source);
        world.assert_dropped(FROM_POD, &frame, DropReason::SpoofedIp);
    }
    for source in [BOB.ipv6.octets(), BOB.mac.link_local().octets(), [0; 16]] {
        let mut frame = udp6(BOB.mac, BOB.ipv6.octets(), 64);
        frame[22..38].copy_from_slice(&source);
        world.assert_dropped(FROM_POD, &frame, DropReason::SpoofedIp);
    }
}

#[test]
fn link_local_sources_stay_on_their_link() {
    let Some(mut world) = World::load() else { return };
    let mut frame = udp6(BOB.mac, BOB.ipv6.octets(), 64);
    frame[22..38].copy_from_slice(&ALICE.mac.link_local().octets());
    assert_eq!(world.run(FROM_POD, &frame).verdict, REDIRECT);
    let mut frame = udp6(GATEWAY_MAC, DAVE.ipv6.octets(), 64);
    frame[22..38].copy_from_slice(&ALICE.mac.link_local().octets());
    world.assert_dropped(FROM_POD, &frame, DropReason::LinkLocal);
}

#[test]
fn ttl_ends_at_a_router_only() {
    let Some(mut world) = World::load() else { return };
    for ttl in [0, 1] {
        world.assert_refused(&udp4(GATEWAY_MAC, DAVE.ipv4.octets(), ttl), 0, DropReason::TtlExpired);
        world.assert_refused(&udp6(GATEWAY_MAC, ERIN.ipv6.octets(), ttl), 0, DropReason::TtlExpired);
    }
    assert_eq!(world.run(FROM_POD, &udp4(BOB.mac, BOB.ipv4.octets(), 1)).verdict, REDIRECT);
    let outcome = world.run(FROM_POD, &udp4(GATEWAY_MAC, DAVE.ipv4.octets(), 2));
    assert_inner(&outcome.frame, DAVE.mac, GATEWAY_MAC, 1);
}

#[test]
fn too_big_for_the_path_unless_segmented_later() {
    let Some(mut world) = World::load() else { return };
    let frame = |payload: usize| {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(ALICE.mac.bytes(), CAROL.mac.bytes())
            .ipv4(ALICE.ipv4.octets(), CAROL.ipv4.octets(), 64)
            .udp(4000, 5000)
            .write(&mut frame, &vec![0; payload])
            .unwrap();
        frame
    };
    // 1450 bytes inside are 1500 outside.
    assert_eq!(world.run(FROM_POD, &frame(1450 - 28)).verdict, REDIRECT);
    world.assert_refused(&frame(1451 - 28), 0, DropReason::TooBig);
    // The kernel refuses to encapsulate a test run's super-packet, whose kind it does not know; the way through
    // its own device shows that the size alone is no reason to drop.
    let mut big = frame(3000);
    big[..6].copy_from_slice(&FRANK.mac.bytes());
    assert_eq!(world.run_with(FROM_POD, &big, 1400).verdict, REDIRECT);
    world.assert_refused(&big, 0, DropReason::TooBig);
}

#[test]
fn frames_that_cannot_be_right_are_dropped() {
    let Some(mut world) = World::load() else { return };
    let good = udp4(BOB.mac, BOB.ipv4.octets(), 64);
    let changed = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        frame
    };
    for (what, frame) in [
        ("IP version 5", changed(14, 0x55)),
        ("IHL of 4", changed(14, 0x44)),
        ("total length above the frame", changed(16, 0x10)),
    ] {
        println!("{what}");
        world.assert_dropped(FROM_POD, &frame, DropReason::Malformed);
    }
    let mut frame = udp6(BOB.mac, BOB.ipv6.octets(), 64);
    frame[18] = 0x10;
    world.assert_dropped(FROM_POD, &frame, DropReason::Malformed);
    // 802.1Q, MPLS and loopback test frames.
    for ethertype in [[0x81, 0x00], [0x88, 0x47], [0x90, 0x00]] {
        let mut frame = good.clone();
        frame[12..14].copy_from_slice(&ethertype);
        world.assert_dropped(FROM_POD, &frame, DropReason::UnsupportedEthertype);
    }
}

#[test]
fn unknown_destinations_are_dropped() {
    let Some(mut world) = World::load() else { return };
    let stranger = MacAddr::new([2, 0xff, 0, 0, 0, 1]);
    world.assert_dropped(FROM_POD, &udp4(stranger, BOB.ipv4.octets(), 64), DropReason::UnknownMac);
    // DAVE's MAC is known, but in another subnet.
    world.assert_dropped(FROM_POD, &udp4(DAVE.mac, DAVE.ipv4.octets(), 64), DropReason::UnknownMac);
    world.assert_dropped(FROM_POD, &udp4(MacAddr::BROADCAST, [255; 4], 64), DropReason::Multicast);
    let group = MacAddr::new([0x33, 0x33, 0, 0, 0, 0xfb]);
    let mdns = "ff02::fb".parse::<std::net::Ipv6Addr>().unwrap().octets();
    world.assert_dropped(FROM_POD, &udp6(group, mdns, 255), DropReason::Multicast);
}

#[test]
fn unroutable_destinations_are_dropped() {
    let Some(mut world) = World::load() else { return };
    for address in [[127, 0, 0, 1], [169, 254, 169, 254], [224, 0, 0, 1], [255; 4], [0; 4]] {
        world.assert_dropped(FROM_POD, &udp4(GATEWAY_MAC, address, 64), DropReason::Unroutable);
    }
    for address in ["::", "::1", "fe80::1", "ff05::2"] {
        let address = address.parse::<std::net::Ipv6Addr>().unwrap().octets();
        world.assert_dropped(FROM_POD, &udp6(GATEWAY_MAC, address, 64), DropReason::Unroutable);
    }
}

#[test]
fn the_guard_lets_nothing_through() {
    let Some(mut world) = World::load() else { return };
    let sent = udp4(BOB.mac, BOB.ipv4.octets(), 64);
    assert_eq!(world.run(weft_dataplane_abi::programs::GUARD, &sent).verdict, DROP);
    assert_eq!(world.drops(ALICE_SLOT), [("program_missing", 1)].into());
}

#[test]
fn a_device_without_a_port_is_counted_for_none() {
    let Some(mut world) = World::load() else { return };
    world.forget_alice();
    let outcome = world.run(FROM_POD, &udp4(BOB.mac, BOB.ipv4.octets(), 64));
    assert_eq!(outcome.verdict, DROP);
    assert_eq!(world.drops(0), [("unknown_endpoint", 1)].into());
    assert_eq!(world.counters(BOB_SLOT).to_port.packets, 0);
}
