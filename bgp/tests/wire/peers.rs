//! Two codecs that others wrote, as witnesses: what weft writes they read, what they write of it weft reads as the same
//! value, and rustbgpd's fields of EVPN routes are weft's.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums are not weft's own")]

use std::io::Cursor;

use bytes::Bytes;
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::WritablePdu as _;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput as _;
use proptest::prelude::*;
use rustbgpd_wire::evpn::EvpnRoute as Theirs;
use rustbgpd_wire::{Ipv4UnicastMode, PathAttribute, UpdateMessage};
use weft_bgp::wire::{Dialect, EvpnRoute, Message, Nlri, Reachable, Routes, Update};

use crate::support::{decode, encode, vectors};
use crate::values;

const DIALECT: Dialect = Dialect {
    internal: true,
    four_octet_as: true,
    receive_extended: true,
    send_extended: true,
    ..Dialect::plain()
};

/// What rustbgpd writes after it has read `bytes`, or why it does not.
fn through_rustbgpd(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let message = rustbgpd_wire::decode_message(&mut Bytes::copy_from_slice(bytes), u16::MAX)
        .map_err(|error| error.to_string())?;
    let message = match message {
        rustbgpd_wire::Message::Update(update) => {
            let parsed = update.parse(true, false, &[]).map_err(|error| error.to_string())?;
            let body = Ipv4UnicastMode::Body;
            UpdateMessage::try_build(
                &parsed.announced,
                &parsed.withdrawn,
                &parsed.attributes,
                true,
                false,
                body,
            )
            .map(rustbgpd_wire::Message::Update)
            .map_err(|error| error.to_string())?
        }
        other => other,
    };
    let written = rustbgpd_wire::encode_message_with_limit(&message, u16::MAX);
    written.map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
}

/// What NetGauze writes after it has read `bytes`, or why it does not.
fn through_netgauze(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut context = BgpParsingContext::asn2_default();
    context.set_asn4(true);
    let mut reader = SliceReader::new(bytes);
    let message = BgpMessage::parse(&mut reader, &mut context).map_err(|error| format!("{error:?}"))?;
    let mut out = Cursor::new(Vec::new());
    message.write(&mut out).map_err(|error| format!("{error:?}"))?;
    Ok(out.into_inner())
}

type Codec = fn(&[u8]) -> Result<Vec<u8>, String>;
const CODECS: [(&str, Codec); 2] = [("rustbgpd", through_rustbgpd), ("NetGauze", through_netgauze)];

/// What a codec refuses and weft does not. NetGauze knows three types of route distinguisher; RFC 4364 section 4.2
/// leaves room for more, and a reflector has no reason to look inside.
const KNOWN: [(&str, &str); 1] = [("NetGauze", "UndefinedRouteDistinguisherTypeCode")];

/// The innermost name of NetGauze's nested errors.
fn error_name(error: &str) -> &str {
    let head = error.split(" {").next().unwrap_or(error);
    head.rsplit('(').next().unwrap_or(head)
}

/// How a message came back from another codec.
fn there_and_back(message: &Message, codec: Codec) -> Result<Message, String> {
    let written = codec(&encode(message, &DIALECT))?;
    let received = decode(&written, &DIALECT).map_err(|error| format!("{error} in what it wrote"))?;
    if received.faults.is_empty() { Ok(received.message) } else { Err(format!("{:?}", received.faults)) }
}

#[test]
fn captured_messages_survive_both() {
    let mut differences = Vec::new();
    for vector in vectors() {
        let Ok(received) = decode(&vector.bytes, &DIALECT) else { panic!("{}", vector.name) };
        for (name, codec) in CODECS {
            match there_and_back(&received.message, codec) {
                Ok(back) if back == received.message => {}
                Ok(_) => differences.push(format!("{name}: {} changed", vector.name)),
                Err(error) => differences.push(format!("{name}: {} refused: {error}", vector.name)),
            }
        }
    }
    assert_eq!(differences, Vec::<String>::new());
}

fn update_of(route: EvpnRoute) -> Message {
    let vector = vectors().into_iter().find(|vector| vector.name.starts_with("gobgp-ibgp [2]")).unwrap();
    let Message::Update(update) = decode(&vector.bytes, &DIALECT).unwrap().message else {
        panic!("an UPDATE")
    };
    let next_hop = update.reachable.unwrap().next_hop;
    let routes = Routes::Evpn(vec![Nlri::from(route)]);
    Message::Update(Update { reachable: Some(Reachable { next_hop, routes }), ..update })
}

