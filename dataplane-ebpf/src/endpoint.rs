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

/// The source address is the port's, and so is the MAC.
#[inline(always)]
pub fn check_ip(
    packet: &Packet<'_>,
    version: Version,
    endpoint: &Endpoint,
    ifindex: u32,
) -> Result<(), DropReason> {
    if endpoint.has(port_flags::ANY_SOURCE) {
        return Ok(());
    }
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
    if own && mac == endpoint.mac() {
        return Ok(());
    }
    if !endpoint.has(port_flags::PAIRS) {
        return Err(DropReason::SpoofedIp);
    }
    check_pair(&key, mac, own)
}

/// A sender that is not the port itself is one of its pairs. `own`: only its MAC is another.
#[inline(always)]
pub fn check_pair(key: &IpKey, mac: [u8; 6], own: bool) -> Result<(), DropReason> {
    match maps::pair(key)? {
        Some(pair) if pair.mac() == mac => Ok(()),
        Some(_) => Err(DropReason::SpoofedMac),
        None if own => Err(DropReason::SpoofedMac),
        None => Err(DropReason::SpoofedIp),
    }
}
