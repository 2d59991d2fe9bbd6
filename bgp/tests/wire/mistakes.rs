//! Mistakes that speakers make, or stumble over, and the reaction that the RFC wants: each row is a whole
//! message.

use weft_bgp::wire::{Dialect, Fault, Frame, Message, MessageError, Received, Treatment};

use crate::support::{attributes, encode, message};

/// What a mistake costs.
#[derive(Debug, PartialEq, Eq)]
enum Reaction {
    /// The session ends with this code and subcode.
    Reset(u8, u8),
    /// Every route of the message is withdrawn.
    Withdraw,
    /// One route is dropped, for its key cannot be read; the other stays.
    DropRoute,
    /// One route is withdrawn, the other stays.
    WithdrawRoute,
    /// An attribute is dropped, the routes stay.
    DropAttribute,
    /// It is no mistake.
    Nothing,
}
use Reaction::{DropAttribute, DropRoute, Nothing, Reset, Withdraw, WithdrawRoute};

const INTERNAL: Dialect = Dialect { internal: true, four_octet_as: true, ..Dialect::plain() };
const EXTERNAL: Dialect = Dialect { four_octet_as: true, ..Dialect::plain() };

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8];
const LOCAL_PREF: &[u8] = &[0x40, 5, 4, 0, 0, 0, 100];
/// AFI, SAFI, next hop, reserved.
const REACH: &[u8] = &[0, 25, 70, 4, 10, 250, 0, 1, 0];
const RD: &[u8] = &[0, 1, 10, 250, 0, 1, 0, 2];
const GOOD: &[u8] = &[3, 17, 0, 1, 10, 250, 0, 1, 0, 2, 0, 0, 0, 0, 32, 10, 250, 0, 1];

fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    [&[flags, code, u8::try_from(value.len()).unwrap()], value].concat()
}

fn update(attributes: &[&[u8]]) -> Vec<u8> {
    let attributes = attributes.concat();
    let len = u16::try_from(attributes.len()).unwrap().to_be_bytes();
    message(2, &[&[0, 0], &len[..], &attributes].concat())
}

/// An UPDATE with one more attribute than it needs.
fn with(extra: &[u8]) -> Vec<u8> {
    update(&[&attribute(0x80, 14, &[REACH, GOOD].concat()), ORIGIN, AS_PATH, LOCAL_PREF, extra])
}

/// An UPDATE with these two attributes instead of the right ORIGIN and AS_PATH.
fn with_two(origin: &[u8], path: &[u8]) -> Vec<u8> {
    update(&[&attribute(0x80, 14, &[REACH, GOOD].concat()), origin, path, LOCAL_PREF])
}

/// An UPDATE with this value of MP_REACH_NLRI.
fn reach(value: &[&[u8]]) -> Vec<u8> {
    update(&[&attribute(0x80, 14, &value.concat()), ORIGIN, AS_PATH, LOCAL_PREF])
}

/// An UPDATE with a good route and this one.
fn route(kind: u8, value: &[&[u8]]) -> Vec<u8> {
    let value = value.concat();
    reach(&[REACH, GOOD, &[kind, u8::try_from(value.len()).unwrap()], &value])
}

/// An UPDATE with a good route and a type 5 of this end, and an extended community.
fn beside(community: &[u8], end: &[u8]) -> Vec<u8> {
    let value = [RD, &[0; 14], end].concat();
    let value = [REACH, GOOD, &[5, u8::try_from(value.len()).unwrap()], &value].concat();
    update(&[&attribute(0x80, 14, &value), ORIGIN, AS_PATH, LOCAL_PREF, &attribute(0xc0, 16, community)])
}

