//! Header layouts, as bytes in wire order, and where they start.

use crate::packet::Wire;

/// Bytes of an Ethernet header: offset of the network header.
pub const ETHERNET_LEN: usize = 14;
/// Bytes of an IPv4 header without options.
pub const IPV4_LEN: usize = 20;
/// Bytes of an IPv6 header.
pub const IPV6_LEN: usize = 40;
/// Bytes in front of the inner Ethernet header: outer Ethernet, IPv4, UDP, VXLAN.
pub const OUTER_IPV4_LEN: usize = ETHERNET_LEN + IPV4_LEN + 8 + weft_vxlan::HEADER_LEN;

/// EtherTypes (IEEE 802 numbers).
pub mod ethertype {
    pub const IPV4: [u8; 2] = [0x08, 0x00];
    pub const ARP: [u8; 2] = [0x08, 0x06];
    pub const IPV6: [u8; 2] = [0x86, 0xdd];
}

/// IP protocol numbers.
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
}

/// Ethernet II.
#[repr(C)]
pub struct Ethernet {
    pub destination: [u8; 6],
    pub source: [u8; 6],
    pub ethertype: [u8; 2],
}
// SAFETY: bytes only.
unsafe impl Wire for Ethernet {}

/// IPv4 without options (RFC 791 section 3.1).
#[repr(C)]
pub struct Ipv4 {
    pub version_ihl: u8,
    pub tos: u8,
    pub total_length: [u8; 2],
    pub identification: [u8; 2],
    pub flags_fragment: [u8; 2],
    pub ttl: u8,
    pub protocol: u8,
    pub checksum: [u8; 2],
    pub source: [u8; 4],
    pub destination: [u8; 4],
}
// SAFETY: bytes only.
unsafe impl Wire for Ipv4 {}

impl Ipv4 {
    /// Whether it is a part of a fragmented packet: more fragments follow, or it is not the first.
    #[inline(always)]
    pub fn is_fragment(&self) -> bool {
        u16::from_be_bytes(self.flags_fragment) & 0x3fff != 0
    }

    /// Whether it is a later part of a fragmented packet, without the transport header.
    #[inline(always)]
    pub fn is_later_fragment(&self) -> bool {
        u16::from_be_bytes(self.flags_fragment) & 0x1fff != 0
    }

    /// Bytes of the header, options included.
    #[inline(always)]
    pub fn header_len(&self) -> usize {
        (self.version_ihl & 0xf) as usize * 4
    }
}

/// IPv6 (RFC 8200 section 3).
#[repr(C)]
pub struct Ipv6 {
    pub version_class_flow: [u8; 4],
    pub payload_length: [u8; 2],
    pub next_header: u8,
    pub hop_limit: u8,
    pub source: [u8; 16],
    pub destination: [u8; 16],
}
// SAFETY: bytes only.
unsafe impl Wire for Ipv6 {}

/// UDP (RFC 768).
#[repr(C)]
pub struct Udp {
    pub source: [u8; 2],
    pub destination: [u8; 2],
    pub length: [u8; 2],
    pub checksum: [u8; 2],
}
// SAFETY: bytes only.
unsafe impl Wire for Udp {}

/// ARP for IPv4 over Ethernet (RFC 826).
#[repr(C)]
pub struct Arp {
    pub formats: [u8; 6],
    pub operation: [u8; 2],
    pub sender_mac: [u8; 6],
    pub sender_ip: [u8; 4],
    pub target_mac: [u8; 6],
    pub target_ip: [u8; 4],
}
// SAFETY: bytes only.
unsafe impl Wire for Arp {}

/// The first bytes of ICMP (RFC 792) and ICMPv6 (RFC 4443 section 2.1).
#[repr(C)]
pub struct Icmp {
    pub kind: u8,
    pub code: u8,
    pub checksum: [u8; 2],
}
// SAFETY: bytes only.
unsafe impl Wire for Icmp {}
