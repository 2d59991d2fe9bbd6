//! Routes of a real RIB and of instances, in words.

use std::time::{Duration, Instant};

use weft_bgp::rib::{Facts, Local, NextHopPolicy, Policy, Rib};
use weft_bgp::wire::{
    AsPath, Asn, Community, Dialect, EthernetSegmentId, EthernetTag, MacMobility, Nlri, PmsiTunnel,
    Reachable, RouteDistinguisher, RouteTarget, RouterId, Routes, Update,
};

use super::*;

fn rd() -> RouteDistinguisher {
    "192.0.2.1:5001".parse().unwrap()
}

#[test]
fn routes_of_every_type() {
    let (tag, mac) = (EthernetTag(0), "02:00:00:00:00:09".parse().unwrap());
    let segment = EthernetSegmentId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let ip: IpAddr = "10.0.0.9".parse().unwrap();
    let originator: IpAddr = "2001:db8::1".parse().unwrap();
    for (key, text) in [
        (
            Key::EthernetAd { rd: rd(), segment, tag },
            "[1]:[0]:[00:01:02:03:04:05:06:07:08:09] RD 192.0.2.1:5001",
        ),
        (Key::MacIp { rd: rd(), tag, mac, ip: None }, "[2]:[0]:[48]:[02:00:00:00:00:09] RD 192.0.2.1:5001"),
        (
            Key::MacIp { rd: rd(), tag, mac, ip: Some(ip) },
            "[2]:[0]:[48]:[02:00:00:00:00:09]:[32]:[10.0.0.9] RD 192.0.2.1:5001",
        ),
        (
            Key::InclusiveMulticast { rd: rd(), tag, originator },
            "[3]:[0]:[128]:[2001:db8::1] RD 192.0.2.1:5001",
        ),
        (
            Key::EthernetSegment { rd: rd(), segment, originator: ip },
            "[4]:[00:01:02:03:04:05:06:07:08:09]:[32]:[10.0.0.9] RD 192.0.2.1:5001",
        ),
        (
            Key::IpPrefix { rd: rd(), tag, prefix: "10.9.0.0/16".parse().unwrap() },
            "[5]:[0]:[16]:[10.9.0.0] RD 192.0.2.1:5001",
        ),
        (Key::UnknownEvpn { kind: 9, value: [1, 0xab].into() }, "[9]:[0x01ab]"),
        (Key::Ipv4("10.9.0.0/16".parse().unwrap()), "10.9.0.0/16"),
        (Key::Ipv6("fd00::/48".parse().unwrap()), "fd00::/48"),
    ] {
        assert_eq!(route(&key), text);
    }
    assert_eq!((family(Family::EVPN), family(Family::IPV4_UNICAST)), ("evpn".into(), "ipv4-unicast".into()));
}

#[test]
fn attributes_in_words() {
    let target: RouteTarget = "65000:5001".parse().unwrap();
    let label = Label::from_bytes([0, 0x13, 0x89]);
    let tunnel = TunnelId::IngressReplication("192.0.2.2".parse().unwrap());
    let full = Attributes {
        origin: Some(Origin::Igp),
        as_path: Some(AsPath::sequence([Asn::new(65001), Asn::new(65002)])),
        med: Some(3),
        local_pref: Some(100),
        communities: vec![Community(65000 << 16 | 7)],
        cluster_list: vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()],
        extended_communities: vec![
            target.into(),
            ExtendedCommunity::VXLAN,
            MacMobility { sticky: true, sequence: 4 }.into(),
            ExtendedCommunity::router_mac("02:00:c0:00:02:02".parse().unwrap()),
            ExtendedCommunity::from_bytes([0x80, 9, 0, 0, 0, 0, 0, 1]),
        ],
        pmsi: Some(PmsiTunnel { flags: 0, label, tunnel }),
        only_to_customer: Some(Asn::new(65001)),
        ..Attributes::default()
    };
    assert_eq!(
        attributes(&full),
        [
            "origin igp",
            "as-path 65001 65002",
            "med 3",
            "local-pref 100",
            "community 65000:7",
            "clusters 10.0.0.1 10.0.0.2",
            "rt 65000:5001",
            "encapsulation vxlan",
            "mac-mobility 4 sticky",
            "router-mac 02:00:c0:00:02:02",
            "extended-community 0x8009000000000001",
            "ingress-replication 192.0.2.2 VNI 5001",
            "only-to-customer 65001",
        ]
    );
    assert_eq!(
        attributes(&Attributes { as_path: Some(AsPath::default()), ..Attributes::default() }),
        [""; 0]
    );
}

