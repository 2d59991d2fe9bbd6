//! Every reason of a drop is provoked, counted and told. [`provoke`] matches on all of them: a new reason does not
//! compile until it is said here what causes it.

use etherparse::{ArpEthIpv4Packet, ArpOperation, EtherType, Ethernet2Header, PacketBuilder};
use weft_dataplane_abi::programs::{FROM_POD, FROM_UNDERLAY};
use weft_dataplane_abi::{
    DropEvent, DropReason, FlowLimits, MacKey, NextHop, Place, Scope, VtepAddr, flags, maps, port_flags,
};
use weft_vxlan::{Header, MacAddr};

use crate::reference::checksum;
use crate::world::*;

/// A packet that is dropped: the program that it meets, and itself.
type Provocation = (Place, Vec<u8>);

/// What is dropped for a reason, in a world that was made so that it is.
fn provoke(world: &mut World, reason: DropReason) -> Option<Provocation> {
    let ours = udp(ALICE, BOB, BOB.mac, 64);
    let pod = |frame| (Place::Pod, frame);
    Some(match reason {
        DropReason::UnknownEndpoint => {
            world.forget_alice();
            pod(ours)
        }
        DropReason::Malformed => pod(with(ours, 16, &[0xff, 0xff])),
        DropReason::SpoofedMac => pod(with(ours, 6, &BOB.mac.bytes())),
        DropReason::SpoofedIp => pod(udp(CAROL, BOB, BOB.mac, 64)),
        DropReason::UnsupportedEthertype => pod(with(ours, 12, &[0x88, 0xcc])),
        DropReason::UnknownNeighbour => pod(arp(ArpOperation::REQUEST)),
        DropReason::NeighbourNoise => pod(arp(ArpOperation::REPLY)),
        DropReason::Multicast => pod(udp(ALICE, BOB, MacAddr::BROADCAST, 64)),
        DropReason::UnknownMac => pod(udp(ALICE, BOB, MacAddr::new([2, 0, 0, 0, 0, 99]), 64)),
        DropReason::NoRoute => pod(udp(ALICE, elsewhere([10, 10, 0, 1]), GATEWAY_MAC, 64)),
        DropReason::TtlExpired => pod(udp(ALICE, DAVE, GATEWAY_MAC, 1)),
        DropReason::NotForGateway => pod(udp(ALICE, elsewhere([10, 0, 0, 1]), GATEWAY_MAC, 64)),
        DropReason::TooBig => pod(udp_of(ALICE, CAROL, CAROL.mac, 64, 1460)),
        DropReason::BadVxlanHeader => (Place::Underlay, with(received(2, 101, BOB.mac), 42, &[0])),
        DropReason::UnknownVtep => (Place::Underlay, received(99, 101, BOB.mac)),
        DropReason::UnknownVni => (Place::Underlay, received(2, 7777, BOB.mac)),
        DropReason::NotRouterMac => (Place::Underlay, received(2, red().get(), BOB.mac)),
        DropReason::NotLocal => (Place::Underlay, received(2, 101, CAROL.mac)),
        DropReason::NoVtep => {
            world.forget_vtep(2);
            pod(udp(ALICE, CAROL, CAROL.mac, 64))
        }
        // No tunnel key, which is what a test run cannot give.
        DropReason::KernelRefused => (Place::Vxlan, udp(CAROL, BOB, BOB.mac, 64)),
        DropReason::NotConfigured => {
            world.forget_host();
            pod(ours)
        }
        DropReason::LinkLocal => pod(link_local()),
        DropReason::ExtensionHeaders => pod(hidden_advertisement()),
        DropReason::Unroutable => pod(udp(ALICE, elsewhere([127, 0, 0, 1]), GATEWAY_MAC, 64)),
        // A mark of congestion on the outer packet, none possible on the inner one.
        DropReason::Congestion => {
            let mut frame = with(received(2, 101, BOB.mac), 15, &[3]);
            checksum::mend(&mut frame);
            (Place::Underlay, frame)
        }
        // What is known of BOB's MAC is another subnet's.
        DropReason::TableChanged => {
            let blue = NextHop::local(Scope::raw(201), 14, BLUE_SLOT, BOB.mac);
            world.put(maps::FDB, MacKey::new(vni(101), BOB.mac), blue);
            pod(ours)
        }
        DropReason::ProgramMissing => (Place::Guard, ours),
        DropReason::FloodLimited => {
            world.flood_to_bob(0);
            pod(udp(ALICE, BOB, MacAddr::BROADCAST, 64))
        }
        DropReason::PolicyDenied => {
            world.firewall(ALICE_SLOT, port_flags::FIREWALL);
            pod(ours)
        }
        DropReason::NoConnection => {
            world.firewall(ALICE_SLOT, LETS_OUT);
            pod(tcp(flags::ACK))
        }
        DropReason::InvalidState => {
            world.firewall(ALICE_SLOT, LETS_OUT);
            world.run(FROM_POD, &tcp(flags::SYN));
            pod(tcp(flags::ACK))
        }
        DropReason::FlowsFull => {
            world.firewall(ALICE_SLOT, LETS_OUT);
            world.fill_half_open();
            pod(ours)
        }
        DropReason::PortFlowQuota => {
            world.firewall(ALICE_SLOT, LETS_OUT);
            world.limit_flows(FlowLimits { per_port: 0, ..FLOW_LIMITS });
            pod(ours)
        }
        DropReason::TenantFlowQuota => {
            world.firewall(ALICE_SLOT, LETS_OUT);
            world.limit_flows(FlowLimits { per_tenant: 0, ..FLOW_LIMITS });
            pod(ours)
        }
        // The kernel says so while it changes the same part of its table, which no test can wait for.
        DropReason::FlowsBusy => return None,
        DropReason::FragmentWithoutFirst => {
            world.firewall(ALICE_SLOT, LETS_OUT);
            pod(fragment(tcp(flags::ACK), 100))
        }
        DropReason::FragmentedHeader => {
            world.firewall(ALICE_SLOT, LETS_OUT);
            pod(fragment(tcp(flags::ACK), 1))
        }
        DropReason::UnrelatedError => {
            world.firewall(ALICE_SLOT, LETS_OUT);
            pod(unreachable(ALICE, BOB, &ours[14..]))
        }
        DropReason::WrongDestination => pod(udp(ALICE, elsewhere([224, 0, 0, 251]), BOB.mac, 64)),
    })
}

