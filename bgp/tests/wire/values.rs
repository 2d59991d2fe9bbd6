//! Any bytes never panic; any value that can be sent is read back as it was.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use weft_bgp::wire::{
    AddPath, AddPathFamilies, AddPathMode, Afi, Aggregator, AsPath, Asn, AttributeCode, Attributes,
    Capability, Community, Dialect, EthernetAd, EthernetSegment, EthernetSegmentId, EthernetTag, EvpnRoute,
    ExtendedCommunity, ExtendedNextHop, Family, Fqdn, Frame, GracefulRestart, InclusiveMulticast,
    IpPrefixRoute, Label, LargeCommunity, LongLived, LongLivedFamily, MacIp, Message, NextHop, Nlri,
    Notification, NotificationCode, Open, Origin, PartialBits, PmsiTunnel, Reachable, Received,
    RestartFamily, Role, RouteDistinguisher, RouteRefresh, RouteRefreshKind, RouteTargetMembership,
    RouteTargetPrefix, RouterId, Routes, Safi, Segment, SegmentKind, TunnelId, UnknownAttribute,
    UnknownRoute, Update,
};

use crate::support;

fn dialect() -> impl Strategy<Value = Dialect> {
    (any::<[bool; 3]>(), path_ids()).prop_map(|([internal, four_octet_as, extended_next_hop], path_ids)| {
        Dialect {
            internal,
            four_octet_as,
            receive_extended: true,
            send_extended: true,
            extended_next_hop,
            receive_path_ids: path_ids,
            send_path_ids: path_ids,
        }
    })
}

fn path_ids() -> impl Strategy<Value = AddPathFamilies> {
    any::<[bool; 3]>().prop_map(|[ipv4, ipv6, evpn]| AddPathFamilies { ipv4, ipv6, evpn })
}

fn family() -> BoxedStrategy<Family> {
    (any::<u16>(), any::<u8>()).prop_map(|(afi, safi)| Family::new(Afi(afi), Safi(safi))).boxed()
}

fn host_v4() -> impl Strategy<Value = Ipv4Addr> {
    (1..=126_u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d))
}

fn host_v6() -> impl Strategy<Value = Ipv6Addr> {
    any::<[u16; 7]>().prop_map(|[b, c, d, e, f, g, h]| Ipv6Addr::new(0x2001, b, c, d, e, f, g, h))
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![host_v4().prop_map(IpAddr::V4), host_v6().prop_map(IpAddr::V6)]
}

fn asn() -> impl Strategy<Value = Asn> {
    prop_oneof![(1..=0xffff_u32), (1..=u32::MAX)].prop_map(Asn::new)
}

fn router_id() -> impl Strategy<Value = RouterId> {
    host_v4().prop_map(|id| RouterId::new(id).unwrap())
}

fn net_v4() -> impl Strategy<Value = Ipv4Net> {
    (any::<u32>(), 0..=32_u8).prop_map(|(bits, len)| Ipv4Net::new(bits.into(), len).unwrap().trunc())
}

fn net_v6() -> impl Strategy<Value = Ipv6Net> {
    (any::<u128>(), 0..=128_u8).prop_map(|(bits, len)| Ipv6Net::new(bits.into(), len).unwrap().trunc())
}

