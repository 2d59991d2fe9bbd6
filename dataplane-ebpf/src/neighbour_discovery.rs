//! IPv6 neighbour discovery (RFC 4861): as ARP, answered in place, or let out and in where the control plane does not
//! know the answer.

use core::hint::black_box;

use weft_dataplane_abi::{DropReason, Endpoint, HostRoute, IpKey, kind, port_flags};

use crate::bridge::{self, Neighbours, Receivers, Subnet};
use crate::buffer::Buffer;
use crate::checksum;
use crate::extension_headers;
use crate::headers::{ETHERNET_LEN, Ethernet, IPV6_LEN, Icmp, Ipv6, protocol};
use crate::ip::set_macs;
use crate::packet::{Packet, Wire};
use crate::skb::{self, Skb};
use crate::{endpoint, maps};

const ROUTER_SOLICITATION: u8 = 133;
const REDIRECT: u8 = 137;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

const ICMP: usize = ETHERNET_LEN + IPV6_LEN;
const OPTION: usize = ICMP + size_of::<Message>();
/// Up to where a message is looked at.
const END: usize = OPTION + size_of::<LinkLayerOption>();
/// Frame of an advertisement with its one option.
const ADVERTISEMENT_LEN: u32 = (OPTION + size_of::<LinkLayerOption>()) as u32;

const FLAG_ROUTER: u8 = 0x80;
const FLAG_SOLICITED: u8 = 0x40;
const FLAG_OVERRIDE: u8 = 0x20;

/// `ff02::1`, where an answer to an unspecified source goes (RFC 4861 section 7.2.4), and its MAC.
const ALL_NODES: [u8; 16] = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// Neighbour solicitation and advertisement without options (RFC 4861 sections 4.3 and 4.4).
#[repr(C)]
struct Message {
    kind: u8,
    code: u8,
    checksum: [u8; 2],
    flags: u8,
    reserved: [u8; 3],
    target: [u8; 16],
}
// SAFETY: bytes only.
unsafe impl Wire for Message {}

/// Source or target link-layer address (RFC 4861 section 4.6.1).
#[repr(C)]
struct LinkLayerOption {
    kind: u8,
    /// In units of eight bytes.
    length: u8,
    mac: [u8; 6],
}
// SAFETY: bytes only.
unsafe impl Wire for LinkLayerOption {}

/// Whether the IPv6 packet of the frame at `frame` is neighbour or router discovery. Behind extension headers, where no
/// honest sender puts it, it is refused; as is what could be it and ends, or cannot be read, before it shows: the rest may
/// follow in another fragment (RFC 7112).
#[inline(always)]
pub fn is_message(buffer: &mut impl Buffer, frame: usize) -> Result<bool, DropReason> {
    let packet = buffer.packet();
    if packet.get::<Ipv6>(frame + ETHERNET_LEN)?.next_header == protocol::ICMPV6 {
        // What is not in reach would pass for something else.
        buffer.pull((frame + END) as u32)?;
        return Ok(is_kind(&buffer.packet(), frame + ICMP) == Some(true));
    }
    if extension_headers::follow(&packet, frame) {
        buffer.pull(extension_headers::REACH)?;
        if let Some(message) = extension_headers::icmpv6_behind(&buffer.packet(), frame)? {
            // The last of them may be long, and the message far behind.
            buffer.pull((message + size_of::<Icmp>()) as u32)?;
            if is_kind(&buffer.packet(), message) != Some(false) {
                return Err(DropReason::ExtensionHeaders);
            }
        }
    }
    Ok(false)
}

/// Whether the ICMPv6 message at `message` is of neighbour or router discovery; `None` if it is not in reach.
#[inline(always)]
fn is_kind(packet: &Packet<'_>, message: usize) -> Option<bool> {
    let kind = packet.get::<Icmp>(message).ok()?.kind;
    Some((ROUTER_SOLICITATION..=REDIRECT).contains(&kind))
}

