//! How long a full UPDATE takes, in and out, beside the two codecs that others wrote: 100 type-2 routes with a MAC and
//! an IPv4 address, in the 4096 bytes that a message has (RFC 4271 section 4.1).
//!
//! `cargo bench -p weft-bgp`. All three read the same bytes into values of their own, and free them.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enum is not weft's own")]
#![expect(clippy::unwrap_used, reason = "a benchmark of messages that are known to be good")]

use std::hint::black_box;
use std::io::Cursor;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::WritablePdu as _;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput as _;
use rustbgpd_wire::{Ipv4UnicastMode, ParsedUpdate, UpdateMessage};
use weft_bgp::wire::{
    AsPath, Attributes, Dialect, EthernetSegmentId, EthernetTag, EvpnRoute, ExtendedCommunity, Frame, Label,
    MAX_LEN, MacIp, MacMobility, Message, NextHop, Nlri, Origin, Reachable, Received, RouteDistinguisher,
    RouteTarget, Routes, Update,
};
use weft_vxlan::MacAddr;

const ROUTES: u8 = 100;
const DIALECT: Dialect = Dialect { internal: true, four_octet_as: true, ..Dialect::plain() };

/// The message that all of them read.
fn message() -> Message {
    let rd: RouteDistinguisher = "10.250.0.1:2".parse().unwrap();
    let target: RouteTarget = "65000:100".parse().unwrap();
    let routes = (0..ROUTES).map(|host| {
        Nlri::from(EvpnRoute::MacIp(MacIp {
            rd,
            segment: EthernetSegmentId::ZERO,
            tag: EthernetTag(0),
            mac: MacAddr::new([2, 0, 0, 0, 1, host]),
            ip: Some([10, 1, 0, host].into()),
            label: Label::from_bytes([0, 0, 100]),
            l3_label: None,
        }))
    });
    Message::Update(Update {
        attributes: Attributes {
            origin: Some(Origin::Igp),
            as_path: Some(AsPath::default()),
            local_pref: Some(100),
            extended_communities: vec![
                target.into(),
                ExtendedCommunity::VXLAN,
                MacMobility { sticky: false, sequence: 1 }.into(),
            ],
            ..Attributes::default()
        },
        reachable: Some(Reachable {
            next_hop: NextHop::V4([10, 250, 0, 1].into()),
            routes: Routes::Evpn(routes.collect()),
        }),
        ..Update::default()
    })
}

fn weft(bytes: &[u8]) -> Message {
    let frame = Frame::next(bytes, false).unwrap().unwrap();
    Received::decode(frame, &DIALECT).unwrap().message
}

fn rustbgpd(bytes: &Bytes) -> ParsedUpdate {
    match rustbgpd_wire::decode_message(&mut bytes.clone(), 4096).unwrap() {
        rustbgpd_wire::Message::Update(update) => update.parse(true, false, &[]).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn netgauze(bytes: &[u8], context: &mut BgpParsingContext) -> BgpMessage {
    BgpMessage::parse(&mut SliceReader::new(bytes), context).unwrap()
}

fn decode(criterion: &mut Criterion) {
    let mut bytes = Vec::new();
    message().encode(&DIALECT, &mut bytes).unwrap();
    assert!((3900..=MAX_LEN).contains(&bytes.len()), "{} bytes are no full message", bytes.len());
    let shared = Bytes::from(bytes.clone());
    let mut context = BgpParsingContext::default();

    let mut group = criterion.benchmark_group("decode 100 type-2 routes");
    group.throughput(Throughput::Elements(u64::from(ROUTES)));
    group.bench_function("weft", |bench| bench.iter(|| weft(black_box(&bytes))));
    group.bench_function("rustbgpd", |bench| bench.iter(|| rustbgpd(black_box(&shared))));
    group.bench_function("NetGauze", |bench| bench.iter(|| netgauze(black_box(&bytes), &mut context)));
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let ours = message();
    let mut bytes = Vec::new();
    ours.encode(&DIALECT, &mut bytes).unwrap();
    let parsed = rustbgpd(&Bytes::from(bytes.clone()));
    let theirs = netgauze(&bytes, &mut BgpParsingContext::default());

    let mut group = criterion.benchmark_group("encode 100 type-2 routes");
    group.throughput(Throughput::Elements(u64::from(ROUTES)));
    // A session writes one message behind the other into a buffer that it keeps.
    let mut out = Vec::new();
    group.bench_function("weft", |bench| {
        bench.iter(|| {
            out.clear();
            black_box(&ours).encode(&DIALECT, &mut out).unwrap();
            out.len()
        });
    });
    group.bench_function("rustbgpd", |bench| {
        bench.iter(|| {
            let ParsedUpdate { announced, withdrawn, attributes, .. } = black_box(&parsed);
            let body = Ipv4UnicastMode::Body;
            let update =
                UpdateMessage::try_build(announced, withdrawn, attributes, true, false, body).unwrap();
            rustbgpd_wire::encode_message(&rustbgpd_wire::Message::Update(update)).unwrap()
        });
    });
    group.bench_function("NetGauze", |bench| {
        bench.iter(|| {
            out.clear();
            black_box(&theirs).write(&mut Cursor::new(&mut out)).unwrap();
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
