//! The errors over IPv6.

use weft_dataplane_abi::{DropReason, Endpoint};

use super::message::MessageV6;
use super::{Macs, Refusal};
use crate::checksum::{complement, words};
use crate::headers::{IPV6_LEN, Icmp, ethertype, protocol};
use crate::skb::Skb;
use crate::{extension_headers, ip, maps};

const UNREACHABLE: u8 = 1;
const PORT_UNREACHABLE: u8 = 4;
const PACKET_TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
/// Types from here on are no errors (RFC 4443 section 2.1).
const FIRST_INFORMATIONAL: u8 = 128;
const REDIRECT: u8 = 137;

const HOP_LIMIT: u8 = 64;
/// What every path takes (RFC 8200 section 5). A lower value is nothing that a sender would heed.
const LEAST_MTU: u32 = 1280;

/// Whether an error about the packet may be sent at all.
#[inline(always)]
pub fn may_be_answered(skb: &mut Skb) -> Result<bool, DropReason> {
    let packet = skb.packet();
    let ip = ip::ipv6(&packet, 0)?;
    if ip.source == [0; 16] || ip.source[0] == 0xff || ip.destination[0] == 0xff {
        return Ok(false);
    }
    if extension_headers::follow(&packet, 0) {
        skb.pull(extension_headers::REACH)?;
    }
    let packet = skb.packet();
    Ok(match extension_headers::transport(&packet, 0)? {
        // A later fragment: of what, nobody can tell.
        None => false,
        Some((protocol::ICMPV6, at)) => match packet.get::<Icmp>(at) {
            Ok(icmp) => icmp.kind >= FIRST_INFORMATIONAL && icmp.kind != REDIRECT,
            Err(_) => false,
        },
        Some(_) => true,
    })
}

/// Turns the packet into the message about it.
#[inline(always)]
pub fn turn_into(skb: &mut Skb, endpoint: &Endpoint, macs: Macs, refusal: Refusal) -> Result<(), DropReason> {
    let message = maps::message_v6().ok_or(DropReason::KernelRefused)?;
    let packet = skb.packet();
    let offending = ip::ipv6(&packet, 0)?;
    // At once to where they belong: kept until after the packet was quoted, they would fill the stack.
    message.ip.destination = offending.source;
    message.ip.source = match refusal {
        // Who was asked answers.
        Refusal::PortUnreachable => offending.destination,
        Refusal::TooBig { .. } | Refusal::TimeExceeded => endpoint.gateway_ipv6(),
    };
    // Without the padding of a short frame. A super-packet says its own length.
    let length = u16::from_be_bytes(offending.payload_length) as usize + IPV6_LEN;
    let quoted = message.quote(skb, length)?;

    let (kind, code, rest) = match refusal {
        Refusal::TooBig { mtu } => {
            let mtu = if mtu < LEAST_MTU { LEAST_MTU } else { mtu };
            (PACKET_TOO_BIG, 0, mtu.to_be_bytes())
        }
        Refusal::TimeExceeded => (TIME_EXCEEDED, 0, [0; 4]),
        Refusal::PortUnreachable => (UNREACHABLE, PORT_UNREACHABLE, [0; 4]),
    };
    message.icmp.kind = kind;
    message.icmp.code = code;
    message.icmp.rest = rest;

    let length = (8 + quoted) as u16;
    let ip = &mut message.ip;
    ip.version_class_flow = [0x60, 0, 0, 0];
    ip.payload_length = length.to_be_bytes();
    ip.next_header = protocol::ICMPV6;
    ip.hop_limit = HOP_LIMIT;
    // The pseudo-header (RFC 8200 section 8.1).
    let pseudo = words(&ip.source) + words(&ip.destination) + length as u32 + protocol::ICMPV6 as u32;
    message.icmp.checksum = complement(pseudo + message.sum(quoted)?);

    message.ethernet.destination = macs.destination;
    message.ethernet.source = macs.source;
    message.ethernet.ethertype = ethertype::IPV6;
    message.replace(skb, quoted)
}
