use std::collections::BTreeSet;

use etherparse::{IpNumber, Ipv4Header};

use super::*;
use crate::netlink::{self, Kind};

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
        flows: crate::desired::FlowLimits::NONE,
        xdp: crate::desired::Xdp::default(),
        software_checksums: BTreeSet::new(),
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
        master: None,
    }
}

fn neighbour(address: &str, mac: Option<MacAddr>) -> Neighbour {
    Neighbour { ifindex: 3, address: ip(address), mac, managed: true, permanent: false, protocol: 119 }
}

fn hop(ifindex: u32, gateway: Option<&str>) -> netlink::Hop {
    netlink::Hop { ifindex, gateway: gateway.map(ip), weight: 1 }
}

fn way(gateway: Option<&str>, mtu: Option<u32>) -> Way {
    Way { hops: vec![hop(3, gateway)], resting: BTreeSet::new(), mtu, unicast: true }
}

/// The next hop of 198.51.100.7 by one way.
fn next_hop(way: Option<Way>, links: Vec<Link>, neighbours: Vec<Neighbour>) -> NextHop {
    let observed = Observed {
        links,
        addresses: BTreeSet::from([ip("192.0.2.1")]),
        ways: BTreeMap::from([(vtep("198.51.100.7"), way)]),
        neighbours,
        ..Observed::default()
    };
    let (mut next_hops, failures) = NextHops::plan(&host(), &observed);
    assert!(failures.is_empty());
    next_hops.0.pop_first().unwrap().1
}

/// What the one hop of a next hop is like: its target and MAC.
fn only(next_hop: &NextHop) -> (Option<IpAddr>, Option<MacAddr>) {
    let [hop] = next_hop.hops.as_slice() else { panic!("{next_hop:?}") };
    (hop.target, hop.mac)
}

fn checksum() -> u16 {
    ipv4_checksum([192, 0, 2, 1].into(), [198, 51, 100, 7].into())
}

#[test]
fn a_resolved_gateway_makes_the_outer_header() {
    let way = way(Some("192.0.2.254"), Some(1500));
    let neighbours = vec![neighbour("192.0.2.9", Some(OURS)), neighbour("192.0.2.254", Some(THEIRS))];
    let expected = NextHop {
        hops: vec![Hop {
            device: "eth0".to_owned(),
            ifindex: 3,
            target: Some(ip("192.0.2.254")),
            mac: Some(THEIRS),
            weight: 1,
        }],
        resting: BTreeSet::new(),
        entry: VtepEntry::resolved([Uplink::new(3, OURS, THEIRS); 8], 1500, checksum()),
    };
    assert_eq!(next_hop(Some(way), vec![eth0()], neighbours), expected);
}

#[test]
fn an_ipv6_gateway_will_do() {
    let way = way(Some("fe80::1"), None);
    let next_hop = next_hop(Some(way), vec![eth0()], vec![neighbour("fe80::1", Some(THEIRS))]);
    assert_eq!(only(&next_hop), (Some(ip("fe80::1")), Some(THEIRS)));
}

#[test]
fn over_ipv6_there_is_no_header_checksum() {
    let (ours, theirs) = (vtep("2001:db8::1"), vtep("2001:db8::7"));
    let observed = Observed {
        links: vec![eth0()],
        ways: BTreeMap::from([(theirs, Some(way(None, None)))]),
        neighbours: vec![neighbour("2001:db8::7", Some(THEIRS))],
        ..Observed::default()
    };
    let (next_hops, failures) = NextHops::plan(&Host { vtep: ours, ..host() }, &observed);
    let entry = VtepEntry::resolved([Uplink::new(3, OURS, THEIRS); 8], 9000, 0);
    assert_eq!((next_hops.entries().collect::<Vec<_>>(), failures.len()), (vec![(theirs, entry)], 0));
}

#[test]
fn a_vtep_of_the_other_family_is_named() {
    let other = vtep("2001:db8::7");
    let observed = Observed { ways: BTreeMap::from([(other, None)]), ..Observed::default() };
    let (next_hops, failures) = NextHops::plan(&host(), &observed);
    assert_eq!(next_hops, NextHops::default());
    let text = failures[0].to_string();
    assert!(
        text.starts_with("VTEP 2001:db8::7: it is not of the family of this host's VTEP 192.0.2.1"),
        "{text}"
    );
}

#[test]
fn until_it_is_resolved_the_kernel_sends() {
    let unresolved = next_hop(Some(way(None, None)), vec![eth0()], vec![neighbour("198.51.100.7", None)]);
    assert_eq!(only(&unresolved), (Some(ip("198.51.100.7")), None), "on the link");
    assert_eq!(unresolved.entry, VtepEntry::unresolved(9000));
}

