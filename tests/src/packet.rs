//! A captured frame, taken apart as far as tests ask.

use std::net::IpAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, LinkSlice, TransportSlice};
use weft_vxlan::{HEADER_LEN, Header, MacAddr, UDP_PORT};

/// Which way a frame went over the device that it was seen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the namespace, addressed to it or not.
    In,
    /// Out of the namespace.
    Out,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Its direction, seen from the namespace of the capture.
    pub direction: Direction,
    /// Bytes on the wire; a super-packet counts as one.
    pub length: usize,
    /// Source MAC.
    pub source_mac: MacAddr,
    /// Destination MAC.
    pub destination_mac: MacAddr,
    /// Ethertype.
    pub ethertype: u16,
    /// The IP packet inside, if it is one.
    pub ip: Option<Ip>,
    /// Sender's and target's protocol address, if it is ARP.
    pub arp: Option<(IpAddr, IpAddr)>,
}

/// An IP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ip {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hops: u8,
    /// Protocol number of what follows.
    pub protocol: u8,
    /// Source and destination port of TCP and UDP.
    pub ports: Option<(u16, u16)>,
    /// Flags of TCP.
    pub flags: Option<u8>,
    /// Payload of UDP, ICMP, or of a protocol that is not taken apart here, as far as captured; none of fragments.
    pub payload: Vec<u8>,
    /// What it carries, if it goes to VXLAN's UDP port.
    pub vxlan: Option<Box<Vxlan>>,
}

/// A VXLAN header and the frame in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vxlan {
    /// VNI; 0 if the header has no valid one.
    pub vni: u32,
    /// The tenant's frame.
    pub inner: Packet,
}

impl Packet {
    /// Takes a frame apart; `None` if it is too short for an Ethernet header.
    #[must_use]
    pub fn parse(direction: Direction, length: usize, frame: &[u8]) -> Option<Self> {
        let sliced = LaxSlicedPacket::from_ethernet(frame).ok()?;
        let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link else { return None };
        let mut arp = None;
        let addresses = match &sliced.net {
            Some(LaxNetSlice::Ipv4(v4)) => {
                let header = v4.header();
                Some((header.source_addr().into(), header.destination_addr().into(), header.ttl()))
            }
            Some(LaxNetSlice::Ipv6(v6)) => {
                let header = v6.header();
                Some((header.source_addr().into(), header.destination_addr().into(), header.hop_limit()))
            }
            Some(LaxNetSlice::Arp(found)) => {
                arp = Some((ipv4(found.sender_protocol_addr())?, ipv4(found.target_protocol_addr())?));
                None
            }
            None => None,
        };
        let ip = addresses.map(|(source, destination, hops)| {
            let mut ip = Ip {
                source,
                destination,
                hops,
                protocol: sliced.ip_payload().map_or(0, |payload| payload.ip_number.0),
                ports: None,
                flags: None,
                payload: Vec::new(),
                vxlan: None,
            };
            ip.add_transport(direction, sliced.transport.as_ref());
            if let (None, Some(payload)) = (&sliced.transport, sliced.ip_payload())
                && !payload.fragmented
            {
                ip.payload = payload.payload.to_vec();
            }
            ip
        });
        Some(Self {
            direction,
            length,
            source_mac: MacAddr::new(ethernet.source()),
            destination_mac: MacAddr::new(ethernet.destination()),
            ethertype: ethernet.ether_type().0,
            ip,
            arp,
        })
    }

    /// VNI and inner frame, if it is VXLAN.
    #[must_use]
    pub fn vxlan(&self) -> Option<&Vxlan> {
        self.ip.as_ref()?.vxlan.as_deref()
    }

    /// Whether `address` is its source or destination at the outermost level, be it IP or ARP.
    #[must_use]
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.ip.as_ref().is_some_and(|ip| ip.source == address || ip.destination == address)
            || self.arp.is_some_and(|(sender, target)| sender == address || target == address)
    }

    /// Whether its UDP or ICMP payload, at the outermost level, contains `text`.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.ip.as_ref().is_some_and(|ip| ip.payload.windows(text.len()).any(|window| window == text))
    }
}

impl Ip {
    fn add_transport(&mut self, direction: Direction, transport: Option<&TransportSlice<'_>>) {
        match transport {
            Some(TransportSlice::Udp(udp)) => {
                self.ports = Some((udp.source_port(), udp.destination_port()));
                self.payload = udp.payload().to_vec();
                if udp.destination_port() == UDP_PORT {
                    self.vxlan = vxlan(direction, udp.payload()).map(Box::new);
                }
            }
            Some(TransportSlice::Tcp(tcp)) => {
                self.ports = Some((tcp.source_port(), tcp.destination_port()));
                self.flags = tcp.slice().get(13).copied();
            }
            Some(TransportSlice::Icmpv4(icmp)) => self.payload = icmp.payload().to_vec(),
            Some(TransportSlice::Icmpv6(icmp)) => self.payload = icmp.payload().to_vec(),
            Some(TransportSlice::Igmp(_)) | None => {}
        }
    }
}

fn vxlan(direction: Direction, payload: &[u8]) -> Option<Vxlan> {
    let (header, frame) = payload.split_first_chunk::<HEADER_LEN>()?;
    let vni = Header::decode(*header).map_or(0, |header| header.vni.get());
    Some(Vxlan { vni, inner: Packet::parse(direction, frame.len(), frame)? })
}

fn ipv4(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from)
}
