//! Messages that are right: what weft writes the two others read as the same, and what they write of it weft reads as
//! the same value.

use ipnet::Ipv4Net;
use proptest::prelude::*;
use weft_bgp::wire::{
    AddPathFamilies, Asn, Capability, Dialect, EvpnRoute, ExtendedCommunityValue, Family, Message, Nlri,
    Notification, NotificationCode, RouteDistinguisher, RouteRefresh, RouteRefreshKind,
    RouteTargetMembership, RouteTargetPrefix, Routes, SegmentKind, TunnelId, Update,
};

use super::{CODECS, Codec, netgauze, said};
use crate::support::{decode, encode, vectors};
use crate::values;

const INTERNAL: Dialect = Dialect {
    internal: true,
    four_octet_as: true,
    receive_extended: true,
    send_extended: true,
    ..Dialect::plain()
};

/// Families that all three know.
const FAMILIES: [Family; 4] =
    [Family::IPV4_UNICAST, Family::IPV6_UNICAST, Family::EVPN, Family::ROUTE_TARGETS];

fn family() -> BoxedStrategy<Family> {
    proptest::sample::select(&FAMILIES[..]).boxed()
}

/// Internal and external, with and without path identifiers (which EVPN routes do not have with rustbgpd), with AS numbers
/// of two and of four bytes.
fn dialect() -> impl Strategy<Value = Dialect> {
    any::<[bool; 3]>().prop_map(|[internal, ids, four_octet_as]| {
        let path_ids = AddPathFamilies { ipv4: ids, ipv6: ids, evpn: false };
        Dialect { internal, four_octet_as, receive_path_ids: path_ids, send_path_ids: path_ids, ..INTERNAL }
    })
}

/// Reads, compares, has it written, reads that and compares.
fn compare(message: &Message, dialect: &Dialect, codec: &Codec) -> Result<(), String> {
    let of = |error: String| format!("{}: {error}", codec.name);
    let reading =
        (codec.read)(&encode(message, dialect), dialect).map_err(|error| of(format!("reads {error}")))?;
    let (theirs, ours) = (codec.known(&reading.said), codec.known(&said::of(message)));
    if theirs != ours {
        return Err(of(format!("reads {theirs:#?}, not {ours:#?}")));
    }
    let written = reading.written.map_err(|error| of(format!("writes {error}")))?;
    let back = decode(&written, dialect).map_err(|error| of(format!("writes what weft refuses: {error}")))?;
    if !back.faults.is_empty() {
        return Err(of(format!("writes what is wrong for weft: {:?}", back.faults)));
    }
    if back.message == *message {
        Ok(())
    } else {
        Err(of(format!("writes {:?}, not {message:?}", back.message)))
    }
}

fn compare_with_both(message: &Message, dialect: &Dialect) -> Result<(), TestCaseError> {
    for codec in &CODECS {
        compare(message, dialect, codec).map_err(TestCaseError::fail)?;
    }
    Ok(())
}

/// Without what one of the others does not know, so that the rest is compared in every message: `differ` has the
/// reasons. What they do with it is theirs.
fn tame(mut update: Update, dialect: &Dialect) -> Update {
    // They leave it to their users to put an AS path together of two attributes.
    let fits = |asn: Asn| if dialect.four_octet_as { asn } else { Asn::new(asn.get() % 0xffff + 1) };
    if let Some(aggregator) = &mut update.attributes.aggregator {
        aggregator.asn = fits(aggregator.asn);
    }
    for segment in update.attributes.as_path.iter_mut().flat_map(|path| &mut path.segments) {
        // Neither knows confederations.
        segment.kind = SegmentKind::Sequence;
        segment.asns.iter_mut().for_each(|asn| *asn = fits(*asn));
    }
    // NetGauze knows more kinds, and writes some as others: those that weft knows are compared, and those that nobody does.
    update.attributes.extended_communities.retain(|one| {
        one.value() != ExtendedCommunityValue::Other || (0x10..0x40).contains(&one.to_bytes()[0])
    });
    // Others have a meaning that weft does not look at.
    update.attributes.unknown.retain(|attribute| (200..=254).contains(&attribute.code.0));
    if let Some(TunnelId::Other { kind, .. }) = update.attributes.pmsi.as_mut().map(|pmsi| &mut pmsi.tunnel) {
        *kind = 7;
    }
    update.withdrawn.retain(is_unicast);
    update.announced.retain(is_unicast);
    if update.announced.is_empty() {
        update.attributes.next_hop = None;
    }
    update.unreachable.iter_mut().for_each(tame_routes);
    update.unreachable.retain(|routes| !routes.is_empty());
    if let Some(reachable) = &mut update.reachable {
        tame_routes(&mut reachable.routes);
    }
    update
}

