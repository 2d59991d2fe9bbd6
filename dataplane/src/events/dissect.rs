//! The first bytes of a dropped packet, taken apart as far as they go. Whatever they are, nothing here fails: a header
//! that makes no sense ends the dissection.

use std::net::IpAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, LinkSlice, TransportSlice};
use weft_vxlan::{HEADER_LEN, Header, MacAddr, Vni, Vtep};

/// The outer headers of a packet from another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnel {
    /// The VTEP that sent it, or says so.
    pub vtep: Vtep,
    /// The VNI; `None` if the VXLAN header has no valid one.
    pub vni: Option<Vni>,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Source MAC.
    pub source_mac: MacAddr,
    /// Destination MAC.
    pub destination_mac: MacAddr,
    /// EtherType behind the MACs.
    pub ethertype: u16,
    /// What it carries, if it is IP or ARP.
    pub packet: Option<Packet>,
}

/// An IP or ARP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Source address; ARP's sender.
    pub source: IpAddr,
    /// Destination address; ARP's target.
    pub destination: IpAddr,
    /// IP protocol number of what follows the IP headers; `None` for ARP, or if they do not end in sight.
    pub protocol: Option<u8>,
    /// The header of layer 4.
    pub transport: Option<Transport>,
}

/// What tells packets of one protocol apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP and UDP.
    Ports {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// ICMP and ICMPv6.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
}

/// A frame.
pub(super) fn frame(head: &[u8]) -> Option<Frame> {
    let sliced = LaxSlicedPacket::from_ethernet(head).ok()?;
    let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link else { return None };
    Some(Frame {
        source_mac: MacAddr::new(ethernet.source()),
        destination_mac: MacAddr::new(ethernet.destination()),
        ethertype: ethernet.ether_type().0,
        packet: packet(&sliced),
    })
}

/// A frame in VXLAN to UDP port `port`; or one whose outer headers are already off.
pub(super) fn tunnelled(head: &[u8], port: u16) -> (Option<Tunnel>, Option<Frame>) {
    let sliced = LaxSlicedPacket::from_ethernet(head).ok();
    let outer = sliced.and_then(|sliced| {
        let Some(TransportSlice::Udp(udp)) = &sliced.transport else { return None };
        let vtep = Vtep::new(addresses(&sliced)?.0).ok()?;
        (udp.destination_port() == port).then(|| (vtep, udp.payload()))
    });
    let Some((vtep, payload)) = outer else { return (None, frame(head)) };
    let Some((header, inner)) = payload.split_first_chunk::<HEADER_LEN>() else {
        return (Some(Tunnel { vtep, vni: None }), None);
    };
    let vni = Header::decode(*header).ok().map(|header| header.vni);
    (Some(Tunnel { vtep, vni }), frame(inner))
}

fn addresses(sliced: &LaxSlicedPacket<'_>) -> Option<(IpAddr, IpAddr)> {
    let ipv4 = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    match sliced.net.as_ref()? {
        LaxNetSlice::Ipv4(v4) => {
            Some((v4.header().source_addr().into(), v4.header().destination_addr().into()))
        }
        LaxNetSlice::Ipv6(v6) => {
            Some((v6.header().source_addr().into(), v6.header().destination_addr().into()))
        }
        LaxNetSlice::Arp(arp) => Some((ipv4(arp.sender_protocol_addr())?, ipv4(arp.target_protocol_addr())?)),
    }
}

