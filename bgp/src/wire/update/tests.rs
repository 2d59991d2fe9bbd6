//! UPDATEs as (bytes, value), and the reaction to each thing that RFC 7606 names.

use std::net::Ipv4Addr;

use super::super::error::MultiprotocolProblem;
use super::super::{
    AsPath, Asn, AttributeError, AttributeProblem, Fault, MessageError, NextHop, Origin, Routes, Treatment,
    UnknownAttribute, UpdateError,
};
use super::*;

const EXTERNAL: Dialect = Dialect::plain();
const INTERNAL: Dialect = Dialect { internal: true, four_octet_as: true, ..Dialect::plain() };
const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 4, 2, 1, 0xfd, 0xe8];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 10, 250, 0, 1];
const MP_REACH: &[u8] = &[
    0x80, 14, 28, 0, 25, 70, 4, 10, 250, 0, 1, 0, // type 3:
    3, 17, 0, 1, 10, 250, 0, 1, 0, 2, 0, 0, 0, 0, 32, 10, 250, 0, 1,
];
const NET: &[u8] = &[24, 10, 1, 2];

fn body(withdrawn: &[u8], attributes: &[&[u8]], announced: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let len = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&len(withdrawn)[..], withdrawn, &len(&attributes), &attributes, announced].concat()
}

fn net() -> Nlri<Ipv4Net> {
    "10.1.2.0/24".parse::<Ipv4Net>().unwrap().into()
}

fn subcode(error: UpdateError) -> u8 {
    MessageError::from(error).notification().subcode
}

fn problems(faults: &[Fault]) -> Vec<(u8, AttributeProblem)> {
    let attribute = |fault: &Fault| match fault {
        Fault::Attribute(AttributeError { code, problem }) => Some((code.0, *problem)),
        Fault::Overrun | Fault::Route(_) | Fault::MembershipLength(_) => None,
    };
    faults.iter().filter_map(attribute).collect()
}

#[test]
fn bytes_and_value() {
    let unknown: &[u8] = &[0xe0, 25, 2, 7, 8];
    let later: &[u8] = &[0xe0, 99, 1, 9];
    let bytes = body(&[8, 10], &[ORIGIN, AS_PATH, NEXT_HOP, unknown, later], NET);
    let attributes = Attributes {
        origin: Some(Origin::Igp),
        as_path: Some(AsPath::sequence([Asn::new(65000)])),
        next_hop: Some(Ipv4Addr::new(10, 250, 0, 1)),
        unknown: vec![
            UnknownAttribute { code: AttributeCode(25), value: vec![7, 8] },
            UnknownAttribute { code: AttributeCode(99), value: vec![9] },
        ],
        ..Attributes::default()
    };
    let withdrawn = vec!["10.0.0.0/8".parse::<Ipv4Net>().unwrap().into()];
    let value = Update { withdrawn, attributes, announced: vec![net()], ..Update::default() };
    assert_eq!(decode(&bytes, &EXTERNAL), Ok((value.clone(), vec![])));
    let mut out = Vec::new();
    value.encode(&EXTERNAL, &mut out).unwrap();
    assert_eq!(out, bytes);
}

