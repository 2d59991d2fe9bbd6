//! What is not a packet to one known station (docs/design/datapath.md, "What is for a whole subnet").

use std::net::IpAddr;

use weft_dataplane_abi::DropReason;

use super::extension_headers::is_discovery;
use super::facts::{Facts, Hop, Port, Vni};
use super::neighbours::{self, Asked, Heard, Wanted};
use super::parse::{ETHERNET, Ethernet, Family, Ip, is_group};
use super::{Arrival, Judgement, Mac, Verdict, flood};

/// Whether nobody needs to hear a packet to a group: reports (IGMP, and MLD behind hop-by-hop options), and what has no
/// address yet.
pub fn is_noise(ip: &Ip) -> bool {
    let report = match ip.family {
        Family::V4 => 2,
        Family::V6 => 0,
    };
    ip.source.is_unspecified() || ip.protocol == report
}

/// A port's ARP or neighbour discovery to the MAC `to`.
pub fn send(facts: &Facts, arrival: &Arrival, port: &Port, to: Mac, asked: Asked) -> Judgement {
    let reason = match asked {
        Asked::Answered(frame) => return Ok(Verdict::Reply(frame)),
        Asked::Elsewhere(reason) => reason,
    };
    match facts.station(port.subnet, to) {
        Some(Hop::Vtep { .. }) => Ok(Verdict::Transmit(arrival.frame.clone().into())),
        Some(Hop::Port(_) | Hop::Gateway) => Err(reason),
        None if to == facts.gateway_mac => Err(reason),
        None => flood::from_port(facts, arrival, port, false, reason),
    }
}

/// What another host sends into a subnet.
pub fn receive(facts: &Facts, arrival: &Arrival, subnet: &Vni) -> Judgement {
    let frame = &arrival.frame;
    let ethernet = Ethernet::read(frame)?;
    check_mac(facts, subnet, ethernet.source)?;
    if ethernet.ethertype == 0x0806 {
        return hear(facts, frame, subnet, &ethernet, &neighbours::arp_of_host(frame)?);
    }
    let family = ethernet.family()?;
    let ip = Ip::read(family, &frame[ETHERNET..])?;
    if family == Family::V6 && is_discovery(frame, 0)? {
        return hear(facts, frame, subnet, &ethernet, &neighbours::discovery_of_host(frame, &ip)?);
    }
    if is_noise(&ip) {
        return Err(DropReason::Multicast);
    }
    check_claim(facts, subnet, ip.source, ethernet.source)?;
    flood::from_tunnel(facts, subnet.vni, DropReason::Multicast)
}

fn hear(facts: &Facts, frame: &[u8], subnet: &Vni, ethernet: &Ethernet, heard: &Heard) -> Judgement {
    check_mac(facts, subnet, heard.mac)?;
    for (address, mac) in &heard.claims {
        check_claim(facts, subnet, *address, *mac)?;
    }
    let reason = DropReason::NeighbourNoise;
    let hop = match heard.wanted {
        Wanted::Nobody => None,
        Wanted::Addressee if is_group(ethernet.destination) => {
            return flood::from_tunnel(facts, subnet.vni, reason);
        }
        Wanted::Addressee => facts.station(subnet.vni, ethernet.destination),
        Wanted::Owner(address) => facts
            .address(subnet.network, address)
            .filter(|known| known.neighbour.is_some_and(|(of, _)| of == subnet.vni))
            .map(|known| known.hop),
    };
    match hop {
        Some(Hop::Port(ifindex)) => {
            let slot = facts.port(ifindex).map_or(0, |port| port.slot);
            Ok(Verdict::Deliver { slot, frame: frame.to_vec().into() })
        }
        Some(Hop::Vtep { .. } | Hop::Gateway) | None => Err(reason),
    }
}

/// Nobody elsewhere has the MAC of a port or of the gateway.
fn check_mac(facts: &Facts, subnet: &Vni, mac: Mac) -> Result<(), DropReason> {
    let is_ours = matches!(facts.station(subnet.vni, mac), Some(Hop::Port(_))) || mac == facts.gateway_mac;
    if is_ours { Err(DropReason::SpoofedMac) } else { Ok(()) }
}

/// Nobody elsewhere has an address that the control plane knows otherwise.
fn check_claim(facts: &Facts, subnet: &Vni, address: IpAddr, mac: Mac) -> Result<(), DropReason> {
    let Some(known) = facts.address(subnet.network, address) else { return Ok(()) };
    let as_known = matches!(known.hop, Hop::Vtep { .. }) && known.neighbour == Some((subnet.vni, mac));
    if as_known { Ok(()) } else { Err(DropReason::SpoofedIp) }
}
