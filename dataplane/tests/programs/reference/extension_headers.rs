//! IPv6 extension headers (RFC 8200 section 4): what they lead to.

use weft_dataplane_abi::DropReason;

use super::parse::{ETHERNET, ICMPV6};

/// So many are followed, and so far into the packet that arrived.
const MOST: usize = 8;
const REACH: usize = 512;

/// What follows the IPv6 header.
pub enum Leads {
    /// To this protocol, whose header is at this offset of the packet that arrived.
    To(u8, usize),
    /// To a part of something that only the first fragment tells.
    Nowhere,
}

/// Follows the headers of the IPv6 packet of the frame at `frame` in the packet that arrived.
pub fn follow(arrived: &[u8], frame: usize) -> Result<Leads, DropReason> {
    let mut next = *arrived.get(frame + ETHERNET + 6).ok_or(DropReason::Malformed)?;
    let mut at = frame + ETHERNET + 40;
    let mut followed = 0;
    while is_extension(next) {
        if followed == MOST || at > REACH {
            return Err(DropReason::ExtensionHeaders);
        }
        let Some(header) = arrived.get(at..at + 4) else { return Err(DropReason::ExtensionHeaders) };
        let length = usize::from(header[1]);
        if next == 44 && (header[2] != 0 || header[3] & 0xf8 != 0) {
            return Ok(Leads::Nowhere);
        }
        at += match next {
            44 => 8,
            51 => length * 4 + 8,
            _ => length * 8 + 8,
        };
        next = header[0];
        followed += 1;
    }
    Ok(Leads::To(next, at))
}

/// Whether the packet is neighbour or router discovery; an error if that hides behind extension headers, or may: the
/// message's first bytes are not there.
pub fn is_discovery(arrived: &[u8], frame: usize) -> Result<bool, DropReason> {
    let direct = arrived.get(frame + ETHERNET + 6) == Some(&ICMPV6);
    let Leads::To(ICMPV6, at) = follow(arrived, frame)? else { return Ok(false) };
    match arrived.get(at..at + 4) {
        // Router solicitation to redirect (RFC 4861 section 4).
        Some(icmp) if !(133..=137).contains(&icmp[0]) => Ok(false),
        Some(_) if direct => Ok(true),
        None if direct => Ok(false),
        Some(_) | None => Err(DropReason::ExtensionHeaders),
    }
}

/// Hop-by-hop options, routing, fragment, authentication, destination options.
fn is_extension(next: u8) -> bool {
    [0, 43, 44, 51, 60].contains(&next)
}
