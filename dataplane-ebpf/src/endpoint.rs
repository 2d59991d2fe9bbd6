//! Anti-spoofing: a port sends from its own MAC and addresses, or from a pair that it is allowed, or not at all. A router's
//! port is none of that.

use weft_dataplane_abi::{DropReason, Endpoint, IpKey, port_flags};

use crate::headers::Ethernet;
use crate::ip::{self, Version};
use crate::maps;
use crate::packet::Packet;

/// The source MAC is the port's, or may be that of a pair: which, the address tells.
#[inline(always)]
pub fn check_mac(ethernet: &Ethernet, endpoint: &Endpoint) -> Result<(), DropReason> {
    let own = ethernet.source == endpoint.mac() || endpoint.has(port_flags::ANY_SOURCE | port_flags::PAIRS);
    if own { Ok(()) } else { Err(DropReason::SpoofedMac) }
}

/// The source address is the port's, and so is the MAC; or both are of a pair.
#[inline(always)]
pub fn check_ip(
    packet: &Packet<'_>,
    version: Version,
    endpoint: &Endpoint,
    ifindex: u32,
) -> Result<(), DropReason> {
    let mac = packet.get::<Ethernet>(0)?.source;
    let (own, key) = match version {
        Version::V4 => {
            let source = ip::ipv4(packet, 0)?.source;
            (endpoint.owns_ipv4(source), IpKey::ipv4(ifindex, source))
        }
        Version::V6 => {
            let source = ip::ipv6(packet, 0)?.source;
            (endpoint.owns_ipv6(source), IpKey::ipv6(ifindex, source))
        }
    };
    check_claim(endpoint, own, &key, mac)
}

/// The address of `key`, whose scope is the port's interface, may be said to be at `mac`. `own`: it is the port's own.
#[inline(always)]
pub fn check_claim(endpoint: &Endpoint, own: bool, key: &IpKey, mac: [u8; 6]) -> Result<(), DropReason> {
    let is_its_mac = mac == endpoint.mac();
    if (own && is_its_mac) || endpoint.has(port_flags::ANY_SOURCE) {
        return Ok(());
    }
    let pair = if endpoint.has(port_flags::PAIRS) { maps::pair(key)? } else { None };
    match pair {
        Some(pair) if pair.mac() == mac => Ok(()),
        Some(_) => Err(DropReason::SpoofedMac),
        None if is_its_mac => Err(DropReason::SpoofedIp),
        None => Err(DropReason::SpoofedMac),
    }
}
