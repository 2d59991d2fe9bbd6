//! rustbgpd's reading of a message.

use std::net::IpAddr;

use bytes::Bytes;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rustbgpd_wire::evpn::{EvpnIpPrefixValue, EvpnRoute};
use rustbgpd_wire::{
    Afi, AsPathSegment, Capability, Ipv4NlriEntry, Ipv4Prefix, Ipv4UnicastMode, Message, NlriEntry,
    OpenMessage, ParsedUpdate, PathAttribute, PmsiTunnelIdentifier, Prefix, RtcNlri, Safi, UpdateMessage,
};
use weft_bgp::wire::Dialect;

use super::Reading;
use super::said;
use crate::support::hex;

pub fn read(bytes: &[u8], dialect: &Dialect) -> Result<Reading, String> {
    let message =
        rustbgpd_wire::decode_message(&mut Bytes::copy_from_slice(bytes), u16::MAX).map_err(name)?;
    let (said, again) = match message {
        Message::Update(update) => {
            let parsed = parse(&update, dialect)?;
            let again = build(&parsed, dialect);
            (of_update(&parsed, dialect), again.map(Message::Update))
        }
        other => (of(&other), Ok(other)),
    };
    let write = |message| rustbgpd_wire::encode_message_with_limit(&message, u16::MAX).map_err(name);
    Ok(Reading { said, written: again.and_then(write).map(|bytes| bytes.to_vec()) })
}

/// The variant's name, and of an attribute's error its subcode.
fn name(error: impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    let variant = text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default();
    let subcode = text.split_once("subcode: ").map(|(_, rest)| rest.split(',').next().unwrap_or_default());
    subcode.map_or_else(|| variant.to_owned(), |subcode| format!("{variant} {subcode}"))
}

/// Its reading with RFC 7606's treatment of errors; any error in it is one here.
fn parse(update: &UpdateMessage, dialect: &Dialect) -> Result<ParsedUpdate, String> {
    let ids = dialect.receive_path_ids;
    let families: Vec<_> = [
        (ids.ipv4, (Afi::Ipv4, Safi::Unicast)),
        (ids.ipv6, (Afi::Ipv6, Safi::Unicast)),
        (ids.evpn, (Afi::L2Vpn, Safi::Evpn)),
    ]
    .into_iter()
    .filter_map(|(has, family)| has.then_some(family))
    .collect();
    let parsed = update
        .parse_revised(dialect.four_octet_as, dialect.internal, ids.ipv4, &families)
        .map_err(|error| format!("reset {}", name(error)))?;
    match parsed.malformed.first() {
        None => Ok(parsed.update),
        Some(malformed) => {
            Err(format!("{:?} {} {}", malformed.disposition, malformed.type_code, name(&malformed.error)))
        }
    }
}

fn build(parsed: &ParsedUpdate, dialect: &Dialect) -> Result<UpdateMessage, String> {
    let ParsedUpdate { announced, withdrawn, attributes, .. } = parsed;
    let ids = dialect.send_path_ids.ipv4;
    let body = Ipv4UnicastMode::Body;
    UpdateMessage::try_build(announced, withdrawn, attributes, dialect.four_octet_as, ids, body).map_err(name)
}

fn of(message: &Message) -> Vec<String> {
    match message {
        Message::Open(open) => of_open(open),
        Message::Notification(said) => {
            vec![format!("notification {} {} {}", said.code.as_u8(), said.subcode, hex(&said.data))]
        }
        Message::Keepalive => vec!["keepalive".to_owned()],
        Message::RouteRefresh(refresh) => {
            let family = said::family(refresh.afi_raw, refresh.safi_raw);
            vec![format!("route-refresh {family} {}", refresh.subtype_raw)]
        }
        // An UPDATE is read for itself.
        other => vec![format!("{other:?}")],
    }
}

fn of_family(afi: Afi, safi: Safi) -> String {
    said::family(afi as u16, safi as u8)
}

fn of_open(open: &OpenMessage) -> Vec<String> {
    let head = format!("open {} {} {}", open.four_byte_as(), open.hold_time, open.bgp_identifier);
    std::iter::once(head).chain(open.capabilities.iter().filter_map(of_capability)).collect()
}

