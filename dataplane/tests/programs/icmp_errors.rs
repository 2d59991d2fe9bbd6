//! The ICMP errors that the gateway sends: each byte of them, and when there is none.

use etherparse::PacketBuilder;
use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::programs::{FROM_POD, FROM_UNDERLAY};
use weft_vxlan::{Header, MacAddr, UDP_PORT};

use crate::reference::checksum;
use crate::world::*;

const GATEWAY4: [u8; 4] = [10, 0, 0, 1];
const OTHER_GATEWAY4: [u8; 4] = [10, 0, 1, 1];
const GATEWAY6: [u8; 16] = [0xfd, 0, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// A UDP datagram of `length` bytes, IP header included, from ALICE.
fn udp4(mac: MacAddr, to: [u8; 4], ttl: u8, length: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(ALICE.mac.bytes(), mac.bytes())
        .ipv4(ALICE.ipv4.octets(), to, ttl)
        .udp(4000, 5000)
        .write(&mut frame, &payload(length - 28))
        .unwrap();
    frame
}

fn udp6(mac: MacAddr, to: [u8; 16], hop_limit: u8, length: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(ALICE.mac.bytes(), mac.bytes())
        .ipv6(ALICE.ipv6.octets(), to, hop_limit)
        .udp(4000, 5000)
        .write(&mut frame, &payload(length - 48))
        .unwrap();
    frame
}

/// Bytes that differ from their neighbours, so that a wrong offset shows.
fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 256).to_le_bytes()[0]).collect()
}

/// The Internet checksum of `bytes`, written anew from RFC 1071: 0 over what holds a right one.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u64;
    for pair in bytes.chunks(2) {
        sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// Asserts that `answer` is the ICMP error of this type, code and second word about `sent`, to its sender.
#[track_caller]
fn assert_error4(answer: &[u8], sent: &[u8], from: [u8; 4], kind: u8, code: u8, rest: u32) {
    let quoted = (sent.len() - 14).min(548);
    let length = 28 + quoted;
    let mut expected = Vec::new();
    expected.extend_from_slice(&sent[6..12]);
    expected.extend_from_slice(&GATEWAY_MAC.bytes());
    expected.extend_from_slice(&[0x08, 0x00, 0x45, 0xc0]);
    expected.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    expected.extend_from_slice(&[0, 0, 0, 0, 64, 1]);
    expected.extend_from_slice(&answer[24..26]);
    expected.extend_from_slice(&from);
    expected.extend_from_slice(&sent[26..30]);
    expected.extend_from_slice(&[kind, code, answer[36], answer[37]]);
    expected.extend_from_slice(&rest.to_be_bytes());
    expected.extend_from_slice(&sent[14..14 + quoted]);
    assert_eq!(answer, expected);
    assert_eq!(internet_checksum(&answer[14..34]), 0, "IPv4 header checksum");
    assert_eq!(internet_checksum(&answer[34..]), 0, "ICMP checksum");
}

/// The same of ICMPv6.
#[track_caller]
fn assert_error6(answer: &[u8], sent: &[u8], from: [u8; 16], kind: u8, code: u8, rest: u32) {
    let quoted = (sent.len() - 14).min(1232);
    let length = u16::try_from(8 + quoted).unwrap().to_be_bytes();
    let mut expected = Vec::new();
    expected.extend_from_slice(&sent[6..12]);
    expected.extend_from_slice(&GATEWAY_MAC.bytes());
    expected.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, length[0], length[1], 58, 64]);
    expected.extend_from_slice(&from);
    expected.extend_from_slice(&sent[22..38]);
    expected.extend_from_slice(&[kind, code, answer[56], answer[57]]);
    expected.extend_from_slice(&rest.to_be_bytes());
    expected.extend_from_slice(&sent[14..14 + quoted]);
    assert_eq!(answer, expected);
    let mut summed = answer[22..54].to_vec();
    summed.extend_from_slice(&[0, 0, length[0], length[1], 0, 0, 0, 58]);
    summed.extend_from_slice(&answer[54..]);
    assert_eq!(internet_checksum(&summed), 0, "ICMPv6 checksum");
}

