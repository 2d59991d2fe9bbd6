//! What a message says, one line for each field: the form of each line, and weft's own lines.

use std::fmt::Display;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_bgp::wire::{
    Administered, AttributeCode, Attributes, Capability, EvpnRoute, ExtendedCommunity,
    ExtendedCommunityValue, Family, LargeCommunity, Message, NextHop, Nlri, Open, RouteRefreshKind,
    RouteTargetMembership, Routes, SegmentKind, TunnelId, Update,
};

use crate::support::hex;

pub fn family(afi: u16, safi: u8) -> String {
    format!("{afi}/{safi}")
}

/// A row of things, or the word for none.
pub fn row<T: Display>(things: impl IntoIterator<Item = T>) -> String {
    let all: Vec<_> = things.into_iter().map(|thing| thing.to_string()).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(" ") }
}

/// A route of a family, with the identifier of its path if it has one.
pub fn route(verb: &str, id: Option<u32>, text: &str) -> String {
    id.map_or_else(|| format!("{verb} {text}"), |id| format!("{verb} {text} path {id}"))
}

pub fn ethernet_ad(rd: [u8; 8], esi: [u8; 10], tag: u32, label: [u8; 3]) -> String {
    format!("evpn 1 rd {} esi {} tag {tag} label {}", hex(&rd), hex(&esi), hex(&label))
}

/// A type 2, by the fields that stand before its address, its address, and its labels. The label is the VNI in all 24
/// bits (RFC 8365 section 5.1.3).
pub fn mac_ip(
    (rd, esi, tag, mac): ([u8; 8], [u8; 10], u32, [u8; 6]),
    ip: Option<IpAddr>,
    labels: ([u8; 3], Option<[u8; 3]>),
) -> String {
    let second = labels.1.map(|label| hex(&label));
    let (rd, esi, mac) = (hex(&rd), hex(&esi), hex(&mac));
    format!("evpn 2 rd {rd} esi {esi} tag {tag} mac {mac} ip {ip:?} labels {} {second:?}", hex(&labels.0))
}

pub fn multicast(rd: [u8; 8], tag: u32, originator: IpAddr) -> String {
    format!("evpn 3 rd {} tag {tag} originator {originator}", hex(&rd))
}

pub fn segment(rd: [u8; 8], esi: [u8; 10], originator: IpAddr) -> String {
    format!("evpn 4 rd {} esi {} originator {originator}", hex(&rd), hex(&esi))
}

/// A type 5; the gateway of zeroes is none (RFC 9136 section 3.1).
pub fn ip_prefix(
    (rd, esi, tag): ([u8; 8], [u8; 10], u32),
    prefix: IpNet,
    gateway: Option<IpAddr>,
    label: [u8; 3],
) -> String {
    let gateway = gateway.filter(|gateway| !gateway.is_unspecified());
    let (rd, esi, label) = (hex(&rd), hex(&esi), hex(&label));
    format!("evpn 5 rd {rd} esi {esi} tag {tag} prefix {prefix} gateway {gateway:?} label {label}")
}

/// A route target membership, by its length in bits.
pub fn membership(verb: &str, len: u8, origin: u32, target: [u8; 8]) -> String {
    format!("membership {verb} {} of {origin}, {len} bits", hex(&target))
}

/// What weft reads in a message.
pub fn of(message: &Message) -> Vec<String> {
    match message {
        Message::Open(open) => of_open(open),
        Message::Update(update) => of_update(update),
        // The other two have no value of their own for it.
        Message::EndOfRib(Family::IPV4_UNICAST) => vec![],
        Message::EndOfRib(Family { afi, safi }) => vec![format!("withdraws of {}", family(afi.0, safi.0))],
        Message::Notification(said) => {
            vec![format!("notification {} {} {}", said.code.0, said.subcode, hex(&said.data))]
        }
        Message::Keepalive => vec!["keepalive".to_owned()],
        Message::RouteRefresh(refresh) => {
            let kind = match refresh.kind {
                RouteRefreshKind::Request => 0,
                RouteRefreshKind::Begin => 1,
                RouteRefreshKind::End => 2,
                RouteRefreshKind::Other(kind) => kind,
            };
            vec![format!("route-refresh {} {kind}", of_family(refresh.family))]
        }
    }
}

fn of_family(of: Family) -> String {
    family(of.afi.0, of.safi.0)
}

fn of_open(open: &Open) -> Vec<String> {
    let head = format!("open {} {} {}", open.asn, open.hold_time, open.router_id);
    std::iter::once(head).chain(open.capabilities.iter().map(of_capability)).collect()
}