fn label(label: weft_bgp::wire::Label) -> u32 {
    let [a, b, c] = label.to_bytes();
    u32::from_be_bytes([0, a, b, c])
}

/// Every field of a route, as weft names it. The label is the VNI in all 24 bits (RFC 8365 section 5.1.3).
fn fields(route: &EvpnRoute) -> String {
    match route {
        EvpnRoute::EthernetAd(r) => {
            format!("1 {:?} {:?} {} {}", r.rd.to_bytes(), r.segment.to_bytes(), r.tag.0, label(r.label))
        }
        EvpnRoute::MacIp(r) => {
            let (rd, esi, mac) = (r.rd.to_bytes(), r.segment.to_bytes(), r.mac.bytes());
            let l3 = r.l3_label.map(label);
            format!("2 {rd:?} {esi:?} {} {mac:?} {:?} {} {l3:?}", r.tag.0, r.ip, label(r.label))
        }
        EvpnRoute::InclusiveMulticast(r) => format!("3 {:?} {} {}", r.rd.to_bytes(), r.tag.0, r.originator),
        EvpnRoute::EthernetSegment(r) => {
            format!("4 {:?} {:?} {}", r.rd.to_bytes(), r.segment.to_bytes(), r.originator)
        }
        EvpnRoute::IpPrefix(r) => {
            let (rd, esi) = (r.rd.to_bytes(), r.segment.to_bytes());
            let gateway = r.gateway.filter(|gateway| !gateway.is_unspecified());
            format!("5 {rd:?} {esi:?} {} {gateway:?} {}", r.tag.0, label(r.label))
        }
        EvpnRoute::Unknown(r) => format!("unknown {}", r.kind),
    }
}

/// The same of rustbgpd's route.
fn their_fields(route: &Theirs) -> String {
    match route {
        Theirs::EadPerEs(r) => format!("1 {:?} {:?} {} {}", r.rd.0, r.esi.0, r.ethernet_tag.0, r.label.0),
        Theirs::EadPerEvi(r) => format!("1 {:?} {:?} {} {}", r.rd.0, r.esi.0, r.ethernet_tag.0, r.label.0),
        Theirs::MacIp(r) => {
            let l3 = r.label2.map(|label| label.0);
            let (rd, esi, mac) = (r.rd.0, r.esi.0, r.mac.0);
            format!("2 {rd:?} {esi:?} {} {mac:?} {:?} {} {l3:?}", r.ethernet_tag.0, r.ip, r.label1.0)
        }
        Theirs::Imet(r) => format!("3 {:?} {} {}", r.rd.0, r.ethernet_tag.0, r.originator_ip),
        Theirs::Es(r) => format!("4 {:?} {:?} {}", r.rd.0, r.esi.0, r.originator_ip),
        Theirs::IpPrefix(r) => {
            let gateway = Some(r.gateway).filter(|gateway| !gateway.is_unspecified());
            format!("5 {:?} {:?} {} {gateway:?} {}", r.rd.0, r.esi.0, r.ethernet_tag.0, r.label.0)
        }
        other => format!("{other:?}"),
    }
}

/// rustbgpd's routes in a message.
fn their_routes(bytes: &[u8]) -> Option<Vec<String>> {
    let message = rustbgpd_wire::decode_message(&mut Bytes::copy_from_slice(bytes), u16::MAX).ok()?;
    let rustbgpd_wire::Message::Update(update) = message else { return None };
    let parsed = update.parse(true, false, &[]).ok()?;
    parsed.attributes.iter().find_map(|attribute| match attribute {
        PathAttribute::MpReachNlri(reach) => Some(reach.evpn_announced.iter().map(their_fields).collect()),
        _ => None,
    })
}

proptest! {
    #[test]
    fn rustbgpd_reads_the_same_fields(route in values::evpn_route()) {
        prop_assume!(!matches!(route, EvpnRoute::Unknown(_)));
        let bytes = encode(&update_of(route.clone()), &DIALECT);
        prop_assert_eq!(their_routes(&bytes), Some(vec![fields(&route)]));
    }

    #[test]
    fn routes_survive_both(route in values::evpn_route()) {
        prop_assume!(!matches!(route, EvpnRoute::Unknown(_)));
        let message = update_of(route);
        for (name, codec) in CODECS {
            match there_and_back(&message, codec) {
                Err(error) if KNOWN.iter().any(|known| *known == (name, error_name(&error))) => {}
                back => prop_assert_eq!(back, Ok(message.clone()), "{}", name),
            }
        }
    }
}
