//! The errors over IPv6.

use weft_dataplane_abi::{DropReason, Endpoint};

use super::{Refusal, Told};
use crate::checksum::complement;
use crate::headers::{ETHERNET_LEN, IPV6_LEN, Icmp, Ipv6, ethertype, protocol};
use crate::skb::Skb;
use crate::{extension_headers, ip, maps};

const UNREACHABLE: u8 = 1;
const PORT_UNREACHABLE: u8 = 4;
const PACKET_TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
/// Types from here on are no errors (RFC 4443 section 2.1).
const FIRST_INFORMATIONAL: u8 = 128;
const REDIRECT: u8 = 137;

/// Where the addresses are in the IPv6 header.
const ADDRESSES: usize = 8;
const HOP_LIMIT: u8 = 64;
/// What every path takes (RFC 8200 section 5). A lower value is nothing that a sender would heed.
const LEAST_MTU: u32 = 1280;

/// Whether an error about the packet may be sent at all. A function of its own, for the size of the programs' stacks.
#[inline(never)]
pub fn may_be_answered(mut skb: Skb) -> bool {
    let packet = skb.packet();
    let Ok(ip) = packet.get::<Ipv6>(ETHERNET_LEN) else { return false };
    if ip.source == [0; 16] || ip.source[0] == 0xff || ip.destination[0] == 0xff {
        return false;
    }
    if extension_headers::follow(&skb.packet(), 0) && skb.pull(extension_headers::REACH).is_err() {
        return false;
    }
    match extension_headers::transport(&skb.packet(), 0) {
        Ok(Some((protocol::ICMPV6, at))) => {
            // Not in reach yet where the network device put all behind the IPv6 header elsewhere.
            if skb.pull((at + size_of::<Icmp>()) as u32).is_err() {
                return false;
            }
            match skb.packet().get::<Icmp>(at) {
                Ok(icmp) => icmp.kind >= FIRST_INFORMATIONAL && icmp.kind != REDIRECT,
                Err(_) => false,
            }
        }
        Ok(Some(_)) => true,
        // A later fragment: of what, nobody can tell.
        Ok(None) | Err(_) => false,
    }
}

/// Type, code and the four bytes behind the checksum.
#[inline(always)]
pub fn header(refusal: Refusal) -> (u8, u8, [u8; 4]) {
    match refusal {
        Refusal::TooBig { mtu } => {
            let mtu = if mtu < LEAST_MTU { LEAST_MTU } else { mtu };
            (PACKET_TOO_BIG, 0, mtu.to_be_bytes())
        }
        Refusal::TimeExceeded => (TIME_EXCEEDED, 0, [0; 4]),
        Refusal::PortUnreachable => (UNREACHABLE, PORT_UNREACHABLE, [0; 4]),
    }
}

/// Turns the packet into the message about it. A function of its own, for the size of the programs' stacks.
#[inline(never)]
pub fn turn_into(mut skb: Skb, endpoint: &Endpoint, told: &Told) -> Result<(), DropReason> {
    let message = maps::message_v6().ok_or(DropReason::KernelRefused)?;
    let packet = skb.packet();
    let offending = ip::ipv6(&packet, 0)?;
    let (sender, target) = (offending.source, offending.destination);
    // Without the padding of a short frame. A super-packet says its own length.
    let length = u16::from_be_bytes(offending.payload_length) as usize + IPV6_LEN;
    let transport = offending.next_header;
    let quoted = message.quote(&mut skb, length)?;
    message.make_room(&mut skb, quoted, transport)?;

    message.icmp.kind = told.kind;
    message.icmp.code = told.code;
    message.icmp.rest = told.rest;

    let length = (8 + quoted) as u16;
    let ip = &mut message.ip;
    ip.version_class_flow = [0x60, 0, 0, 0];
    ip.payload_length = length.to_be_bytes();
    ip.next_header = protocol::ICMPV6;
    ip.hop_limit = HOP_LIMIT;
    ip.source = if told.by_target { target } else { endpoint.gateway_ipv6() };
    ip.destination = sender;
    // The pseudo-header (RFC 8200 section 8.1): both addresses, and these two.
    let pseudo = message.sum_of_ip(ADDRESSES)? as u32 + length as u32 + protocol::ICMPV6 as u32;
    message.icmp.checksum = [0; 2];
    message.icmp.checksum = complement(pseudo + message.sum_of_icmp(quoted)? as u32);

    message.ethernet.destination = told.destination;
    message.ethernet.source = told.source;
    message.ethernet.ethertype = ethertype::IPV6;
    message.write(&mut skb, quoted)
}