fn of_capability(capability: &Capability) -> String {
    match capability {
        Capability::Multiprotocol(family) => format!("multiprotocol {}", of_family(*family)),
        Capability::RouteRefresh => "can refresh".to_owned(),
        Capability::ExtendedNextHop(all) => {
            let texts = all.iter().map(|one| format!("{} over {}", of_family(one.family), one.next_hop.0));
            format!("extended-next-hop {}", row(texts))
        }
        Capability::ExtendedMessage => "extended-message".to_owned(),
        Capability::Role(role) => format!("role {}", *role as u8),
        Capability::GracefulRestart(restart) => {
            let families = restart.families.iter();
            let texts = families.map(|one| format!("{} {}", of_family(one.family), one.forwarding));
            let (restarted, notification) = (restart.restarted, restart.notification);
            format!("graceful-restart {restarted} {notification} {} {}", restart.time, row(texts))
        }
        Capability::FourOctetAs(asn) => format!("four-octet-as {asn}"),
        Capability::AddPath(all) => {
            format!(
                "add-path {}",
                row(all.iter().map(|one| format!("{} {:?}", of_family(one.family), one.mode)))
            )
        }
        Capability::EnhancedRouteRefresh => "enhanced-route-refresh".to_owned(),
        Capability::LongLived(long) => {
            let texts = long
                .families
                .iter()
                .map(|one| format!("{} {} {}", of_family(one.family), one.forwarding, one.stale_time));
            format!("long-lived {}", row(texts))
        }
        Capability::Fqdn(fqdn) => format!("fqdn {:?} {:?}", fqdn.host, fqdn.domain),
        // A host's name that cannot be read is kept as its bytes.
        Capability::Other { code: 73, value } => format!("fqdn {}", hex(value)),
        Capability::Other { code, value } => format!("capability {code} {}", hex(value)),
    }
}

fn of_update(update: &Update) -> Vec<String> {
    let mut all = Vec::new();
    all.extend(update.withdrawn.iter().map(|nlri| of_nlri("withdraws", nlri, ToString::to_string)));
    for routes in &update.unreachable {
        all.push(format!("withdraws of {}", of_family(routes.family())));
        all.extend(of_routes("withdraws", routes));
    }
    if let Some(reachable) = &update.reachable {
        let next_hop = match reachable.next_hop {
            NextHop::V4(v4) => v4.to_string(),
            NextHop::V6(v6) => v6.to_string(),
            NextHop::V6LinkLocal { global, link_local } => format!("{global} {link_local}"),
        };
        all.push(format!("announces of {} to {next_hop}", of_family(reachable.routes.family())));
        all.extend(of_routes("announces", &reachable.routes));
    }
    of_attributes(&update.attributes, &mut all);
    all.extend(update.announced.iter().map(|nlri| of_nlri("announces", nlri, ToString::to_string)));
    all
}

fn of_nlri<T>(verb: &str, nlri: &Nlri<T>, text: impl Fn(&T) -> String) -> String {
    route(verb, nlri.path_id, &text(&nlri.route))
}

fn of_routes(verb: &str, routes: &Routes) -> Vec<String> {
    match routes {
        Routes::Ipv4(all) => all.iter().map(|nlri| of_nlri(verb, nlri, ToString::to_string)).collect(),
        Routes::Ipv6(all) => all.iter().map(|nlri| of_nlri(verb, nlri, ToString::to_string)).collect(),
        Routes::Evpn(all) => {
            all.iter().map(|nlri| route("", nlri.path_id, &of_evpn(&nlri.route)).trim().to_owned()).collect()
        }
        Routes::RouteTargets(all) => all.iter().map(|nlri| of_membership(verb, &nlri.route)).collect(),
    }
}

fn of_evpn(route: &EvpnRoute) -> String {
    match route {
        EvpnRoute::EthernetAd(r) => {
            ethernet_ad(r.rd.to_bytes(), r.segment.to_bytes(), r.tag.0, r.label.to_bytes())
        }
        EvpnRoute::MacIp(r) => mac_ip(
            (r.rd.to_bytes(), r.segment.to_bytes(), r.tag.0, r.mac.bytes()),
            r.ip,
            (r.label.to_bytes(), r.l3_label.map(|label| label.to_bytes())),
        ),
        EvpnRoute::InclusiveMulticast(r) => multicast(r.rd.to_bytes(), r.tag.0, r.originator),
        EvpnRoute::EthernetSegment(r) => segment(r.rd.to_bytes(), r.segment.to_bytes(), r.originator),
        EvpnRoute::IpPrefix(r) => ip_prefix(
            (r.rd.to_bytes(), r.segment.to_bytes(), r.tag.0),
            r.prefix,
            r.gateway,
            r.label.to_bytes(),
        ),
        EvpnRoute::Unknown(r) => format!("evpn unknown {} {}", r.kind, hex(&r.value)),
    }
}