/// The codes of others have a meaning of their own to one of the two, and a list of nothing is none to rustbgpd.
fn is_tame(capability: &Capability) -> bool {
    match capability {
        Capability::Other { code, .. } => *code >= 150,
        Capability::ExtendedNextHop(all) => !all.is_empty(),
        Capability::AddPath(all) => !all.is_empty(),
        Capability::LongLived(long) => !long.families.is_empty(),
        _ => true,
    }
}

/// As far as NetGauze wants unicast routes to be.
fn is_unicast(nlri: &Nlri<Ipv4Net>) -> bool {
    nlri.route.addr().octets()[0] < 224
}

fn tame_routes(routes: &mut Routes) {
    match routes {
        Routes::Ipv4(all) => all.retain(is_unicast),
        Routes::Ipv6(all) => all.retain(|nlri| !nlri.route.addr().is_multicast()),
        Routes::Evpn(all) => {
            all.retain(|nlri| !matches!(nlri.route, EvpnRoute::Unknown(_)));
            all.iter_mut().for_each(tame_evpn);
        }
        Routes::RouteTargets(all) => all.iter_mut().for_each(tame_membership),
    }
}

/// With one of the three types of route distinguisher that RFC 4364 section 4.2 defines.
fn tame_evpn(nlri: &mut Nlri<EvpnRoute>) {
    let rd = match &mut nlri.route {
        EvpnRoute::EthernetAd(route) => &mut route.rd,
        EvpnRoute::MacIp(route) => &mut route.rd,
        EvpnRoute::InclusiveMulticast(route) => &mut route.rd,
        EvpnRoute::EthernetSegment(route) => &mut route.rd,
        EvpnRoute::IpPrefix(route) => &mut route.rd,
        EvpnRoute::Unknown(_) => return,
    };
    let [_, kind, rest @ ..] = rd.to_bytes();
    let [a, b, c, d, e, f] = rest;
    *rd = RouteDistinguisher::from_bytes([0, kind % 3, a, b, c, d, e, f]);
}

/// Of whole bytes: NetGauze forgets the bits behind them.
fn tame_membership(nlri: &mut Nlri<RouteTargetMembership>) {
    if let RouteTargetMembership::Targets { targets, .. } = &mut nlri.route {
        *targets = RouteTargetPrefix::new(targets.bytes(), targets.len() / 8 * 8).unwrap();
    }
}

#[test]
fn captured_messages() {
    let mut differences = Vec::new();
    for vector in vectors() {
        let dialect = Dialect { receive_extended: true, ..vector.dialect };
        let Ok(received) = decode(&vector.bytes, &dialect) else { panic!("{}", vector.name) };
        for codec in &CODECS {
            differences.extend(
                compare(&received.message, &dialect, codec).err().map(|error| (vector.name.clone(), error)),
            );
        }
    }
    assert_eq!(differences, []);
}

proptest! {
    #[test]
    fn opens(open in values::open(family())) {
        let mut open = open;
        open.capabilities.retain(is_tame);
        let long = Message::Open(open.clone());
        compare(&long, &INTERNAL, &CODECS[0]).map_err(TestCaseError::fail)?;
        // NetGauze does not know RFC 9072, by which there can be more than 255 bytes of parameters.
        while encode(&Message::Open(open.clone()), &INTERNAL).len() > 29 + 255 {
            open.capabilities.remove(0);
        }
        compare(&Message::Open(open), &INTERNAL, &CODECS[1]).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn updates((dialect, update) in dialect().prop_flat_map(|dialect| (Just(dialect), values::update(dialect)))) {
        let update = tame(update, &dialect);
        // One without routes is an End-of-RIB, or an error.
        prop_assume!(update != Update { attributes: update.attributes.clone(), ..Update::default() });
        compare_with_both(&Message::Update(update), &dialect)?;
    }

    #[test]
    fn notifications((code, subcode) in proptest::sample::select(netgauze::notifications()), data: Vec<u8>) {
        let notification = Notification { code: NotificationCode(code), subcode, data };
        compare_with_both(&Message::Notification(notification), &INTERNAL)?;
    }

    #[test]
    fn route_refreshes(family in family(), kind in 0..3_usize) {
        let kind = [RouteRefreshKind::Request, RouteRefreshKind::Begin, RouteRefreshKind::End][kind];
        compare_with_both(&Message::RouteRefresh(RouteRefresh { family, kind }), &INTERNAL)?;
    }
}

#[test]
fn keepalives_and_ends_of_rib() {
    for message in FAMILIES.map(Message::EndOfRib).into_iter().chain([Message::Keepalive]) {
        for codec in &CODECS {
            assert_eq!(compare(&message, &INTERNAL, codec), Ok(()));
        }
    }
}
