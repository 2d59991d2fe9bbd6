//! The errors over IPv4.

use weft_dataplane_abi::{DropReason, Endpoint};

use super::message::MessageV4;
use super::{Macs, Refusal};
use crate::checksum::{complement, words};
use crate::headers::{ETHERNET_LEN, IPV4_LEN, Icmp, ethertype, protocol};
use crate::packet::Packet;
use crate::skb::Skb;
use crate::{ip, maps};

const UNREACHABLE: u8 = 3;
const PORT_UNREACHABLE: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;
const SOURCE_QUENCH: u8 = 4;
const REDIRECT: u8 = 5;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// Internetwork control (RFC 1812 section 4.3.2.5).
const TOS: u8 = 0xc0;
const TTL: u8 = 64;
/// The least that any path takes (RFC 791 section 3.2).
const LEAST_MTU: u32 = 68;

/// Whether an error about the packet may be sent at all.
#[inline(always)]
pub fn may_be_answered(packet: &Packet<'_>) -> Result<bool, DropReason> {
    let ip = ip::ipv4(packet, 0)?;
    let (source, destination) = (ip.source[0], ip.destination[0]);
    // This network, loopback, multicast, reserved, broadcast.
    if ip.is_later_fragment() || matches!(source, 0 | 127 | 224..) || destination >= 224 {
        return Ok(false);
    }
    if ip.protocol != protocol::ICMP {
        return Ok(true);
    }
    let Ok(icmp) = packet.get::<Icmp>(ETHERNET_LEN + ip.header_len()) else { return Ok(false) };
    Ok(!matches!(icmp.kind, UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM))
}

/// Turns the packet into the message about it.
#[inline(always)]
pub fn turn_into(skb: &mut Skb, endpoint: &Endpoint, macs: Macs, refusal: Refusal) -> Result<(), DropReason> {
    let message = maps::message_v4().ok_or(DropReason::KernelRefused)?;
    let packet = skb.packet();
    let offending = ip::ipv4(&packet, 0)?;
    let (sender, target) = (offending.source, offending.destination);
    // Without the padding of a short frame. A super-packet says its own length.
    let length = u16::from_be_bytes(offending.total_length) as usize;
    let quoted = message.quote(skb, length)?;

    let (kind, code, rest) = match refusal {
        Refusal::TooBig { mtu } => {
            let mtu = if mtu < LEAST_MTU { LEAST_MTU } else { mtu };
            // The next hop's MTU is in the lower half (RFC 1191 section 4).
            (UNREACHABLE, FRAGMENTATION_NEEDED, mtu.to_be_bytes())
        }
        Refusal::TimeExceeded => (TIME_EXCEEDED, 0, [0; 4]),
        Refusal::PortUnreachable => (UNREACHABLE, PORT_UNREACHABLE, [0; 4]),
    };
    message.icmp.kind = kind;
    message.icmp.code = code;
    message.icmp.rest = rest;
    message.icmp.checksum = complement(message.sum(quoted)?);

    let ip = &mut message.ip;
    ip.version_ihl = 0x45;
    ip.tos = TOS;
    ip.total_length = ((IPV4_LEN + 8 + quoted) as u16).to_be_bytes();
    ip.identification = [0; 2];
    ip.flags_fragment = [0; 2];
    ip.ttl = TTL;
    ip.protocol = protocol::ICMP;
    ip.source = match refusal {
        // Who was asked answers.
        Refusal::PortUnreachable => target,
        Refusal::TooBig { .. } | Refusal::TimeExceeded => endpoint.gateway_ipv4(),
    };
    ip.destination = sender;
    let sum = u16::from_be_bytes([0x45, TOS]) as u32
        + words(&ip.total_length)
        + u16::from_be_bytes([TTL, protocol::ICMP]) as u32
        + words(&ip.source)
        + words(&ip.destination);
    ip.checksum = complement(sum);

    message.ethernet.destination = macs.destination;
    message.ethernet.source = macs.source;
    message.ethernet.ethertype = ethertype::IPV4;
    message.replace(skb, quoted)
}