fn reaction(bytes: &[u8], dialect: &Dialect) -> Reaction {
    let read = Frame::next(bytes, dialect.receive_extended)
        .map_err(MessageError::from)
        .and_then(|frame| Received::decode(frame.expect("a whole message"), dialect));
    let received = match read {
        Ok(received) => received,
        Err(error) => {
            let notification = error.notification();
            return Reset(notification.code.0, notification.subcode);
        }
    };
    let worst = received.faults.iter().map(Fault::treatment).max();
    let mut withdrawn = 0;
    if let Message::Update(update) = &received.message {
        let announced = update.reachable.as_ref().map_or(0, |reachable| reachable.routes.len());
        withdrawn = update.unreachable.iter().map(|routes| routes.len()).sum();
        match worst {
            Some(Treatment::TreatAsWithdraw) => assert_eq!((announced, withdrawn), (0, 1), "{received:?}"),
            Some(Treatment::RouteWithdraw) => assert!(announced == 1 && withdrawn <= 1, "{received:?}"),
            Some(Treatment::AttributeDiscard) | None => {
                assert_eq!((announced, withdrawn), (1, 0), "{received:?}");
            }
        }
    }
    match worst {
        None => Nothing,
        Some(Treatment::AttributeDiscard) => DropAttribute,
        Some(Treatment::RouteWithdraw) if withdrawn == 0 => DropRoute,
        Some(Treatment::RouteWithdraw) => WithdrawRoute,
        Some(Treatment::TreatAsWithdraw) => Withdraw,
    }
}

fn check(rows: Vec<(&str, &str, Vec<u8>, Reaction)>, dialect: &Dialect) {
    for (what, section, bytes, wanted) in rows {
        assert_eq!(reaction(&bytes, dialect), wanted, "{what} ({section})");
    }
}

#[test]
fn headers() {
    let keepalive = message(4, &[]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = keepalive.clone();
        bytes[at] = byte;
        bytes
    };
    let rows = vec![
        ("marker not all ones", "RFC 4271 6.1", changed(7, 0), Reset(1, 1)),
        ("length 18", "RFC 4271 6.1", changed(17, 18), Reset(1, 2)),
        ("length 0", "RFC 4271 6.1", changed(17, 0), Reset(1, 2)),
        ("type 0", "RFC 4271 6.1", changed(18, 0), Reset(1, 3)),
        ("type 6", "RFC 4271 6.1", changed(18, 6), Reset(1, 3)),
        ("KEEPALIVE with a body", "RFC 4271 6.1", message(4, &[0]), Reset(1, 2)),
        ("OPEN of 28 bytes", "RFC 4271 6.1", message(1, &[4; 9]), Reset(1, 2)),
        ("UPDATE of 22 bytes", "RFC 4271 6.1", message(2, &[0; 3]), Reset(1, 2)),
        ("NOTIFICATION of 20 bytes", "RFC 4271 6.1", message(3, &[6]), Reset(1, 2)),
        ("UPDATE of 4097 bytes, not agreed", "RFC 8654 4", message(2, &[0; 4078]), Reset(1, 2)),
        ("ROUTE-REFRESH of 22 bytes", "RFC 2918 3", message(5, &[0, 1, 0]), Reset(1, 2)),
        ("begin of refresh of 24 bytes", "RFC 7313 5", message(5, &[0, 25, 1, 70, 0]), Reset(7, 1)),
        ("unknown subtype of refresh", "RFC 7313 5", message(5, &[0, 25, 7, 70]), Nothing),
    ];
    check(rows, &EXTERNAL);
    let long = message(1, &[4; 4078]);
    let extended = Dialect { receive_extended: true, ..EXTERNAL };
    check(vec![("OPEN of 4097 bytes", "RFC 8654 4", long, Reset(1, 2))], &extended);
}

#[test]
fn opens() {
    let open = |fixed: [u8; 9], parameters: &[u8]| message(1, &[&fixed, parameters].concat());
    let good = [4, 0xfd, 0xe8, 0, 90, 10, 250, 0, 1];
    let rows = vec![
        ("version 3", "RFC 4271 6.2", open([3, 0xfd, 0xe8, 0, 90, 10, 250, 0, 1], &[0]), Reset(2, 1)),
        ("AS 0", "RFC 7607 2", open([4, 0, 0, 0, 90, 10, 250, 0, 1], &[0]), Reset(2, 2)),
        ("identifier 0", "RFC 6286 2.2", open([4, 0xfd, 0xe8, 0, 90, 0, 0, 0, 0], &[0]), Reset(2, 3)),
        ("hold time 1", "RFC 4271 6.2", open([4, 0xfd, 0xe8, 0, 1, 10, 250, 0, 1], &[0]), Reset(2, 6)),
        ("hold time 0", "RFC 4271 4.2", open([4, 0xfd, 0xe8, 0, 0, 10, 250, 0, 1], &[0]), Nothing),
        ("authentication parameter", "RFC 4271 6.2", open(good, &[3, 1, 1, 0]), Reset(2, 4)),
        ("parameters cross the end", "RFC 4271 6.2", open(good, &[9, 2, 2, 2, 0]), Reset(2, 0)),
        ("bytes behind the parameters", "RFC 4271 6.2", open(good, &[0, 7]), Reset(2, 0)),
        ("capability crosses its parameter", "RFC 5492 4", open(good, &[4, 2, 2, 1, 4]), Reset(2, 0)),
        ("two roles", "RFC 9234 4.2", open(good, &[8, 2, 6, 9, 1, 0, 9, 1, 3]), Reset(2, 11)),
        ("the same role twice", "RFC 9234 4.2", open(good, &[8, 2, 6, 9, 1, 3, 9, 1, 3]), Nothing),
        ("unknown capability", "RFC 5492 3", open(good, &[5, 2, 3, 222, 1, 7]), Nothing),
    ];
    check(rows, &EXTERNAL);
}

