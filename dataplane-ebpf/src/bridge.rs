//! The subnet as a bridge over all hosts, for what is not a packet to one known station: ARP, neighbour discovery,
//! broadcast and multicast. Nothing is learned from it: what the control plane knows, no frame contradicts.

use weft_dataplane_abi::{DropReason, Endpoint, HostConfig, IpKey, MacKey, VtepAddr, kind};

use crate::flood::Reach;
use crate::headers::{Ethernet, ethertype};
use crate::ip::{self, Version};
use crate::packet::Packet;
use crate::skb::Skb;
use crate::verdict::{Action, Verdict};
use crate::{arp, firewall, maps, neighbour_discovery};

/// IGMP (RFC 3376) and hop-by-hop options (RFC 8200 section 4.3), in which MLD comes (RFC 3810 section 5).
const IGMP: u8 = 2;
const HOP_BY_HOP: u8 = 0;

/// What becomes of a port's ARP or neighbour discovery.
pub enum Neighbours {
    /// The packet is the answer now.
    Answered,
    /// It is for stations on other hosts. It is dropped for this reason if there are none.
    Elsewhere(DropReason),
}

/// A subnet that a frame came into from another host.
pub struct Subnet {
    pub host: &'static HostConfig,
    /// L3 VNI.
    pub network: u32,
    /// L2 VNI.
    pub vni: u32,
}

/// For whom something from another host is.
pub enum Receivers {
    /// The port with this MAC.
    Station([u8; 6]),
    /// The port with this address.
    Owner(IpKey),
    /// All ports.
    All,
}

impl Receivers {
    /// Those of a destination MAC.
    #[inline(always)]
    pub fn of(mac: [u8; 6]) -> Self {
        if mac[0] & 1 == 0 { Self::Station(mac) } else { Self::All }
    }
}

/// Sends on what a port sent to `mac`, its sender checked: the answer back, the rest to the host of the station, or to
/// all hosts if nobody knows which that is.
#[inline(always)]
pub fn send(
    skb: &mut Skb,
    host: &'static HostConfig,
    endpoint: &Endpoint,
    mac: [u8; 6],
    neighbours: Neighbours,
) -> Verdict {
    let reason = match neighbours {
        Neighbours::Answered => return Ok(Action::Reply),
        Neighbours::Elsewhere(reason) => reason,
    };
    match maps::switch(&MacKey::raw(endpoint.subnet(), mac))? {
        Some(next_hop) if next_hop.is_elsewhere() => {
            skb.set_tunnel(host.vtep(), next_hop.vtep(), next_hop.vni())?;
            Ok(Action::Transmit { ifindex: host.vxlan_ifindex() })
        }
        // A port of this host, or the gateway: they are told by the control plane.
        Some(_) => Err(reason),
        None if mac == host.gateway_mac() => Err(reason),
        None => Ok(Action::Flood { reach: Reach::OtherHosts, reason }),
    }
}

/// Delivers what another host sent into the subnet, which is not a packet to one station: to one port, or to all.
#[inline(always)]
pub fn receive(skb: &mut Skb, subnet: &Subnet, remote: VtepAddr) -> Verdict {
    let packet = skb.packet();
    let ethernet = packet.get::<Ethernet>(0)?;
    let (to, from, ethertype) = (ethernet.destination, ethernet.source, ethernet.ethertype);
    check_mac(subnet, from)?;
    if ethertype == ethertype::ARP {
        let receivers = arp::receive(skb, subnet, to)?;
        return deliver(skb, subnet, receivers, DropReason::NeighbourNoise);
    }
    let version = Version::of(ethertype)?;
    let len = skb.len();
    ip::destination(&skb.packet(), 0, len, version, subnet.network)?;
    if version == Version::V6 && neighbour_discovery::is_message(skb, 0)? {
        let receivers = neighbour_discovery::receive(skb, subnet, to)?;
        return deliver(skb, subnet, receivers, DropReason::NeighbourNoise);
    }
    let packet = skb.packet();
    check_group(&packet, version)?;
    let source = match version {
        Version::V4 => IpKey::ipv4(subnet.network, ip::ipv4(&packet, 0)?.source),
        Version::V6 => IpKey::ipv6(subnet.network, ip::ipv6(&packet, 0)?.source),
    };
    check_claim(subnet, &source, from)?;
    firewall::read_for_many(skb, version, remote)?;
    Ok(Action::Flood { reach: Reach::All, reason: DropReason::Multicast })
}

#[inline(always)]
fn deliver(skb: &mut Skb, subnet: &Subnet, receivers: Receivers, reason: DropReason) -> Verdict {
    let next_hop = match receivers {
        Receivers::All => return Ok(Action::Flood { reach: Reach::All, reason }),
        Receivers::Station(mac) => maps::switch(&MacKey::raw(subnet.vni, mac))?,
        Receivers::Owner(address) => maps::host_route(&address)?
            .filter(|route| route.neighbour_mac(subnet.vni).is_some())
            .map(|route| route.next_hop()),
    };
    match next_hop {
        Some(next_hop) if next_hop.kind() == kind::LOCAL => {
            skb.accept()?;
            // The neighbours of a port are no matter of its rules.
            let (ifindex, slot) = (next_hop.ifindex(), next_hop.slot());
            Ok(Action::Deliver { ifindex, slot, firewalled: false })
        }
        _ => Err(reason),
    }
}

/// No other host has a station with the MAC of a port of this one, or of the gateway.
#[inline(always)]
pub fn check_mac(subnet: &Subnet, mac: [u8; 6]) -> Result<(), DropReason> {
    let local = maps::switch(&MacKey::raw(subnet.vni, mac))?.is_some_and(|hop| hop.kind() == kind::LOCAL);
    if local || mac == subnet.host.gateway_mac() { Err(DropReason::SpoofedMac) } else { Ok(()) }
}

/// A station of another host at `mac` may have an address that the control plane knows there, or nowhere.
#[inline(always)]
pub fn check_claim(subnet: &Subnet, address: &IpKey, mac: [u8; 6]) -> Result<(), DropReason> {
    match maps::host_route(address)? {
        None => Ok(()),
        Some(route) if route.next_hop().is_elsewhere() && route.neighbour_mac(subnet.vni) == Some(mac) => {
            Ok(())
        }
        Some(_) => Err(DropReason::SpoofedIp),
    }
}

/// Whether anybody needs to hear a broadcast or multicast packet. Not group reports: there is no router of groups, and
/// all hear everything. Not what has no address yet: weft gives the addresses.
#[inline(always)]
pub fn check_group(packet: &Packet<'_>, version: Version) -> Result<(), DropReason> {
    let noise = match version {
        Version::V4 => {
            let ip = ip::ipv4(packet, 0)?;
            ip.source == [0; 4] || ip.protocol == IGMP
        }
        Version::V6 => {
            let ip = ip::ipv6(packet, 0)?;
            ip.source == [0; 16] || ip.next_header == HOP_BY_HOP
        }
    };
    if noise { Err(DropReason::Multicast) } else { Ok(()) }
}
