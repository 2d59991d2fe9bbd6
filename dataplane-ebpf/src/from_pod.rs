//! What a workload sends, from the host end of its veth: endpoint, neighbours, anti-spoofing, then routed or
//! switched, and into another port or the tunnel.

use weft_dataplane_abi::{DropReason, Endpoint, HostConfig, MacKey, Place, kind};

use crate::encapsulate::encapsulate;
use crate::headers::{ETHERNET_LEN, Ethernet, IPV6_LEN, ethertype};
use crate::ip::{self, Version};
use crate::skb::Skb;
use crate::verdict::{Action, Verdict, execute};
use crate::{arp, endpoint, gateway, maps, neighbour_discovery, route, ttl};

/// All headers that any stage here looks at: up to the end of a neighbour solicitation with one option.
const HEADERS: u32 = (ETHERNET_LEN + IPV6_LEN + 32) as u32;

/// The program: finds the endpoint, and counts for its port whatever becomes of the packet.
#[inline(always)]
pub fn run(skb: &mut Skb) -> i32 {
    let len = skb.len();
    match maps::endpoint(skb.ifindex()) {
        Some(endpoint) => {
            let verdict = packet(skb, endpoint);
            execute(skb, Place::Pod, endpoint.slot(), len, verdict)
        }
        None => execute(skb, Place::Pod, 0, len, Err(DropReason::UnknownEndpoint)),
    }
}

/// The packet's walk.
#[inline(always)]
fn packet(skb: &mut Skb, endpoint: &Endpoint) -> Verdict {
    let host = maps::host()?;
    skb.pull(HEADERS)?;
    if skb.has_vlan() {
        return Err(DropReason::UnsupportedEthertype);
    }
    let packet = skb.packet();
    let ethernet = packet.get::<Ethernet>(0)?;
    endpoint::check_mac(ethernet, endpoint)?;
    if ethernet.ethertype == ethertype::ARP {
        return arp::answer(skb, endpoint);
    }
    let version = Version::of(ethernet.ethertype)?;
    let mac = ethernet.destination;
    if version == Version::V6 && neighbour_discovery::is_message(skb, 0)? {
        return neighbour_discovery::answer(skb, endpoint);
    }
    let len = skb.len();
    let packet = skb.packet();
    // Before the source is looked at: group reports and DHCP have none yet, which is no spoofing.
    if mac[0] & 1 != 0 {
        return Err(DropReason::Multicast);
    }
    let destination = ip::destination(&packet, 0, len, version, endpoint.network())?;
    endpoint::check_ip(&packet, version, endpoint)?;
    if mac == host.gateway_mac() {
        routed(skb, host, endpoint, version, destination)
    } else {
        switched(skb, host, endpoint, mac)
    }
}

/// To the gateway's MAC: by destination address, within the network.
#[inline(always)]
fn routed(
    skb: &mut Skb,
    host: &HostConfig,
    endpoint: &Endpoint,
    version: Version,
    destination: weft_dataplane_abi::IpKey,
) -> Verdict {
    let next_hop = route::lookup(destination)?;
    if next_hop.kind() == kind::GATEWAY {
        return gateway::answer(skb, host, version);
    }
    if version == Version::V6 && endpoint.is_link_local(ip::ipv6(&skb.packet(), 0)?.source) {
        return Err(DropReason::LinkLocal);
    }
    ttl::check(&skb.packet(), 0, version)?;
    ttl::decrement(skb, version)?;
    if next_hop.kind() == kind::LOCAL {
        ip::set_macs(&mut skb.packet(), next_hop.mac(), host.gateway_mac())?;
        skb.accept()?;
        Ok(Action::Deliver { ifindex: next_hop.ifindex(), slot: next_hop.slot() })
    } else {
        encapsulate(skb, host, next_hop, version, next_hop.mac(), host.router_mac())
    }
}

/// To another MAC: within the subnet, as it is.
#[inline(always)]
fn switched(skb: &mut Skb, host: &HostConfig, endpoint: &Endpoint, mac: [u8; 6]) -> Verdict {
    let next_hop = maps::switch(&MacKey::raw(endpoint.subnet(), mac)).ok_or(DropReason::UnknownMac)?;
    if next_hop.kind() == kind::LOCAL {
        skb.accept()?;
        Ok(Action::Deliver { ifindex: next_hop.ifindex(), slot: next_hop.slot() })
    } else {
        let version = Version::of(skb.packet().get::<Ethernet>(0)?.ethertype)?;
        encapsulate(skb, host, next_hop, version, mac, endpoint.mac())
    }
}