#[test]
fn attribute_by_attribute() {
    let at = attribute;
    let good = (ORIGIN, AS_PATH);
    let as_path = |value: &[u8]| with_two(good.0, &attribute(0x40, 2, value));
    let rows = vec![
        ("ORIGIN 3", "RFC 7606 7.1", with_two(&at(0x40, 1, &[3]), good.1), Withdraw),
        ("ORIGIN of 2 bytes", "RFC 7606 7.1", with_two(&at(0x40, 1, &[0, 0]), good.1), Withdraw),
        ("ORIGIN optional", "RFC 7606 3 c", with_two(&at(0xc0, 1, &[0]), good.1), Withdraw),
        ("ORIGIN missing", "RFC 7606 3 d", with_two(&[], good.1), Withdraw),
        ("AS_PATH missing", "RFC 7606 3 d", with_two(good.0, &[]), Withdraw),
        ("AS_PATH segment 9", "RFC 7606 7.2", as_path(&[9, 1, 0, 0, 0, 1]), Withdraw),
        ("AS_PATH overrun", "RFC 7606 7.2", as_path(&[2, 2, 0, 0, 0, 1]), Withdraw),
        ("AS_PATH segment of no AS", "RFC 7606 7.2", as_path(&[2, 0]), Withdraw),
        ("AS_PATH with a byte too many", "RFC 7606 7.2", as_path(&[2, 1, 0, 0, 0, 1, 2]), Withdraw),
        ("AS_PATH with AS 0", "RFC 7607 2", as_path(&[2, 1, 0, 0, 0, 0]), Withdraw),
        ("NEXT_HOP without routes for it", "RFC 4760 3", with(&at(0x40, 3, &[10, 0, 0])), Nothing),
        ("MED of 3 bytes", "RFC 7606 7.4", with(&at(0x80, 4, &[0; 3])), Withdraw),
        ("ATOMIC_AGGREGATE of 1 byte", "RFC 7606 7.6", with(&at(0x40, 6, &[0])), DropAttribute),
        ("AGGREGATOR of 6 bytes", "RFC 7606 7.7", with(&at(0xc0, 7, &[1; 6])), DropAttribute),
        ("AGGREGATOR with AS 0", "RFC 7607 2", with(&at(0xc0, 7, &[0; 8])), DropAttribute),
        ("COMMUNITIES of 5 bytes", "RFC 7606 7.8", with(&at(0xc0, 8, &[0; 5])), Withdraw),
        ("COMMUNITIES of no bytes", "RFC 7606 7.8", with(&at(0xc0, 8, &[])), Withdraw),
        ("COMMUNITIES not transitive", "RFC 7606 3 c", with(&at(0x80, 8, &[0; 4])), Withdraw),
        ("COMMUNITIES with the partial bit", "RFC 4271 5", with(&at(0xe0, 8, &[0; 4])), Nothing),
        ("ORIGINATOR_ID of 5 bytes", "RFC 7606 7.9", with(&at(0x80, 9, &[1; 5])), Withdraw),
        ("CLUSTER_LIST of 5 bytes", "RFC 7606 7.10", with(&at(0x80, 10, &[1; 5])), Withdraw),
        ("EXTENDED_COMMUNITIES of 7 bytes", "RFC 7606 7.14", with(&at(0xc0, 16, &[0; 7])), Withdraw),
        ("AS4_PATH from a four-byte peer", "RFC 6793 6", with(&at(0xc0, 17, &[9])), DropAttribute),
        ("AS4_AGGREGATOR likewise", "RFC 6793 6", with(&at(0xc0, 18, &[9])), DropAttribute),
        ("PMSI_TUNNEL of 4 bytes", "RFC 6514 5", with(&at(0xc0, 22, &[0, 6, 0, 0])), Withdraw),
        ("replication to 3 bytes", "RFC 6514 5", with(&at(0xc0, 22, &[0, 6, 0, 0, 1, 9, 9, 9])), Withdraw),
        ("LARGE_COMMUNITIES of 11 bytes", "RFC 8092 6", with(&at(0xc0, 32, &[0; 11])), Withdraw),
        ("ONLY_TO_CUSTOMER of 5 bytes", "RFC 9234 5", with(&at(0xc0, 35, &[0; 5])), Withdraw),
        ("ORIGIN twice", "RFC 7606 3 g", with(ORIGIN), DropAttribute),
        ("MP_REACH_NLRI twice", "RFC 7606 3 g", with(&at(0x80, 14, REACH)), Reset(3, 1)),
        ("MP_UNREACH_NLRI of 2 bytes", "RFC 7606 5.3", with(&at(0x80, 15, &[0, 25])), Reset(3, 9)),
        ("unknown, well-known", "RFC 4271 6.3", with(&at(0x40, 99, &[1])), Reset(3, 2)),
        ("unknown, not transitive", "RFC 4271 5", with(&at(0x80, 99, &[1])), Nothing),
        ("attribute crosses the end", "RFC 7606 4", with(&[0xc0, 8, 8, 0]), Withdraw),
        ("half an attribute header", "RFC 7606 4", with(&[0xc0]), Withdraw),
    ];
    check(rows, &INTERNAL);
}