/// Answers a solicitation for an address of the port's subnet, and lets out what other hosts should hear.
#[inline(always)]
pub fn answer(skb: &mut Skb, endpoint: &Endpoint, to: [u8; 6]) -> Result<Neighbours, DropReason> {
    let ifindex = skb.ifindex();
    let (source, target, route) = match solicited(&skb.packet(), endpoint, ifindex, to)? {
        Asked::Known(source, target, route) => (source, target, route),
        Asked::Elsewhere(reason) => {
            if claimed(&skb.packet())?.is_none() {
                return Err(DropReason::NeighbourNoise);
            }
            return Ok(Neighbours::Elsewhere(reason));
        }
    };
    let mac = route.neighbour_mac(endpoint.subnet()).ok_or(DropReason::UnknownNeighbour)?;
    let mut flags = FLAG_OVERRIDE;
    if route.next_hop().kind() == kind::GATEWAY {
        flags |= FLAG_ROUTER;
    }
    let detecting = source == [0; 16];
    let (to, to_mac) = if detecting {
        (ALL_NODES, ALL_NODES_MAC)
    } else {
        flags |= FLAG_SOLICITED;
        (source, endpoint.mac())
    };
    if skb.len() != ADVERTISEMENT_LEN {
        skb.resize(ADVERTISEMENT_LEN)?;
    }
    let mut packet = skb.packet();
    set_macs(&mut packet, to_mac, mac)?;
    write(&mut packet, target, to, mac, flags)?;
    Ok(Neighbours::Answered)
}