/// An EVPN route that can be announced.
pub fn evpn_route() -> impl Strategy<Value = EvpnRoute> {
    let rd = || {
        (0..=3_u8, any::<[u8; 8]>()).prop_map(|(kind, bytes)| {
            let [_, _, rest @ ..] = bytes;
            let [a, b, c, d, e, f] = rest;
            RouteDistinguisher::from_bytes(if kind == 3 { bytes } else { [0, kind, a, b, c, d, e, f] })
        })
    };
    let esi = || any::<[u8; 10]>().prop_map(EthernetSegmentId::from_bytes);
    let tag = || any::<u32>().prop_map(EthernetTag);
    let label = || any::<[u8; 3]>().prop_map(Label::from_bytes);
    let mac = || any::<[u8; 6]>().prop_map(weft_vxlan::MacAddr::new);
    let net = || prop_oneof![net_v4().prop_map(IpNet::V4), net_v6().prop_map(IpNet::V6)];
    let vni = (1..=0xff_ffff_u32).prop_map(|vni| Label::from(weft_vxlan::Vni::new(vni).unwrap()));
    let other = prop_oneof![Just(0_u8), 6..=255_u8];
    prop_oneof![
        (rd(), esi(), tag(), label()).prop_map(|(rd, segment, tag, label)| {
            EvpnRoute::EthernetAd(EthernetAd { rd, segment, tag, label })
        }),
        (rd(), esi(), tag(), mac(), option::of(address()), label(), option::of(label())).prop_map(
            |(rd, segment, tag, mac, ip, label, l3_label)| {
                EvpnRoute::MacIp(MacIp { rd, segment, tag, mac, ip, label, l3_label })
            }
        ),
        (rd(), tag(), address()).prop_map(|(rd, tag, originator)| {
            EvpnRoute::InclusiveMulticast(InclusiveMulticast { rd, tag, originator })
        }),
        (rd(), esi(), address()).prop_map(|(rd, segment, originator)| {
            EvpnRoute::EthernetSegment(EthernetSegment { rd, segment, originator })
        }),
        (rd(), esi(), tag(), net(), option::of(address()), vni).prop_map(
            |(rd, segment, tag, prefix, gateway, label)| {
                let gateway = gateway.filter(|gateway| gateway.is_ipv4() == prefix.addr().is_ipv4());
                let segment = if gateway.is_some() { EthernetSegmentId::ZERO } else { segment };
                EvpnRoute::IpPrefix(IpPrefixRoute { rd, segment, tag, prefix, gateway, label })
            }
        ),
        (other, vec(any::<u8>(), 0..256))
            .prop_map(|(kind, value)| EvpnRoute::Unknown(UnknownRoute { kind, value })),
    ]
}

fn membership() -> impl Strategy<Value = RouteTargetMembership> {
    let targets =
        (any::<[u8; 8]>(), 0..=64_u8).prop_map(|(bytes, len)| RouteTargetPrefix::new(bytes, len).unwrap());
    prop_oneof![
        1 => Just(RouteTargetMembership::Default),
        5 => (asn(), targets)
            .prop_map(|(origin, targets)| RouteTargetMembership::Targets { origin, targets }),
    ]
}

fn row<T: std::fmt::Debug>(
    route: impl Strategy<Value = T>,
    with_id: bool,
    least: usize,
) -> impl Strategy<Value = Vec<Nlri<T>>> {
    let nlri =
        (any::<u32>(), route).prop_map(move |(id, route)| Nlri { path_id: with_id.then_some(id), route });
    vec(nlri, least..6)
}

fn routes(ids: AddPathFamilies, least: usize) -> impl Strategy<Value = Routes> {
    prop_oneof![
        row(net_v4(), ids.ipv4, least).prop_map(Routes::Ipv4),
        row(net_v6(), ids.ipv6, least).prop_map(Routes::Ipv6),
        row(evpn_route(), ids.evpn, least).prop_map(Routes::Evpn),
        row(membership(), false, least).prop_map(Routes::RouteTargets),
    ]
}

fn reachable(dialect: Dialect) -> impl Strategy<Value = Reachable> {
    let link_local = any::<u64>().prop_map(|host| Ipv6Addr::from(0xfe80_u128 << 112 | u128::from(host)));
    let hops = (host_v4(), host_v6(), link_local, any::<u8>());
    (routes(dialect.receive_path_ids, 0), hops).prop_map(move |(routes, (v4, v6, link_local, pick))| {
        let hops = match routes {
            Routes::Ipv4(_) if !dialect.extended_next_hop => &[0][..],
            Routes::Ipv4(_) => &[0, 1, 2],
            Routes::Ipv6(_) => &[1, 2],
            Routes::Evpn(_) | Routes::RouteTargets(_) => &[0, 1],
        };
        let next_hop = match hops[usize::from(pick) % hops.len()] {
            0 => NextHop::V4(v4),
            1 => NextHop::V6(v6),
            _ => NextHop::V6LinkLocal { global: v6, link_local },
        };
        Reachable { next_hop, routes }
    })
}

