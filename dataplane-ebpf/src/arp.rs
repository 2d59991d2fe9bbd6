//! ARP (RFC 826): answered in place from what the control plane knows; a pod's announcements change nothing.

use weft_dataplane_abi::{DropReason, Endpoint, IpKey};

use crate::headers::{Arp, ETHERNET_LEN};
use crate::ip::set_macs;
use crate::maps;
use crate::skb::Skb;
use crate::verdict::{Action, Verdict};

/// Ethernet, IPv4, six and four bytes.
const FORMATS: [u8; 6] = [0, 1, 0x08, 0, 6, 4];
const REQUEST: [u8; 2] = [0, 1];
const REPLY: [u8; 2] = [0, 2];

/// Answers a request for an address of the port's subnet.
#[inline(always)]
pub fn answer(skb: &mut Skb, endpoint: &Endpoint) -> Verdict {
    let mut packet = skb.packet();
    let arp = packet.get_mut::<Arp>(ETHERNET_LEN)?;
    if arp.formats != FORMATS {
        return Err(DropReason::Malformed);
    }
    if arp.sender_mac != endpoint.mac() {
        return Err(DropReason::SpoofedMac);
    }
    // A probe (RFC 5227 section 1.1) has no sender address yet.
    if arp.sender_ip != [0; 4] && !endpoint.owns_ipv4(arp.sender_ip) {
        return Err(DropReason::SpoofedIp);
    }
    if arp.operation != REQUEST || endpoint.owns_ipv4(arp.target_ip) {
        return Err(DropReason::NeighbourNoise);
    }
    let mac = maps::host_route(&IpKey::ipv4(endpoint.network(), arp.target_ip))
        .and_then(|route| route.neighbour_mac(endpoint.subnet()))
        .ok_or(DropReason::UnknownNeighbour)?;
    let asked = arp.target_ip;
    arp.operation = REPLY;
    arp.target_mac = arp.sender_mac;
    arp.target_ip = arp.sender_ip;
    arp.sender_mac = mac;
    arp.sender_ip = asked;
    set_macs(&mut packet, endpoint.mac(), mac)?;
    Ok(Action::Reply)
}
