//! ARP (RFC 826): answered in place from what the control plane knows; a pod's announcements change nothing. What the
//! control plane does not know is between the pod and stations on other hosts.

use weft_dataplane_abi::{DropReason, Endpoint, IpKey, port_flags};

use crate::bridge::{self, Neighbours, Receivers, Subnet};
use crate::headers::{Arp, ETHERNET_LEN, Ethernet};
use crate::ip::set_macs;
use crate::skb::Skb;
use crate::{endpoint, maps};

/// Ethernet, IPv4, six and four bytes.
const FORMATS: [u8; 6] = [0, 1, 0x08, 0, 6, 4];
const REQUEST: [u8; 2] = [0, 1];
const REPLY: [u8; 2] = [0, 2];

/// Answers a request for an address of the port's subnet, and lets out what other hosts should hear.
#[inline(always)]
pub fn answer(skb: &mut Skb, endpoint: &Endpoint, to: [u8; 6]) -> Result<Neighbours, DropReason> {
    let ifindex = skb.ifindex();
    let mut packet = skb.packet();
    let from = packet.get::<Ethernet>(0)?.source;
    let arp = packet.get_mut::<Arp>(ETHERNET_LEN)?;
    if arp.formats != FORMATS {
        return Err(DropReason::Malformed);
    }
    // A probe (RFC 5227 section 1.1) has no sender address yet.
    let own = arp.sender_ip == [0; 4] || endpoint.owns_ipv4(arp.sender_ip);
    let key = IpKey::ipv4(ifindex, arp.sender_ip);
    endpoint::check_claim(endpoint, own, &key, arp.sender_mac)?;
    if arp.sender_mac != from && !endpoint.has(port_flags::ANY_SOURCE) {
        return Err(DropReason::SpoofedMac);
    }
    if arp.operation == REPLY && arp.sender_ip != [0; 4] && to[0] & 1 == 0 {
        return Ok(Neighbours::Elsewhere(DropReason::NeighbourNoise));
    }
    if arp.operation != REQUEST || endpoint.owns_ipv4(arp.target_ip) {
        return Err(DropReason::NeighbourNoise);
    }
    let Some(route) = maps::host_route(&IpKey::ipv4(endpoint.network(), arp.target_ip))? else {
        // A probe for an address that is not the port's: it could not use it.
        return match arp.sender_ip {
            [0, 0, 0, 0] => Err(DropReason::UnknownNeighbour),
            _ => Ok(Neighbours::Elsewhere(DropReason::UnknownNeighbour)),
        };
    };
    let mac = route.neighbour_mac(endpoint.subnet()).ok_or(DropReason::UnknownNeighbour)?;
    let asked = arp.target_ip;
    arp.operation = REPLY;
    arp.target_mac = arp.sender_mac;
    arp.target_ip = arp.sender_ip;
    arp.sender_mac = mac;
    arp.sender_ip = asked;
    let asker = arp.target_mac;
    set_macs(&mut packet, asker, mac)?;
    Ok(Neighbours::Answered)
}

/// What another host sends into a subnet, to `to`.
#[inline(always)]
pub fn receive(skb: &mut Skb, subnet: &Subnet, to: [u8; 6]) -> Result<Receivers, DropReason> {
    let packet = skb.packet();
    let arp = packet.get::<Arp>(ETHERNET_LEN)?;
    if arp.formats != FORMATS {
        return Err(DropReason::Malformed);
    }
    bridge::check_mac(subnet, arp.sender_mac)?;
    if arp.sender_ip != [0; 4] {
        bridge::check_claim(subnet, &IpKey::ipv4(subnet.network, arp.sender_ip), arp.sender_mac)?;
    }
    if arp.operation != REQUEST || arp.sender_ip == arp.target_ip {
        return Ok(Receivers::of(to));
    }
    Ok(Receivers::Owner(IpKey::ipv4(subnet.network, arp.target_ip)))
}
