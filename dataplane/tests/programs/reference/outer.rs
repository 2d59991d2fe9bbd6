//! The outer headers of what other hosts send (RFC 7348 section 5; docs/design/datapath.md, "Tunnels over IPv6").

use std::net::IpAddr;

use weft_dataplane_abi::DropReason;

use super::checksum;
use super::encapsulate::overhead;
use super::facts::Facts;
use super::parse::{ETHERNET, Ethernet, Family, UDP, byte, ipv4, ipv6, word};

/// What they say.
pub struct Outer {
    pub family: Family,
    pub remote: IpAddr,
    pub vni: u32,
    pub ecn: u8,
    /// Bytes of the inner frame, which is behind `front` bytes.
    pub inner: usize,
    pub front: usize,
}

/// The family that the frame is VXLAN to our VTEP over, if it is, without what only a host's stack can judge: options,
/// fragments, and over IPv6 a checksum.
pub fn ours(facts: &Facts, frame: &[u8]) -> Option<Family> {
    let family = Ethernet::read(frame).ok()?.family().ok()?;
    let udp = ETHERNET + family.header();
    frame.get(udp..udp + 8)?;
    let (plain, destination) = match family {
        Family::V4 => {
            let plain = byte(frame, 14)? == 0x45 && byte(frame, 23)? == UDP && word(frame, 20)? & 0x3fff == 0;
            (plain, ipv4(frame, 30)?)
        }
        Family::V6 => {
            let plain = byte(frame, 14)? >> 4 == 6 && byte(frame, 20)? == UDP && word(frame, udp + 6)? == 0;
            (plain, ipv6(frame, 38)?)
        }
    };
    let ours = plain && destination == facts.vtep && word(frame, udp + 2)? == 4789;
    ours.then_some(family)
}

/// Reads what is [`ours`].
pub fn read(frame: &[u8], family: Family) -> Result<Outer, DropReason> {
    let read = || {
        Some(match family {
            Family::V4 => (ipv4(frame, 26)?, usize::from(word(frame, 16)?), byte(frame, 15)? & 3),
            Family::V6 => (ipv6(frame, 22)?, usize::from(word(frame, 18)?) + 40, byte(frame, 15)? >> 4 & 3),
        })
    };
    let (remote, total, ecn) = read().ok_or(DropReason::Malformed)?;
    // RFC 1122 section 3.2.1.2; the header has no options. Summed up with its checksum, a right one is zero.
    if family == Family::V4 && checksum::sum(&frame[ETHERNET..ETHERNET + 20]) != 0 {
        return Err(DropReason::Malformed);
    }
    // Not another host's IPv4 address, by whatever way it is written.
    if let IpAddr::V6(remote) = remote
        && remote.to_ipv4_mapped().is_some()
    {
        return Err(DropReason::UnknownVtep);
    }
    let udp = word(frame, ETHERNET + family.header() + 4).ok_or(DropReason::Malformed)?;
    let front = overhead(family);
    let end = ETHERNET + total;
    if end > frame.len() || usize::from(udp) + family.header() != total || end < front {
        return Err(DropReason::Malformed);
    }
    let vxlan = &frame[front - 8..front];
    let vni = u32::from_be_bytes([0, vxlan[4], vxlan[5], vxlan[6]]);
    if vxlan[0] & 8 == 0 || vni == 0 {
        return Err(DropReason::BadVxlanHeader);
    }
    Ok(Outer { family, remote, vni, ecn, inner: end - front, front })
}
