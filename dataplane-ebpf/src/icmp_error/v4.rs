//! The errors over IPv4.

use weft_dataplane_abi::{DropReason, Endpoint};

use super::{Refusal, Told};
use crate::headers::{ETHERNET_LEN, IPV4_LEN, Icmp, ethertype, protocol};
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

/// Whether an error about the packet may be sent at all. A function of its own, for the size of the programs' stacks.
#[inline(never)]
pub fn may_be_answered(mut skb: Skb) -> bool {
    let packet = skb.packet();
    let Ok(ip) = ip::ipv4(&packet, 0) else { return false };
    let (source, destination) = (ip.source[0], ip.destination[0]);
    // This network, loopback, multicast, reserved, broadcast.
    if ip.is_later_fragment() || matches!(source, 0 | 127 | 224..) || destination >= 224 {
        return false;
    }
    if ip.protocol != protocol::ICMP {
        return true;
    }
    let at = ETHERNET_LEN + ip.header_len();
    // Behind options it may not be in reach yet.
    if skb.pull((at + size_of::<Icmp>()) as u32).is_err() {
        return false;
    }
    match skb.packet().get::<Icmp>(at) {
        Ok(icmp) => {
            !matches!(icmp.kind, UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM)
        }
        Err(_) => false,
    }
}

/// Type, code and the four bytes behind the checksum.
#[inline(always)]
pub fn header(refusal: Refusal) -> (u8, u8, [u8; 4]) {
    match refusal {
        Refusal::TooBig { mtu } => {
            let mtu = if mtu < LEAST_MTU { LEAST_MTU } else { mtu };
            // The next hop's MTU is in the lower half (RFC 1191 section 4).
            (UNREACHABLE, FRAGMENTATION_NEEDED, mtu.to_be_bytes())
        }
        Refusal::TimeExceeded => (TIME_EXCEEDED, 0, [0; 4]),
        Refusal::PortUnreachable => (UNREACHABLE, PORT_UNREACHABLE, [0; 4]),
    }
}

/// Turns the packet into the message about it. A function of its own, for the size of the programs' stacks.
#[inline(never)]
pub fn turn_into(mut skb: Skb, endpoint: &Endpoint, told: &Told) -> Result<(), DropReason> {
    let message = maps::message_v4().ok_or(DropReason::KernelRefused)?;
    let packet = skb.packet();
    let offending = ip::ipv4(&packet, 0)?;
    let (sender, target) = (offending.source, offending.destination);
    // Without the padding of a short frame. A super-packet says its own length.
    let length = u16::from_be_bytes(offending.total_length) as usize;
    // Behind options, which nobody sends through tunnels, it is not looked for.
    let transport = if offending.header_len() == IPV4_LEN { offending.protocol } else { 0 };
    let quoted = message.quote(&mut skb, length)?;
    message.make_room(&mut skb, quoted, transport)?;

    message.icmp.kind = told.kind;
    message.icmp.code = told.code;
    message.icmp.rest = told.rest;
    message.icmp.checksum = [0; 2];
    message.icmp.checksum = (!message.sum_of_icmp(quoted)?).to_be_bytes();

    let ip = &mut message.ip;
    ip.version_ihl = 0x45;
    ip.tos = TOS;
    ip.total_length = ((IPV4_LEN + 8 + quoted) as u16).to_be_bytes();
    ip.identification = [0; 2];
    ip.flags_fragment = [0; 2];
    ip.ttl = TTL;
    ip.protocol = protocol::ICMP;
    ip.source = if told.by_target { target } else { endpoint.gateway_ipv4() };
    ip.destination = sender;
    ip.checksum = [0; 2];
    message.ip.checksum = (!message.sum_of_ip(0)?).to_be_bytes();

    message.ethernet.destination = told.destination;
    message.ethernet.source = told.source;
    message.ethernet.ethertype = ethertype::IPV4;
    message.write(&mut skb, quoted)
}
