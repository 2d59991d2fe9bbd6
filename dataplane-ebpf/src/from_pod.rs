//! What a workload sends, from the host end of its veth: endpoint, neighbours, anti-spoofing, then routed or
//! switched, and into another port or the tunnel; or copied, if it is for the whole subnet.

use weft_dataplane_abi::{DropReason, Endpoint, HostConfig, IpKey, MacKey, NextHop, Place, kind};

use crate::encapsulate::encapsulate;
use crate::flood::{self, Reach};
use crate::headers::{ETHERNET_LEN, Ethernet, IPV6_LEN, ethertype};
use crate::icmp_error::Refusal;
use crate::ip::{self, Version};
use crate::skb::Skb;
use crate::verdict::{Action, Verdict, execute};
use crate::{
    arp, bridge, endpoint, events, gateway, icmp_error, maps, multipath, neighbour_discovery, route, ttl,
};

/// The headers of every packet. A stage that looks further asks for more: what is asked for here is linear in a TCP
/// packet of either family, whose payload is not, and asking for a byte of that costs a copy of the packet's head.
const HEADERS: u32 = (ETHERNET_LEN + IPV6_LEN) as u32;

/// The program: finds the endpoint, and counts for its port whatever becomes of the packet.
#[inline(always)]
pub fn run(skb: &mut Skb) -> i32 {
    let len = skb.len();
    match maps::own_endpoint(skb.ifindex()) {
        Ok(Some(endpoint)) => {
            let verdict = match packet(skb.again(), endpoint) {
                Ok(Action::Flood { reach, reason }) => flood::from_port(skb, endpoint, reach, reason),
                Ok(Action::Refuse(refusal)) => {
                    // While the packet still is what is dropped.
                    events::tell_skb(skb, Place::Pod, endpoint.slot(), refusal.reason());
                    let unanswered = |reason| Ok(Action::Unanswered { reason });
                    icmp_error::answer(skb, endpoint, refusal).or_else(unanswered)
                }
                verdict => verdict,
            };
            execute(skb, Place::Pod, endpoint.slot(), len, verdict)
        }
        Ok(None) => execute(skb, Place::Pod, 0, len, Err(DropReason::UnknownEndpoint)),
        Err(reason) => execute(skb, Place::Pod, 0, len, Err(reason)),
    }
}

/// The packet's walk. A function of its own, so that its stack is free again for what follows.
#[inline(never)]
fn packet(mut skb: Skb, endpoint: &Endpoint) -> Verdict {
    let skb = &mut skb;
    let host = maps::host()?;
    skb.pull(HEADERS)?;
    if skb.has_vlan() {
        return Err(DropReason::UnsupportedEthertype);
    }
    let packet = skb.packet();
    let ethernet = packet.get::<Ethernet>(0)?;
    endpoint::check_mac(ethernet, endpoint)?;
    let mac = ethernet.destination;
    if ethernet.ethertype == ethertype::ARP {
        let neighbours = arp::answer(skb, endpoint, mac)?;
        return bridge::send(skb, host, endpoint, mac, neighbours);
    }
    let version = Version::of(ethernet.ethertype)?;
    let len = skb.len();
    let destination = ip::destination(&skb.packet(), 0, len, version, endpoint.network())?;
    if version == Version::V6 && neighbour_discovery::is_message(skb, 0)? {
        let neighbours = neighbour_discovery::answer(skb, endpoint, mac)?;
        return bridge::send(skb, host, endpoint, mac, neighbours);
    }
    let packet = skb.packet();
    let multicast = mac[0] & 1 != 0;
    // Before the source is looked at: group reports and DHCP have none yet, which is no spoofing.
    if multicast {
        bridge::check_group(&packet, version)?;
    }
    endpoint::check_ip(&packet, version, endpoint)?;
    if multicast {
        return Ok(Action::Flood { reach: Reach::All, reason: DropReason::Multicast });
    }
    let onward = if mac == host.gateway_mac() {
        routed(skb, host, endpoint, version, destination)?
    } else {
        switched(skb, endpoint, mac)?
    };
    match onward {
        Onward::Here(action) => Ok(action),
        // In one place for both: what is inlined twice needs the stack twice.
        Onward::Tunnel { next_hop, routed } => {
            let scope = if routed { endpoint.network() } else { endpoint.subnet() };
            let next_hop = multipath::choose(skb, version, next_hop, scope)?;
            let (destination, source) =
                if routed { (next_hop.mac(), host.router_mac()) } else { (mac, endpoint.mac()) };
            encapsulate(skb, host, next_hop, version, destination, source, routed)
        }
    }
}

/// Where a packet for one receiver goes.
enum Onward {
    /// Nowhere beyond this host.
    Here(Action),
    /// To another host.
    Tunnel { next_hop: &'static NextHop, routed: bool },
}

/// To the gateway's MAC: by destination address, within the network.
#[inline(always)]
fn routed(
    skb: &mut Skb,
    host: &HostConfig,
    endpoint: &Endpoint,
    version: Version,
    destination: IpKey,
) -> Result<Onward, DropReason> {
    let next_hop = route::lookup(destination)?;
    if next_hop.kind() == kind::GATEWAY {
        return gateway::answer(skb, host, version).map(Onward::Here);
    }
    if version == Version::V6 && endpoint.is_link_local(ip::ipv6(&skb.packet(), 0)?.source) {
        return Err(DropReason::LinkLocal);
    }
    if ttl::is_spent(&skb.packet(), 0, version)? {
        return Ok(Onward::Here(Action::Refuse(Refusal::TimeExceeded)));
    }
    if next_hop.kind() == kind::LOCAL {
        ttl::decrement(skb, version)?;
        ip::set_macs(&mut skb.packet(), next_hop.mac(), host.gateway_mac())?;
        return deliver(skb, next_hop);
    }
    Ok(Onward::Tunnel { next_hop, routed: true })
}

/// To another MAC: within the subnet, as it is.
#[inline(always)]
fn switched(skb: &mut Skb, endpoint: &Endpoint, mac: [u8; 6]) -> Result<Onward, DropReason> {
    let Some(next_hop) = maps::switch(&MacKey::raw(endpoint.subnet(), mac))? else {
        let reason = DropReason::UnknownMac;
        return Ok(Onward::Here(Action::Flood { reach: Reach::OtherHosts, reason }));
    };
    if next_hop.kind() == kind::LOCAL {
        return deliver(skb, next_hop);
    }
    Ok(Onward::Tunnel { next_hop, routed: false })
}

#[inline(always)]
fn deliver(skb: &mut Skb, next_hop: &NextHop) -> Result<Onward, DropReason> {
    skb.accept()?;
    Ok(Onward::Here(Action::Deliver { ifindex: next_hop.ifindex(), slot: next_hop.slot() }))
}