#[test]
fn too_big_tells_the_inner_mtu() {
    let Some(mut world) = World::load() else { return };
    // Switched, then routed: the sender's gateway tells either way.
    for mac in [CAROL.mac, GATEWAY_MAC] {
        let sent = udp4(mac, CAROL.ipv4.octets(), 64, 1451);
        let answer = world.assert_refused(&sent, 0, DropReason::TooBig);
        assert_error4(&answer, &sent, GATEWAY4, 3, 4, 1450);
        let sent = udp6(mac, CAROL.ipv6.octets(), 64, 1451);
        let answer = world.assert_refused(&sent, 0, DropReason::TooBig);
        assert_error6(&answer, &sent, GATEWAY6, 2, 0, 1450);
    }
    // What fits is sent, not answered.
    for frame in
        [udp4(CAROL.mac, CAROL.ipv4.octets(), 64, 1450), udp6(CAROL.mac, CAROL.ipv6.octets(), 64, 1450)]
    {
        assert_eq!(world.run(FROM_POD, &frame).frame.len(), frame.len() + 50);
    }
}

#[test]
fn too_big_without_dont_fragment_is_told_too() {
    let Some(mut world) = World::load() else { return };
    let mut sent = udp4(CAROL.mac, CAROL.ipv4.octets(), 64, 1480);
    sent[20] &= !0x40;
    let answer = world.assert_refused(&sent, 0, DropReason::TooBig);
    assert_error4(&answer, &sent, GATEWAY4, 3, 4, 1450);
}

#[test]
fn hops_that_end() {
    let Some(mut world) = World::load() else { return };
    // Odd lengths and even ones, shorter than a whole quote and longer; to this host and to another.
    for length in [28, 29, 30, 31, 77, 547, 548, 549, 900] {
        for to in [DAVE, ERIN] {
            let sent = udp4(GATEWAY_MAC, to.ipv4.octets(), 1, length);
            let answer = world.assert_refused(&sent, 0, DropReason::TtlExpired);
            assert_error4(&answer, &sent, GATEWAY4, 11, 0, 0);
        }
    }
    for length in [48, 49, 50, 51, 77, 1231, 1232, 1233, 1400] {
        for to in [DAVE, ERIN] {
            let sent = udp6(GATEWAY_MAC, to.ipv6.octets(), 1, length);
            let answer = world.assert_refused(&sent, 0, DropReason::TtlExpired);
            assert_error6(&answer, &sent, GATEWAY6, 3, 0, 0);
        }
    }
}

#[test]
fn ports_that_no_gateway_has() {
    let Some(mut world) = World::load() else { return };
    // Who was asked answers, be it the gateway of another subnet. A TTL of 1 is enough to reach it.
    for gateway in [GATEWAY4, OTHER_GATEWAY4] {
        let mut sent = udp4(GATEWAY_MAC, gateway, 1, 60);
        let answer = world.assert_refused(&sent, 0, DropReason::NotForGateway);
        assert_error4(&answer, &sent, gateway, 3, 3, 0);
        sent[23] = 6;
        let answer = world.assert_refused(&sent, 0, DropReason::NotForGateway);
        assert_error4(&answer, &sent, gateway, 3, 3, 0);
    }
    let sent = udp6(GATEWAY_MAC, GATEWAY6, 1, 60);
    let answer = world.assert_refused(&sent, 0, DropReason::NotForGateway);
    assert_error6(&answer, &sent, GATEWAY6, 1, 4, 0);
}

#[test]
fn padding_of_a_short_frame_is_not_quoted() {
    let Some(mut world) = World::load() else { return };
    let sent = udp4(GATEWAY_MAC, DAVE.ipv4.octets(), 1, 33);
    let mut padded = sent.clone();
    padded.resize(60, 0xee);
    let answer = world.assert_refused(&padded, 0, DropReason::TtlExpired);
    assert_error4(&answer, &sent, GATEWAY4, 11, 0, 0);
}

