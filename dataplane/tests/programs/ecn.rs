//! ECN through the tunnel, as RFC 6040 has it: copied on the way in (figure 3), combined on the way out (figure 4).

use etherparse::PacketBuilder;
use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::programs::{FROM_POD, FROM_UNDERLAY};
use weft_vxlan::{Header, UDP_PORT};

use crate::world::*;

const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;
/// Expedited forwarding (RFC 3246), a class that a tenant may ask for within its network.
const DSCP: u8 = 46;

#[derive(Clone, Copy)]
struct Families {
    inner_ipv6: bool,
    outer_ipv6: bool,
}

const ALL: [Families; 4] = [
    Families { inner_ipv6: false, outer_ipv6: false },
    Families { inner_ipv6: true, outer_ipv6: false },
    Families { inner_ipv6: false, outer_ipv6: true },
    Families { inner_ipv6: true, outer_ipv6: true },
];

impl Families {
    fn world(self) -> Option<World> {
        if self.outer_ipv6 { World::load_over_ipv6() } else { World::load() }
    }

    fn outer_len(self) -> usize {
        if self.outer_ipv6 { 70 } else { 50 }
    }
}

/// Sets DSCP and ECN of the IP header behind the first Ethernet header, and the checksum to match.
fn set_class(frame: &mut [u8], dscp: u8, ecn: u8) {
    let class = dscp << 2 | ecn;
    if frame[12..14] == [0x86, 0xdd] {
        frame[14] = 0x60 | class >> 4;
        frame[15] = class << 4 | frame[15] & 0xf;
    } else {
        frame[15] = class;
        frame[24..26].fill(0);
        let checksum = !ones_complement(&frame[14..34]);
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// DSCP and ECN; of IPv4, whose checksum must be right.
fn class(frame: &[u8]) -> (u8, u8) {
    let class = if frame[12..14] == [0x86, 0xdd] {
        frame[14] << 4 | frame[15] >> 4
    } else {
        assert_eq!(ones_complement(&frame[14..34]), 0xffff, "header checksum");
        frame[15]
    };
    (class >> 2, class & 3)
}

fn ones_complement(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |sum: u16, word| {
        let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([word[0], word[1]]));
        sum + u16::from(carry)
    })
}

fn inner(from: Station, to: Station, ipv6: bool, ecn: u8) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2(from.mac.bytes(), to.mac.bytes());
    let ip = if ipv6 {
        ethernet.ipv6(from.ipv6.octets(), to.ipv6.octets(), 64)
    } else {
        ethernet.ipv4(from.ipv4.octets(), to.ipv4.octets(), 64)
    };
    let mut frame = Vec::new();
    ip.udp(4000, 5000).write(&mut frame, &[0x5a; 64]).unwrap();
    set_class(&mut frame, DSCP, ecn);
    frame
}

fn tunnelled(families: Families, ecn: u8, inner: &[u8]) -> Vec<u8> {
    let mut payload = Header { vni: vni(101) }.encode().to_vec();
    payload.extend_from_slice(inner);
    let ethernet = PacketBuilder::ethernet2(NEXT_HOP_MAC.bytes(), LOOPBACK_MAC.bytes());
    let mut frame = Vec::new();
    if families.outer_ipv6 {
        let ip = ethernet.ipv6(vtep6(2).to_bytes(), vtep6(1).to_bytes(), 64);
        ip.udp(45000, UDP_PORT).write(&mut frame, &payload).unwrap();
        frame[60..62].fill(0);
    } else {
        ethernet
            .ipv4([192, 0, 2, 2], [192, 0, 2, 1], 64)
            .udp(45000, UDP_PORT)
            .write(&mut frame, &payload)
            .unwrap();
    }
    set_class(&mut frame, 0, ecn);
    frame
}

#[test]
fn the_outer_header_starts_with_the_tenants_ecn_and_no_class() {
    for families in ALL {
        let Some(mut world) = families.world() else { return };
        for ecn in [NOT_ECT, ECT_1, ECT_0, CE] {
            let frame = inner(ALICE, CAROL, families.inner_ipv6, ecn);
            let outcome = world.run(FROM_POD, &frame);
            assert_eq!(outcome.verdict, REDIRECT);
            assert_eq!(class(&outcome.frame), (0, ecn));
            assert_eq!(class(&outcome.frame[families.outer_len()..]), (DSCP, ecn));
        }
    }
}

#[test]
fn both_fields_are_combined() {
    for families in ALL {
        let Some(mut world) = families.world() else { return };
        for (arriving_inner, row) in [
            // The outer field: Not-ECT, ECT(1), ECT(0), CE. `None`: dropped.
            (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
            (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
            (ECT_0, [Some(ECT_0), Some(ECT_1), Some(ECT_0), Some(CE)]),
            (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
        ] {
            for (outer, expected) in (0..).zip(row) {
                let sent = inner(CAROL, BOB, families.inner_ipv6, arriving_inner);
                let frame = tunnelled(families, outer, &sent);
                let Some(expected) = expected else {
                    world.assert_dropped(FROM_UNDERLAY, &frame, DropReason::Congestion);
                    continue;
                };
                let outcome = world.run(FROM_UNDERLAY, &frame);
                assert_eq!(outcome.verdict, REDIRECT, "inner {arriving_inner}, outer {outer}");
                assert_eq!(class(&outcome.frame), (DSCP, expected), "inner {arriving_inner}, outer {outer}");
                let mut restored = outcome.frame;
                set_class(&mut restored, DSCP, arriving_inner);
                assert_eq!(restored, sent, "nothing else changed");
            }
        }
    }
}