fn as_path(dialect: Dialect) -> impl Strategy<Value = AsPath> {
    // Segments of a confederation do not survive a peer of two-byte numbers.
    let confederation = dialect.internal && dialect.four_octet_as;
    let kind = any::<bool>().prop_map(move |pick| match pick && confederation {
        true => SegmentKind::ConfederationSequence,
        false => SegmentKind::Sequence,
    });
    let segment = (kind, vec(asn(), 1..5)).prop_map(|(kind, asns)| Segment { kind, asns });
    vec(segment, 0..4).prop_map(|segments| AsPath { segments })
}

/// Those of a known type without anything reserved, and any of another.
fn extended_community() -> impl Strategy<Value = ExtendedCommunity> {
    let known = (0..=2_u8, any::<[u8; 8]>(), 0..9_u8).prop_map(|(kind, bytes, pick)| {
        let [_, _, a, b, c, d, e, f] = bytes;
        match pick {
            0 => [kind, 2, a, b, c, d, e, f],
            1 => [kind, 3, a, b, c, d, e, f],
            2 => [3, 12, 0, 0, 0, 0, e, f],
            3 => [3, 13, 0, 0, 0, 0, 0, 0],
            4 => [6, 0, a & 1, 0, c, d, e, f],
            5 => [6, 1, a & 1, 0, 0, d, e, f],
            6 => [6, 2, a, b, c, d, e, f],
            // Of one host: a type 5 beside another is refused.
            7 => [6, 3, a & 0xfe, b, c, d, e, f],
            _ => [6, 8, a & 0x0b, 0, 0, 0, 0, 0],
        }
    });
    let other =
        any::<[u8; 8]>().prop_filter("has a form of its own", |bytes| bytes[0] > 6 || bytes[1] > 0x0d);
    prop_oneof![3 => known, 1 => other].prop_map(ExtendedCommunity::from_bytes)
}

fn attributes(dialect: Dialect) -> impl Strategy<Value = Attributes> {
    let origin = prop_oneof![Just(Origin::Igp), Just(Origin::Egp), Just(Origin::Incomplete)];
    let aggregator = (asn(), host_v4()).prop_map(|(asn, address)| Aggregator { asn, address });
    let classic = (origin, as_path(dialect), host_v4(), any::<Option<u32>>(), any::<u32>(), any::<bool>());
    let reflection = (router_id(), vec(host_v4(), 0..3));
    let tunnel = prop_oneof![
        address().prop_map(TunnelId::IngressReplication),
        (7..=255_u8, vec(any::<u8>(), 0..300)).prop_map(|(kind, id)| TunnelId::Other { kind, id }),
    ];
    let pmsi = (any::<u8>(), any::<[u8; 3]>(), tunnel).prop_map(|(flags, label, tunnel)| PmsiTunnel {
        flags,
        label: Label::from_bytes(label),
        tunnel,
    });
    let large = any::<[u32; 3]>().prop_map(|[administrator, first, second]| LargeCommunity {
        administrator,
        first,
        second,
    });
    let communities =
        (vec(any::<u32>().prop_map(Community), 0..80), vec(extended_community(), 0..40), vec(large, 0..5));
    let unknown = btree_map(prop_oneof![11..=13_u8, 23..=31_u8, 36..=255_u8], vec(any::<u8>(), 0..300), 0..4);
    let rest = (option::of(aggregator), option::of(pmsi), option::of(any::<u32>()), unknown, any::<bool>());
    (classic, reflection, communities, rest).prop_map(move |(classic, reflection, communities, rest)| {
        let (origin, as_path, next_hop, med, preference, atomic_aggregate) = classic;
        let (communities, extended_communities, large_communities) = communities;
        let (aggregator, pmsi, customer, unknown, is_partial) = rest;
        let mut partial = PartialBits::default();
        if is_partial && !communities.is_empty() {
            partial.set(AttributeCode::COMMUNITIES);
        }
        Attributes {
            origin: Some(origin),
            as_path: Some(as_path),
            next_hop: Some(next_hop),
            med,
            local_pref: dialect.internal.then_some(preference),
            atomic_aggregate,
            aggregator,
            communities,
            originator_id: dialect.internal.then_some(reflection.0),
            cluster_list: if dialect.internal { reflection.1 } else { vec![] },
            extended_communities,
            pmsi,
            large_communities,
            only_to_customer: customer.map(Asn::new),
            unknown: unknown
                .into_iter()
                .map(|(code, value)| UnknownAttribute { code: AttributeCode(code), value })
                .collect(),
            partial,
        }
    })
}