/// Peers 1 and 2 announce one prefix, and 2 passed more ASes.
#[test]
fn paths_of_a_route() {
    let router_id = |last| RouterId::new([192, 0, 2, last].into()).unwrap();
    let local = Local { asn: Asn::new(65000), router_id: router_id(1), cluster_id: router_id(1).get() };
    let mut rib = Rib::new(local);
    let prefix = "10.9.0.0/16".parse().unwrap();
    for (number, path) in [(1, vec![65001]), (2, vec![65002, 65003])] {
        let facts = Facts {
            kind: PeerKind::External,
            asn: Asn::new(65000 + number),
            router_id: router_id(10 + u8::try_from(number).unwrap()),
            address: "192.0.2.9".parse().unwrap(),
            own_address: "192.0.2.1".parse().unwrap(),
            dialect: Dialect { four_octet_as: true, ..Dialect::plain() },
            families: vec![Family::IPV4_UNICAST],
            next_hop: NextHopPolicy::Standard,
            role: None,
            enhanced_refresh: false,
            long_lived: false,
            import: Policy::default(),
            export: Policy::default(),
            membership_wait: Duration::ZERO,
        };
        rib.handle_up(PeerId(number), facts, Instant::now());
        let attributes = Attributes {
            origin: Some(Origin::Igp),
            as_path: Some(AsPath::sequence(path.into_iter().map(Asn::new))),
            ..Attributes::default()
        };
        let next_hop = NextHop::V4([192, 0, 2, 9].into());
        let routes = Routes::Ipv4(vec![Nlri::from(prefix)]);
        let reachable = Some(Reachable { next_hop, routes });
        rib.handle_update(PeerId(number), Update { attributes, reachable, ..Update::default() });
    }
    let name = |peer: PeerId| format!("peer-{}", peer.0);
    let paths: Vec<_> = rib
        .explain(&Key::Ipv4(prefix))
        .iter()
        .map(|explained| path(&explained.path, explained.lost, name))
        .collect();
    let best = RibPath {
        peer: Some("peer-1".to_owned()),
        next_hop: "192.0.2.9".parse().unwrap(),
        path_id: None,
        labels: vec![],
        attributes: vec!["origin igp".to_owned(), "as-path 65001".to_owned()],
        best: true,
        valid: true,
        stale: false,
        reason: None,
    };
    let other = RibPath {
        peer: Some("peer-2".to_owned()),
        attributes: vec!["origin igp".to_owned(), "as-path 65002 65003".to_owned()],
        best: false,
        reason: Some("another has a shorter AS path".to_owned()),
        ..best.clone()
    };
    assert_eq!(paths, [best, other]);
}

#[test]
fn candidates_and_what_became_of_them() {
    let key = Key::Ipv4("10.9.0.0/16".parse().unwrap());
    let members = vec!["192.0.2.2".parse().unwrap()];
    let route = || evpn::Source::Route { key: key.clone(), from: PeerId(7) };
    for (source, verdict, told, reason) in [
        (evpn::Source::Own, evpn::Verdict::Used, Verdict::Used, "it is used"),
        (
            evpn::Source::Port("web-1".to_owned()),
            evpn::Verdict::Lost(Lost::Sequence),
            Verdict::Lost,
            "another has a higher MAC mobility sequence",
        ),
        (route(), evpn::Verdict::NotImported, Verdict::NotImported, "none of its route targets"),
        (route(), evpn::Verdict::NotUsable, Verdict::NotUsable, "no host of its segment"),
        (route(), evpn::Verdict::Refused(evpn::Refusal::NoRouterMac), Verdict::Refused, "no router's MAC"),
    ] {
        let explained = evpn::Explained { source: source.clone(), verdict, members: members.clone() };
        let candidate = candidate(&explained, |peer| format!("peer-{}", peer.0));
        assert_eq!((candidate.verdict, &candidate.vteps), (told, &members));
        assert!(candidate.reason.starts_with(reason), "{candidate:?}");
        let expected = match source {
            evpn::Source::Own => CandidateSource::Own,
            evpn::Source::Port(name) => CandidateSource::Port(name),
            evpn::Source::Route { .. } => {
                CandidateSource::Route { route: "10.9.0.0/16".to_owned(), peer: "peer-7".to_owned() }
            }
        };
        assert_eq!(candidate.source, expected);
    }
}
