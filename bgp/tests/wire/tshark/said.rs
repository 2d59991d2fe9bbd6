//! Messages with everything that weft writes, and the values of Wireshark's fields for them.

use ipnet::{Ipv4Net, Ipv6Net};
use weft_bgp::wire::{
    AddPath, AddPathMode, Afi, Aggregator, AsPath, Asn, Attributes, Capability, Community, EsiLabel,
    EthernetAd, EthernetSegment, EthernetSegmentId, EthernetTag, EvpnRoute, ExtendedCommunity,
    ExtendedNextHop, Family, Fqdn, GracefulRestart, GroupCommunity, InclusiveMulticast, IpPrefixRoute, Label,
    LargeCommunity, LongLived, LongLivedFamily, MacIp, MacMobility, Message, NdFlags, NextHop, Nlri,
    Notification, NotificationCode, Open, Origin, PmsiTunnel, Reachable, RestartFamily, Role,
    RouteDistinguisher, RouteOrigin, RouteRefresh, RouteRefreshKind, RouteTarget, RouteTargetMembership,
    RouterId, Routes, TunnelId, TunnelType, Update,
};
use weft_vxlan::{MacAddr, Vni};

/// A message, and what Wireshark must say of it: all values of a field, with `;` between them.
pub struct Said {
    pub name: &'static str,
    pub message: Message,
    pub fields: Vec<(&'static str, String)>,
}

const TYPE: &str = "bgp.type";
const ROUTE_TYPE: &str = "bgp.evpn.nlri.rt";
const RD: &str = "bgp.evpn.nlri.rd";
const ESI: &str = "bgp.evpn.nlri.esi";
const TAG: &str = "bgp.evpn.nlri.etag";
pub const VNI: &str = "bgp.evpn.nlri.vni";
const MAC: &str = "bgp.evpn.nlri.mac_addr";
const IPV4: &str = "bgp.evpn.nlri.ip.addr";
const IPV6: &str = "bgp.evpn.nlri.ipv6.addr";

const SEGMENT: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const SEGMENT_TEXT: &str = "00:01:02:03:04:05:06:07:08:09";
const HOST: [u8; 6] = [2, 0, 0, 0, 1, 1];
const HOST_TEXT: &str = "02:00:00:00:01:01";

fn said(name: &'static str, message: Message, fields: &[(&'static str, &str)]) -> Said {
    let fields = fields.iter().map(|(field, value)| (*field, (*value).to_owned())).collect();
    Said { name, message, fields }
}

/// Every one, the OPEN first.
pub fn messages() -> Vec<Said> {
    let mut all = vec![open(), said("KEEPALIVE", Message::Keepalive, &[(TYPE, "4")])];
    all.extend(evpn());
    all.extend(updates());
    all.extend(others());
    all
}

fn open() -> Said {
    let family = Family::EVPN;
    let capabilities = vec![
        Capability::Multiprotocol(family),
        Capability::RouteRefresh,
        Capability::ExtendedNextHop(vec![ExtendedNextHop {
            family: Family::IPV4_UNICAST,
            next_hop: Afi::IPV6,
        }]),
        Capability::ExtendedMessage,
        Capability::Role(Role::Customer),
        Capability::GracefulRestart(GracefulRestart {
            restarted: true,
            notification: true,
            time: 120,
            families: vec![RestartFamily { family, forwarding: true }],
        }),
        Capability::FourOctetAs(Asn::new(4_200_000_001)),
        Capability::AddPath(vec![AddPath { family: Family::IPV6_UNICAST, mode: AddPathMode::Both }]),
        Capability::EnhancedRouteRefresh,
        Capability::LongLived(LongLived {
            families: vec![LongLivedFamily { family, forwarding: true, stale_time: 3600 }],
        }),
        Capability::Fqdn(Fqdn { host: "leaf".to_owned(), domain: "example".to_owned() }),
    ];
    let open = Open {
        asn: Asn::new(4_200_000_001),
        hold_time: 9,
        router_id: RouterId::new([10, 250, 0, 1].into()).unwrap(),
        capabilities,
    };
    said(
        "OPEN",
        Message::Open(open),
        &[
            (TYPE, "1"),
            ("bgp.open.version", "4"),
            ("bgp.open.myas", "23456"),
            ("bgp.open.holdtime", "9"),
            ("bgp.open.identifier", "10.250.0.1"),
            ("bgp.cap.type", "1;2;5;6;9;64;65;69;70;71;73"),
            ("bgp.cap.mp.afi", "25"),
            ("bgp.cap.mp.safi", "70"),
            ("bgp.cap.enh.afi", "1"),
            ("bgp.cap.enh.safi", "1"),
            ("bgp.cap.enh.nhafi", "2"),
            ("bgp.cap.gr.timers.restart_flag", "1"),
            ("bgp.cap.gr.timers.notification_flag", "1"),
            ("bgp.cap.gr.timers.restart_time", "120"),
            ("bgp.cap.gr.afi", "25"),
            ("bgp.cap.gr.safi", "70"),
            ("bgp.cap.gr.flag.pfs", "1"),
            ("bgp.cap.4as", "4200000001"),
            ("bgp.cap.ap.afi", "2"),
            ("bgp.cap.ap.safi", "1"),
            ("bgp.cap.ap.sendreceive", "3"),
            ("bgp.cap.orf.fqdn.hostname", "leaf"),
            ("bgp.cap.orf.fqdn.domain_name", "example"),
        ],
    )
}

