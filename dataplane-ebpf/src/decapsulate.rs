//! The outer headers of a received packet: whether it is VXLAN for us, and what they say.

use weft_dataplane_abi::{DropReason, HostConfig, VtepAddr};
use weft_vxlan::{HEADER_LEN, Header};

use crate::headers::{ETHERNET_LEN, Ethernet, IPV4_LEN, Ipv4, OUTER_IPV4_LEN, Udp, ethertype, protocol};
use crate::packet::Packet;

const UDP: usize = ETHERNET_LEN + IPV4_LEN;
const VXLAN: usize = UDP + size_of::<Udp>();

/// What the outer headers say.
pub struct Tunnelled {
    /// Bytes of the inner frame.
    pub len: u32,
    /// The VTEP that sent it.
    pub remote: VtepAddr,
    /// The VNI, as the wire has it.
    pub vni: u32,
}

/// Whether it is a whole UDP packet without IP options to our VTEP's address and VXLAN port. Fragments and options
/// are left to the host's stack, whose vxlan device hands them to us when they are whole.
#[inline(always)]
pub fn is_ours(packet: &Packet<'_>, host: &HostConfig) -> bool {
    let (Ok(ethernet), Ok(ip), Ok(udp)) =
        (packet.get::<Ethernet>(0), packet.get::<Ipv4>(ETHERNET_LEN), packet.get::<Udp>(UDP))
    else {
        return false;
    };
    ethernet.ethertype == ethertype::IPV4
        && ip.version_ihl == 0x45
        && ip.protocol == protocol::UDP
        && ip.destination == host.vtep().ipv4_bytes()
        && !ip.is_fragment()
        && udp.destination == host.udp_port()
}

/// Reads the sender and the VNI of a packet that is ours, in a frame of `len` bytes. The lengths in its headers agree
/// with each other and are within the frame.
#[inline(always)]
pub fn tunnelled(packet: &Packet<'_>, len: u32) -> Result<Tunnelled, DropReason> {
    let ip = packet.get::<Ipv4>(ETHERNET_LEN)?;
    let total = u16::from_be_bytes(ip.total_length) as usize;
    let udp = u16::from_be_bytes(packet.get::<Udp>(UDP)?.length) as usize;
    if total + ETHERNET_LEN > len as usize || udp + IPV4_LEN != total || total + ETHERNET_LEN < OUTER_IPV4_LEN
    {
        return Err(DropReason::Malformed);
    }
    let len = (total + ETHERNET_LEN - OUTER_IPV4_LEN) as u32;
    let remote = VtepAddr::ipv4(ip.source);
    let header = Header::decode(*packet.get::<[u8; HEADER_LEN]>(VXLAN)?);
    match header {
        Ok(header) => Ok(Tunnelled { len, remote, vni: header.vni.get() }),
        Err(_) => Err(DropReason::BadVxlanHeader),
    }
}
