//! NetGauze's reading of a message.

use std::io::Cursor;

use ipnet::IpNet;
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::BgpCapability;
use netgauze_bgp_pkt::community::{
    EvpnExtendedCommunity, ExtendedCommunity, TransitiveFourOctetExtendedCommunity,
    TransitiveIpv4ExtendedCommunity, TransitiveOpaqueExtendedCommunity, TransitiveTwoOctetExtendedCommunity,
};
use netgauze_bgp_pkt::nlri::{
    L2EvpnAddress, L2EvpnIpPrefixRoute, L2EvpnRoute, RouteDistinguisher, RouteTargetMembershipAddress,
};
use netgauze_bgp_pkt::notification::BgpNotificationMessage;
use netgauze_bgp_pkt::open::BgpOpenMessage;
use netgauze_bgp_pkt::path_attribute::{
    Aggregator, AsPath, MpReach, MpUnreach, PathAttribute, PathAttributeValue,
};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_iana::address_family::AddressType;
use netgauze_parse_utils::WritablePdu as _;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput as _;
use weft_bgp::wire::{Administered, Asn, Dialect};

use super::Reading;
use super::said;
use crate::support::hex;

pub fn read(bytes: &[u8], dialect: &Dialect) -> Result<Reading, String> {
    let message = parse(bytes, &mut context(dialect))?;
    let mut out = Cursor::new(Vec::new());
    let written = message.write(&mut out).map_err(|error| name(&error));
    Ok(Reading { said: of(&message), written: written.map(|()| out.into_inner()) })
}

fn parse(bytes: &[u8], context: &mut BgpParsingContext) -> Result<BgpMessage, String> {
    BgpMessage::parse(&mut SliceReader::new(bytes), context).map_err(|error| name(&error))
}

/// The innermost error's type, which is named after what was read, and variant.
fn name(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    let head = text.split(" {").next().unwrap_or(&text);
    let mut names = head.rsplit('(');
    let last = names.next().unwrap_or_default().trim_end_matches(')');
    // These two say nothing without what they are of.
    if matches!(last, "UnexpectedEof" | "Undefined") {
        names.nth(1).map_or(last.to_owned(), |of| format!("{last} {of}"))
    } else {
        last.to_owned()
    }
}

fn context(dialect: &Dialect) -> BgpParsingContext {
    let mut context = BgpParsingContext::asn2_default();
    context.set_asn4(dialect.four_octet_as);
    let ids = dialect.receive_path_ids;
    context.add_path_mut().extend([
        (AddressType::Ipv4Unicast, ids.ipv4),
        (AddressType::Ipv6Unicast, ids.ipv6),
        (AddressType::L2VpnBgpEvpn, ids.evpn),
    ]);
    context
}

fn of(message: &BgpMessage) -> Vec<String> {
    match message {
        BgpMessage::Open(open) => of_open(open),
        BgpMessage::Update(update) => of_update(update),
        BgpMessage::Notification(notification) => vec![of_notification(notification)],
        BgpMessage::KeepAlive => vec!["keepalive".to_owned()],
        BgpMessage::RouteRefresh(refresh) => {
            let kind = refresh.operation_type() as u8;
            vec![format!("route-refresh {} {kind}", of_family(refresh.address_type()))]
        }
    }
}

/// Subcodes and their names.
type Errors = &'static [(u8, &'static str)];