fn packet(sliced: &LaxSlicedPacket<'_>) -> Option<Packet> {
    let (source, destination) = addresses(sliced)?;
    let transport = match &sliced.transport {
        Some(TransportSlice::Udp(udp)) => {
            Some(Transport::Ports { source: udp.source_port(), destination: udp.destination_port() })
        }
        Some(TransportSlice::Tcp(tcp)) => {
            Some(Transport::Ports { source: tcp.source_port(), destination: tcp.destination_port() })
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            Some(Transport::Icmp { kind: icmp.type_u8(), code: icmp.code_u8() })
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            Some(Transport::Icmp { kind: icmp.type_u8(), code: icmp.code_u8() })
        }
        Some(TransportSlice::Igmp(_)) | None => None,
    };
    let protocol = sliced.ip_payload().map(|payload| payload.ip_number.0);
    Some(Packet { source, destination, protocol, transport })
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
    const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];

    fn inner() -> Vec<u8> {
        let mut frame = Vec::new();
        let builder = PacketBuilder::ethernet2(A, B).ipv6([0xfd; 16], [0xfe; 16], 64).tcp(4000, 443, 1, 1);
        builder.write(&mut frame, &[0; 1200]).unwrap();
        frame
    }

    fn outer(port: u16, header: [u8; 8]) -> Vec<u8> {
        let payload = [&header[..], &inner()].concat();
        let mut frame = Vec::new();
        let builder =
            PacketBuilder::ethernet2(A, B).ipv4([192, 0, 2, 7], [192, 0, 2, 1], 64).udp(50_000, port);
        builder.write(&mut frame, &payload).unwrap();
        frame
    }

    fn tcp() -> Packet {
        Packet {
            source: [0xfd_u8; 16].into(),
            destination: [0xfe_u8; 16].into(),
            protocol: Some(6),
            transport: Some(Transport::Ports { source: 4000, destination: 443 }),
        }
    }

    #[test]
    fn the_inner_packet_of_a_tunnel_by_its_first_bytes() {
        let vtep = Vtep::new([192, 0, 2, 7].into()).unwrap();
        for (header, vni) in [([8, 0, 0, 0, 0, 0x13, 0x88, 0], Some(Vni::new(5000).unwrap())), ([0; 8], None)]
        {
            let (tunnel, frame) = tunnelled(&outer(4789, header)[..160], 4789);
            assert_eq!(tunnel, Some(Tunnel { vtep, vni }));
            let frame = frame.unwrap();
            assert_eq!((frame.source_mac.bytes(), frame.ethertype), (A, 0x86dd));
            assert_eq!(frame.packet, Some(tcp()));
        }
    }

    #[test]
    fn a_frame_without_its_outer_headers() {
        let (tunnel, frame) = tunnelled(&inner()[..160], 4789);
        assert_eq!((tunnel, frame.unwrap().packet), (None, Some(tcp())));
    }

    #[test]
    fn arp_is_told_by_its_addresses() {
        let arp = etherparse::ArpPacket::new(
            etherparse::ArpHardwareId::ETHERNET,
            etherparse::EtherType::IPV4,
            etherparse::ArpOperation::REQUEST,
            &A,
            &[10, 0, 0, 1],
            &[0; 6],
            &[10, 0, 0, 2],
        );
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2(A, [0xff; 6]).arp(arp.unwrap()).write(&mut bytes).unwrap();
        let packet = frame(&bytes).unwrap().packet.unwrap();
        assert_eq!((packet.source, packet.destination), ([10, 0, 0, 1].into(), [10, 0, 0, 2].into()));
        assert_eq!((packet.protocol, packet.transport), (None, None));
    }

    #[test]
    fn every_beginning_of_a_packet_is_told_without_a_panic() {
        let whole = outer(4789, [8, 0, 0, 0, 0, 0, 1, 0]);
        for length in 0..=160 {
            let (tunnel, _) = tunnelled(&whole[..length], 4789);
            assert_eq!(tunnel.is_some(), length >= 42, "{length}");
            let frame = frame(&whole[..length]);
            assert_eq!(frame.is_some(), length >= 14, "{length}");
        }
        for byte in 0..160 {
            let mut damaged = whole.clone();
            damaged[byte] ^= 0xff;
            // Whatever it makes of it.
            let _ = tunnelled(&damaged[..160], 4789);
        }
    }
}