/// The same frames with and without what forbids an answer.
#[test]
fn no_errors_about_errors_and_later_fragments() {
    let Some(mut world) = World::load() else { return };
    let icmp4 = |kind| {
        let mut frame = udp4(GATEWAY_MAC, DAVE.ipv4.octets(), 1, 60);
        frame[23] = 1;
        frame[34] = kind;
        frame
    };
    for kind in [3, 4, 5, 11, 12] {
        world.assert_dropped(FROM_POD, &icmp4(kind), DropReason::TtlExpired);
    }
    for kind in [0, 8, 13] {
        world.assert_refused(&icmp4(kind), 0, DropReason::TtlExpired);
    }
    let icmp6 = |kind| {
        let mut frame = udp6(GATEWAY_MAC, DAVE.ipv6.octets(), 1, 60);
        frame[20] = 58;
        frame[54] = kind;
        frame
    };
    for kind in [0, 1, 2, 3, 4, 127] {
        world.assert_dropped(FROM_POD, &icmp6(kind), DropReason::TtlExpired);
    }
    for kind in [128, 129] {
        world.assert_refused(&icmp6(kind), 0, DropReason::TtlExpired);
    }
    // Behind a destination options header an error is an error still.
    let mut hidden = icmp6(128);
    hidden[20] = 60;
    hidden[54..62].copy_from_slice(&[58, 0, 1, 4, 0, 0, 0, 0]);
    hidden[62] = 128;
    world.assert_refused(&hidden, 0, DropReason::TtlExpired);
    hidden[62] = 1;
    world.assert_dropped(FROM_POD, &hidden, DropReason::TtlExpired);

    let mut fragment = udp4(GATEWAY_MAC, DAVE.ipv4.octets(), 1, 60);
    fragment[20..22].copy_from_slice(&[0x20, 0]);
    world.assert_refused(&fragment, 0, DropReason::TtlExpired);
    fragment[20..22].copy_from_slice(&[0x20, 0x10]);
    world.assert_dropped(FROM_POD, &fragment, DropReason::TtlExpired);
    let mut fragment = udp6(GATEWAY_MAC, DAVE.ipv6.octets(), 1, 80);
    fragment[20] = 44;
    fragment[54..62].copy_from_slice(&[17, 0, 0, 1, 0, 0, 0, 1]);
    world.assert_refused(&fragment, 0, DropReason::TtlExpired);
    fragment[57] = 8;
    world.assert_dropped(FROM_POD, &fragment, DropReason::TtlExpired);
}

#[test]
fn none_beyond_the_ports_limit() {
    let Some(mut world) = World::load() else { return };
    let sent = udp4(GATEWAY_MAC, DAVE.ipv4.octets(), 1, 60);
    world.assert_refused(&sent, 0, DropReason::TtlExpired);
    world.forbid_icmp_errors();
    world.assert_dropped(FROM_POD, &sent, DropReason::TtlExpired);
    let sent = udp6(CAROL.mac, CAROL.ipv6.octets(), 64, 1480);
    world.assert_dropped(FROM_POD, &sent, DropReason::TooBig);
}

/// TCP from ALICE to FRANK.
fn tcp(version: u8, payload_length: usize, options: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let ethernet = PacketBuilder::ethernet2(ALICE.mac.bytes(), FRANK.mac.bytes());
    let ip = match version {
        4 => ethernet.ipv4(ALICE.ipv4.octets(), FRANK.ipv4.octets(), 64),
        _ => ethernet.ipv6(ALICE.ipv6.octets(), FRANK.ipv6.octets(), 64),
    };
    let tcp = ip.tcp(4000, 5000, 1, 1024).options_raw(options).unwrap();
    tcp.write(&mut frame, &payload(payload_length)).unwrap();
    frame
}

#[test]
fn super_packets_are_judged_by_their_segments() {
    let Some(mut world) = World::load() else { return };
    let timestamps = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    for (version, options, fits) in [
        (4, &[][..], 1450 - 20 - 20),
        (4, &timestamps[..], 1450 - 20 - 32),
        (6, &[][..], 1450 - 40 - 20),
        (6, &timestamps[..], 1450 - 40 - 32),
    ] {
        let sent = tcp(version, 3000, options);
        assert_eq!(world.run_with(FROM_POD, &sent, fits).frame, sent, "through the kernel, as it was");
        let answer = world.assert_refused(&sent, fits + 1, DropReason::TooBig);
        if version == 4 {
            assert_error4(&answer, &sent, GATEWAY4, 3, 4, 1450);
        } else {
            assert_error6(&answer, &sent, GATEWAY6, 2, 0, 1450);
        }
    }
    // UDP, whose header has eight bytes.
    let mut sent = udp4(FRANK.mac, FRANK.ipv4.octets(), 64, 3000);
    assert_eq!(world.run_with(FROM_POD, &sent, 1450 - 28).verdict, REDIRECT);
    assert_eq!(world.drops(ALICE_SLOT)["too_big"], 4);
    let answer = world.assert_refused(&sent, 1450 - 27, DropReason::TooBig);
    assert_error4(&answer, &sent, GATEWAY4, 3, 4, 1450);
    // SCTP, a list of packets that the sender cut itself.
    sent[23] = 132;
    let outcome = world.run_with(FROM_POD, &sent, 0xffff);
    assert_eq!((outcome.verdict, outcome.frame), (REDIRECT, sent));
}