/// In: for each reason, in a new world, the packet that provokes it. Out: one drop, counted for the port that sent it
/// and for this reason only, and one event that says the same and holds the packet's beginning.
#[test]
fn every_reason_is_counted_and_told() {
    for reason in DropReason::ALL {
        let Some(mut world) = World::load() else { return };
        let Some((place, frame)) = provoke(&mut world, reason) else { continue };
        let program = place.program();
        let is_port = matches!(place, Place::Pod | Place::Guard) && reason != DropReason::UnknownEndpoint;
        let slot = if is_port { ALICE_SLOT } else { 0 };
        world.run(program, &frame);
        assert_eq!(world.drops(slot).into_iter().collect::<Vec<_>>(), [(reason.name(), 1)]);
        assert_eq!(world.counters(slot).untold, 0, "{}", reason.name());
        let events = world.events();
        let [event] = events.as_slice() else { panic!("{}: {events:?}", reason.name()) };
        let name = reason.name();
        assert_eq!((event.reason, event.place, event.slot), (reason as u32, place as u32, slot), "{name}");
        let of_port = if is_port { (red().get(), 101) } else { (0, 0) };
        assert_eq!((event.network, event.subnet), of_port, "{name}");
        assert_eq!((event.ifindex, event.len as usize), (1, frame.len()), "{name}");
        assert_eq!((event.vtep, event.vni), (VtepAddr::NONE, 0), "{name}");
        assert!(event.time > 0, "{name}");
        let head = frame.len().min(DropEvent::HEAD);
        assert_eq!(usize::from(event.head_len), head, "{name}");
        // What the kernel's loopback device makes of a frame's MACs is not looked at; all behind it is as sent.
        assert_eq!(event.head[..head], frame[..head], "{name}");
        assert!(event.head[head..].iter().all(|byte| *byte == 0), "{name}");
    }
}