pub fn update(dialect: Dialect) -> impl Strategy<Value = Update> {
    let ids = dialect.receive_path_ids;
    (
        row(net_v4(), ids.ipv4, 0),
        vec(routes(ids, 1), 0..2),
        attributes(dialect),
        option::of(reachable(dialect)),
        row(net_v4(), ids.ipv4, 0),
    )
        .prop_map(|(withdrawn, unreachable, attributes, reachable, announced)| Update {
            withdrawn,
            unreachable,
            // Read only together with the routes that it is for.
            attributes: Attributes {
                next_hop: attributes.next_hop.filter(|_| !announced.is_empty()),
                ..attributes
            },
            reachable,
            announced,
        })
}

fn capability(family: &BoxedStrategy<Family>) -> impl Strategy<Value = Capability> + use<> {
    let next_hop = (family.clone(), family.clone())
        .prop_map(|(family, Family { afi, .. })| ExtendedNextHop { family, next_hop: afi });
    let restarted =
        (family.clone(), any::<bool>()).prop_map(|(family, forwarding)| RestartFamily { family, forwarding });
    let restart = (any::<bool>(), any::<bool>(), 0..4096_u16, vec(restarted, 0..4)).prop_map(
        |(restarted, notification, time, families)| GracefulRestart {
            restarted,
            notification,
            time,
            families,
        },
    );
    let long = (family.clone(), any::<bool>(), 0..1_u32 << 24)
        .prop_map(|(family, forwarding, stale_time)| LongLivedFamily { family, forwarding, stale_time });
    let mode = prop_oneof![Just(AddPathMode::Receive), Just(AddPathMode::Send), Just(AddPathMode::Both)];
    let add_path = (family.clone(), mode).prop_map(|(family, mode)| AddPath { family, mode });
    let role = proptest::sample::select(vec![
        Role::Provider,
        Role::RouteServer,
        Role::RouteServerClient,
        Role::Customer,
        Role::Peer,
    ]);
    prop_oneof![
        family.clone().prop_map(Capability::Multiprotocol),
        Just(Capability::RouteRefresh),
        vec(next_hop, 0..4).prop_map(Capability::ExtendedNextHop),
        Just(Capability::ExtendedMessage),
        role.prop_map(Capability::Role),
        restart.prop_map(Capability::GracefulRestart),
        vec(add_path, 0..4).prop_map(Capability::AddPath),
        Just(Capability::EnhancedRouteRefresh),
        vec(long, 0..4).prop_map(|families| Capability::LongLived(LongLived { families })),
        (".{0,20}", ".{0,20}").prop_map(|(host, domain)| Capability::Fqdn(Fqdn { host, domain })),
        (100..=255_u8, vec(any::<u8>(), 0..100)).prop_map(|(code, value)| Capability::Other { code, value }),
    ]
}

