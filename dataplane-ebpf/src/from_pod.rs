//! What a workload sends, from the host end of its veth: endpoint, neighbours, anti-spoofing, then routed or
//! switched, and into another port or the tunnel; or copied, if it is for the whole subnet.

use weft_dataplane_abi::{
    DropReason, Endpoint, HostConfig, IpKey, MacKey, NextHop, Place, VtepAddr, kind, port_flags,
};

use crate::encapsulate::encapsulate;
use crate::flood::{self, Reach};
use crate::headers::{ETHERNET_LEN, Ethernet, IPV6_LEN, ethertype};
use crate::icmp_error::Refusal;
use crate::ip::{self, Version};
use crate::outcome::Outcome;
use crate::skb::Skb;
use crate::verdict::{Action, Verdict, execute};
use crate::{
    arp, bridge, endpoint, events, facts, firewall, gateway, icmp_error, maps, multipath,
    neighbour_discovery, route, ttl,
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
            let mut outcome = walk(skb, endpoint);
            match outcome.verdict() {
                Ok(Action::Flood { reach, reason }) => {
                    outcome = Outcome::of(flood::from_port(skb, endpoint, reach, reason));
                }
                Ok(Action::Refuse(refusal)) => {
                    // While the packet still is what is dropped.
                    events::tell_skb(skb, Place::Pod, endpoint.slot(), refusal.reason());
                    let unanswered = |reason| Ok(Action::Unanswered { reason });
                    outcome = Outcome::of(icmp_error::answer(skb, endpoint, refusal).or_else(unanswered));
                }
                Ok(_) | Err(_) => {}
            }
            execute(skb, Place::Pod, endpoint.slot(), len, outcome)
        }
        Ok(None) => execute(skb, Place::Pod, 0, len, Outcome::drop(DropReason::UnknownEndpoint)),
        Err(reason) => execute(skb, Place::Pod, 0, len, Outcome::drop(reason)),
    }
}

/// The packet's way: each part a function of its own, so that its stack is free again for the next.
#[inline(always)]
fn walk(skb: &mut Skb, endpoint: &Endpoint) -> Outcome {
    let checked = Outcome::answered(check(skb.again(), endpoint));
    let Some(version) = checked.version() else {
        let Ok(Action::Flood { reach: Reach::All, .. }) = checked.verdict() else { return checked };
        return match to_many(skb, endpoint) {
            Ok(()) => checked,
            Err(reason) => Outcome::drop(reason),
        };
    };
    if let Err(reason) = firewall::egress(skb, endpoint, version) {
        return Outcome::drop(reason);
    }
    let outcome = Outcome::answered(forward(skb.again(), endpoint, version as u32));
    if let Some(port) = outcome.firewalled() {
        let len = skb.len();
        let read = match endpoint.has(port_flags::FIREWALL) {
            true => Ok(()),
            false => facts::read_skb(skb, 0, version, len),
        };
        if let Err(reason) = read.and_then(|()| firewall::ingress(port, VtepAddr::NONE)) {
            return Outcome::drop(reason);
        }
    }
    outcome
}

/// Whether the port may send what is for many.
#[inline(always)]
fn to_many(skb: &mut Skb, endpoint: &Endpoint) -> Result<(), DropReason> {
    let version = Version::of(skb.packet().get::<Ethernet>(0)?.ethertype)?;
    firewall::egress_to_many(skb, endpoint, version)
}

/// What the checks of a packet lead to.
enum Checked {
    /// It goes no further.
    Here(Action),
    /// A packet for one receiver.
    Packet(Version),
}

/// Whether the port may send the packet; ARP, neighbour discovery and what is for many end here. Answers an [`Outcome`].
#[inline(never)]
fn check(mut skb: Skb, endpoint: &Endpoint) -> u64 {
    let outcome = match packet(&mut skb, endpoint) {
        Ok(Checked::Here(action)) => Outcome::of(Ok(action)),
        Ok(Checked::Packet(version)) => Outcome::packet(version),
        Err(reason) => Outcome::drop(reason),
    };
    outcome.number_of()
}

#[inline(always)]
fn packet(skb: &mut Skb, endpoint: &Endpoint) -> Result<Checked, DropReason> {
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
        return bridge::send(skb, host, endpoint, mac, neighbours).map(Checked::Here);
    }
    let version = Version::of(ethernet.ethertype)?;
    let (len, ifindex) = (skb.len(), skb.ifindex());
    let destination = ip::destination(&skb.packet(), 0, len, version, endpoint.network())?;
    if version == Version::V6 && neighbour_discovery::is_message(skb, 0)? {
        let neighbours = neighbour_discovery::answer(skb, endpoint, mac)?;
        return bridge::send(skb, host, endpoint, mac, neighbours).map(Checked::Here);
    }
    let packet = skb.packet();
    let multicast = mac[0] & 1 != 0;
    // Before the source is looked at: group reports and DHCP have none yet, which is no spoofing.
    if multicast {
        bridge::check_group(&packet, version)?;
    }
    endpoint::check_ip(&packet, version, endpoint, ifindex)?;
    if multicast {
        return Ok(Checked::Here(Action::Flood { reach: Reach::All, reason: DropReason::Multicast }));
    }
    // One station would get what rules about its address do not see.
    if destination.is_for_many() && mac != host.gateway_mac() {
        return Err(DropReason::WrongDestination);
    }
    Ok(Checked::Packet(version))
}

/// Sends a packet on that may be sent. Answers an [`Outcome`].
#[inline(never)]
fn forward(mut skb: Skb, endpoint: &Endpoint, version: u32) -> u64 {
    let version = if version == Version::V4 as u32 { Version::V4 } else { Version::V6 };
    Outcome::of(onward(&mut skb, endpoint, version)).number_of()
}

#[inline(always)]
fn onward(skb: &mut Skb, endpoint: &Endpoint, version: Version) -> Verdict {
    let host = maps::host()?;
    let len = skb.len();
    let mac = skb.packet().get::<Ethernet>(0)?.destination;
    let onward = if mac == host.gateway_mac() {
        let destination = ip::destination(&skb.packet(), 0, len, version, endpoint.network())?;
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
    let (ifindex, slot, firewalled) = (next_hop.ifindex(), next_hop.slot(), next_hop.is_firewalled());
    Ok(Onward::Here(Action::Deliver { ifindex, slot, firewalled }))
}
