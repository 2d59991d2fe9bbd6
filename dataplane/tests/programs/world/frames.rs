//! Frames of tenants, and what is around them in a tunnel.

use etherparse::PacketBuilder;
use weft_vxlan::UDP_PORT;

use super::{LOOPBACK_MAC, NEXT_HOP_MAC, Station, vni};

/// A TCP segment within the subnet.
pub fn tcp(from: Station, to: Station, (source, destination): (u16, u16), flags: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.mac.bytes(), to.mac.bytes())
        .ipv4(from.ipv4.octets(), to.ipv4.octets(), 64)
        .tcp(source, destination, 1, 1000)
        .write(&mut frame, &[])
        .unwrap();
    frame[14 + 20 + 13] = flags;
    frame
}

/// A request for a connection to port 80 between the link-local addresses of both.
pub fn link_local_syn(from: Station, to: Station, source: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.mac.bytes(), to.mac.bytes())
        .ipv6(from.mac.link_local().octets(), to.mac.link_local().octets(), 64)
        .tcp(source, 80, 1, 1000)
        .syn()
        .write(&mut frame, &[])
        .unwrap();
    frame
}

/// An ICMP error from `from` to `to` that quotes a packet.
pub fn unreachable(from: Station, to: Station, quoted: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let kind =
        etherparse::Icmpv4Type::DestinationUnreachable(etherparse::icmpv4::DestUnreachableHeader::Port);
    PacketBuilder::ethernet2(from.mac.bytes(), to.mac.bytes())
        .ipv4(from.ipv4.octets(), to.ipv4.octets(), 64)
        .icmpv4(kind)
        .write(&mut frame, &quoted[..28])
        .unwrap();
    frame
}

/// A UDP packet within the subnet.
pub fn udp(from: Station, to: Station, (source, destination): (u16, u16)) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.mac.bytes(), to.mac.bytes())
        .ipv4(from.ipv4.octets(), to.ipv4.octets(), 64)
        .udp(source, destination)
        .write(&mut frame, &[0; 8])
        .unwrap();
    frame
}

/// A ping within the subnet, or its answer.
pub fn echo(from: Station, to: Station, id: u16, asks: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    let header = etherparse::IcmpEchoHeader { id, seq: 1 };
    let builder = PacketBuilder::ethernet2(from.mac.bytes(), to.mac.bytes()).ipv4(
        from.ipv4.octets(),
        to.ipv4.octets(),
        64,
    );
    let kind = if asks {
        etherparse::Icmpv4Type::EchoRequest(header)
    } else {
        etherparse::Icmpv4Type::EchoReply(header)
    };
    builder.icmpv4(kind).write(&mut frame, &[0; 8]).unwrap();
    frame
}

/// The frame in VXLAN from the VTEP 192.0.2.`from` to ours.
pub fn through_tunnel(from: u8, number: u32, inner: &[u8]) -> Vec<u8> {
    let mut payload = weft_vxlan::Header { vni: vni(number) }.encode().to_vec();
    payload.extend(inner);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(NEXT_HOP_MAC.bytes(), LOOPBACK_MAC.bytes())
        .ipv4([192, 0, 2, from], [192, 0, 2, 1], 64)
        .udp(45000, UDP_PORT)
        .write(&mut frame, &payload)
        .unwrap();
    frame
}