#[test]
fn where_checksums_are_computed_in_software_the_kernel_sends() {
    let vtep = vtep("198.51.100.7");
    let observed = Observed {
        links: vec![eth0()],
        ways: BTreeMap::from([(vtep, Some(way(None, None)))]),
        neighbours: vec![neighbour("198.51.100.7", Some(THEIRS))],
        ..Observed::default()
    };
    let of = |software: &[Vtep]| {
        let host = Host { software_checksums: software.iter().copied().collect(), ..host() };
        NextHops::plan(&host, &observed).0
    };
    let next_hops = of(&[vtep]);
    // The neighbour is kept resolved, so that nothing is lost when the programs send again.
    assert_eq!(next_hops.entries().collect::<Vec<_>>(), [(vtep, VtepEntry::unresolved(9000))]);
    assert_eq!(next_hops.states()[&vtep].next_hops[0].mac, Some(THEIRS));
    let other = "198.51.100.8".parse().unwrap();
    assert_eq!(of(&[other]), of(&[]));
}

#[test]
fn a_device_without_neighbours_is_left_to_the_kernel() {
    let tunnel = Link { arp: false, ..eth0() };
    let next_hop = next_hop(Some(way(None, None)), vec![tunnel], Vec::new());
    assert_eq!((only(&next_hop), next_hop.entry), ((None, None), VtepEntry::unresolved(9000)));
}

#[test]
fn without_a_route_the_underlays_mtu_counts() {
    let blackhole = Way { unicast: false, ..way(None, None) };
    for way in [None, Some(blackhole), Some(Way { hops: vec![hop(99, None)], ..way(None, None) })] {
        let next_hop = next_hop(way, vec![eth0()], Vec::new());
        assert_eq!((next_hop.hops, next_hop.entry), (Vec::new(), VtepEntry::unresolved(9000)));
    }
}

#[test]
fn several_next_hops_share_the_places_and_the_narrowest_mtu_counts() {
    let eth1 = Link { index: 4, name: "eth1".to_owned(), mtu: 1400, ..eth0() };
    let hops = vec![hop(3, Some("192.0.2.254")), hop(4, Some("203.0.113.254"))];
    let way = Way { hops, resting: BTreeSet::new(), mtu: None, unicast: true };
    let first = neighbour("192.0.2.254", Some(THEIRS));
    let second = |mac| Neighbour { ifindex: 4, ..neighbour("203.0.113.254", mac) };
    let links = vec![eth0(), eth1];
    let both = next_hop(Some(way.clone()), links.clone(), vec![first.clone(), second(Some(THEIRS))]).entry;
    let devices: Vec<_> = both.uplinks().iter().map(Uplink::ifindex).collect();
    assert_eq!((devices, both.mtu()), (vec![3, 3, 3, 3, 4, 4, 4, 4], 1400));
    // One that is not resolved, or gone silent, gets no flows.
    let one = next_hop(Some(way), links, vec![first, second(None)]);
    assert_eq!(one.hops.len(), 2);
    assert_eq!(one.entry, VtepEntry::resolved([Uplink::new(3, OURS, THEIRS); 8], 1400, checksum()));
}

#[test]
fn places_go_by_weight() {
    let places = |weights: &[u32]| {
        let uplinks: Vec<_> =
            (1..).zip(weights).map(|(index, weight)| (Uplink::new(index, OURS, THEIRS), *weight)).collect();
        spread(&uplinks).map(|places| places.map(|uplink| uplink.ifindex()))
    };
    assert_eq!(places(&[]), None);
    assert_eq!(places(&[256]), Some([1; 8]));
    assert_eq!(places(&[3, 1]), Some([1, 1, 1, 1, 1, 1, 2, 2]));
    assert_eq!(places(&[1, 1, 1]), Some([1, 1, 1, 2, 2, 3, 3, 3]));
    assert_eq!(places(&[1; 8]), Some([1, 2, 3, 4, 5, 6, 7, 8]));
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

/// Its driver may have taken the carrier away to take a program: without this it would lose that again, and so on.
#[test]
fn a_device_without_a_carrier_is_an_underlay_device_while_a_route_leads_through_it() {
    let link = |index, arp| Link { index, arp, ..eth0() };
    let way = Way { resting: BTreeSet::from([4, 5, 99]), ..way(Some("192.0.2.254"), None) };
    let observed = Observed {
        links: vec![eth0(), link(4, true), link(5, false)],
        ways: BTreeMap::from([(vtep("198.51.100.7"), Some(way))]),
        ..Observed::default()
    };
    let (next_hops, _) = NextHops::plan(&host(), &observed);
    assert_eq!(next_hops.devices().collect::<Vec<_>>(), [3, 4]);
    assert_eq!(next_hops.targets().collect::<Vec<_>>(), [(3, ip("192.0.2.254"))]);
}