/// In: VXLAN for an unknown VNI, to both XDP programs. Out: an event like that of `from_underlay`, with their names.
#[test]
fn before_there_is_an_skb_too() {
    let Some(mut world) = World::load() else { return };
    for place in [Place::XdpGuard, Place::XdpForward] {
        let frame = received(2, 7777, BOB.mac);
        world.run_xdp(place.program(), &frame);
        let events = world.events();
        let [event] = events.as_slice() else { panic!("{events:?}") };
        let unknown = DropReason::UnknownVni as u32;
        assert_eq!((event.reason, event.place, event.slot), (unknown, place as u32, 0));
        assert_eq!((event.ifindex, event.len as usize), (1, frame.len()));
        assert_eq!(event.head[..usize::from(event.head_len)], frame[..frame.len().min(DropEvent::HEAD)]);
    }
    assert_eq!(world.drops(0)["unknown_vni"], 2);
}

/// In: 100 drops of one port, of which 10 may be told at once, then one from the wire. Out: events of both; all are
/// counted, and so are those that were not told.
#[test]
fn a_port_that_says_too_much_silences_nobody_else() {
    let Some(mut world) = World::load() else { return };
    world.limit_events(10);
    for _ in 0..100 {
        world.run(FROM_POD, &udp(CAROL, BOB, BOB.mac, 64));
    }
    world.run(FROM_UNDERLAY, &received(2, 7777, BOB.mac));
    let events = world.events();
    let told = events.iter().filter(|event| event.slot == ALICE_SLOT).count();
    assert!((10..100).contains(&told), "{told}");
    let of_port = world.counters(ALICE_SLOT);
    assert_eq!(of_port.drops[DropReason::SpoofedIp.index()], 100);
    assert_eq!(of_port.untold, 100 - told as u64);
    assert_eq!(events.last().map(|event| event.reason), Some(DropReason::UnknownVni as u32));
    assert_eq!(world.counters(0).untold, 0);
}

/// In: more drops than the buffer has room for, and nobody who reads it. Out: what did not fit was counted.
#[test]
fn a_full_buffer_is_counted() {
    let Some(mut world) = World::load() else { return };
    world.limit_events(1_000_000);
    for _ in 0..400 {
        world.run(FROM_POD, &udp(CAROL, BOB, BOB.mac, 64));
    }
    let told = world.events().len() as u64;
    assert!((100..400).contains(&told), "{told}");
    let counters = world.counters(ALICE_SLOT);
    assert_eq!((counters.drops[DropReason::SpoofedIp.index()], counters.untold), (400, 400 - told));
    world.run(FROM_POD, &udp(CAROL, BOB, BOB.mac, 64));
    assert_eq!(world.events().len(), 1, "there is room again");
}

/// In: 100 packets that the kernel refuses to help with, when 10 may be told at once. Out: the log names the helper, its
/// error and the packet's size, for a few of them; a packet that is dropped for another reason logs nothing.
#[test]
fn what_the_kernel_refused_is_in_the_log() {
    let Some(mut world) = World::load() else { return };
    let mut log = world.log();
    world.run(FROM_POD, &udp(CAROL, BOB, BOB.mac, 64));
    assert_eq!(log.lines(), <[String; 0]>::default());
    world.limit_events(10);
    let Some((place, frame)) = provoke(&mut world, DropReason::KernelRefused) else {
        panic!("it is provoked")
    };
    for _ in 0..100 {
        world.run(place.program(), &frame);
    }
    let lines = log.lines();
    // The log and the event of a drop count for the limit, each.
    assert!((3..50).contains(&lines.len()), "{lines:?}");
    let size = frame.len();
    let expected = format!(
        "WARN the kernel refused a packet of {size} bytes from interface 1: error -22 of bpf_skb_get_tunnel_key"
    );
    assert!(lines.iter().all(|line| *line == expected), "{expected:?}: {lines:?}");
    assert_eq!(world.drops(0)["kernel_refused"], 100);
}

