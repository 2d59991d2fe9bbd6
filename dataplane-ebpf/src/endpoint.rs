//! Anti-spoofing: a port sends from its own MAC and addresses, or not at all.

use weft_dataplane_abi::{DropReason, Endpoint};

use crate::headers::Ethernet;
use crate::ip::{self, Version};
use crate::packet::Packet;

/// The source MAC is the port's.
#[inline(always)]
pub fn check_mac(ethernet: &Ethernet, endpoint: &Endpoint) -> Result<(), DropReason> {
    if ethernet.source == endpoint.mac() { Ok(()) } else { Err(DropReason::SpoofedMac) }
}

/// The source address is the port's.
#[inline(always)]
pub fn check_ip(packet: &Packet<'_>, version: Version, endpoint: &Endpoint) -> Result<(), DropReason> {
    let own = match version {
        Version::V4 => endpoint.owns_ipv4(ip::ipv4(packet, 0)?.source),
        Version::V6 => endpoint.owns_ipv6(ip::ipv6(packet, 0)?.source),
    };
    if own { Ok(()) } else { Err(DropReason::SpoofedIp) }
}