#[test]
fn four_byte_numbers_to_a_peer_of_two() {
    let rows: &[&[u8]] = &[
        ORIGIN,
        &[0x40, 2, 6, 2, 2, 0x5b, 0xa0, 0xfd, 0xe8],
        NEXT_HOP,
        &[0xc0, 7, 6, 0x5b, 0xa0, 10, 0, 0, 1],
        &[0xc0, 17, 10, 2, 2, 0xfa, 0x56, 0xea, 1, 0, 0, 0xfd, 0xe8],
        &[0xc0, 18, 8, 0xfa, 0x56, 0xea, 1, 10, 0, 0, 1],
        &[0xe0, 20, 0],
        &[0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
        &[0xe0, 33, 0],
        &[0xc0, 35, 4, 0, 0, 0xfd, 0xe8],
    ];
    let bytes = body(&[], rows, NET);
    let (update, faults) = decode(&bytes, &EXTERNAL).unwrap();
    assert_eq!(faults, []);
    let asn = Asn::new(4_200_000_001);
    let attributes = &update.attributes;
    assert_eq!(attributes.as_path, Some(AsPath::sequence([asn, Asn::new(65000)])));
    assert_eq!(attributes.aggregator.map(|aggregator| aggregator.asn), Some(asn));
    let mut out = Vec::new();
    update.encode(&EXTERNAL, &mut out).unwrap();
    assert_eq!(out, bytes);
    let mut four = Vec::new();
    update.encode(&Dialect { four_octet_as: true, ..EXTERNAL }, &mut four).unwrap();
    assert!(!four.windows(2).any(|header| matches!(header, [0xc0, 17 | 18])));
}

#[test]
fn lengths_that_exceed_the_message_end_the_session() {
    for bytes in [&[][..], &[0, 1, 0, 0], &[0, 0, 0, 1], &[0, 0, 0], &[0xff, 0xff, 0, 0]] {
        assert_eq!(decode(bytes, &EXTERNAL), Err(UpdateError::Lengths));
    }
    assert_eq!(subcode(UpdateError::Lengths), 1);
}

#[test]
fn unreadable_ipv4_routes_end_the_session() {
    for bytes in [body(&[33, 1, 2, 3, 4, 5], &[], &[]), body(&[], &[ORIGIN], &[24, 10])] {
        let error = decode(&bytes, &EXTERNAL).unwrap_err();
        assert!(matches!(error, UpdateError::Network(_)));
        assert_eq!(subcode(error), 10);
    }
}

#[test]
fn treat_as_withdraw_moves_every_route() {
    let bad_origin: &[u8] = &[0x40, 1, 1, 3];
    let bytes = body(&[], &[bad_origin, AS_PATH, NEXT_HOP, MP_REACH], NET);
    let (update, faults) = decode(&bytes, &EXTERNAL).unwrap();
    assert_eq!(problems(&faults), [(1, AttributeProblem::Value)]);
    assert_eq!(faults[0].treatment(), Treatment::TreatAsWithdraw);
    assert_eq!((&update.withdrawn[..], &update.announced[..]), (&[net()][..], &[][..]));
    assert_eq!((update.unreachable.len(), update.unreachable[0].len()), (1, 1));
    assert!(update.attributes.is_empty() && update.reachable.is_none());
}

#[test]
fn attribute_discard_keeps_the_routes() {
    let bad_aggregate: &[u8] = &[0x40, 6, 1, 0];
    let bad_aggregator: &[u8] = &[0xc0, 7, 2, 0, 1];
    let preference: &[u8] = &[0x40, 5, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    let attributes = [ORIGIN, AS_PATH, NEXT_HOP, preference, bad_aggregate, bad_aggregator, ORIGIN, ORIGIN];
    let (update, faults) = decode(&body(&[], &attributes, NET), &EXTERNAL).unwrap();
    let expected = [
        (5, AttributeProblem::Unexpected),
        (6, AttributeProblem::Length(1)),
        (7, AttributeProblem::Length(2)),
        (1, AttributeProblem::Twice),
    ];
    assert_eq!(problems(&faults), expected);
    assert!(faults.iter().all(|fault| fault.treatment() == Treatment::AttributeDiscard));
    assert_eq!(update.announced, [net()]);
    assert_eq!((update.attributes.local_pref, update.attributes.atomic_aggregate), (None, false));
}

#[test]
fn missing_attributes_withdraw() {
    for (attributes, dialect, missing) in [
        (&[AS_PATH, NEXT_HOP][..], &EXTERNAL, 1),
        (&[ORIGIN, NEXT_HOP], &EXTERNAL, 2),
        (&[ORIGIN, AS_PATH], &EXTERNAL, 3),
        (&[ORIGIN, &[0x40, 2, 0], NEXT_HOP], &INTERNAL, 5),
    ] {
        let (update, faults) = decode(&body(&[], attributes, NET), dialect).unwrap();
        assert_eq!(problems(&faults), [(missing, AttributeProblem::Missing)]);
        assert_eq!((update.withdrawn.len(), update.announced.len()), (1, 0));
    }
    let (update, faults) = decode(&body(&[], &[ORIGIN, AS_PATH, MP_REACH], &[]), &EXTERNAL).unwrap();
    assert_eq!((faults, update.reachable.is_some()), (vec![], true), "no NEXT_HOP beside MP_REACH_NLRI");
}

#[test]
fn wrong_flags_withdraw() {
    let optional_origin: &[u8] = &[0xc0, 1, 1, 0];
    let (update, faults) = decode(&body(&[], &[optional_origin, AS_PATH, NEXT_HOP], NET), &EXTERNAL).unwrap();
    assert_eq!(problems(&faults), [(1, AttributeProblem::Flags(0xc0))]);
    assert_eq!(update.announced, []);
}

#[test]
fn an_attribute_that_crosses_the_end_withdraws() {
    for last in [&[0x40][..], &[0x40, 5], &[0x50, 5, 0], &[0x40, 5, 4, 0]] {
        let bytes = body(&[], &[ORIGIN, AS_PATH, NEXT_HOP, last], NET);
        let (update, faults) = decode(&bytes, &EXTERNAL).unwrap();
        assert_eq!(faults, [Fault::Overrun]);
        assert_eq!(update.withdrawn, [net()]);
    }
}

#[test]
fn nothing_to_withdraw_ends_the_session() {
    for (attributes, code) in [
        (&[&[0x40, 1, 1, 9][..], AS_PATH][..], 6),
        (&[&[0xc0, 1, 1, 0][..]], 4),
        (&[&[0x80, 4, 1, 0][..]], 5),
        (&[&[0x40, 2, 1, 9][..]], 11),
        (&[ORIGIN, &[0x40, 5]], 1),
    ] {
        let error = decode(&body(&[], attributes, &[]), &EXTERNAL).unwrap_err();
        assert!(matches!(error, UpdateError::NoRoutes(_)), "{error:?}");
        assert_eq!(subcode(error), code);
    }
}

#[test]
fn unknown_attributes() {
    let well_known: &[u8] = &[0x40, 99, 1, 7];
    let error = decode(&body(&[], &[well_known], NET), &EXTERNAL).unwrap_err();
    assert_eq!(error, UpdateError::UnknownWellKnown(well_known.to_vec()));
    assert_eq!(subcode(error), 2);
    let not_transitive: &[u8] = &[0x80, 99, 1, 7];
    let bytes = body(&[], &[ORIGIN, AS_PATH, NEXT_HOP, not_transitive], NET);
    let (update, faults) = decode(&bytes, &EXTERNAL).unwrap();
    assert_eq!((update.attributes.unknown, faults), (vec![], vec![]));
}

#[test]
fn the_partial_bit_stays() {
    let communities: &[u8] = &[0xe0, 8, 4, 0xfd, 0xe8, 0, 1];
    let bytes = body(&[], &[ORIGIN, AS_PATH, NEXT_HOP, communities], NET);
    let (update, _) = decode(&bytes, &EXTERNAL).unwrap();
    assert!(update.attributes.partial.has(AttributeCode::COMMUNITIES));
    let mut out = Vec::new();
    update.encode(&EXTERNAL, &mut out).unwrap();
    assert_eq!(out, bytes);
}

#[test]
fn multiprotocol_attributes_whose_routes_cannot_be_found_end_the_session() {
    for (attribute, problem) in [
        (&[0xc0, 14, 5, 0, 25, 70, 0, 0][..], MultiprotocolProblem::Flags(0xc0)),
        (&[0x80, 14, 4, 0, 25, 70, 0], MultiprotocolProblem::Short),
        (&[0x80, 14, 5, 0, 25, 70, 4, 10], MultiprotocolProblem::Short),
        (&[0x80, 14, 2, 0, 25], MultiprotocolProblem::Short),
        (
            &[0x80, 14, 8, 0, 25, 70, 3, 10, 250, 0, 0],
            MultiprotocolProblem::NextHopLength { family: Family::EVPN, len: 3 },
        ),
        (&[0x80, 15, 2, 0, 25], MultiprotocolProblem::Short),
        (
            &[0x80, 15, 5, 0, 25, 70, 2, 33],
            MultiprotocolProblem::Routes(super::super::RoutesError::Truncated),
        ),
    ] {
        let error = decode(&body(&[], &[attribute], &[]), &EXTERNAL).unwrap_err();
        let code = AttributeCode(attribute[1]);
        assert_eq!(error, UpdateError::Multiprotocol { code, problem, bytes: attribute.to_vec() });
        assert_eq!(MessageError::from(error).notification().data, attribute);
    }
    let twice = decode(&body(&[], &[ORIGIN, AS_PATH, MP_REACH, MP_REACH], &[]), &EXTERNAL).unwrap_err();
    assert_eq!(twice, UpdateError::Twice(AttributeCode::MP_REACH_NLRI));
}

#[test]
fn a_next_hop_that_no_host_has_withdraws() {
    let mut reach = MP_REACH.to_vec();
    reach[7..11].copy_from_slice(&[224, 0, 0, 1]);
    let (update, faults) = decode(&body(&[], &[ORIGIN, AS_PATH, &reach], &[]), &EXTERNAL).unwrap();
    assert_eq!((faults.len(), update.unreachable.len()), (1, 1));
}

#[test]
fn an_unknown_family_is_no_end_of_rib() {
    let vpn: &[u8] = &[0x80, 15, 5, 0, 1, 128, 0, 0];
    let (update, faults) = decode(&body(&[], &[vpn], &[]), &EXTERNAL).unwrap();
    assert_eq!(update, Update::default());
    assert_eq!(faults[0].treatment(), Treatment::AttributeDiscard);
    assert_eq!(Update::decode_end_of_rib(&body(&[], &[vpn], &[])), None);
}

#[test]
fn an_evpn_route_that_cannot_be_read_costs_itself_alone() {
    let mut reach = MP_REACH.to_vec();
    reach[2] += 5;
    reach.extend([2, 3, 1, 2, 3]);
    let (update, faults) = decode(&body(&[], &[ORIGIN, AS_PATH, &reach], &[]), &EXTERNAL).unwrap();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].treatment(), Treatment::RouteWithdraw);
    assert_eq!(update.reachable.map(|reachable| reachable.routes.len()), Some(1));
}