/// The codes of RFC 4271 section 4.5, 4486, 5492, 6608, 7313, 8538, 9234 and 9384, by NetGauze's names of kind and error.
const NOTIFICATIONS: [(u8, &str, Errors); 7] = [
    (
        1,
        "MessageHeaderError",
        &[
            (0, "Unspecific"),
            (1, "ConnectionNotSynchronized"),
            (2, "BadMessageLength"),
            (3, "BadMessageType"),
        ],
    ),
    (
        2,
        "OpenMessageError",
        &[
            (0, "Unspecific"),
            (1, "UnsupportedVersionNumber"),
            (2, "BadPeerAs"),
            (3, "BadBgpIdentifier"),
            (4, "UnsupportedOptionalParameter"),
            (6, "UnacceptableHoldTime"),
            (7, "UnsupportedCapability"),
            (11, "RoleMismatch"),
        ],
    ),
    (
        3,
        "UpdateMessageError",
        &[
            (0, "Unspecific"),
            (1, "MalformedAttributeList"),
            (2, "UnrecognizedWellKnownAttribute"),
            (3, "MissingWellKnownAttribute"),
            (4, "AttributeFlagsError"),
            (5, "AttributeLengthError"),
            (6, "InvalidOriginAttribute"),
            (8, "InvalidNextHopAttribute"),
            (9, "OptionalAttributeError"),
            (10, "InvalidNetworkField"),
            (11, "MalformedAsPath"),
        ],
    ),
    (4, "HoldTimerExpiredError", &[(0, "Unspecific")]),
    (
        5,
        "FiniteStateMachineError",
        &[
            (0, "Unspecific"),
            (1, "ReceiveUnexpectedMessageInOpenSentState"),
            (2, "ReceiveUnexpectedMessageInOpenConfirmState"),
            (3, "ReceiveUnexpectedMessageInEstablishedState"),
        ],
    ),
    (
        6,
        "CeaseError",
        &[
            (1, "MaximumNumberOfPrefixesReached"),
            (2, "AdministrativeShutdown"),
            (3, "PeerDeConfigured"),
            (4, "AdministrativeReset"),
            (5, "ConnectionRejected"),
            (6, "OtherConfigurationChange"),
            (7, "ConnectionCollisionResolution"),
            (8, "OutOfResources"),
            (9, "HardReset"),
            (10, "BfdDown"),
        ],
    ),
    (7, "RouteRefreshError", &[(1, "InvalidMessageLength")]),
];

/// Codes and subcodes that NetGauze has names for.
pub fn notifications() -> Vec<(u8, u8)> {
    NOTIFICATIONS
        .iter()
        .flat_map(|(code, _, errors)| errors.iter().map(|(subcode, _)| (*code, *subcode)))
        .collect()
}

fn of_notification(notification: &BgpNotificationMessage) -> String {
    let text = format!("{notification:?}");
    let (kind, rest) = text.split_once('(').unwrap_or_default();
    let (error, rest) = rest.split_once(" {").unwrap_or_default();
    let (_, value) = rest.split_once("value: [").unwrap_or_default();
    let numbers = value.split([',', ']']).filter_map(|number| number.trim().parse().ok());
    let data: Vec<u8> = numbers.collect();
    let found = NOTIFICATIONS.iter().find(|(_, name, _)| *name == kind).and_then(|(code, _, errors)| {
        errors.iter().find(|(_, name)| *name == error).map(|(subcode, _)| format!("{code} {subcode}"))
    });
    // This one keeps the subcode, which RFC 4271 section 6.5 does not define, as a number.
    let numbered = rest
        .split_once("sub_code: ")
        .and_then(|(_, rest)| rest.split_once(','))
        .map(|(subcode, _)| format!("4 {subcode}"));
    format!("notification {} {}", numbered.or(found).unwrap_or(text.clone()), hex(&data))
}

fn of_family(address: AddressType) -> String {
    said::family(address.address_family() as u16, address.subsequent_address_family() as u8)
}

fn of_open(open: &BgpOpenMessage) -> Vec<String> {
    let head = format!("open {} {} {}", open.my_asn4(), open.hold_time(), open.bgp_id());
    std::iter::once(head).chain(open.capabilities().into_iter().map(of_capability)).collect()
}

fn of_capability(capability: &BgpCapability) -> String {
    match capability {
        BgpCapability::MultiProtocolExtensions(one) => {
            format!("multiprotocol {}", of_family(one.address_type()))
        }
        BgpCapability::RouteRefresh => "can refresh".to_owned(),
        BgpCapability::ExtendedNextHopEncoding(all) => {
            let texts = all
                .encodings()
                .iter()
                .map(|one| format!("{} over {}", of_family(one.address_type()), one.next_hop_afi() as u16));
            format!("extended-next-hop {}", said::row(texts))
        }
        BgpCapability::ExtendedMessage => "extended-message".to_owned(),
        // By number: the names of 1 to 3 are not those of RFC 9234 section 4.1.
        BgpCapability::BgpRole(role) => format!("role {}", role.role() as u8),
        BgpCapability::GracefulRestartCapability(one) => {
            let texts = one
                .address_families()
                .iter()
                .map(|one| format!("{} {}", of_family(one.address_type()), one.forwarding_state()));
            let (restarted, notification) = (one.restart(), one.graceful_notification());
            format!("graceful-restart {restarted} {notification} {} {}", one.time(), said::row(texts))
        }
        BgpCapability::FourOctetAs(one) => format!("four-octet-as {}", one.asn4()),
        BgpCapability::AddPath(all) => {
            let texts = all.address_families().iter().map(|one| {
                let mode = match (one.send(), one.receive()) {
                    (true, true) => "Both",
                    (true, false) => "Send",
                    (false, true) => "Receive",
                    (false, false) => "None",
                };
                format!("{} {mode}", of_family(one.address_type()))
            });
            format!("add-path {}", said::row(texts))
        }
        BgpCapability::EnhancedRouteRefresh => "enhanced-route-refresh".to_owned(),
        BgpCapability::LongLivedGracefulRestart(all) => {
            let texts = all.address_families().iter().map(|one| {
                format!("{} {} {}", of_family(one.address_type()), one.forwarding_state(), one.stale_time())
            });
            format!("long-lived {}", said::row(texts))
        }
        BgpCapability::Fqdn(one) => format!("fqdn {:?} {:?}", one.hostname(), one.domain_name()),
        BgpCapability::Experimental(one) => format!("capability {} {}", one.code() as u8, hex(one.value())),
        BgpCapability::Unrecognized(one) => format!("capability {} {}", one.code(), hex(one.value())),
        BgpCapability::CiscoRouteRefresh => "capability 128 ".to_owned(),
        other @ BgpCapability::MultipleLabels(_) => format!("{other:?}"),
    }
}