/// In: super-packets to hosts whose next hop is resolved, of a kind that the kernel does not encapsulate by
/// `bpf_skb_adjust_room`. That is so of SCTP's, and of all of a test run, which have no type. Out: as they were sent, but
/// for the inner MACs and the hop, to the kernel's vxlan device, which takes them.
#[test]
fn super_packets_of_other_kinds_leave_through_the_kernels_device() {
    let Some(mut world) = World::load() else { return };
    let router = vtep(2).default_router_mac();
    for (mac, to, ttl) in [(CAROL.mac, CAROL, 64), (GATEWAY_MAC, ERIN, 63)] {
        for mut sent in [udp4(mac, to.ipv4.octets(), 64, 3000), udp6(mac, to.ipv6.octets(), 64, 3000)] {
            let is_v4 = sent[14] == 0x45;
            sent[if is_v4 { 23 } else { 20 }] = 132;
            checksum::mend(&mut sent);
            let mut expected = sent.clone();
            if mac == GATEWAY_MAC {
                expected[..6].copy_from_slice(&router.bytes());
                expected[6..12].copy_from_slice(&ROUTER_MAC.bytes());
                expected[if is_v4 { 22 } else { 21 }] = ttl;
                checksum::mend(&mut expected);
            }
            let passed_on = world.counters(ALICE_SLOT).from_port.packets;
            let outcome = world.run_with(FROM_POD, &sent, 0xffff);
            assert_eq!((outcome.verdict, outcome.frame), (REDIRECT, expected));
            assert_eq!(world.counters(ALICE_SLOT).from_port.packets, passed_on + 1);
        }
    }
    assert_eq!(world.drops(ALICE_SLOT), [].into());
}

/// ERIN's packet to BOB, on her host's way through the tunnel.
fn arriving(inner: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let mut payload = Header { vni: red() }.encode().to_vec();
    payload.extend_from_slice(inner);
    PacketBuilder::ethernet2(NEXT_HOP_MAC.bytes(), LOOPBACK_MAC.bytes())
        .ipv4([192, 0, 2, 2], [192, 0, 2, 1], 64)
        .udp(45000, UDP_PORT)
        .write(&mut frame, &payload)
        .unwrap();
    frame
}

/// Checks the outer headers of an answer, and returns the frame within as if it came from a gateway on the link.
#[track_caller]
fn answer_within(frame: &[u8], sender: MacAddr) -> Vec<u8> {
    assert_eq!(frame[26..34], [192, 0, 2, 1, 192, 0, 2, 2], "back to where it came from");
    assert_eq!(internet_checksum(&frame[14..34]), 0, "outer header checksum");
    assert_eq!(Header::decode(frame[42..50].try_into().unwrap()).unwrap().vni, red());
    assert_eq!(frame[50..56], vtep(2).default_router_mac().bytes());
    assert_eq!(frame[56..62], ROUTER_MAC.bytes());
    [&sender.bytes()[..], &GATEWAY_MAC.bytes(), &frame[62..]].concat()
}

#[test]
fn hops_that_end_at_the_second_router_are_told_through_the_tunnel() {
    let Some(mut world) = World::load() else { return };
    let mut sent4 = udp4(ROUTER_MAC, BOB.ipv4.octets(), 1, 700);
    sent4[26..30].copy_from_slice(&ERIN.ipv4.octets());
    let mut sent6 = udp6(ROUTER_MAC, BOB.ipv6.octets(), 1, 1400);
    sent6[22..38].copy_from_slice(&ERIN.ipv6.octets());
    let mut answered = 0;
    for (number, sent) in [&sent4, &sent6].into_iter().enumerate() {
        let Some(outcome) = world.decapsulated(&arriving(sent), sent) else { continue };
        assert_eq!(outcome.verdict, REDIRECT);
        answered += 1;
        let answer = answer_within(&outcome.frame, ALICE.mac);
        if number == 0 {
            assert_error4(&answer, sent, GATEWAY4, 11, 0, 0);
        } else {
            assert_error6(&answer, sent, GATEWAY6, 3, 0, 0);
        }
        assert_eq!(world.drops(0), [("ttl_expired", answered)].into());
    }
    assert_eq!(world.counters(BOB_SLOT).to_port.packets, 0);
    // By the device that the packet came by; still it is for no port.
    assert_eq!(world.counters(0).to_port.packets, 0);

    // To nobody who is not behind another host: a source of this host's own is not to be believed.
    sent4[26..30].copy_from_slice(&DAVE.ipv4.octets());
    world.assert_dropped(FROM_UNDERLAY, &arriving(&sent4), DropReason::TtlExpired);
    world.forbid_icmp_errors();
    sent4[26..30].copy_from_slice(&ERIN.ipv4.octets());
    world.assert_dropped(FROM_UNDERLAY, &arriving(&sent4), DropReason::TtlExpired);
    // Each drop is told once, whether its sender was told or not.
    let told = world.events();
    assert!(told.iter().all(|event| event.reason == DropReason::TtlExpired as u32), "{told:?}");
    assert_eq!(told.len() as u64, answered + 2);
}
