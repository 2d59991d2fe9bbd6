//! The outer headers of a received packet: whether it is VXLAN for us, and what they say.

use weft_dataplane_abi::{DropReason, HostConfig, VtepAddr};
use weft_vxlan::{HEADER_LEN, Header};

use crate::checksum;
use crate::headers::{ETHERNET_LEN, Ethernet, IPV4_LEN, IPV6_LEN, Ipv4, Ipv6, Udp, ethertype, protocol};
use crate::ip::Version;
use crate::packet::Packet;

/// What the outer headers say.
pub struct Tunnelled {
    /// Bytes of the inner frame.
    pub len: u32,
    /// The VTEP that sent it.
    pub remote: VtepAddr,
    /// The VNI, as the wire has it.
    pub vni: u32,
    /// What routers of the underlay said of congestion: the ECN field of the outer header.
    pub ecn: u8,
}

/// The outer IP version, if it is a whole UDP packet without IP options or extension headers to our VTEP's address and
/// VXLAN port. Fragments and options are left to the host's stack, whose vxlan device hands them to us when they are
/// whole.
#[inline(always)]
pub fn ours(packet: &Packet<'_>, host: &HostConfig) -> Option<Version> {
    let version = match packet.get::<Ethernet>(0).ok()?.ethertype {
        ethertype::IPV4 if is_ours_over_ipv4(packet, host) => Version::V4,
        ethertype::IPV6 if is_ours_over_ipv6(packet, host) => Version::V6,
        _ => return None,
    };
    Some(version)
}

#[inline(always)]
fn is_ours_over_ipv4(packet: &Packet<'_>, host: &HostConfig) -> bool {
    let (Ok(ip), Ok(udp)) = (packet.get::<Ipv4>(ETHERNET_LEN), packet.get::<Udp>(ETHERNET_LEN + IPV4_LEN))
    else {
        return false;
    };
    ip.version_ihl == 0x45
        && ip.protocol == protocol::UDP
        && VtepAddr::ipv4(ip.destination) == *host.vtep()
        && !ip.is_fragment()
        && udp.destination == host.udp_port()
}

/// Only without a UDP checksum: one that is there must be verified over IPv6 (RFC 6935 section 5, RFC 6936 section 4),
/// which the host's stack does before its vxlan device hands the packet to us.
#[inline(always)]
fn is_ours_over_ipv6(packet: &Packet<'_>, host: &HostConfig) -> bool {
    let (Ok(ip), Ok(udp)) = (packet.get::<Ipv6>(ETHERNET_LEN), packet.get::<Udp>(ETHERNET_LEN + IPV6_LEN))
    else {
        return false;
    };
    ip.version_class_flow[0] >> 4 == 6
        && ip.next_header == protocol::UDP
        && VtepAddr::ipv6(ip.destination) == *host.vtep()
        && udp.destination == host.udp_port()
        && udp.checksum == [0; 2]
}

/// Reads the sender and the VNI of a packet that is [`ours`] over `version`, in a frame of `frame` bytes. The lengths
/// in its headers agree with each other and are within the frame, and an IPv4 header's checksum is right: whoever takes a
/// packet off the wire must see to that (RFC 1122 section 3.2.1.2), and nobody behind us would.
#[inline(always)]
pub fn tunnelled(packet: &Packet<'_>, frame: u32, version: Version) -> Result<Tunnelled, DropReason> {
    let outer = version.outer_len();
    // Lengths of the IP packet as its header says, and of its header alone.
    let (total, header, remote, ecn) = match version {
        Version::V4 => {
            if !checksum::is_right(packet.get::<[u8; IPV4_LEN]>(ETHERNET_LEN)?) {
                return Err(DropReason::Malformed);
            }
            let ip = packet.get::<Ipv4>(ETHERNET_LEN)?;
            let total = u16::from_be_bytes(ip.total_length) as usize;
            (total, IPV4_LEN, VtepAddr::ipv4(ip.source), ip.tos & 0b11)
        }
        Version::V6 => {
            let ip = packet.get::<Ipv6>(ETHERNET_LEN)?;
            let total = u16::from_be_bytes(ip.payload_length) as usize + IPV6_LEN;
            let source = VtepAddr::ipv6(ip.source);
            // A mapped address on the wire would be taken for another host's IPv4 one.
            if source.is_ipv4() {
                return Err(DropReason::UnknownVtep);
            }
            (total, IPV6_LEN, source, ip.version_class_flow[1] >> 4 & 0b11)
        }
    };
    let udp = u16::from_be_bytes(packet.get::<Udp>(ETHERNET_LEN + header)?.length) as usize;
    if total + ETHERNET_LEN > frame as usize || udp + header != total || total + ETHERNET_LEN < outer {
        return Err(DropReason::Malformed);
    }
    let len = (total + ETHERNET_LEN - outer) as u32;
    match Header::decode(*packet.get::<[u8; HEADER_LEN]>(outer - HEADER_LEN)?) {
        Ok(header) => Ok(Tunnelled { len, remote, vni: header.vni.get(), ecn }),
        Err(_) => Err(DropReason::BadVxlanHeader),
    }
}