fn of_update(update: &BgpUpdateMessage) -> Vec<String> {
    let v4 = |verb: &str, one: &netgauze_bgp_pkt::nlri::Ipv4UnicastAddress| {
        said::route(verb, one.path_id(), &one.network().address().trunc().to_string())
    };
    let mut all: Vec<_> = update.withdraw_routes().iter().map(|one| v4("withdraws", one)).collect();
    for attribute in update.path_attributes() {
        match attribute.value() {
            // Without the routes that it is for, it is ignored (RFC 4760 section 3).
            PathAttributeValue::NextHop(_) if update.nlri().is_empty() => {}
            PathAttributeValue::MpReach(come) => of_reach(come, &mut all),
            PathAttributeValue::MpUnreach(gone) => of_unreach(gone, &mut all),
            _ => all.extend(of_attribute(attribute)),
        }
    }
    all.extend(update.nlri().iter().map(|one| v4("announces", one)));
    all
}

fn of_reach(reach: &MpReach, all: &mut Vec<String>) {
    const VERB: &str = "announces";
    let family = said::family(reach.afi() as u16, reach.safi() as u8);
    let mut to = |next_hop: String| all.push(format!("{VERB} of {family} to {next_hop}"));
    let both = |global: String, local: Option<std::net::Ipv6Addr>| {
        local.map_or(global.clone(), |local| format!("{global} {local}"))
    };
    match reach {
        MpReach::Ipv4Unicast { next_hop, next_hop_local, nlri } => {
            to(both(next_hop.to_string(), *next_hop_local));
            all.extend(
                nlri.iter().map(|one| {
                    said::route(VERB, one.path_id(), &one.network().address().trunc().to_string())
                }),
            );
        }
        MpReach::Ipv6Unicast { next_hop_global, next_hop_local, nlri } => {
            to(both(next_hop_global.to_string(), *next_hop_local));
            all.extend(
                nlri.iter().map(|one| {
                    said::route(VERB, one.path_id(), &one.network().address().trunc().to_string())
                }),
            );
        }
        MpReach::L2Evpn { next_hop, nlri } => {
            to(next_hop.to_string());
            all.extend(nlri.iter().map(of_evpn));
        }
        MpReach::RouteTargetMembership { next_hop, nlri } => {
            to(next_hop.to_string());
            all.extend(nlri.iter().map(|one| of_membership(VERB, one)));
        }
        other => all.push(format!("{other:?}")),
    }
}

fn of_unreach(unreach: &MpUnreach, all: &mut Vec<String>) {
    const VERB: &str = "withdraws";
    all.push(format!("{VERB} of {}", said::family(unreach.afi() as u16, unreach.safi() as u8)));
    match unreach {
        MpUnreach::Ipv4Unicast { nlri } => {
            all.extend(
                nlri.iter().map(|one| {
                    said::route(VERB, one.path_id(), &one.network().address().trunc().to_string())
                }),
            );
        }
        MpUnreach::Ipv6Unicast { nlri } => {
            all.extend(
                nlri.iter().map(|one| {
                    said::route(VERB, one.path_id(), &one.network().address().trunc().to_string())
                }),
            );
        }
        MpUnreach::L2Evpn { nlri } => all.extend(nlri.iter().map(of_evpn)),
        MpUnreach::RouteTargetMembership { nlri } => {
            all.extend(nlri.iter().map(|one| of_membership(VERB, one)));
        }
        // The family is all there is to say of an End-of-RIB.
        MpUnreach::Unknown { nlri, .. } if nlri.is_empty() => {}
        other => all.push(format!("{other:?}")),
    }
}

