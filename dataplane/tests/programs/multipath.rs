//! Several ways to a destination: each flow keeps to one of them.

use std::collections::BTreeMap;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use weft_dataplane_abi::programs::FROM_POD;
use weft_dataplane_abi::{HostRoute, IpKey, MacKey, NextHop, PathKey, PathSet, Scope, maps};
use weft_vxlan::{Header, MacAddr, Vni};

use crate::world::*;

const SET: PathSet = PathSet::new(0x1234_5678_9abc_def0);
/// Nobody else's.
const STATION: MacAddr = MacAddr::new([2, 0, 0, 0, 0x0a, 99]);
const FLOWS: u16 = 64;

/// Two paths for the scope: each VTEP with a VNI and a MAC of its own.
fn paths(world: &mut World, scope: Vni) -> NextHop {
    for (index, last) in (0..).zip([2, 3]) {
        let key = PathKey::raw(scope.get(), SET, index);
        world.put(maps::PATHS, key, path(key.scope(), last));
    }
    path(Scope::of(scope), 2).among(Scope::of(scope), SET, 2)
}

fn path(scope: Scope, last: u8) -> NextHop {
    NextHop::remote(scope, vtep(last), vni(700 + u32::from(last)), router(last))
}

fn router(last: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0xf0, last])
}

/// A packet of ALICE's of the flow.
fn packet(mac: MacAddr, to: [u8; 4], flow: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(ALICE.mac.bytes(), mac.bytes())
        .ipv4(ALICE.ipv4.octets(), to, 64)
        .udp(4000 + flow, 5000)
        .write(&mut frame, b"flow")
        .unwrap();
    frame
}

/// The VTEP that a frame is for, its VNI, and the destination MAC of what is inside.
fn outer(frame: &[u8]) -> (u8, u32, MacAddr) {
    let outer = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(NetSlice::Ipv4(ip)) = outer.net else { panic!("outer header is not IPv4") };
    let Some(TransportSlice::Udp(udp)) = outer.transport else { panic!("no outer UDP header") };
    let (vxlan, inner) = udp.payload().split_at(8);
    let header = Header::decode(vxlan.try_into().unwrap()).unwrap();
    let mac = MacAddr::new(inner[..6].try_into().unwrap());
    (ip.header().destination_addr().octets()[3], header.vni.get(), mac)
}

/// Sends packets of many flows to the address. Each takes the same way twice, and the ways are about even.
#[track_caller]
fn assert_spread(world: &mut World, mac: MacAddr, to: [u8; 4], expected: impl Fn(u8) -> MacAddr) {
    let mut flows = BTreeMap::new();
    for _ in 0..2 {
        for flow in 0..FLOWS {
            let outcome = world.run(FROM_POD, &packet(mac, to, flow));
            assert_eq!(outcome.verdict, REDIRECT);
            let (last, number, destination) = outer(&outcome.frame);
            assert_eq!((number, destination), (700 + u32::from(last), expected(last)));
            assert_eq!(*flows.entry(flow).or_insert(last), last, "flow {flow} changes its way");
        }
    }
    for last in [2, 3] {
        let count = flows.values().filter(|way| **way == last).count();
        assert!(count > usize::from(FLOWS) / 5, "{count} of {FLOWS} flows go to VTEP {last}");
    }
}

#[test]
fn a_prefix_an_address_and_a_mac() {
    let Some(mut world) = World::load() else { return };
    let to = paths(&mut world, red());
    world.put_prefix(IpKey::new(red(), [10, 77, 0, 0].into()), 16, to);
    let host = HostRoute::routed(Scope::of(red()), to);
    world.put(maps::HOSTS, IpKey::new(red(), [10, 88, 0, 1].into()), host);
    for address in [[10, 77, 1, 2], [10, 88, 0, 1]] {
        assert_spread(&mut world, GATEWAY_MAC, address, router);
    }
    let to = paths(&mut world, vni(101));
    world.put(maps::FDB, MacKey::new(vni(101), STATION), to);
    assert_spread(&mut world, STATION, [10, 0, 0, 99], |_| STATION);
}

/// In: destinations whose paths are another scope's, or not there, or none. Out: all packets go by the first, which the
/// entry itself tells.
#[test]
fn without_its_paths_a_flow_takes_the_first() {
    let Some(mut world) = World::load() else { return };
    paths(&mut world, vni(6001));
    let scope = Scope::of(red());
    for (second, count) in [(77, 2), (78, 0), (79, u32::MAX)] {
        let to = path(scope, 3).among(scope, SET, count);
        world.put_prefix(IpKey::new(red(), [10, second, 0, 0].into()), 16, to);
        for flow in 0..FLOWS {
            let outcome = world.run(FROM_POD, &packet(GATEWAY_MAC, [10, second, 1, 2], flow));
            assert_eq!(outer(&outcome.frame), (3, 703, router(3)));
        }
    }
}

/// In: one flow with whatever hash the kernel has of it, whole and in fragments; over IPv6 with whatever flow label. Out: it
/// keeps to one host, and so do its fragments.
#[test]
fn a_flow_is_known_by_its_addresses_and_ports() {
    let Some(mut world) = World::load() else { return };
    let to = paths(&mut world, red());
    for prefix in ["10.77.0.0", "fd00:77::"] {
        world.put_prefix(IpKey::new(red(), prefix.parse().unwrap()), 16, to);
    }
    let mut ways = |frames: Vec<Vec<u8>>| -> std::collections::BTreeSet<u8> {
        frames.iter().map(|frame| outer(&world.run(FROM_POD, frame).frame).0).collect()
    };
    for flow in 0..FLOWS {
        let labels = [0, 1, 0xf_ffff].map(|label| {
            let mut frame = Vec::new();
            PacketBuilder::ethernet2(ALICE.mac.bytes(), GATEWAY_MAC.bytes())
                .ipv6(ALICE.ipv6.octets(), "fd00:77::1".parse::<std::net::Ipv6Addr>().unwrap().octets(), 64)
                .udp(4000 + flow, 5000)
                .write(&mut frame, b"flow")
                .unwrap();
            frame[15..18].copy_from_slice(&u32::to_be_bytes(label)[1..]);
            frame
        });
        assert_eq!(ways(labels.into()).len(), 1, "flow {flow}");
        let fragment = |at: u16| {
            let mut frame = packet(GATEWAY_MAC, [10, 77, 1, 2], flow);
            frame[20..22].copy_from_slice(&at.to_be_bytes());
            let sum = etherparse::Ipv4HeaderSlice::from_slice(&frame[14..]).unwrap();
            let sum = sum.to_header().calc_header_checksum();
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            frame
        };
        assert_eq!(ways(vec![fragment(0x2000), fragment(0x2001), fragment(2)]).len(), 1, "flow {flow}");
    }
}