/// What a port's message asks for.
enum Asked {
    /// An address that the control plane knows: source, target, route.
    Known([u8; 16], [u8; 16], &'static HostRoute),
    /// Something that only other hosts may know, or should hear. Otherwise it is dropped for the reason.
    Elsewhere(DropReason),
}

/// Checks a message to the MAC `to` (RFC 4861 section 7.1) and its sender, and finds the target.
#[inline(always)]
fn solicited(
    packet: &Packet<'_>,
    endpoint: &Endpoint,
    ifindex: u32,
    to: [u8; 6],
) -> Result<Asked, DropReason> {
    let ip = packet.get::<Ipv6>(ETHERNET_LEN)?;
    let detecting = ip.source == [0; 16];
    let mac = packet.get::<Ethernet>(0)?.source;
    if !detecting {
        let key = IpKey::ipv6(ifindex, ip.source);
        endpoint::check_claim(endpoint, endpoint.owns_ipv6(ip.source), &key, mac)?;
    }
    let message = match packet.get::<Message>(ICMP) {
        Ok(message) => message,
        // A router solicitation without options is shorter.
        Err(_) => return Err(DropReason::NeighbourNoise),
    };
    // Nor is it one if only the frame is that long (RFC 4861 section 7.1).
    if u16::from_be_bytes(ip.payload_length) < size_of::<Message>() as u16 {
        return Err(DropReason::NeighbourNoise);
    }
    if detecting || message.kind == ADVERTISEMENT {
        // Who looks for others with an address that it is yet to have may ask for any.
        let own = message.kind != ADVERTISEMENT || endpoint.owns_ipv6(message.target);
        endpoint::check_claim(endpoint, own, &IpKey::ipv6(ifindex, message.target), mac)?;
    }
    if let Ok(option) = packet.get::<LinkLayerOption>(OPTION) {
        let link_layer = option.kind == SOURCE_LINK_LAYER || option.kind == TARGET_LINK_LAYER;
        if link_layer && option.mac != mac && !endpoint.has(port_flags::ANY_SOURCE) {
            return Err(DropReason::SpoofedMac);
        }
    }
    if message.kind == ADVERTISEMENT && to[0] & 1 == 0 {
        return Ok(Asked::Elsewhere(DropReason::NeighbourNoise));
    }
    if message.kind != SOLICITATION || endpoint.owns_ipv6(message.target) {
        return Err(DropReason::NeighbourNoise);
    }
    if ip.hop_limit != 255 || message.code != 0 {
        return Err(DropReason::Malformed);
    }
    match maps::host_route(&IpKey::ipv6(endpoint.network(), message.target))? {
        // In memory: the compiler would keep each byte in a register, and those on the stack, which has 512 bytes.
        Some(route) => Ok(Asked::Known(black_box(ip.source), black_box(message.target), route)),
        // The port looks for an address that it could not use.
        None if detecting => Err(DropReason::UnknownNeighbour),
        None => Ok(Asked::Elsewhere(DropReason::UnknownNeighbour)),
    }
}

/// The link-layer address that a message's one option claims; the frame's source MAC if it has no option; `None` if it
/// has others, in which a second claim could hide.
#[inline(always)]
fn claimed(packet: &Packet<'_>) -> Result<Option<[u8; 6]>, DropReason> {
    const BARE: u16 = size_of::<Message>() as u16;
    const WITH_OPTION: u16 = BARE + size_of::<LinkLayerOption>() as u16;
    match u16::from_be_bytes(packet.get::<Ipv6>(ETHERNET_LEN)?.payload_length) {
        BARE => Ok(Some(packet.get::<Ethernet>(0)?.source)),
        WITH_OPTION => {
            let option = packet.get::<LinkLayerOption>(OPTION)?;
            let link_layer = option.kind == SOURCE_LINK_LAYER || option.kind == TARGET_LINK_LAYER;
            Ok((link_layer && option.length == 1).then_some(option.mac))
        }
        _ => Ok(None),
    }
}

/// What another host sends into a subnet, to the MAC `to`. Routers and redirects are the control plane's matter: those
/// of others are not heard.
#[inline(always)]
pub fn receive(skb: &mut Skb, subnet: &Subnet, to: [u8; 6]) -> Result<Receivers, DropReason> {
    let packet = skb.packet();
    let source = packet.get::<Ipv6>(ETHERNET_LEN)?.source;
    let Ok(message) = packet.get::<Message>(ICMP) else { return Err(DropReason::NeighbourNoise) };
    let Some(mac) = claimed(&packet)? else { return Err(DropReason::NeighbourNoise) };
    bridge::check_mac(subnet, mac)?;
    if source != [0; 16] {
        bridge::check_claim(subnet, &IpKey::ipv6(subnet.network, source), mac)?;
    }
    let target = IpKey::ipv6(subnet.network, message.target);
    match message.kind {
        SOLICITATION => Ok(Receivers::Owner(target)),
        ADVERTISEMENT => {
            bridge::check_claim(subnet, &target, mac)?;
            Ok(Receivers::of(to))
        }
        _ => Err(DropReason::NeighbourNoise),
    }
}

/// Writes the advertisement over the solicitation.
#[inline(always)]
fn write(
    packet: &mut Packet<'_>,
    target: [u8; 16],
    to: [u8; 16],
    mac: [u8; 6],
    flags: u8,
) -> Result<(), DropReason> {
    const LENGTH: u16 = (size_of::<Message>() + size_of::<LinkLayerOption>()) as u16;
    const SUMMED: usize = 32 + LENGTH as usize;
    let ip = packet.get_mut::<Ipv6>(ETHERNET_LEN)?;
    ip.payload_length = LENGTH.to_be_bytes();
    ip.hop_limit = 255;
    ip.source = target;
    ip.destination = to;
    let option = packet.get_mut::<LinkLayerOption>(OPTION)?;
    option.kind = TARGET_LINK_LAYER;
    option.length = 1;
    option.mac = mac;
    let message = packet.get_mut::<Message>(ICMP)?;
    message.kind = ADVERTISEMENT;
    message.code = 0;
    message.checksum = [0; 2];
    message.flags = flags;
    message.reserved = [0; 3];
    message.target = target;
    // The pseudo-header (RFC 8200 section 8.1): both addresses, which lie in front of the message, and these two.
    let summed = packet.get::<[u8; SUMMED]>(ETHERNET_LEN + IPV6_LEN - 32)?;
    let sum = u16::from_be_bytes(checksum::fold(skb::checksum(summed, SUMMED, 0)?).to_ne_bytes());
    let sum = sum as u32 + LENGTH as u32 + protocol::ICMPV6 as u32;
    packet.get_mut::<Message>(ICMP)?.checksum = checksum::complement(sum);
    Ok(())
}
