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
    let layout = layout(packet, frame)?;
    Ok((layout.offset == 0).then_some((layout.protocol, layout.at)))
}

/// What an IPv6 packet is made of.
pub struct Layout {
    /// The protocol behind the extension headers; of a later fragment, what the first begins with.
    pub protocol: u8,
    /// Where the rest of the packet begins in the frame.
    pub at: usize,
    /// Of a fragment: where it belongs in the packet, in units of eight bytes.
    pub offset: u16,
    /// Whether it is a fragment.
    pub is_fragment: bool,
    /// Of a fragment: which packet it is of.
    pub identification: u32,
}

/// Follows the extension headers up to the transport header, or to the rest of a later fragment.
#[inline(always)]
pub fn layout(packet: &Packet<'_>, frame: usize) -> Result<Layout, DropReason> {
    let (mut is_fragment, mut identification) = (false, 0);
    let mut next = packet.get::<Ipv6>(frame + ETHERNET_LEN)?.next_header;
    let mut at = frame + ETHERNET_LEN + IPV6_LEN;
    for _ in 0..MOST {
        if !is_extension(next) {
            return Ok(Layout { protocol: next, at, offset: 0, is_fragment, identification });
        }
        if at > LAST_START {
            break;
        }
        let Ok(&[following, length, high, low]) = packet.get::<[u8; READ]>(at) else { break };
        if next == FRAGMENT {
            if let Ok(number) = packet.get::<[u8; 4]>(at + READ) {
                identification = u32::from_be_bytes(*number);
            }
            // The upper thirteen bits are the offset of a later fragment.
            let offset = u16::from_be_bytes([high, low]) >> 3;
            if offset != 0 {
                return Ok(Layout {
                    protocol: following,
                    at: at + 8,
                    offset,
                    is_fragment: true,
                    identification,
                });
            }
            is_fragment = true;
        }
        at += match next {
            FRAGMENT => 8,
            AUTHENTICATION => (length as usize + 2) * 4,
            _ => (length as usize + 1) * 8,
        };
        next = following;
    }
    if is_extension(next) {
        return Err(DropReason::ExtensionHeaders);
    }
    Ok(Layout { protocol: next, at, offset: 0, is_fragment, identification })
}

#[inline(always)]
fn is_extension(next_header: u8) -> bool {
    matches!(next_header, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}