#[test]
fn what_only_internal_peers_send() {
    let at = attribute;
    let bare = |extra: &[u8]| update(&[&at(0x80, 14, &[REACH, GOOD].concat()), ORIGIN, AS_PATH, extra]);
    let confederation = at(0x40, 2, &[3, 1, 0, 0, 0xfd, 0xe8]);
    let foreign = vec![
        ("LOCAL_PREF of 9 bytes", "RFC 7606 7.5", bare(&at(0x40, 5, &[0; 9])), DropAttribute),
        ("ORIGINATOR_ID", "RFC 7606 7.9", bare(&at(0x80, 9, &[1; 4])), DropAttribute),
        ("CLUSTER_LIST", "RFC 7606 7.10", bare(&at(0x80, 10, &[1; 4])), DropAttribute),
        ("confederation in AS_PATH", "RFC 5065 5", with_two(ORIGIN, &confederation), Withdraw),
    ];
    check(foreign, &EXTERNAL);
    let own = vec![
        ("LOCAL_PREF missing", "RFC 4271 5", bare(&[]), Withdraw),
        ("LOCAL_PREF of 9 bytes", "RFC 7606 7.5", bare(&at(0x40, 5, &[0; 9])), Withdraw),
        ("confederation in AS_PATH", "RFC 5065 5", with_two(ORIGIN, &confederation), Nothing),
        (
            "AS_SET",
            "RFC 9774 3",
            with_two(ORIGIN, &at(0x40, 2, &[&AS_PATH[3..], &[1, 1, 0, 0, 0xfd, 0xe9]].concat())),
            Withdraw,
        ),
        ("AS_CONFED_SET", "RFC 9774 3", with_two(ORIGIN, &at(0x40, 2, &[4, 1, 0, 0, 0xfd, 0xe8])), Withdraw),
    ];
    check(own, &INTERNAL);
}

