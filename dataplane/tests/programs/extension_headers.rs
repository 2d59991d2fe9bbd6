//! IPv6 extension headers pass, unless neighbour discovery hides behind them, or might.

use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::programs::{FROM_POD, FROM_UNDERLAY};
use weft_vxlan::Header;

use crate::world::*;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Neighbour advertisement, override, "fd00:a::1 is at ALICE's MAC".
const ADVERTISEMENT: [u8; 32] = [
    136, 0, 0, 0, 0x20, 0, 0, 0, 0xfd, 0, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1, 2, 0xa, 0, 0, 0,
    11,
];
const ECHO_REQUEST: [u8; 32] = [128; 32];

/// Kinds of extension headers, with offset and flag of a fragment header.
type Chain<'a> = &'a [(u8, u16)];

/// An extension header of eight bytes in front of `next`. In a fragment header `more` is offset and flag.
fn extension(kind: u8, next: u8, more: u16) -> [u8; 8] {
    let [high, low] = more.to_be_bytes();
    match kind {
        FRAGMENT => [next, 0, high, low, 0, 0, 0, 1],
        // The one whose length is in units of four, less two.
        AUTHENTICATION => [next, 0, 0, 0, 0, 0, 0, 1],
        // A padding option that fills it.
        _ => [next, 0, 1, 4, 0, 0, 0, 0],
    }
}

/// A frame between two stations of the subnet with these extension headers in front of the payload.
fn frame(from: Station, to: Station, chain: Chain<'_>, last: u8, payload: &[u8]) -> Vec<u8> {
    let kinds: Vec<u8> = chain.iter().map(|(kind, _)| *kind).chain([last]).collect();
    let mut body = Vec::new();
    for (at, (kind, more)) in chain.iter().enumerate() {
        body.extend(extension(*kind, kinds[at + 1], *more));
    }
    body.extend(payload);
    let header = etherparse::Ipv6Header {
        payload_length: body.len().try_into().unwrap(),
        next_header: kinds[0].into(),
        hop_limit: 255,
        source: from.ipv6.octets(),
        destination: to.ipv6.octets(),
        ..Default::default()
    };
    let ethernet = etherparse::Ethernet2Header {
        source: from.mac.bytes(),
        destination: to.mac.bytes(),
        ether_type: etherparse::EtherType::IPV6,
    };
    [ethernet.to_bytes().as_slice(), &header.to_bytes(), &body].concat()
}

fn tunnelled(inner: &[u8]) -> Vec<u8> {
    let mut payload = Header { vni: vni(101) }.encode().to_vec();
    payload.extend_from_slice(inner);
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2(NEXT_HOP_MAC.bytes(), LOOPBACK_MAC.bytes())
        .ipv4([192, 0, 2, 2], [192, 0, 2, 1], 64)
        .udp(45000, weft_vxlan::UDP_PORT)
        .write(&mut frame, &payload)
        .unwrap();
    frame
}

/// In: chains of eight headers and of nine to UDP; a first fragment that ends where neighbour discovery could begin; and a
/// solicitation of which the end is missing. Out: only the eight are followed; the fragment is refused; what is cut is
/// malformed, and is not answered.
#[test]
fn what_cannot_be_read_to_its_end_is_refused() {
    let Some(mut world) = World::load() else { return };
    let eight = [(DESTINATION_OPTIONS, 0); 8];
    let nine = [(DESTINATION_OPTIONS, 0); 9];
    world.run(FROM_POD, &frame(ALICE, BOB, &eight, UDP, &[0; 32]));
    assert!(world.drops(ALICE_SLOT).is_empty(), "{:?}", world.drops(ALICE_SLOT));
    world.run(FROM_POD, &frame(ALICE, BOB, &nine, UDP, &[0; 32]));
    world.run(FROM_POD, &frame(ALICE, BOB, &[(FRAGMENT, FIRST), (DESTINATION_OPTIONS, 0)], ICMPV6, &[]));
    assert_eq!(world.drops(ALICE_SLOT)[DropReason::ExtensionHeaders.name()], 2);
    let mut solicitation = ADVERTISEMENT;
    solicitation[0] = 135;
    let whole = frame(ALICE, BOB, &[], ICMPV6, &solicitation);
    world.run(FROM_POD, &whole[..whole.len() - 1]);
    assert_eq!(world.drops(ALICE_SLOT)[DropReason::Malformed.name()], 1);
}