fn of_capability(capability: &Capability) -> Option<String> {
    Some(match capability {
        Capability::MultiProtocol { afi, safi } => format!("multiprotocol {}", of_family(*afi, *safi)),
        Capability::RouteRefresh => "can refresh".to_owned(),
        Capability::ExtendedNextHop(all) => {
            let texts = all.iter().map(|one| {
                format!("{} over {}", of_family(one.nlri_afi, one.nlri_safi), one.next_hop_afi as u16)
            });
            format!("extended-next-hop {}", said::row(texts))
        }
        Capability::ExtendedMessage => "extended-message".to_owned(),
        Capability::Role { role } => format!("role {}", role.to_u8()),
        Capability::GracefulRestart { restart_state, notification, restart_time, families } => {
            let texts = families
                .iter()
                .map(|one| format!("{} {}", of_family(one.afi, one.safi), one.forwarding_preserved));
            format!("graceful-restart {restart_state} {notification} {restart_time} {}", said::row(texts))
        }
        Capability::FourOctetAs { asn } => format!("four-octet-as {asn}"),
        Capability::AddPath(all) => {
            let texts =
                all.iter().map(|one| format!("{} {:?}", of_family(one.afi, one.safi), one.send_receive));
            format!("add-path {}", said::row(texts))
        }
        Capability::EnhancedRouteRefresh => "enhanced-route-refresh".to_owned(),
        Capability::LongLivedGracefulRestart(all) => {
            let texts = all.iter().map(|one| {
                format!("{} {} {}", of_family(one.afi, one.safi), one.forwarding_preserved, one.stale_time)
            });
            format!("long-lived {}", said::row(texts))
        }
        // The host's name, for which it has no value.
        Capability::Unknown { code: 73, .. } => return None,
        Capability::Unknown { code, data } => format!("capability {code} {}", hex(data)),
        other => format!("{other:?}"),
    })
}

fn of_update(update: &ParsedUpdate, dialect: &Dialect) -> Vec<String> {
    let mut all = Vec::new();
    let ids = dialect.receive_path_ids;
    all.extend(update.withdrawn.iter().map(|entry| of_v4("withdraws", entry, ids.ipv4)));
    for attribute in &update.attributes {
        match attribute {
            PathAttribute::MpUnreachNlri(gone) => {
                all.push(format!("withdraws of {}", of_family(gone.afi, gone.safi)));
                let with_id = if gone.afi == Afi::Ipv4 { ids.ipv4 } else { ids.ipv6 };
                all.extend(gone.withdrawn.iter().map(|entry| of_entry("withdraws", entry, with_id)));
                all.extend(gone.evpn_withdrawn.iter().map(of_evpn));
                all.extend(gone.rtc_withdrawn.iter().map(|one| of_membership("withdraws", one)));
            }
            PathAttribute::MpReachNlri(come) => {
                let link_local = come.link_local_next_hop.map_or(String::new(), |hop| format!(" {hop}"));
                all.push(format!(
                    "announces of {} to {}{link_local}",
                    of_family(come.afi, come.safi),
                    come.next_hop
                ));
                let with_id = if come.afi == Afi::Ipv4 { ids.ipv4 } else { ids.ipv6 };
                all.extend(come.announced.iter().map(|entry| of_entry("announces", entry, with_id)));
                all.extend(come.evpn_announced.iter().map(of_evpn));
                all.extend(come.rtc_announced.iter().map(|one| of_membership("announces", one)));
            }
            // Without the routes that it is for, it is ignored (RFC 4760 section 3).
            PathAttribute::NextHop(_) if update.announced.is_empty() => {}
            other => all.extend(of_attribute(other)),
        }
    }
    all.extend(update.announced.iter().map(|entry| of_v4("announces", entry, ids.ipv4)));
    all
}

fn of_v4(verb: &str, entry: &Ipv4NlriEntry, with_id: bool) -> String {
    said::route(verb, with_id.then_some(entry.path_id), &entry.prefix.to_string())
}

fn of_entry(verb: &str, entry: &NlriEntry, with_id: bool) -> String {
    let prefix = match entry.prefix {
        Prefix::V4(v4) => v4.to_string(),
        Prefix::V6(v6) => v6.to_string(),
    };
    said::route(verb, with_id.then_some(entry.path_id), &prefix)
}

fn of_membership(verb: &str, membership: &RtcNlri) -> String {
    said::membership(
        verb,
        membership.prefix_len,
        membership.origin_as,
        membership.route_target_bits.to_be_bytes(),
    )
}

fn of_evpn(route: &EvpnRoute) -> String {
    let label = |label: rustbgpd_wire::evpn::MplsLabel| {
        let [_, a, b, c] = label.value().to_be_bytes();
        [a, b, c]
    };
    match route {
        EvpnRoute::EadPerEs(r) => said::ethernet_ad(r.rd.0, r.esi.0, r.ethernet_tag.0, label(r.label)),
        EvpnRoute::EadPerEvi(r) => said::ethernet_ad(r.rd.0, r.esi.0, r.ethernet_tag.0, label(r.label)),
        EvpnRoute::MacIp(r) => said::mac_ip(
            (r.rd.0, r.esi.0, r.ethernet_tag.0, r.mac.0),
            r.ip,
            (label(r.label1), r.label2.map(label)),
        ),
        EvpnRoute::Imet(r) => said::multicast(r.rd.0, r.ethernet_tag.0, r.originator_ip),
        EvpnRoute::Es(r) => said::segment(r.rd.0, r.esi.0, r.originator_ip),
        EvpnRoute::IpPrefix(r) => {
            let prefix = match r.prefix {
                EvpnIpPrefixValue::V4(Ipv4Prefix { addr, len }) => Ipv4Net::new(addr, len).map(IpNet::V4),
                EvpnIpPrefixValue::V6(v6) => Ipv6Net::new(v6.addr, v6.len).map(IpNet::V6),
            };
            let gateway: Option<IpAddr> = Some(r.gateway);
            said::ip_prefix((r.rd.0, r.esi.0, r.ethernet_tag.0), prefix.unwrap(), gateway, label(r.label))
        }
        // Types above 5, which weft does not look into.
        _ => "evpn unknown".to_owned(),
    }
}