fn of_membership(verb: &str, of: &RouteTargetMembership) -> String {
    match of {
        RouteTargetMembership::Default => membership(verb, 0, 0, [0; 8]),
        RouteTargetMembership::Targets { origin, targets } => {
            membership(verb, 32 + targets.len(), origin.get(), targets.bytes())
        }
    }
}

/// A community by what it means, where weft gives it a meaning; else its bytes.
pub fn of_extended_community(bytes: [u8; 8]) -> String {
    use ExtendedCommunityValue as Value;
    match ExtendedCommunity::from_bytes(bytes).value() {
        Value::RouteTarget(target) => target_of(target.0),
        Value::RouteOrigin(origin) => format!("origin {}", origin.0),
        Value::MacMobility(moved) => format!("moved {} {}", moved.sticky, moved.sequence),
        Value::EsiLabel(esi) => format!("esi-label {} {}", esi.single_active, hex(&esi.label.to_bytes())),
        Value::EsImport(mac) => format!("es-import {}", hex(&mac.bytes())),
        Value::RouterMac(mac) => format!("router-mac {}", hex(&mac.bytes())),
        Value::DefaultGateway => "default-gateway".to_owned(),
        Value::Encapsulation(tunnel) => format!("encapsulation {}", tunnel.0),
        Value::Group(_) | Value::NdFlags(_) | Value::Other => hex(&bytes),
    }
}

pub fn target_of(target: Administered) -> String {
    format!("target {target}")
}

fn of_attributes(attributes: &Attributes, all: &mut Vec<String>) {
    let mut add = |code: AttributeCode, text: String| {
        all.push(if attributes.partial.has(code) { format!("{text} partial") } else { text });
    };
    use AttributeCode as Code;
    if let Some(origin) = attributes.origin {
        add(Code::ORIGIN, format!("origin {}", origin as u8));
    }
    if let Some(path) = &attributes.as_path {
        let confederation = path.segments.iter().any(|segment| segment.kind.is_confederation());
        let texts = path.segments.iter().map(|segment| {
            let kind = match segment.kind {
                SegmentKind::Set | SegmentKind::ConfederationSet => "set",
                SegmentKind::Sequence | SegmentKind::ConfederationSequence => "sequence",
            };
            format!("{kind} {}", row(&segment.asns))
        });
        let name = if confederation { "as-path confederation" } else { "as-path" };
        add(Code::AS_PATH, format!("{name} {}", row(texts)));
    }
    if let Some(next_hop) = attributes.next_hop {
        add(Code::NEXT_HOP, format!("next-hop {next_hop}"));
    }
    if let Some(med) = attributes.med {
        add(Code::MED, format!("med {med}"));
    }
    if let Some(preference) = attributes.local_pref {
        add(Code::LOCAL_PREF, format!("local-pref {preference}"));
    }
    if attributes.atomic_aggregate {
        add(Code::ATOMIC_AGGREGATE, "atomic-aggregate".to_owned());
    }
    if let Some(aggregator) = attributes.aggregator {
        add(Code::AGGREGATOR, format!("aggregator {} {}", aggregator.asn, aggregator.address));
    }
    if !attributes.communities.is_empty() {
        add(
            Code::COMMUNITIES,
            format!("communities {}", row(attributes.communities.iter().map(|one| one.0))),
        );
    }
    if let Some(id) = attributes.originator_id {
        add(Code::ORIGINATOR_ID, format!("originator {id}"));
    }
    if !attributes.cluster_list.is_empty() {
        add(Code::CLUSTER_LIST, format!("clusters {}", row(&attributes.cluster_list)));
    }
    if !attributes.extended_communities.is_empty() {
        let texts = attributes.extended_communities.iter().map(|one| of_extended_community(one.to_bytes()));
        add(Code::EXTENDED_COMMUNITIES, format!("extended {}", row(texts)));
    }
    if let Some(pmsi) = &attributes.pmsi {
        let tunnel = match &pmsi.tunnel {
            TunnelId::IngressReplication(address) => format!("6 {address}"),
            TunnelId::Other { kind, id } => format!("{kind} {}", hex(id)),
        };
        add(Code::PMSI_TUNNEL, format!("pmsi {} {} {tunnel}", pmsi.flags, hex(&pmsi.label.to_bytes())));
    }
    if !attributes.large_communities.is_empty() {
        let texts =
            attributes.large_communities.iter().map(|LargeCommunity { administrator, first, second }| {
                format!("{administrator}:{first}:{second}")
            });
        add(Code::LARGE_COMMUNITIES, format!("large {}", row(texts)));
    }
    if let Some(asn) = attributes.only_to_customer {
        add(Code::ONLY_TO_CUSTOMER, format!("only-to-customer {asn}"));
    }
    // That they were not known on the way is said by whoever sends them on, which is not seen in the value.
    all.extend(attributes.unknown.iter().map(|one| format!("attribute {} {}", one.code.0, hex(&one.value))));
}