/// More fragments follow; this is the first.
const FIRST: u16 = 1;
/// The fragment that starts eight bytes on.
const LATER: u16 = 8;

#[test]
fn neighbour_discovery_does_not_hide() {
    let Some(mut world) = World::load() else { return };
    let chains: [Chain<'_>; 6] = [
        &[(DESTINATION_OPTIONS, 0)],
        &[(HOP_BY_HOP, 0)],
        &[(ROUTING, 0)],
        &[(AUTHENTICATION, 0)],
        &[(FRAGMENT, FIRST)],
        &[(HOP_BY_HOP, 0), (DESTINATION_OPTIONS, 0), (FRAGMENT, 0), (DESTINATION_OPTIONS, 0)],
    ];
    for chain in chains {
        println!("{chain:?}");
        let sent = frame(ALICE, BOB, chain, ICMPV6, &ADVERTISEMENT);
        world.assert_dropped(FROM_POD, &sent, DropReason::ExtensionHeaders);
        let sent = tunnelled(&frame(CAROL, BOB, chain, ICMPV6, &ADVERTISEMENT));
        world.assert_dropped(FROM_UNDERLAY, &sent, DropReason::ExtensionHeaders);
    }
    assert_eq!(world.counters(BOB_SLOT).to_port.packets, 0);
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let Some(mut world) = World::load() else { return };
    let many = [(DESTINATION_OPTIONS, 0); 9];
    world.assert_dropped(FROM_POD, &frame(ALICE, BOB, &many, UDP, &[0; 64]), DropReason::ExtensionHeaders);
    // A first fragment that ends before the headers do: the rest of them comes in the second.
    let cut = frame(ALICE, BOB, &[(FRAGMENT, FIRST)], DESTINATION_OPTIONS, &[]);
    world.assert_dropped(FROM_POD, &cut, DropReason::ExtensionHeaders);
    // One whose length leads out of the packet, and one beyond reach.
    for (length, payload) in [(255, 64), (100, 1200)] {
        let mut long = frame(ALICE, BOB, &[(DESTINATION_OPTIONS, 0)], ICMPV6, &vec![0; payload]);
        long[14 + 40] = DESTINATION_OPTIONS;
        long[14 + 40 + 1] = length;
        world.assert_dropped(FROM_POD, &long, DropReason::ExtensionHeaders);
    }
}

#[test]
fn honest_ones_pass() {
    let Some(mut world) = World::load() else { return };
    let most = [(DESTINATION_OPTIONS, 0); 8];
    let chains: [(Chain<'_>, u8, &[u8]); 6] = [
        (&most, UDP, &[0; 64]),
        (&[(DESTINATION_OPTIONS, 0)], UDP, &[0; 64]),
        (&[(HOP_BY_HOP, 0), (ROUTING, 0), (DESTINATION_OPTIONS, 0)], UDP, &[0; 64]),
        (&[(DESTINATION_OPTIONS, 0)], ICMPV6, &ECHO_REQUEST),
        (&[(FRAGMENT, FIRST)], ICMPV6, &ECHO_REQUEST),
        // Whatever a later fragment begins with is no header.
        (&[(FRAGMENT, LATER)], ICMPV6, &ADVERTISEMENT),
    ];
    for (chain, last, payload) in chains {
        let sent = frame(ALICE, BOB, chain, last, payload);
        let outcome = world.run(FROM_POD, &sent);
        assert_eq!((outcome.verdict, outcome.frame), (REDIRECT, sent), "{chain:?}");
        let inner = frame(CAROL, BOB, chain, last, payload);
        if let Some(outcome) = world.decapsulated(&tunnelled(&inner), &inner) {
            assert_eq!((outcome.verdict, outcome.frame), (REDIRECT, inner), "{chain:?}");
        }
    }
}

#[test]
fn neighbour_discovery_of_other_hosts_is_left_to_the_vxlan_device() {
    let Some(mut world) = World::load() else { return };
    let sent = tunnelled(&frame(CAROL, BOB, &[], ICMPV6, &ADVERTISEMENT));
    let outcome = world.run(FROM_UNDERLAY, &sent);
    assert_eq!((outcome.verdict, outcome.frame), (PASS, sent));
}
