//! TTL and hop limit: one less for each router (RFC 1812 section 5.3.1, RFC 8200 section 3).

use weft_dataplane_abi::DropReason;

use crate::buffer::Buffer;
use crate::headers::{ETHERNET_LEN, Ipv4, Ipv6};
use crate::ip::Version;
use crate::packet::Packet;

/// Whether no router may pass the packet on whose Ethernet header is at `frame`.
#[inline(always)]
pub fn is_spent(packet: &Packet<'_>, frame: usize, version: Version) -> Result<bool, DropReason> {
    let left = match version {
        Version::V4 => packet.get::<Ipv4>(frame + ETHERNET_LEN)?.ttl,
        Version::V6 => packet.get::<Ipv6>(frame + ETHERNET_LEN)?.hop_limit,
    };
    Ok(left <= 1)
}

/// Takes one off. [`is_spent`] has seen that something is left.
#[inline(always)]
pub fn decrement(buffer: &mut impl Buffer, version: Version) -> Result<(), DropReason> {
    let mut packet = buffer.packet();
    match version {
        Version::V4 => {
            let ip = packet.get_mut::<Ipv4>(ETHERNET_LEN)?;
            ip.ttl -= 1;
            // The TTL is the upper byte of its word: the sum falls by 0x0100, its complement rises (RFC 1624).
            // The header's sum stays zero as a whole, so a checksum over the packet does not change.
            let sum = u16::from_be_bytes(ip.checksum) as u32 + 0x0100;
            ip.checksum = ((sum + (sum >> 16)) as u16).to_be_bytes();
        }
        Version::V6 => {
            packet.get_mut::<Ipv6>(ETHERNET_LEN)?.hop_limit -= 1;
            // The hop limit is the lower byte of its word: minus one, as a one's complement number in wire order.
            buffer.checksum_changed(u16::from_ne_bytes([0xff, 0xfe]));
        }
    }
    Ok(())
}
