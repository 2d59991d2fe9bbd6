//! Explicit congestion notification through the tunnel (RFC 6040): the outer header starts with the tenant's ECN field
//! (normal mode, section 4.1), and what routers of the underlay said is combined with it at the end (section 4.2).
//!
//! DSCP stays zero outside: the underlay's classes are not the tenants' to choose (RFC 2983 section 3.1, pipe model).

use weft_dataplane_abi::DropReason;

use crate::checksum::updated;
use crate::headers::{ETHERNET_LEN, Ipv4, Ipv6};
use crate::ip::Version;
use crate::packet::Packet;
use crate::skb::Skb;

const NOT_CAPABLE: u8 = 0b00;
const CAPABLE_1: u8 = 0b01;
const CAPABLE_0: u8 = 0b10;
const CONGESTED: u8 = 0b11;

/// The ECN field of the packet behind the Ethernet header at `frame`.
#[inline(always)]
pub fn field(packet: &Packet<'_>, frame: usize, version: Version) -> Result<u8, DropReason> {
    Ok(match version {
        Version::V4 => packet.get::<Ipv4>(frame + ETHERNET_LEN)?.tos & 0b11,
        Version::V6 => packet.get::<Ipv6>(frame + ETHERNET_LEN)?.version_class_flow[1] >> 4 & 0b11,
    })
}

/// Whether an outer field says more than the tenant's own, which it started as: nearly no packet's does.
#[inline(always)]
pub fn is_news(outer: u8) -> bool {
    outer == CONGESTED || outer == CAPABLE_1
}

/// Combines the `outer` field with that of the packet in the tunnel, whose Ethernet header is at `frame`.
#[inline(always)]
pub fn combine(skb: &mut Skb, frame: usize, version: Version, outer: u8) -> Result<(), DropReason> {
    if !is_news(outer) {
        return Ok(());
    }
    let inner = field(&skb.packet(), frame, version)?;
    let combined = match (inner, outer) {
        (NOT_CAPABLE, CONGESTED) => return Err(DropReason::Congestion),
        (CAPABLE_0 | CAPABLE_1, CONGESTED) => CONGESTED,
        (CAPABLE_0, CAPABLE_1) => CAPABLE_1,
        _ => return Ok(()),
    };
    let mut packet = skb.packet();
    match version {
        Version::V4 => {
            let ip = packet.get_mut::<Ipv4>(frame + ETHERNET_LEN)?;
            let old = u16::from_be_bytes([ip.version_ihl, ip.tos]);
            ip.tos = ip.tos & !0b11 | combined;
            // The header's sum stays zero as a whole, so a checksum over the packet does not change.
            ip.checksum = updated(ip.checksum, old, u16::from_be_bytes([ip.version_ihl, ip.tos]));
        }
        Version::V6 => {
            let ip = packet.get_mut::<Ipv6>(frame + ETHERNET_LEN)?;
            let [first, old, ..] = ip.version_class_flow;
            let new = old & !0b11_0000 | combined << 4;
            ip.version_class_flow[1] = new;
            let sum = u16::from_ne_bytes([first, new]) as u32 + !u16::from_ne_bytes([first, old]) as u32;
            skb.checksum_changed((sum + (sum >> 16)) as u16);
        }
    }
    Ok(())
}
