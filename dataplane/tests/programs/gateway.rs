//! The gateway answers ping, and says that it has no UDP and TCP ports.

use etherparse::{
    IcmpEchoHeader, Icmpv4Type, Icmpv6Type, NetSlice, PacketBuilder, SlicedPacket, TransportSlice,
};
use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::programs::FROM_POD;

use crate::world::*;

const GATEWAY4: [u8; 4] = [10, 0, 0, 1];
const OTHER_GATEWAY4: [u8; 4] = [10, 0, 1, 1];
const GATEWAY6: [u8; 16] = [0xfd, 0, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// Odd, so that the checksum covers a padded byte.
const PAYLOAD: [u8; 57] = [0xa5; 57];
const ECHO: IcmpEchoHeader = IcmpEchoHeader { id: 0x1234, seq: 7 };

#[test]
fn ping_over_ipv4() {
    let Some(mut world) = World::load() else { return };
    for gateway in [GATEWAY4, OTHER_GATEWAY4] {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(ALICE.mac.bytes(), GATEWAY_MAC.bytes())
            .ipv4(ALICE.ipv4.octets(), gateway, 3)
            .icmpv4_echo_request(ECHO.id, ECHO.seq)
            .write(&mut frame, &PAYLOAD)
            .unwrap();
        let outcome = world.run(FROM_POD, &frame);
        assert_eq!(outcome.verdict, REDIRECT);
        assert_eq!(outcome.frame[..6], ALICE.mac.bytes());
        assert_eq!(outcome.frame[6..12], GATEWAY_MAC.bytes());
        let reply = SlicedPacket::from_ethernet(&outcome.frame).unwrap();
        let Some(NetSlice::Ipv4(ip)) = reply.net else { panic!("no IPv4 header") };
        let header = ip.header().to_header();
        assert_eq!((header.source, header.destination), (gateway, ALICE.ipv4.octets()));
        assert_eq!(header.time_to_live, 64);
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        let Some(TransportSlice::Icmpv4(icmp)) = reply.transport else { panic!("no ICMP header") };
        assert_eq!(icmp.icmp_type(), Icmpv4Type::EchoReply(ECHO));
        assert_eq!(icmp.payload(), PAYLOAD);
        let expected = Icmpv4Type::EchoReply(ECHO).calc_checksum(&PAYLOAD);
        assert_eq!(icmp.checksum(), expected);
    }
}

#[test]
fn ping_over_ipv6() {
    let Some(mut world) = World::load() else { return };
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(ALICE.mac.bytes(), GATEWAY_MAC.bytes())
        .ipv6(ALICE.ipv6.octets(), GATEWAY6, 3)
        .icmpv6_echo_request(ECHO.id, ECHO.seq)
        .write(&mut frame, &PAYLOAD)
        .unwrap();
    let outcome = world.run(FROM_POD, &frame);
    assert_eq!(outcome.verdict, REDIRECT);
    let reply = SlicedPacket::from_ethernet(&outcome.frame).unwrap();
    let Some(NetSlice::Ipv6(ip)) = reply.net else { panic!("no IPv6 header") };
    assert_eq!((ip.header().source(), ip.header().destination()), (GATEWAY6, ALICE.ipv6.octets()));
    assert_eq!(ip.header().hop_limit(), 64);
    let Some(TransportSlice::Icmpv6(icmp)) = reply.transport else { panic!("no ICMPv6 header") };
    assert_eq!(icmp.icmp_type(), Icmpv6Type::EchoReply(ECHO));
    let expected =
        Icmpv6Type::EchoReply(ECHO).calc_checksum(GATEWAY6, ALICE.ipv6.octets(), &PAYLOAD).unwrap();
    assert_eq!(icmp.checksum(), expected);
}

#[test]
fn nothing_else() {
    let Some(mut world) = World::load() else { return };
    let mut reply = Vec::new();
    PacketBuilder::ethernet2(ALICE.mac.bytes(), GATEWAY_MAC.bytes())
        .ipv4(ALICE.ipv4.octets(), GATEWAY4, 64)
        .icmpv4_echo_reply(ECHO.id, ECHO.seq)
        .write(&mut reply, &PAYLOAD)
        .unwrap();
    world.assert_dropped(FROM_POD, &reply, DropReason::NotForGateway);
    // OSPF, to make an example of what has no ports.
    reply[23] = 89;
    world.assert_dropped(FROM_POD, &reply, DropReason::NotForGateway);
}