fn of_membership(verb: &str, of: &RouteTargetMembershipAddress) -> String {
    let Some(membership) = of.membership() else { return said::membership(verb, 0, 0, [0; 8]) };
    let mut target = [0; 8];
    let bytes = membership.route_target();
    target[..bytes.len()].copy_from_slice(bytes);
    said::membership(verb, 32 + 8 * u8::try_from(bytes.len()).unwrap(), membership.origin_as(), target)
}

fn rd(rd: RouteDistinguisher) -> [u8; 8] {
    let administered = match rd {
        RouteDistinguisher::As2Administrator { asn2, number } => Administered::As2 { asn: asn2, number },
        RouteDistinguisher::Ipv4Administrator { ip, number } => Administered::Ipv4 { address: ip, number },
        RouteDistinguisher::As4Administrator { asn4, number } => {
            Administered::As4 { asn: Asn::new(asn4), number }
        }
        RouteDistinguisher::LeafAdRoutes => return [0xff; 8],
    };
    weft_bgp::wire::RouteDistinguisher::from(administered).to_bytes()
}

fn of_evpn(address: &L2EvpnAddress) -> String {
    let text = match address.route() {
        L2EvpnRoute::EthernetAutoDiscovery(r) => {
            said::ethernet_ad(rd(r.rd()), *r.segment_id().value(), r.tag().value(), *r.mpls_label().value())
        }
        L2EvpnRoute::MacIpAdvertisement(r) => said::mac_ip(
            (rd(r.rd()), *r.segment_id().value(), r.tag().value(), *r.mac().value()),
            r.ip(),
            (*r.mpls_label1().value(), r.mpls_label2().map(|label| *label.value())),
        ),
        L2EvpnRoute::InclusiveMulticastEthernetTagRoute(r) => {
            said::multicast(rd(r.rd()), r.tag().value(), r.ip())
        }
        L2EvpnRoute::EthernetSegmentRoute(r) => said::segment(rd(r.rd()), *r.segment_id().value(), r.ip()),
        L2EvpnRoute::IpPrefixRoute(L2EvpnIpPrefixRoute::V4(r)) => said::ip_prefix(
            (rd(r.rd()), *r.segment_id().value(), r.tag().value()),
            IpNet::V4(r.prefix().trunc()),
            Some(r.gateway().into()),
            *r.label().value(),
        ),
        L2EvpnRoute::IpPrefixRoute(L2EvpnIpPrefixRoute::V6(r)) => said::ip_prefix(
            (rd(r.rd()), *r.segment_id().value(), r.tag().value()),
            IpNet::V6(r.prefix().trunc()),
            Some(r.gateway().into()),
            *r.label().value(),
        ),
        L2EvpnRoute::Unknown { code, value } => format!("evpn unknown {code} {}", hex(value)),
    };
    said::route("", address.path_id(), &text).trim().to_owned()
}

fn of_attribute(attribute: &PathAttribute) -> Option<String> {
    let text = match attribute.value() {
        PathAttributeValue::Origin(origin) => format!("origin {}", *origin as u8),
        PathAttributeValue::AsPath(path) => format!("as-path {}", of_as_path(path)),
        PathAttributeValue::NextHop(next_hop) => format!("next-hop {}", next_hop.next_hop()),
        PathAttributeValue::MultiExitDiscriminator(med) => format!("med {}", med.metric()),
        PathAttributeValue::LocalPreference(preference) => format!("local-pref {}", preference.metric()),
        PathAttributeValue::AtomicAggregate(_) => "atomic-aggregate".to_owned(),
        PathAttributeValue::Aggregator(Aggregator::As4Aggregator(one)) => {
            format!("aggregator {} {}", one.asn(), one.origin())
        }
        PathAttributeValue::Aggregator(Aggregator::As2Aggregator(one)) => {
            format!("aggregator {} {}", one.asn(), one.origin())
        }
        PathAttributeValue::Communities(all) => {
            format!("communities {}", said::row(all.communities().iter().map(|one| one.value())))
        }
        PathAttributeValue::Originator(one) => format!("originator {}", one.id()),
        PathAttributeValue::ClusterList(all) => {
            format!("clusters {}", said::row(all.cluster_list().iter().map(|one| one.id())))
        }
        PathAttributeValue::ExtendedCommunities(all) => {
            format!("extended {}", said::row(all.communities().iter().map(of_extended_community)))
        }
        PathAttributeValue::LargeCommunities(all) => {
            let texts = all
                .communities()
                .iter()
                .map(|one| format!("{}:{}:{}", one.global_admin(), one.local_data1(), one.local_data2()));
            format!("large {}", said::row(texts))
        }
        PathAttributeValue::OnlyToCustomer(one) => format!("only-to-customer {}", one.asn()),
        // Optional and not transitive ends here (RFC 4271 section 5).
        PathAttributeValue::UnknownAttribute(_) if !attribute.transitive() => return None,
        // PMSI_TUNNEL, for which it has no value.
        PathAttributeValue::UnknownAttribute(one) if one.code() == 22 => return None,
        PathAttributeValue::UnknownAttribute(one) => {
            return Some(format!("attribute {} {}", one.code(), hex(one.value())));
        }
        other => format!("{other:?}"),
    };
    Some(if attribute.partial() { format!("{text} partial") } else { text })
}