#[test]
fn routes() {
    let mac: &[u8] = &[48, 2, 0, 0, 0, 1, 1];
    let (esi, tag): (&[u8], &[u8]) = (&[0; 10], &[0; 4]);
    let rows = vec![
        ("MP_REACH_NLRI of 4 bytes", "RFC 7606 5.3", reach(&[&[0, 25, 70, 4]]), Reset(3, 9)),
        ("MP_REACH_NLRI of no bytes", "RFC 7606 5.3", reach(&[]), Reset(3, 9)),
        (
            "next hop crosses the end",
            "RFC 7606 7.11",
            reach(&[&[0, 25, 70, 16, 10, 250, 0, 1, 0]]),
            Reset(3, 9),
        ),
        (
            "next hop of 5 bytes",
            "RFC 7606 7.11",
            reach(&[&[0, 25, 70, 5, 1, 1, 1, 1, 1, 0], GOOD]),
            Reset(3, 9),
        ),
        ("next hop 0.0.0.0", "RFC 4271 6.3", reach(&[&[0, 25, 70, 4, 0, 0, 0, 0, 0], GOOD]), Withdraw),
        ("reserved byte set", "RFC 4760 3", reach(&[&REACH[..8], &[9], GOOD]), Nothing),
        ("route crosses the end", "RFC 7606 5.3", reach(&[REACH, GOOD, &[2, 33, 0]]), Reset(3, 9)),
        ("half a route header", "RFC 7606 5.3", reach(&[REACH, GOOD, &[2]]), Reset(3, 9)),
        ("short type 1", "RFC 7432 7.1", route(1, &[RD, esi]), DropRoute),
        ("short type 2", "RFC 7432 7.2", route(2, &[RD, esi, tag, &[48, 2]]), DropRoute),
        ("type 2 without a label", "RFC 7432 7.2", route(2, &[RD, esi, tag, mac, &[0]]), WithdrawRoute),
        (
            "type 2, IPv6 length and IPv4 address",
            "RFC 7432 7.2",
            route(2, &[RD, esi, tag, mac, &[128, 10, 0, 0, 1, 0, 0, 100]]),
            DropRoute,
        ),
        (
            "type 2, IP length 33",
            "RFC 7432 7.2",
            route(2, &[RD, esi, tag, mac, &[33, 10, 0, 0, 1, 0, 0, 100]]),
            DropRoute,
        ),
        (
            "type 2, MAC length 64",
            "RFC 7432 7.2",
            route(2, &[RD, esi, tag, &[64, 2, 0, 0, 0, 1, 1, 0, 0], &[0, 0, 0, 100]]),
            DropRoute,
        ),
        (
            "type 2 with three labels",
            "RFC 7432 7.2",
            route(2, &[RD, esi, tag, mac, &[0], &[0; 9]]),
            WithdrawRoute,
        ),
        (
            "type 5 with a segment and a gateway",
            "RFC 9136 3.2",
            route(5, &[RD, &[1; 10], tag, &[24], &[10, 1, 2, 0], &[10; 4], &[0, 0, 1]]),
            WithdrawRoute,
        ),
        (
            "type 5 without anything that it could resolve by",
            "RFC 9136 3.2",
            route(5, &[RD, esi, tag, &[24], &[10, 1, 2, 0], &[0; 4], &[0; 3]]),
            WithdrawRoute,
        ),
        (
            "type 5 beside a multicast MAC address",
            "RFC 9136 3.2",
            beside(&[6, 3, 1, 0, 0x5e, 0, 0, 1], &[&[24, 10, 1, 2, 0, 0, 0, 0, 0][..], &[0, 0, 1]].concat()),
            WithdrawRoute,
        ),
        ("type 3, IP length 0", "RFC 7432 7.3", route(3, &[RD, tag, &[0]]), DropRoute),
        ("type 4, IP length 24", "RFC 7432 7.4", route(4, &[RD, esi, &[24, 10, 0, 0]]), DropRoute),
        (
            "type 5, prefix length 33",
            "RFC 9136 3.1",
            route(5, &[RD, esi, tag, &[33], &[10; 8], &[0, 0, 1]]),
            DropRoute,
        ),
        (
            "type 5, IPv6, prefix length 129",
            "RFC 9136 3.1",
            route(5, &[RD, esi, tag, &[129], &[10; 32], &[0, 0, 1]]),
            DropRoute,
        ),
        ("type 5 of 35 bytes", "RFC 9136 3.1", route(5, &[RD, esi, tag, &[24], &[10; 12]]), DropRoute),
    ];
    check(rows, &INTERNAL);
}

#[test]
fn route_target_memberships() {
    let fixed: &[u8] = &[0, 1, 132, 4, 10, 250, 0, 1, 0];
    let good: &[u8] = &[96, 0, 0, 0xfd, 0xe8, 0, 2, 0xfd, 0xe8, 0, 0, 0, 100];
    let rows = vec![
        ("nothing wrong", "RFC 4684 4", reach(&[fixed, good]), Nothing),
        ("all of an AS", "RFC 4684 4", reach(&[fixed, &[32, 0, 0, 0xfd, 0xe8]]), Nothing),
        ("next hop over IPv6", "RFC 4684 4", reach(&[&[0, 1, 132, 16], &[0x20; 16], &[0], good]), Nothing),
        ("next hop of 12 bytes", "RFC 7606 7.11", reach(&[&[0, 1, 132, 12], &[1; 13], good]), Reset(3, 9)),
        ("half an origin AS", "RFC 4684 4", reach(&[fixed, good, &[16, 0, 0]]), DropRoute),
        ("length 97", "RFC 7606 5.3", reach(&[fixed, good, &[97], &[0; 13]]), Reset(3, 9)),
        ("crosses the end", "RFC 7606 5.3", reach(&[fixed, good, &[96, 0, 0, 0, 1]]), Reset(3, 9)),
    ];
    check(rows, &INTERNAL);
}