#[test]
fn a_type_5_with_segment_and_gateway_is_withdrawn() {
    let route =
        [&[5, 34, 0, 1, 10, 250, 0, 1, 0, 2][..], &[1; 10], &[0; 4], &[24, 10, 1, 2, 0], &[9; 4], &[0, 1, 0]];
    let mut reach = MP_REACH[..12].to_vec();
    reach.extend(route.concat());
    reach[2] = u8::try_from(reach.len() - 3).unwrap();
    let (update, faults) = decode(&body(&[], &[ORIGIN, AS_PATH, &reach], &[]), &EXTERNAL).unwrap();
    assert_eq!(faults, [Fault::Route(super::super::EvpnError::TwoOverlayIndexes)]);
    assert_eq!(update.unreachable.iter().map(Routes::len).sum::<usize>(), 1);
    assert_eq!(update.reachable.map(|reachable| reachable.routes.is_empty()), Some(true));
}

#[test]
fn ipv4_routes_with_an_ipv6_next_hop_once_agreed() {
    let attribute = [&[0x80, 14, 23, 0, 1, 1, 16][..], &[0x20, 1], &[1; 14], &[0, 8, 10]].concat();
    let bytes = body(&[], &[ORIGIN, AS_PATH, &attribute], &[]);
    assert!(decode(&bytes, &EXTERNAL).is_err());
    let agreed = Dialect { extended_next_hop: true, ..EXTERNAL };
    let (update, faults) = decode(&bytes, &agreed).unwrap();
    assert_eq!(faults, []);
    let reachable = update.reachable.clone().unwrap();
    assert!(matches!(reachable.next_hop, NextHop::V6(_)));
    assert_eq!(reachable.routes.len(), 1);
}
