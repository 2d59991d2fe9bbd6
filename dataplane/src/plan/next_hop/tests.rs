use std::collections::BTreeSet;

use etherparse::{IpNumber, Ipv4Header};

use super::*;
use crate::netlink::Kind;

const OURS: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const THEIRS: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn vtep(text: &str) -> Vtep {
    text.parse().unwrap()
}

fn host() -> Host {
    Host {
        underlay: "eth0".to_owned(),
        vtep: vtep("192.0.2.1"),
        udp_port: 4789,
        router_mac: OURS,
        gateway_mac: OURS,
        limits: crate::desired::Limits::default(),
        xdp: crate::desired::Xdp::default(),
    }
}

fn eth0() -> Link {
    Link {
        index: 3,
        name: "eth0".to_owned(),
        kind: Kind::Other,
        alias: None,
        group: 0,
        mtu: 9000,
        mac: Some(OURS),
        up: true,
        arp: true,
        link_local: None,
        ipv6: false,
        gso_max_size: 0,
    }
}

fn neighbour(address: &str, mac: Option<MacAddr>) -> Neighbour {
    Neighbour { ifindex: 3, address: ip(address), mac, managed: true, permanent: false, protocol: 119 }
}

fn way(gateway: Option<&str>, mtu: Option<u32>) -> Way {
    Way { ifindex: 3, gateway: gateway.map(ip), mtu, unicast: true }
}

/// The next hop of 198.51.100.7 by one way.
fn next_hop(way: Option<Way>, link: Link, neighbours: Vec<Neighbour>) -> NextHop {
    let observed = Observed {
        links: vec![link],
        addresses: BTreeSet::from([ip("192.0.2.1")]),
        ways: BTreeMap::from([(vtep("198.51.100.7"), way)]),
        neighbours,
        ..Observed::default()
    };
    let (mut next_hops, failures) = NextHops::plan(&host(), &observed);
    assert!(failures.is_empty());
    next_hops.0.pop_first().unwrap().1
}

#[test]
fn a_resolved_gateway_makes_the_outer_header() {
    let way = way(Some("192.0.2.254"), Some(1500));
    let neighbours = vec![neighbour("192.0.2.9", Some(OURS)), neighbour("192.0.2.254", Some(THEIRS))];
    let checksum = ipv4_checksum([192, 0, 2, 1].into(), [198, 51, 100, 7].into());
    let expected = NextHop {
        device: Some("eth0".to_owned()),
        target: Some((3, ip("192.0.2.254"))),
        mac: Some(THEIRS),
        entry: VtepEntry::resolved(3, OURS, THEIRS, 1500, checksum),
    };
    assert_eq!(next_hop(Some(way), eth0(), neighbours), expected);
}

#[test]
fn an_ipv6_gateway_will_do() {
    let way = way(Some("fe80::1"), None);
    let next_hop = next_hop(Some(way), eth0(), vec![neighbour("fe80::1", Some(THEIRS))]);
    assert_eq!((next_hop.target, next_hop.mac), (Some((3, ip("fe80::1"))), Some(THEIRS)));
}

#[test]
fn until_it_is_resolved_the_kernel_sends() {
    let unresolved = next_hop(Some(way(None, None)), eth0(), vec![neighbour("198.51.100.7", None)]);
    assert_eq!(unresolved.target, Some((3, ip("198.51.100.7"))), "on the link");
    assert_eq!((unresolved.mac, unresolved.entry), (None, VtepEntry::unresolved(9000)));
}

#[test]
fn a_device_without_neighbours_is_left_to_the_kernel() {
    let tunnel = Link { arp: false, ..eth0() };
    let next_hop = next_hop(Some(way(None, None)), tunnel, Vec::new());
    assert_eq!((next_hop.target, next_hop.entry), (None, VtepEntry::unresolved(9000)));
}

#[test]
fn without_a_route_the_underlays_mtu_counts() {
    let blackhole = Way { unicast: false, ..way(None, None) };
    for way in [None, Some(blackhole), Some(Way { ifindex: 99, ..way(None, None) })] {
        let next_hop = next_hop(way, eth0(), Vec::new());
        assert_eq!((next_hop.device, next_hop.target), (None, None));
        assert_eq!(next_hop.entry, VtepEntry::unresolved(9000));
    }
}

#[test]
fn the_partial_sum_completes_to_etherparses_checksum() {
    let pairs = [([192, 0, 2, 1], [198, 51, 100, 7]), ([10, 0, 0, 1], [10, 0, 0, 2]), ([255; 4], [254; 4])];
    for (source, destination) in pairs {
        for payload in [0_u16, 58, 1480, 65_515] {
            let mut header = Ipv4Header::new(payload, 64, IpNumber::UDP, source, destination).unwrap();
            header.dont_fragment = true;
            let partial = ipv4_checksum(source.into(), destination.into());
            let (sum, carry) = partial.overflowing_add(payload + 20);
            assert_eq!(!(sum + u16::from(carry)), header.calc_header_checksum(), "{source:?} {payload}");
        }
    }
}