/// The attributes that a route over VXLAN has.
fn overlay() -> Attributes {
    let target: RouteTarget = "65000:100".parse().unwrap();
    Attributes {
        origin: Some(Origin::Igp),
        as_path: Some(AsPath::default()),
        local_pref: Some(100),
        extended_communities: vec![target.into(), ExtendedCommunity::VXLAN],
        ..Attributes::default()
    }
}

/// One message for each EVPN route.
fn evpn() -> Vec<Said> {
    let rd: RouteDistinguisher = "10.250.0.1:2".parse().unwrap();
    let rd_text = "00010afa00010002";
    let segment = EthernetSegmentId::from_bytes(SEGMENT);
    let none = EthernetSegmentId::ZERO;
    let tag = EthernetTag(0);
    let label = |vni| Label::from(Vni::new(vni).unwrap());
    let mac = MacAddr::new(HOST);
    let announce = |name, attributes, route: EvpnRoute, fields: &[(&'static str, &str)]| {
        let routes = Routes::Evpn(vec![Nlri::from(route)]);
        let reachable = Some(Reachable { next_hop: NextHop::V4([10, 250, 0, 1].into()), routes });
        let mut said =
            said(name, Message::Update(Update { attributes, reachable, ..Update::default() }), fields);
        said.fields.push((RD, rd_text.to_owned()));
        said.fields.push(("bgp.update.path_attribute.mp_reach_nlri.next_hop.ipv4", "10.250.0.1".to_owned()));
        said
    };
    let host = |ip, l3_label| {
        EvpnRoute::MacIp(MacIp { rd, segment: none, tag, mac, ip, label: label(70_000), l3_label })
    };
    let flood = Attributes {
        pmsi: Some(PmsiTunnel {
            flags: 0,
            label: label(100),
            tunnel: TunnelId::IngressReplication([10, 250, 0, 1].into()),
        }),
        ..overlay()
    };
    vec![
        announce(
            "type 1",
            overlay(),
            EvpnRoute::EthernetAd(EthernetAd { rd, segment, tag: EthernetTag(7), label: label(70_000) }),
            &[(TYPE, "2"), (ROUTE_TYPE, "1"), (ESI, SEGMENT_TEXT), (TAG, "7"), (VNI, "70000")],
        ),
        announce(
            "type 2",
            overlay(),
            host(None, None),
            &[(ROUTE_TYPE, "2"), (MAC, HOST_TEXT), (TAG, "0"), (VNI, "70000")],
        ),
        announce(
            "type 2 with IPv4",
            overlay(),
            host(Some([10, 1, 0, 1].into()), Some(label(9))),
            &[(ROUTE_TYPE, "2"), (MAC, HOST_TEXT), (IPV4, "10.1.0.1"), (VNI, "70000;9")],
        ),
        announce(
            "type 2 with IPv6",
            overlay(),
            host(Some("2001:db8::1".parse().unwrap()), None),
            &[(ROUTE_TYPE, "2"), (MAC, HOST_TEXT), (IPV6, "2001:db8::1"), (VNI, "70000")],
        ),
        announce(
            "type 3",
            flood,
            EvpnRoute::InclusiveMulticast(InclusiveMulticast { rd, tag, originator: [10, 250, 0, 1].into() }),
            &[
                (ROUTE_TYPE, "3"),
                (VNI, "100"),
                (IPV4, "10.250.0.1"),
                ("bgp.update.path_attribute.pmsi.tunnel.type", "6"),
                ("bgp.update.path_attribute.pmsi.ingress_rep_ip", "10.250.0.1"),
            ],
        ),
        announce(
            "type 4",
            overlay(),
            EvpnRoute::EthernetSegment(EthernetSegment {
                rd,
                segment,
                originator: "2001:db8::9".parse().unwrap(),
            }),
            &[(ROUTE_TYPE, "4"), (ESI, SEGMENT_TEXT), (IPV6, "2001:db8::9")],
        ),
        announce(
            "type 5 with IPv4",
            overlay(),
            EvpnRoute::IpPrefix(IpPrefixRoute {
                rd,
                segment: none,
                tag,
                prefix: "10.2.0.0/16".parse().unwrap(),
                gateway: Some([10, 1, 0, 9].into()),
                label: label(9),
            }),
            &[
                (ROUTE_TYPE, "5"),
                ("bgp.evpn.nlri.prefix_len", "16"),
                (IPV4, "10.2.0.0"),
                ("bgp.evpn.nlri.ipv4.gtw_addr", "10.1.0.9"),
                (VNI, "9"),
            ],
        ),
        announce(
            "type 5 with IPv6",
            overlay(),
            EvpnRoute::IpPrefix(IpPrefixRoute {
                rd,
                segment: none,
                tag,
                prefix: "2001:db8:7::/48".parse().unwrap(),
                gateway: None,
                label: label(9),
            }),
            &[
                (ROUTE_TYPE, "5"),
                ("bgp.evpn.nlri.prefix_len", "48"),
                (IPV6, "2001:db8:7::"),
                ("bgp.evpn.nlri.ipv6.gtw_addr", "::"),
                (VNI, "9"),
            ],
        ),
    ]
}

/// All attributes, and all other ways in which routes come and go.
fn updates() -> Vec<Said> {
    let mac = MacAddr::new(HOST);
    let target: RouteTarget = "65000:100".parse().unwrap();
    let origin: RouteOrigin = RouteOrigin("10.250.0.1:7".parse().unwrap());
    let attributes = Attributes {
        origin: Some(Origin::Incomplete),
        as_path: Some(AsPath::sequence([65001, 4_200_000_001].map(Asn::new))),
        next_hop: Some([10, 250, 0, 1].into()),
        med: Some(5),
        local_pref: Some(200),
        atomic_aggregate: true,
        aggregator: Some(Aggregator { asn: Asn::new(65001), address: [10, 250, 0, 7].into() }),
        communities: vec![Community(65000 << 16 | 7), Community::NO_EXPORT],
        originator_id: Some(RouterId::new([10, 250, 0, 8].into()).unwrap()),
        cluster_list: vec![[10, 250, 0, 9].into(), [10, 250, 0, 10].into()],
        extended_communities: vec![
            target.into(),
            origin.into(),
            TunnelType::VXLAN.into(),
            ExtendedCommunity::DEFAULT_GATEWAY,
            GroupCommunity { domain: 1, group: 2 }.into(),
            MacMobility { sticky: true, sequence: 77 }.into(),
            EsiLabel { single_active: true, label: Label::ZERO }.into(),
            ExtendedCommunity::es_import(mac),
            ExtendedCommunity::router_mac(mac),
            NdFlags { router: true, override_flag: false, immutable: true }.into(),
        ],
        large_communities: vec![LargeCommunity { administrator: 4_200_000_001, first: 2, second: 3 }],
        only_to_customer: Some(Asn::new(65001)),
        ..Attributes::default()
    };
    let row = |prefix: &str| vec![Nlri::from(prefix.parse::<Ipv4Net>().unwrap())];
    let all = Update {
        withdrawn: row("10.3.0.0/16"),
        attributes,
        announced: row("10.4.4.0/24"),
        ..Update::default()
    };
    let v6 = Update {
        attributes: overlay(),
        reachable: Some(Reachable {
            next_hop: NextHop::V6LinkLocal {
                global: "2001:db8::1".parse().unwrap(),
                link_local: "fe80::1".parse().unwrap(),
            },
            routes: Routes::Ipv6(vec![Nlri::from("2001:db8:5::/48".parse::<Ipv6Net>().unwrap())]),
        }),
        ..Update::default()
    };
    let gone = Update {
        unreachable: vec![Routes::Ipv6(vec![Nlri::from("2001:db8:6::/48".parse::<Ipv6Net>().unwrap())])],
        ..Update::default()
    };
    let wanted = Update {
        attributes: overlay(),
        reachable: Some(Reachable {
            next_hop: NextHop::V4([10, 250, 0, 1].into()),
            routes: Routes::RouteTargets(vec![Nlri::from(RouteTargetMembership::Targets {
                origin: Asn::new(65000),
                targets: target.into(),
            })]),
        }),
        ..Update::default()
    };
    vec![
        said(
            "every attribute",
            Message::Update(all),
            &[
                ("bgp.withdrawn_prefix", "10.3.0.0"),
                ("bgp.nlri_prefix", "10.4.4.0"),
                ("bgp.update.path_attribute.type_code", "1;2;3;4;5;6;7;8;9;10;16;32;35"),
                ("bgp.update.path_attribute.origin", "2"),
                ("bgp.update.path_attribute.as_path_segment.as4", "65001;4200000001"),
                ("bgp.update.path_attribute.next_hop", "10.250.0.1"),
                ("bgp.update.path_attribute.multi_exit_disc", "5"),
                ("bgp.update.path_attribute.local_pref", "200"),
                ("bgp.update.path_attribute.aggregator_as", "65001"),
                ("bgp.update.path_attribute.aggregator_origin", "10.250.0.7"),
                ("bgp.update.path_attribute.community_as", "65000"),
                ("bgp.update.path_attribute.community_value", "7"),
                ("bgp.update.path_attribute.community_wellknown", "0xffffff01"),
                ("bgp.update.path_attribute.originator_id", "10.250.0.8"),
                ("bgp.path_attribute.cluster_id", "10.250.0.9;10.250.0.10"),
                ("bgp.ext_com.value_as2", "65000"),
                ("bgp.ext_com.value_an4", "100"),
                ("bgp.ext_com.value_IP4", "10.250.0.1"),
                ("bgp.ext_com.value_an2", "7"),
                ("bgp.ext_com.tunnel_type", "8"),
                ("bgp.ext_com_evpn.mmac.flags.sticky", "1"),
                ("bgp.ext_com_evpn.mmac.seq", "77"),
                ("bgp.ext_com_evpn.esi.rt", HOST_TEXT),
                ("bgp.ext_com_evpn.esi.router_mac", HOST_TEXT),
                ("bgp.large_communities.ga", "4200000001"),
                ("bgp.large_communities.ldp1", "2"),
                ("bgp.large_communities.ldp2", "3"),
            ],
        ),
        said(
            "IPv6 routes",
            Message::Update(v6),
            &[
                ("bgp.update.path_attribute.mp_reach_nlri.afi", "2"),
                ("bgp.update.path_attribute.mp_reach_nlri.safi", "1"),
                ("bgp.update.path_attribute.mp_reach_nlri.next_hop.ipv6", "2001:db8::1"),
                ("bgp.update.path_attribute.mp_reach_nlri.next_hop.ipv6.link_local", "fe80::1"),
                ("bgp.mp_reach_nlri_ipv6_prefix", "2001:db8:5::"),
            ],
        ),
        said(
            "IPv6 routes that go",
            Message::Update(gone),
            &[("bgp.mp_unreach_nlri_ipv6_prefix", "2001:db8:6::")],
        ),
        said(
            "route targets",
            Message::Update(wanted),
            &[("bgp.update.path_attribute.mp_reach_nlri.safi", "132")],
        ),
        said(
            "End-of-RIB",
            Message::EndOfRib(Family::EVPN),
            &[
                ("bgp.update.path_attribute.mp_unreach_nlri.afi", "25"),
                ("bgp.update.path_attribute.mp_unreach_nlri.safi", "70"),
            ],
        ),
        said("End-of-RIB of IPv4", Message::EndOfRib(Family::IPV4_UNICAST), &[(TYPE, "2")]),
    ]
}

fn others() -> Vec<Said> {
    let mut all: Vec<_> =
        [(RouteRefreshKind::Request, "0"), (RouteRefreshKind::Begin, "1"), (RouteRefreshKind::End, "2")]
            .into_iter()
            .map(|(kind, subtype)| {
                said(
                    "ROUTE-REFRESH",
                    Message::RouteRefresh(RouteRefresh { family: Family::EVPN, kind }),
                    &[
                        (TYPE, "5"),
                        ("bgp.route_refresh.afi", "25"),
                        ("bgp.route_refresh.safi", "70"),
                        ("bgp.route_refresh.subtype", subtype),
                    ],
                )
            })
            .collect();
    let notification = |code, subcode, data: &[u8]| {
        Message::Notification(Notification { code: NotificationCode(code), subcode, data: data.to_vec() })
    };
    all.extend([
        said(
            "a wrong attribute",
            notification(3, 9, &[0x80, 14, 0]),
            &[
                (TYPE, "3"),
                ("bgp.notify.major_error", "3"),
                ("bgp.notify.minor_error_update", "9"),
                ("bgp.notify.minor_data", "800e00"),
            ],
        ),
        said("hold timer", notification(4, 0, &[]), &[("bgp.notify.major_error", "4")]),
        said(
            "shutdown",
            notification(6, 2, b"\x05later"),
            &[
                ("bgp.notify.major_error", "6"),
                ("bgp.notify.minor_error_cease", "2"),
                ("bgp.notify.communication", "later"),
            ],
        ),
    ]);
    all
}