#[test]
fn ipv4_routes() {
    let base: &[&[u8]] = &[ORIGIN, AS_PATH, LOCAL_PREF];
    let classic = |withdrawn: &[u8], next_hop: &[u8], announced: &[u8]| {
        let attributes = [&base.concat(), next_hop].concat();
        let len = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
        message(2, &[&len(withdrawn), withdrawn, &len(&attributes), &attributes, announced].concat())
    };
    let hop = |value: &[u8]| attribute(0x40, 3, value);
    let good: &[u8] = &[10, 250, 0, 1];
    let net: &[u8] = &[24, 10, 1, 2];
    for (what, section, bytes, wanted) in [
        ("nothing wrong", "RFC 4271 4.3", classic(&[], &hop(good), net), Ok((1, 0))),
        ("bits behind the length", "RFC 4271 4.3", classic(&[], &hop(good), &[23, 10, 1, 3]), Ok((1, 0))),
        ("the same route twice", "RFC 4271 4.3", classic(net, &hop(good), net), Ok((1, 1))),
        ("NEXT_HOP of 3 bytes", "RFC 7606 7.3", classic(&[], &hop(&[10, 0, 0]), net), Ok((0, 1))),
        ("NEXT_HOP 255.255.255.255", "RFC 4271 6.3", classic(&[], &hop(&[255; 4]), net), Ok((0, 1))),
        ("NEXT_HOP missing", "RFC 7606 3 d", classic(&[], &[], net), Ok((0, 1))),
        ("prefix length 33", "RFC 7606 5.3", classic(&[], &hop(good), &[33, 10, 1, 2, 3, 4]), Err((3, 10))),
        ("prefix crosses the end", "RFC 7606 5.3", classic(&[], &hop(good), &[24, 10]), Err((3, 10))),
        ("withdrawn length 33", "RFC 7606 5.3", classic(&[33, 1, 2, 3, 4, 5], &hop(good), net), Err((3, 10))),
        ("withdrawn routes cross the end", "RFC 4271 6.3", message(2, &[0, 9, 0, 0]), Err((3, 1))),
        ("attributes cross the end", "RFC 4271 6.3", message(2, &[0, 0, 0, 9]), Err((3, 1))),
    ] {
        let frame = Frame::next(&bytes, false).unwrap().unwrap();
        let found = match Received::decode(frame, &INTERNAL) {
            Ok(Received { message: Message::Update(update), .. }) => {
                Ok((update.announced.len(), update.withdrawn.len()))
            }
            Ok(received) => panic!("{what}: {received:?}"),
            Err(error) => {
                let notification = error.notification();
                Err((notification.code.0, notification.subcode))
            }
        };
        assert_eq!(found, wanted, "{what} ({section})");
    }
}

#[test]
fn a_reflector_keeps_what_it_does_not_know() {
    let unknown = [&[0xc0, 99, 2, 1, 2][..], &[0xe0, 8, 4, 0xfd, 0xe8, 0, 1]].concat();
    let route: &[u8] = &[11, 3, 7, 8, 9];
    let reach = attribute(0x80, 14, &[REACH, route].concat());
    let bytes = update(&[&reach, ORIGIN, AS_PATH, LOCAL_PREF, &unknown]);
    let frame = Frame::next(&bytes, false).unwrap().unwrap();
    let received = Received::decode(frame, &INTERNAL).unwrap();
    assert_eq!(received.faults, []);
    let mut sent = attributes(&encode(&received.message, &INTERNAL));
    sent.retain(|(_, code, _)| matches!(code, 8 | 14 | 99));
    let expected =
        [(0x80, 14, [REACH, route].concat()), (0xe0, 8, vec![0xfd, 0xe8, 0, 1]), (0xe0, 99, vec![1, 2])];
    assert_eq!(sent, expected, "the partial bit is set, and stays where it was");
}
