//! Neighbour solicitations are answered in place, as ARP is.

use etherparse::{EtherType, Ethernet2Header, Icmpv6Header, Icmpv6Type, IpNumber, Ipv6Header};
use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::programs::FROM_POD;
use weft_vxlan::MacAddr;

use crate::world::*;

const GATEWAY6: [u8; 16] = [0xfd, 0, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// An option of eight bytes.
fn option(kind: u8, bytes: [u8; 6]) -> Vec<u8> {
    [&[kind, 1], bytes.as_slice()].concat()
}

/// A discovery message with the frame around it.
fn message(
    macs: (MacAddr, MacAddr),
    addresses: ([u8; 16], [u8; 16]),
    kind: u8,
    flags: u8,
    body: &[u8],
) -> Vec<u8> {
    let unknown = Icmpv6Type::Unknown { type_u8: kind, code_u8: 0, bytes5to8: [flags, 0, 0, 0] };
    let icmp = Icmpv6Header::with_checksum(unknown, addresses.0, addresses.1, body).unwrap();
    let ip = Ipv6Header {
        payload_length: (8 + body.len()).try_into().unwrap(),
        next_header: IpNumber::IPV6_ICMP,
        hop_limit: 255,
        source: addresses.0,
        destination: addresses.1,
        ..Default::default()
    };
    let ethernet =
        Ethernet2Header { source: macs.0.bytes(), destination: macs.1.bytes(), ether_type: EtherType::IPV6 };
    [ethernet.to_bytes().as_slice(), &ip.to_bytes(), &icmp.to_bytes(), body].concat()
}

/// A solicitation from ALICE to the target's solicited-node group.
fn solicitation(source: [u8; 16], target: [u8; 16], options: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = target;
    let group = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c];
    let mac = MacAddr::new([0x33, 0x33, 0xff, a, b, c]);
    message((ALICE.mac, mac), (source, group), SOLICITATION, 0, &[&target, options].concat())
}

#[test]
fn known_addresses_of_the_subnet_are_answered() {
    let Some(mut world) = World::load() else { return };
    let link_layer = option(1, ALICE.mac.bytes());
    let link_local = ALICE.mac.link_local().octets();
    const ROUTER: u8 = 0x80;
    for (what, source, target, mac, flags, options) in [
        ("the gateway", ALICE.ipv6.octets(), GATEWAY6, GATEWAY_MAC, ROUTER, &link_layer),
        ("from a link-local address", link_local, GATEWAY6, GATEWAY_MAC, ROUTER, &link_layer),
        ("a port of this host", ALICE.ipv6.octets(), BOB.ipv6.octets(), BOB.mac, 0, &link_layer),
        ("a port of another host", ALICE.ipv6.octets(), CAROL.ipv6.octets(), CAROL.mac, 0, &link_layer),
        ("a confirmation, without option", ALICE.ipv6.octets(), BOB.ipv6.octets(), BOB.mac, 0, &Vec::new()),
    ] {
        let outcome = world.run(FROM_POD, &solicitation(source, target, options));
        assert_eq!(outcome.verdict, REDIRECT, "{what}");
        let body = [target.as_slice(), &option(2, mac.bytes())].concat();
        let expected = message((mac, ALICE.mac), (target, source), ADVERTISEMENT, 0x60 | flags, &body);
        assert_eq!(outcome.frame, expected, "{what}");
    }
}

#[test]
fn duplicate_address_detection_is_told_of_others_only() {
    let Some(mut world) = World::load() else { return };
    let nonce = option(14, [1, 2, 3, 4, 5, 6]);
    for own in [ALICE.ipv6.octets(), ALICE.mac.link_local().octets()] {
        let frame = solicitation([0; 16], own, &nonce);
        world.assert_dropped(FROM_POD, &frame, DropReason::NeighbourNoise);
    }
    let target = BOB.ipv6.octets();
    let outcome = world.run(FROM_POD, &solicitation([0; 16], target, &nonce));
    assert_eq!(outcome.verdict, REDIRECT);
    let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let macs = (BOB.mac, MacAddr::new([0x33, 0x33, 0, 0, 0, 1]));
    let body = [target.as_slice(), &option(2, BOB.mac.bytes())].concat();
    assert_eq!(outcome.frame, message(macs, (target, all_nodes), ADVERTISEMENT, 0x20, &body));
}

#[test]
fn other_addresses_are_not_answered() {
    let Some(mut world) = World::load() else { return };
    let link_layer = option(1, ALICE.mac.bytes());
    let nobody = "fd00:a::77".parse::<std::net::Ipv6Addr>().unwrap().octets();
    for target in [nobody, DAVE.ipv6.octets(), BOB.mac.link_local().octets()] {
        let frame = solicitation(ALICE.ipv6.octets(), target, &link_layer);
        world.assert_dropped(FROM_POD, &frame, DropReason::UnknownNeighbour);
    }
}

#[test]
fn spoofed_senders_are_dropped() {
    let Some(mut world) = World::load() else { return };
    let target = BOB.ipv6.octets();
    let foreign = option(1, CAROL.mac.bytes());
    let frame = solicitation(ALICE.ipv6.octets(), target, &foreign);
    world.assert_dropped(FROM_POD, &frame, DropReason::SpoofedMac);
    for source in [CAROL.ipv6.octets(), CAROL.mac.link_local().octets(), GATEWAY6] {
        let frame = solicitation(source, target, &option(1, ALICE.mac.bytes()));
        world.assert_dropped(FROM_POD, &frame, DropReason::SpoofedIp);
    }
    // An advertisement for somebody else's address, with the sender's own MAC.
    let body = [CAROL.ipv6.octets().as_slice(), &option(2, ALICE.mac.bytes())].concat();
    let addresses = (ALICE.ipv6.octets(), BOB.ipv6.octets());
    let frame = message((ALICE.mac, BOB.mac), addresses, ADVERTISEMENT, 0x20, &body);
    world.assert_dropped(FROM_POD, &frame, DropReason::SpoofedIp);
}

#[test]
fn announcements_and_router_solicitations_change_nothing() {
    let Some(mut world) = World::load() else { return };
    let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let macs = (ALICE.mac, MacAddr::new([0x33, 0x33, 0, 0, 0, 1]));
    let body = [ALICE.ipv6.octets().as_slice(), &option(2, ALICE.mac.bytes())].concat();
    let announcement = message(macs, (ALICE.ipv6.octets(), all_nodes), ADVERTISEMENT, 0x20, &body);
    world.assert_dropped(FROM_POD, &announcement, DropReason::NeighbourNoise);
    let all_routers = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let macs = (ALICE.mac, MacAddr::new([0x33, 0x33, 0, 0, 0, 2]));
    for options in [Vec::new(), option(1, ALICE.mac.bytes())] {
        let addresses = (ALICE.mac.link_local().octets(), all_routers);
        let frame = message(macs, addresses, 133, 0, &options);
        world.assert_dropped(FROM_POD, &frame, DropReason::NeighbourNoise);
    }
}

#[test]
fn a_hop_limit_below_255_came_from_elsewhere() {
    let Some(mut world) = World::load() else { return };
    let mut frame = solicitation(ALICE.ipv6.octets(), BOB.ipv6.octets(), &option(1, ALICE.mac.bytes()));
    frame[21] = 64;
    world.assert_dropped(FROM_POD, &frame, DropReason::Malformed);
}