fn of_attribute(attribute: &PathAttribute) -> Option<String> {
    const TRANSITIVE: u8 = 0x40;
    const PARTIAL: u8 = 0x20;
    let text = match attribute {
        PathAttribute::Origin(origin) => format!("origin {}", *origin as u8),
        PathAttribute::AsPath(path) => {
            let texts = path.segments.iter().map(|segment| match segment {
                AsPathSegment::AsSet(asns) => format!("set {}", said::row(asns)),
                AsPathSegment::AsSequence(asns) => format!("sequence {}", said::row(asns)),
            });
            format!("as-path {}", said::row(texts))
        }
        PathAttribute::NextHop(next_hop) => format!("next-hop {next_hop}"),
        PathAttribute::Med(med) => format!("med {med}"),
        PathAttribute::LocalPref(preference) => format!("local-pref {preference}"),
        PathAttribute::AtomicAggregate => "atomic-aggregate".to_owned(),
        PathAttribute::Aggregator(aggregator) => {
            format!("aggregator {} {}", aggregator.asn, aggregator.router_id)
        }
        PathAttribute::Communities(all) | PathAttribute::CommunitiesPartial(all) => {
            format!("communities {}", said::row(all))
        }
        PathAttribute::OriginatorId(id) => format!("originator {id}"),
        PathAttribute::ClusterList(all) => format!("clusters {}", said::row(all)),
        PathAttribute::ExtendedCommunities(all) | PathAttribute::ExtendedCommunitiesPartial(all) => {
            let texts = all.iter().map(|one| of_extended_community(*one));
            format!("extended {}", said::row(texts))
        }
        PathAttribute::PmsiTunnel(pmsi) | PathAttribute::PmsiTunnelPartial(pmsi) => {
            let [_, label @ ..] = pmsi.mpls_label.to_be_bytes();
            let id = match &pmsi.tunnel_identifier {
                PmsiTunnelIdentifier::Empty => String::new(),
                PmsiTunnelIdentifier::Ipv4(v4) => v4.to_string(),
                PmsiTunnelIdentifier::Ipv6(v6) => v6.to_string(),
                PmsiTunnelIdentifier::Raw(bytes) => hex(bytes),
                other => format!("{other:?}"),
            };
            format!("pmsi {} {} {} {id}", pmsi.flags, hex(&label), pmsi.tunnel_type.as_u8())
        }
        PathAttribute::LargeCommunities(all) | PathAttribute::LargeCommunitiesPartial(all) => {
            format!("large {}", said::row(all))
        }
        PathAttribute::OnlyToCustomer(asn) | PathAttribute::OnlyToCustomerPartial(asn) => {
            format!("only-to-customer {asn}")
        }
        // Optional and not transitive ends here (RFC 4271 section 5); that it is partial is not said by weft's value.
        PathAttribute::Unknown(raw) if raw.flags & TRANSITIVE == 0 => return None,
        PathAttribute::Unknown(raw) => {
            return Some(format!("attribute {} {}", raw.type_code, hex(&raw.data)));
        }
        other => format!("{other:?}"),
    };
    Some(if attribute.flags() & PARTIAL == 0 { text } else { format!("{text} partial") })
}

/// The meaning that rustbgpd gives to a community, in weft's words.
fn of_extended_community(community: rustbgpd_wire::ExtendedCommunity) -> String {
    let bytes = community.as_u64().to_be_bytes();
    let administered = |(global, local): (u32, u32)| match bytes[0] {
        1 => format!("{}:{local}", std::net::Ipv4Addr::from(global)),
        2 if global <= 0xffff => format!("{global}L:{local}"),
        _ => format!("{global}:{local}"),
    };
    if !community.is_transitive() {
        return hex(&bytes);
    }
    if let Some(target) = community.route_target() {
        return format!("target {}", administered(target));
    }
    if let Some(origin) = community.route_origin() {
        return format!("origin {}", administered(origin));
    }
    if let Some((sticky, sequence)) = community.as_mac_mobility() {
        return format!("moved {sticky} {sequence}");
    }
    if let Some((single_active, label)) = community.as_esi_label() {
        let [_, label @ ..] = label.to_be_bytes();
        return format!("esi-label {single_active} {}", hex(&label));
    }
    if let Some(mac) = community.as_es_import_rt() {
        return format!("es-import {}", hex(&mac));
    }
    if let Some(mac) = community.as_router_mac() {
        return format!("router-mac {}", hex(&mac));
    }
    if let Some(tunnel) = community.as_bgp_encapsulation() {
        return format!("encapsulation {tunnel}");
    }
    if community.as_default_gateway() { "default-gateway".to_owned() } else { hex(&bytes) }
}