fn elsewhere(ipv4: [u8; 4]) -> Station {
    Station { ipv4: ipv4.into(), ..BOB }
}

fn udp(from: Station, to: Station, to_mac: MacAddr, ttl: u8) -> Vec<u8> {
    udp_of(from, to, to_mac, ttl, 64)
}

/// UDP of so many bytes over IPv4, from ALICE's MAC.
fn udp_of(from: Station, to: Station, to_mac: MacAddr, ttl: u8, length: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(ALICE.mac.bytes(), to_mac.bytes())
        .ipv4(from.ipv4.octets(), to.ipv4.octets(), ttl)
        .udp(4000, 5000)
        .write(&mut frame, &vec![0x5a; length])
        .unwrap();
    frame
}

/// A frame with other bytes at `offset`.
fn with(mut frame: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    frame[offset..offset + bytes.len()].copy_from_slice(bytes);
    frame
}

/// From CAROL to BOB's address and `to_mac`, in VXLAN from the VTEP 192.0.2.`from` to ours.
fn received(from: u8, number: u32, to_mac: MacAddr) -> Vec<u8> {
    let mut payload = Header { vni: vni(number) }.encode().to_vec();
    payload.extend(with(udp(CAROL, BOB, to_mac, 64), 6, &CAROL.mac.bytes()));
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(NEXT_HOP_MAC.bytes(), LOOPBACK_MAC.bytes())
        .ipv4([192, 0, 2, from], [192, 0, 2, 1], 64)
        .udp(45000, weft_vxlan::UDP_PORT)
        .write(&mut frame, &payload)
        .unwrap();
    frame
}

/// ARP about an address that nobody has.
fn arp(operation: ArpOperation) -> Vec<u8> {
    let arp = ArpEthIpv4Packet {
        operation,
        sender_mac: ALICE.mac.bytes(),
        sender_ipv4: ALICE.ipv4.octets(),
        target_mac: [0; 6],
        target_ipv4: [10, 0, 0, 99],
    };
    let packet: etherparse::ArpPacket = arp.into();
    let (source, destination) = (ALICE.mac.bytes(), MacAddr::BROADCAST.bytes());
    let ethernet = Ethernet2Header { source, destination, ether_type: EtherType::ARP };
    [ethernet.to_bytes().as_slice(), packet.to_bytes().as_slice()].concat()
}

/// From ALICE's link-local address to another subnet.
fn link_local() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(ALICE.mac.bytes(), GATEWAY_MAC.bytes())
        .ipv6(ALICE.mac.link_local().octets(), DAVE.ipv6.octets(), 64)
        .udp(4000, 5000)
        .write(&mut frame, &[0; 64])
        .unwrap();
    frame
}

/// A neighbour advertisement behind a destination options header.
fn hidden_advertisement() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(ALICE.mac.bytes(), BOB.mac.bytes())
        .ipv6(ALICE.ipv6.octets(), BOB.ipv6.octets(), 255)
        .icmpv6_raw(136, 0, [0x20, 0, 0, 0])
        .write(&mut frame, &[0; 24])
        .unwrap();
    let length = u16::from_be_bytes([frame[18], frame[19]]) + 8;
    // Next header 60, and in it 58 behind eight bytes that are one PadN.
    let mut frame = with(with(frame, 18, &length.to_be_bytes()), 20, &[60]);
    frame.splice(54..54, [58, 0, 1, 4, 0, 0, 0, 0]);
    frame
}

/// A segment from ALICE to BOB.
fn tcp(flags: u8) -> Vec<u8> {
    crate::world::tcp(ALICE, BOB, (4000, 5000), flags)
}

/// The frame as the part of a packet that belongs `offset` units of eight bytes into it.
fn fragment(mut frame: Vec<u8>, offset: u16) -> Vec<u8> {
    frame[20..22].copy_from_slice(&offset.to_be_bytes());
    checksum::mend(&mut frame);
    frame
}