/// An OPEN with capabilities for some of these families.
pub fn open(family: BoxedStrategy<Family>) -> impl Strategy<Value = Open> {
    let hold_time = prop_oneof![Just(0), 3..=u16::MAX];
    (asn(), hold_time, router_id(), vec(capability(&family), 0..12)).prop_map(
        |(asn, hold_time, router_id, mut capabilities)| {
            // A second role is an error (RFC 9234 section 4.2).
            let mut roles = 0;
            capabilities.retain(|one| {
                !matches!(one, Capability::Role(_)) || {
                    roles += 1;
                    roles == 1
                }
            });
            if asn.get() > 0xffff {
                capabilities.push(Capability::FourOctetAs(asn));
            }
            Open { asn, hold_time, router_id, capabilities }
        },
    )
}

fn message(dialect: Dialect) -> impl Strategy<Value = Message> {
    let kind = prop_oneof![
        Just(RouteRefreshKind::Request),
        Just(RouteRefreshKind::Begin),
        Just(RouteRefreshKind::End),
        (3..=255_u8).prop_map(RouteRefreshKind::Other),
    ];
    let notification =
        (any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..300)).prop_map(|(code, subcode, data)| {
            Message::Notification(Notification { code: NotificationCode(code), subcode, data })
        });
    prop_oneof![
        2 => open(family()).prop_map(Message::Open),
        8 => update(dialect).prop_map(Message::Update),
        1 => family().prop_filter("has a form of its own", |family| *family != Family::IPV4_UNICAST)
            .prop_map(Message::EndOfRib),
        1 => notification,
        1 => Just(Message::Keepalive),
        1 => (family(), kind).prop_map(|(family, kind)| {
            Message::RouteRefresh(RouteRefresh { family, kind })
        }),
    ]
}

/// Bytes that get past the first checks: attributes with good headers and any content.
fn likely_update() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![3 => 1..=40_u8, 1 => any::<u8>()];
    let flags = prop_oneof![Just(0x40_u8), Just(0x80), Just(0xc0), Just(0xe0)];
    let reach = prop_oneof![Just(vec![]), Just(vec![0, 25, 70, 4, 10, 0, 0, 1, 0]), Just(vec![0, 25, 70])];
    let attribute = (flags, code, reach, vec(any::<u8>(), 0..60)).prop_map(|(flags, code, start, value)| {
        let value = [start, value].concat();
        [&[flags, code, u8::try_from(value.len()).unwrap()], value.as_slice()].concat()
    });
    (vec(attribute, 0..8), vec(any::<u8>(), 0..20)).prop_map(|(attributes, rest)| {
        let attributes = attributes.concat();
        let len = u16::try_from(attributes.len()).unwrap().to_be_bytes();
        [&[0, 0], &len[..], &attributes, &rest].concat()
    })
}

fn read(bytes: &[u8], dialect: &Dialect) {
    if let Ok(Some(frame)) = Frame::next(bytes, dialect.receive_extended)
        && let Err(error) = Received::decode(frame, dialect)
    {
        let notification = Message::Notification(error.notification());
        assert!(notification.encode(&Dialect::plain(), &mut Vec::new()).is_ok());
    }
}

proptest! {
    #[test]
    fn any_value_is_read_back((dialect, message) in dialect().prop_flat_map(|d| (Just(d), message(d)))) {
        let bytes = support::encode(&message, &dialect);
        let received = support::decode(&bytes, &dialect);
        prop_assert_eq!(received, Ok(Received { message, faults: vec![] }));
    }

    #[test]
    fn any_bytes_as_a_stream(bytes in vec(any::<u8>(), 0..200), dialect in dialect()) {
        read(&bytes, &dialect);
    }

    #[test]
    fn any_bytes_as_a_body(kind in 1..=5_u8, body in vec(any::<u8>(), 0..600), dialect in dialect()) {
        read(&support::message(kind, &body), &dialect);
    }

    #[test]
    fn likely_bytes_as_an_update(body in likely_update(), dialect in dialect()) {
        read(&support::message(2, &body), &dialect);
    }
}
