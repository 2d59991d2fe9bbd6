//! Into the tunnel (RFC 7348 section 5; docs/design/datapath.md, "Encapsulation, step by step").

use std::net::IpAddr;

use weft_dataplane_abi::DropReason;

use super::checksum::{changed, checksum};
use super::facts::Facts;
use super::frame::Frame;
use super::parse::{ETHERNET, Family, Ip, word};
use super::{Mac, path_mtu};

/// To whom, and with which inner MACs.
pub struct Wrapping {
    pub vtep: IpAddr,
    pub vni: u32,
    pub destination: Mac,
    pub source: Mac,
    /// Whether a hop is taken off.
    pub routed: bool,
}

pub enum Sent {
    Frame(Frame),
    /// The path takes packets of so many bytes only.
    TooBig(usize),
}

/// Bytes that a tunnel over this family puts in front of a frame, its own Ethernet header included.
pub fn overhead(outer: Family) -> usize {
    ETHERNET + outer.header() + 8 + 8
}

pub fn send(
    facts: &Facts,
    frame: &[u8],
    ip: &Ip,
    gso_size: u32,
    wrapping: &Wrapping,
) -> Result<Sent, DropReason> {
    let far = facts.far(wrapping.vtep).ok_or(DropReason::NoVtep)?;
    let outer = Family::of(wrapping.vtep);
    let mtu = far.mtu.saturating_sub(overhead(outer));
    if !path_mtu::fits(frame, ip, gso_size, mtu)? {
        return Ok(Sent::TooBig(mtu));
    }
    let inner = if wrapping.routed { one_hop_less(frame, ip) } else { frame.to_vec().into() };
    let inner = with_macs(inner, wrapping.destination, wrapping.source);
    // A super-packet of a test run is of no GSO type, neither TCP nor UDP, and the kernel makes no tunnel's of it.
    if !far.resolved || gso_size != 0 {
        // The kernel's vxlan device writes the outer headers.
        return Ok(Sent::Frame(inner));
    }
    Ok(Sent::Frame(wrap(facts, inner, ip.ecn, wrapping)))
}

/// The frame with its outer headers. The flow's hash chooses the source port and the flow label: zero here.
fn wrap(facts: &Facts, inner: Frame, ecn: u8, wrapping: &Wrapping) -> Frame {
    let outer = Family::of(wrapping.vtep);
    let udp = 8 + 8 + inner.bytes.len();
    let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
    let (ours, next) = facts.uplink;
    let mut bytes = [next.as_slice(), &ours, &outer.ethertype().to_be_bytes()].concat();
    match (facts.vtep, wrapping.vtep) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = vec![0x45, ecn];
            header.extend(length(20 + udp));
            // No identification, "don't fragment", 64 hops, UDP.
            header.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum);
            bytes.extend(header);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            bytes.extend([0x60, ecn << 4, 0, 0]);
            bytes.extend(length(udp));
            bytes.extend([17, 64]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        (from, to) => panic!("{from} cannot send to {to}"),
    }
    bytes.extend([0, 0]);
    bytes.extend(4789_u16.to_be_bytes());
    bytes.extend(length(udp));
    bytes.extend([0, 0]);
    bytes.extend([8, 0, 0, 0]);
    bytes.extend((wrapping.vni << 8).to_be_bytes());
    let front = bytes.len();
    bytes.extend(&inner.bytes);
    let mut sums: Vec<_> = inner.sums.iter().map(|at| front + at).collect();
    if outer == Family::V4 {
        sums.push(ETHERNET + 10);
    }
    Frame { bytes, sums, outer: Some(outer) }
}

/// A frame that a router has passed on (RFC 1812 section 5.3.1, RFC 1624; RFC 8200 section 3).
pub fn one_hop_less(frame: &[u8], ip: &Ip) -> Frame {
    let mut bytes = frame.to_vec();
    match ip.family {
        Family::V4 => {
            bytes[22] -= 1;
            let (old, new) = (word(frame, 22).unwrap(), word(&bytes, 22).unwrap());
            let sum = changed([frame[24], frame[25]], old, new);
            bytes[24..26].copy_from_slice(&sum);
            Frame::from(bytes).summed_at(24)
        }
        Family::V6 => {
            bytes[21] -= 1;
            bytes.into()
        }
    }
}

pub fn with_macs(mut frame: Frame, destination: Mac, source: Mac) -> Frame {
    frame.bytes[..6].copy_from_slice(&destination);
    frame.bytes[6..12].copy_from_slice(&source);
    frame
}