fn of_as_path(path: &AsPath) -> String {
    match path {
        AsPath::As2PathSegments(all) => said::row(
            all.iter()
                .map(|one| format!("{} {}", segment(one.segment_type() as u8), said::row(one.as_numbers()))),
        ),
        AsPath::As4PathSegments(all) => said::row(
            all.iter()
                .map(|one| format!("{} {}", segment(one.segment_type() as u8), said::row(one.as_numbers()))),
        ),
    }
}

const fn segment(kind: u8) -> &'static str {
    if kind == 1 { "set" } else { "sequence" }
}

/// The meaning that NetGauze gives to a community, in weft's words.
fn of_extended_community(community: &ExtendedCommunity) -> String {
    use TransitiveFourOctetExtendedCommunity as As4;
    use TransitiveIpv4ExtendedCommunity as Ipv4;
    use TransitiveTwoOctetExtendedCommunity as As2;
    let as2 = |asn: u16, number: u32| Administered::As2 { asn, number };
    let ipv4 = |address, number| Administered::Ipv4 { address, number };
    let as4 = |asn: u32, number| Administered::As4 { asn: Asn::new(asn), number };
    match community {
        ExtendedCommunity::TransitiveTwoOctet(As2::RouteTarget { global_admin, local_admin }) => {
            format!("target {}", as2(*global_admin, *local_admin))
        }
        ExtendedCommunity::TransitiveTwoOctet(As2::RouteOrigin { global_admin, local_admin }) => {
            format!("origin {}", as2(*global_admin, *local_admin))
        }
        ExtendedCommunity::TransitiveIpv4(Ipv4::RouteTarget { global_admin, local_admin }) => {
            format!("target {}", ipv4(*global_admin, *local_admin))
        }
        ExtendedCommunity::TransitiveIpv4(Ipv4::RouteOrigin { global_admin, local_admin }) => {
            format!("origin {}", ipv4(*global_admin, *local_admin))
        }
        ExtendedCommunity::TransitiveFourOctet(As4::RouteTarget { global_admin, local_admin }) => {
            format!("target {}", as4(*global_admin, *local_admin))
        }
        ExtendedCommunity::TransitiveFourOctet(As4::RouteOrigin { global_admin, local_admin }) => {
            format!("origin {}", as4(*global_admin, *local_admin))
        }
        ExtendedCommunity::TransitiveOpaque(TransitiveOpaqueExtendedCommunity::DefaultGateway) => {
            "default-gateway".to_owned()
        }
        ExtendedCommunity::TransitiveOpaque(TransitiveOpaqueExtendedCommunity::Unassigned {
            sub_type: 12,
            value: [.., a, b],
        }) => format!("encapsulation {}", u16::from_be_bytes([*a, *b])),
        ExtendedCommunity::Evpn(EvpnExtendedCommunity::MacMobility { flags, seq_no }) => {
            format!("moved {} {seq_no}", flags & 1 != 0)
        }
        ExtendedCommunity::Evpn(EvpnExtendedCommunity::EsiLabel { flags, esi_label }) => {
            format!("esi-label {} {}", flags & 1 != 0, hex(esi_label))
        }
        ExtendedCommunity::Evpn(EvpnExtendedCommunity::EsImportRouteTarget { route_target }) => {
            format!("es-import {}", hex(route_target))
        }
        ExtendedCommunity::Evpn(EvpnExtendedCommunity::EvpnRoutersMac { mac }) => {
            format!("router-mac {}", hex(mac.value()))
        }
        other => {
            let mut out = Cursor::new(Vec::new());
            other.write(&mut out).unwrap();
            hex(&out.into_inner())
        }
    }
}
