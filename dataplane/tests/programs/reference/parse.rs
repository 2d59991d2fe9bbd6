//! Headers, read from slices.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weft_dataplane_abi::DropReason;

use super::Mac;

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;

/// Family of an IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bytes of the header without options.
    pub fn header(self) -> usize {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }

    pub fn ethertype(self) -> u16 {
        match self {
            Self::V4 => 0x0800,
            Self::V6 => 0x86dd,
        }
    }
}

pub fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub fn mac(bytes: &[u8], at: usize) -> Option<Mac> {
    bytes.get(at..at + 6)?.try_into().ok()
}

pub fn ipv4(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(octets).into())
}

pub fn ipv6(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(Ipv6Addr::from(octets).into())
}

/// Whether it is for many (IEEE 802: the group bit).
pub fn is_group(mac: Mac) -> bool {
    mac[0] & 1 == 1
}

/// An Ethernet header.
pub struct Ethernet {
    pub destination: Mac,
    pub source: Mac,
    pub ethertype: u16,
}

impl Ethernet {
    pub fn read(frame: &[u8]) -> Result<Self, DropReason> {
        let read = || {
            Some(Self { destination: mac(frame, 0)?, source: mac(frame, 6)?, ethertype: word(frame, 12)? })
        };
        read().ok_or(DropReason::Malformed)
    }

    pub fn family(&self) -> Result<Family, DropReason> {
        match self.ethertype {
            0x0800 => Ok(Family::V4),
            0x86dd => Ok(Family::V6),
            _ => Err(DropReason::UnsupportedEthertype),
        }
    }
}

/// A whole IP packet: its header does not contradict itself, and it is no longer than what carries it.
#[derive(Debug, Clone, Copy)]
pub struct Ip {
    pub family: Family,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hops: u8,
    /// Protocol, or next header.
    pub protocol: u8,
    pub ecn: u8,
    /// Bytes of the header, with IPv4 options.
    pub header: usize,
    /// Bytes of the packet, as its header says.
    pub total: usize,
    /// Whether it is the first or a later part of a fragmented IPv4 packet; the offset of a later one.
    pub more_fragments: bool,
    pub fragment_offset: u16,
}

impl Ip {
    /// Reads the packet at the beginning of `bytes` (RFC 1812 section 5.2.2, RFC 8200 section 3).
    pub fn read(family: Family, bytes: &[u8]) -> Result<Self, DropReason> {
        let ip = match family {
            Family::V4 => Self::read_v4(bytes),
            Family::V6 => Self::read_v6(bytes),
        };
        ip.filter(|ip| ip.header <= ip.total && ip.total <= bytes.len()).ok_or(DropReason::Malformed)
    }

    fn read_v4(bytes: &[u8]) -> Option<Self> {
        let first = byte(bytes, 0)?;
        if first >> 4 != 4 || first & 0xf < 5 {
            return None;
        }
        let fragment = word(bytes, 6)?;
        Some(Self {
            family: Family::V4,
            source: ipv4(bytes, 12)?,
            destination: ipv4(bytes, 16)?,
            hops: byte(bytes, 8)?,
            protocol: byte(bytes, 9)?,
            ecn: byte(bytes, 1)? & 3,
            header: usize::from(first & 0xf) * 4,
            total: word(bytes, 2)?.into(),
            more_fragments: fragment & 0x2000 != 0,
            fragment_offset: fragment & 0x1fff,
        })
    }

    fn read_v6(bytes: &[u8]) -> Option<Self> {
        let first = byte(bytes, 0)?;
        if first >> 4 != 6 {
            return None;
        }
        Some(Self {
            family: Family::V6,
            source: ipv6(bytes, 8)?,
            destination: ipv6(bytes, 24)?,
            hops: byte(bytes, 7)?,
            protocol: byte(bytes, 6)?,
            ecn: byte(bytes, 1)? >> 4 & 3,
            header: 40,
            total: usize::from(word(bytes, 4)?) + 40,
            more_fragments: false,
            fragment_offset: 0,
        })
    }
}
