//! What a message can make weft allocate: a fixed multiple of its own length, whatever stands in it.

mod counting;

use weft_bgp::wire::{AddPathFamilies, Dialect, Frame, Received};

/// The most bytes held while a message is decoded.
fn most(kind: u8, body: &[u8], dialect: &Dialect) -> usize {
    let len = u16::try_from(19 + body.len()).expect("a message has at most 65535 bytes");
    let bytes = [&[0xff; 16][..], &len.to_be_bytes(), &[kind], body].concat();
    counting::most(|| {
        if let Ok(Some(frame)) = Frame::next(&bytes, dialect.receive_extended) {
            drop(Received::decode(frame, dialect));
        }
    })
}

/// An UPDATE with these attributes and IPv4 routes.
fn update(attributes: &[u8], announced: &[u8]) -> Vec<u8> {
    let len = u16::try_from(attributes.len()).expect("attributes have at most 65535 bytes");
    [&[0, 0], &len.to_be_bytes()[..], attributes, announced].concat()
}

/// An attribute with a long length.
fn long(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len()).expect("an attribute has at most 65535 bytes");
    [&[flags | 0x10, code][..], &len.to_be_bytes(), value].concat()
}

#[test]
fn at_most_a_fixed_multiple_of_the_message() {
    /// A route of two bytes becomes a value of some 80, in a vector that doubles as it grows.
    const MULTIPLE: usize = 256;
    let dialect = Dialect {
        internal: true,
        four_octet_as: true,
        receive_extended: true,
        receive_path_ids: AddPathFamilies::default(),
        ..Dialect::plain()
    };
    let reach = [0, 25, 70, 4, 10, 0, 0, 1, 0];
    let evpn = |route: &[u8]| {
        update(&long(0x80, 14, &[&reach, route.repeat(60_000 / route.len()).as_slice()].concat()), &[])
    };
    for (what, kind, body) in [
        ("default routes", 2, update(&[], &[0; 65_000])),
        ("unknown EVPN routes", 2, evpn(&[99, 0])),
        ("unreadable EVPN routes", 2, evpn(&[3, 0])),
        ("unreadable EVPN routes with a key", 2, evpn(&[&[1, 22][..], &[0; 22]].concat())),
        (
            "default memberships",
            2,
            update(&long(0x80, 14, &[&[0, 1, 132, 4, 10, 0, 0, 1, 0][..], &[0; 60_000]].concat()), &[]),
        ),
        ("AS path segments", 2, update(&long(0x40, 2, &[2, 1, 0, 0, 0, 1].repeat(10_000)), &[])),
        ("communities", 2, update(&long(0xc0, 8, &[1; 60_000]), &[])),
        ("the same attribute", 2, update(&[0x40, 6, 0].repeat(20_000), &[])),
        (
            "unknown attributes",
            2,
            update(&(0..=255).flat_map(|code| [0xc0, code, 0]).collect::<Vec<_>>(), &[]),
        ),
        ("a length of nothing", 2, vec![0xff, 0xff, 0xff, 0xff]),
        (
            "capabilities",
            1,
            [&[4, 0, 1, 0, 90, 1, 1, 1, 1, 255, 255, 0x0f, 0xa3, 2, 0x0f, 0xa0][..], &[2, 0].repeat(2000)]
                .concat(),
        ),
    ] {
        let held = most(kind, &body, &dialect);
        let limit = MULTIPLE * (19 + body.len());
        assert!(held <= limit, "{what}: {held} bytes for a message of {}", 19 + body.len());
    }
}

#[test]
fn a_full_message_of_ordinary_routes_takes_little() {
    let route =
        [&[2, 33, 0, 1, 10, 250, 0, 1, 0, 2][..], &[0; 14], &[48, 2, 0, 0, 0, 1, 1, 0, 0, 0, 100]].concat();
    let value = [&[0, 25, 70, 4, 10, 0, 0, 1, 0][..], &route.repeat(110)].concat();
    let body = update(&long(0x80, 14, &value), &[]);
    let held = most(2, &body, &Dialect::plain());
    assert!(held <= 8 * body.len(), "{held} bytes for {}", body.len());
}
