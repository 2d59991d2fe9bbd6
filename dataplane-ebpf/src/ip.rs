//! The network header of a tenant's packet: checked, and reduced to what routing needs.

use weft_dataplane_abi::{DropReason, IpKey, VtepAddr};

use crate::headers::{
    ETHERNET_LEN, Ethernet, IPV6_LEN, Ipv4, Ipv6, OUTER_IPV4_LEN, OUTER_IPV6_LEN, ethertype,
};
use crate::packet::Packet;

/// IP version.
#[derive(Clone, Copy, PartialEq)]
pub enum Version {
    V4,
    V6,
}

impl Version {
    /// The version that an EtherType announces.
    #[inline(always)]
    pub fn of(ethertype: [u8; 2]) -> Result<Self, DropReason> {
        match ethertype {
            ethertype::IPV4 => Ok(Self::V4),
            ethertype::IPV6 => Ok(Self::V6),
            _ => Err(DropReason::UnsupportedEthertype),
        }
    }

    /// The EtherType that announces the version.
    #[inline(always)]
    pub fn ethertype(self) -> [u8; 2] {
        match self {
            Self::V4 => ethertype::IPV4,
            Self::V6 => ethertype::IPV6,
        }
    }

    /// The version of a VTEP's address.
    #[inline(always)]
    pub fn of_vtep(vtep: &VtepAddr) -> Self {
        if vtep.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bytes in front of the inner Ethernet header in a tunnel over this version.
    #[inline(always)]
    pub const fn outer_len(self) -> usize {
        match self {
            Self::V4 => OUTER_IPV4_LEN,
            Self::V6 => OUTER_IPV6_LEN,
        }
    }
}

/// Checks the header behind the Ethernet header at `frame`, in a packet whose frame has `len` bytes there, and
/// returns the destination within `network`.
#[inline(always)]
pub fn destination(
    packet: &Packet<'_>,
    frame: usize,
    len: u32,
    version: Version,
    network: u32,
) -> Result<IpKey, DropReason> {
    let available = (len as usize).saturating_sub(ETHERNET_LEN);
    match version {
        Version::V4 => {
            let ip = ipv4(packet, frame)?;
            let total = u16::from_be_bytes(ip.total_length) as usize;
            if total < ip.header_len() || total > available {
                return Err(DropReason::Malformed);
            }
            Ok(IpKey::ipv4(network, ip.destination))
        }
        Version::V6 => {
            check_ipv6_length(packet, frame, len)?;
            Ok(IpKey::ipv6(network, ipv6(packet, frame)?.destination))
        }
    }
}

/// Checks that the IPv6 packet behind the Ethernet header at `frame` is all there, in a frame of `len` bytes.
#[inline(always)]
pub fn check_ipv6_length(packet: &Packet<'_>, frame: usize, len: u32) -> Result<(), DropReason> {
    let available = (len as usize).saturating_sub(ETHERNET_LEN);
    let ip = ipv6(packet, frame)?;
    if u16::from_be_bytes(ip.payload_length) as usize + IPV6_LEN > available {
        return Err(DropReason::Malformed);
    }
    Ok(())
}

/// The source of the packet behind the Ethernet header at `frame`, within `network`.
#[inline(always)]
pub fn source(
    packet: &Packet<'_>,
    frame: usize,
    version: Version,
    network: u32,
) -> Result<IpKey, DropReason> {
    Ok(match version {
        Version::V4 => IpKey::ipv4(network, ipv4(packet, frame)?.source),
        Version::V6 => IpKey::ipv6(network, ipv6(packet, frame)?.source),
    })
}

/// The IPv4 header behind the Ethernet header at `frame`.
#[inline(always)]
pub fn ipv4<'a>(packet: &'a Packet<'_>, frame: usize) -> Result<&'a Ipv4, DropReason> {
    let ip = packet.get::<Ipv4>(frame + ETHERNET_LEN)?;
    if ip.version_ihl >> 4 != 4 || ip.version_ihl & 0xf < 5 {
        return Err(DropReason::Malformed);
    }
    Ok(ip)
}

/// The IPv6 header behind the Ethernet header at `frame`.
#[inline(always)]
pub fn ipv6<'a>(packet: &'a Packet<'_>, frame: usize) -> Result<&'a Ipv6, DropReason> {
    let ip = packet.get::<Ipv6>(frame + ETHERNET_LEN)?;
    if ip.version_class_flow[0] >> 4 != 6 {
        return Err(DropReason::Malformed);
    }
    Ok(ip)
}

/// Writes the MACs of the frame that starts the packet.
#[inline(always)]
pub fn set_macs(packet: &mut Packet<'_>, destination: [u8; 6], source: [u8; 6]) -> Result<(), DropReason> {
    let ethernet = packet.get_mut::<Ethernet>(0)?;
    ethernet.destination = destination;
    ethernet.source = source;
    Ok(())
}
