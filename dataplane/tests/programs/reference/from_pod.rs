//! What a workload sends (docs/ARCHITECTURE.md, "From a workload").

use weft_dataplane_abi::DropReason;

use super::encapsulate::{self, Sent, Wrapping};
use super::extension_headers::is_discovery;
use super::facts::{Facts, Hop, Port, link_local};
use super::icmp_error::{self, Refusal};
use super::parse::{ETHERNET, Ethernet, Family, ICMP, Ip, is_group};
use super::{Arrival, Judgement, Verdict, bridge, flood, gateway, neighbours};

pub fn judge(facts: &Facts, arrival: &Arrival) -> Judgement {
    let port = facts.port(arrival.ifindex).ok_or(DropReason::UnknownEndpoint)?;
    if !facts.configured {
        return Err(DropReason::NotConfigured);
    }
    let frame = &arrival.frame;
    let ethernet = Ethernet::read(frame)?;
    if ethernet.source != port.mac {
        return Err(DropReason::SpoofedMac);
    }
    if ethernet.ethertype == 0x0806 {
        let asked = neighbours::arp_of_port(facts, port, frame)?;
        return bridge::send(facts, arrival, port, ethernet.destination, asked);
    }
    let family = ethernet.family()?;
    let ip = Ip::read(family, &frame[ETHERNET..])?;
    if family == Family::V6 && is_discovery(frame, 0)? {
        let asked = neighbours::discovery_of_port(facts, port, frame, &ip)?;
        return bridge::send(facts, arrival, port, ethernet.destination, asked);
    }
    let group = is_group(ethernet.destination);
    if group && bridge::is_noise(&ip) {
        return Err(DropReason::Multicast);
    }
    if !port.owns(ip.source) {
        return Err(DropReason::SpoofedIp);
    }
    if group {
        return flood::from_port(facts, arrival, port, true, DropReason::Multicast);
    }
    if is_for_many(&ip) && ethernet.destination != facts.gateway_mac {
        return Err(DropReason::WrongDestination);
    }
    if ethernet.destination == facts.gateway_mac {
        routed(facts, arrival, port, &ip)
    } else {
        switched(facts, arrival, port, &ethernet, &ip)
    }
}

/// To the gateway: by address.
fn routed(facts: &Facts, arrival: &Arrival, port: &Port, ip: &Ip) -> Judgement {
    if is_unroutable(ip) {
        return Err(DropReason::Unroutable);
    }
    let hop = facts.route(port.network, ip.destination).ok_or(DropReason::NoRoute)?;
    if hop == Hop::Gateway {
        return match gateway::answer(facts, &arrival.frame, ip) {
            gateway::Answer::Echo(frame) => Ok(Verdict::Reply(frame)),
            gateway::Answer::NoSuchPort => refuse(facts, arrival, port, ip, Refusal::PortUnreachable),
            gateway::Answer::Cut => Err(DropReason::Malformed),
            gateway::Answer::None => Err(DropReason::NotForGateway),
        };
    }
    if ip.source == link_local(port.mac) {
        return Err(DropReason::LinkLocal);
    }
    if ip.hops <= 1 {
        return refuse(facts, arrival, port, ip, Refusal::TimeExceeded);
    }
    match hop {
        Hop::Port(ifindex) => {
            let to = facts.port(ifindex).ok_or(DropReason::UnknownEndpoint)?;
            let frame = encapsulate::one_hop_less(&arrival.frame, ip);
            let frame = encapsulate::with_macs(frame, to.mac, facts.gateway_mac);
            Ok(Verdict::Deliver { slot: to.slot, frame })
        }
        Hop::Vtep { vtep, vni, router } => {
            let wrapping =
                Wrapping { vtep, vni, destination: router, source: facts.router_mac, routed: true };
            wrapped(facts, arrival, port, ip, &wrapping)
        }
        Hop::Gateway => Err(DropReason::NotForGateway),
    }
}

/// To another MAC: as it is, within the subnet.
fn switched(facts: &Facts, arrival: &Arrival, port: &Port, ethernet: &Ethernet, ip: &Ip) -> Judgement {
    match facts.station(port.subnet, ethernet.destination) {
        None => flood::from_port(facts, arrival, port, false, DropReason::UnknownMac),
        Some(Hop::Port(ifindex)) => {
            let to = facts.port(ifindex).ok_or(DropReason::UnknownEndpoint)?;
            Ok(Verdict::Deliver { slot: to.slot, frame: arrival.frame.clone().into() })
        }
        Some(Hop::Vtep { vtep, vni, .. }) => {
            let wrapping = Wrapping {
                vtep,
                vni,
                destination: ethernet.destination,
                source: ethernet.source,
                routed: false,
            };
            wrapped(facts, arrival, port, ip, &wrapping)
        }
        Some(Hop::Gateway) => Err(DropReason::UnknownMac),
    }
}

fn wrapped(facts: &Facts, arrival: &Arrival, port: &Port, ip: &Ip, wrapping: &Wrapping) -> Judgement {
    match encapsulate::send(facts, &arrival.frame, ip, arrival.gso_size, wrapping)? {
        Sent::Frame(frame) => Ok(Verdict::Transmit(frame)),
        Sent::TooBig(mtu) => refuse(facts, arrival, port, ip, Refusal::TooBig(mtu)),
    }
}

/// A drop, and the gateway's message about it where there may be one.
fn refuse(facts: &Facts, arrival: &Arrival, port: &Port, ip: &Ip, refusal: Refusal) -> Judgement {
    let reason = refusal.reason();
    let macs = (port.mac, facts.gateway_mac);
    match icmp_error::about(facts, port, &arrival.frame, ip, macs, refusal) {
        Some(frame) => Ok(Verdict::Answer { reason, frame, to_port: true }),
        None => Err(reason),
    }
}

/// Whether no single station is meant (docs/reference/drop-reasons.md, `wrong_destination`).
fn is_for_many(ip: &Ip) -> bool {
    match ip.destination {
        std::net::IpAddr::V4(to) => to.octets()[0] >= 224,
        std::net::IpAddr::V6(to) => to.is_multicast(),
    }
}

/// Whether no router passes it on (docs/reference/drop-reasons.md, `unroutable`).
pub fn is_unroutable(ip: &Ip) -> bool {
    match ip.destination {
        std::net::IpAddr::V4(to) => {
            let [first, ..] = to.octets();
            first == 0 || to.is_loopback() || to.is_link_local() || to.is_multicast() || first >= 240
        }
        std::net::IpAddr::V6(to) => {
            to.is_unspecified() || to.is_loopback() || to.is_multicast() || to.is_unicast_link_local()
        }
    }
}

/// Whether it is an ICMP message in an IPv4 packet.
pub fn is_icmpv4(ip: &Ip) -> bool {
    ip.family == Family::V4 && ip.protocol == ICMP
}
