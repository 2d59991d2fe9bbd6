//! IPv6 extension headers (RFC 8200 section 4): what is behind them, so that neighbour discovery cannot hide there.

use weft_dataplane_abi::DropReason;

use crate::headers::{ETHERNET_LEN, IPV6_LEN, Ipv6, protocol};
use crate::packet::Packet;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// Extension headers that are followed; honest packets have one or two.
const MOST: usize = 8;
/// Offset in the frame up to which they may begin.
const LAST_START: usize = 512;
/// What is read of each: next header, length, and the fragment offset.
const READ: usize = 4;
/// Bytes from the start of the frame within which all is that is read of them.
pub const REACH: u32 = (LAST_START + READ) as u32;

/// Whether the IPv6 header of the frame at `frame` is followed by an extension header.
#[inline(always)]
pub fn follow(packet: &Packet<'_>, frame: usize) -> bool {
    match packet.get::<Ipv6>(frame + ETHERNET_LEN) {
        Ok(ip) => is_extension(ip.next_header),
        Err(_) => false,
    }
}

/// Offset of the ICMPv6 message behind the extension headers, if that is what they lead to.
#[inline(always)]
pub fn icmpv6_behind(packet: &Packet<'_>, frame: usize) -> Result<Option<usize>, DropReason> {
    match transport(packet, frame)? {
        Some((protocol::ICMPV6, at)) => Ok(Some(at)),
        _ => Ok(None),
    }
}

/// What the extension headers, if any, lead to, and its offset. Of a fragmented packet only the first fragment says so,
/// and must say so (RFC 7112); `None` for the others.
#[inline(always)]
pub fn transport(packet: &Packet<'_>, frame: usize) -> Result<Option<(u8, usize)>, DropReason> {
    let mut next = packet.get::<Ipv6>(frame + ETHERNET_LEN)?.next_header;
    let mut at = frame + ETHERNET_LEN + IPV6_LEN;
    for _ in 0..MOST {
        if !is_extension(next) {
            return Ok(Some((next, at)));
        }
        if at > LAST_START {
            break;
        }
        let Ok(&[following, length, high, low]) = packet.get::<[u8; READ]>(at) else { break };
        // The upper thirteen bits are the offset of a later fragment.
        if next == FRAGMENT && u16::from_be_bytes([high, low]) & 0xfff8 != 0 {
            return Ok(None);
        }
        at += match next {
            FRAGMENT => 8,
            AUTHENTICATION => (length as usize + 2) * 4,
            _ => (length as usize + 1) * 8,
        };
        next = following;
    }
    if is_extension(next) { Err(DropReason::ExtensionHeaders) } else { Ok(Some((next, at))) }
}

#[inline(always)]
fn is_extension(next_header: u8) -> bool {
    matches!(next_header, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}
