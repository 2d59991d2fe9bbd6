//! What may come out of a tunnel, and into which port (docs/ARCHITECTURE.md, "From another host").

use std::net::IpAddr;

use weft_dataplane_abi::DropReason;

use super::encapsulate::{self, Sent, Wrapping};
use super::extension_headers::is_discovery;
use super::facts::{Facts, Hop, Port, Vni};
use super::frame::Frame;
use super::from_pod::is_unroutable;
use super::icmp_error::{self, Refusal};
use super::parse::{ETHERNET, Ethernet, Family, Ip, is_group};
use super::{Judgement, Verdict};

/// What an inner frame is.
pub enum Inner<'a> {
    /// For one port.
    Packet(Packet<'a>),
    /// For the bridge of this subnet.
    Bridged(&'a Vni),
}

pub struct Packet<'a> {
    pub port: &'a Port,
    pub ip: Ip,
    pub routed: bool,
}

/// The VNI, if it is here and the VTEP takes part in it.
pub fn admit(facts: &Facts, remote: IpAddr, vni: u32) -> Result<&Vni, DropReason> {
    let here = facts.vnis.iter().find(|here| here.vni == vni).ok_or(DropReason::UnknownVni)?;
    if facts.members.contains(&(vni, remote)) { Ok(here) } else { Err(DropReason::UnknownVtep) }
}

/// Judges the inner frame of `length` bytes behind `front` bytes of what arrived.
pub fn judge<'a>(
    facts: &'a Facts,
    arrived: &[u8],
    front: usize,
    length: usize,
    remote: IpAddr,
    vni: u32,
) -> Result<Inner<'a>, DropReason> {
    let here = admit(facts, remote, vni)?;
    let routed = here.vni == here.network;
    let ethernet = Ethernet::read(&arrived[front..])?;
    if !routed && ethernet.ethertype == 0x0806 {
        return Ok(Inner::Bridged(here));
    }
    let family = ethernet.family()?;
    if !routed && is_group(ethernet.destination) {
        return Ok(Inner::Bridged(here));
    }
    let packet = arrived.get(front + ETHERNET..front + length).ok_or(DropReason::Malformed)?;
    let ip = Ip::read(family, packet)?;
    // Behind a router it has lost the hop limit that makes it count.
    if !routed && family == Family::V6 && is_discovery(arrived, front)? {
        return Ok(Inner::Bridged(here));
    }
    let hop = if routed {
        if ethernet.destination != facts.router_mac {
            return Err(DropReason::NotRouterMac);
        }
        if is_unroutable(&ip) {
            return Err(DropReason::Unroutable);
        }
        facts.route(here.network, ip.destination).ok_or(DropReason::NoRoute)?
    } else {
        facts.station(vni, ethernet.destination).ok_or(DropReason::UnknownMac)?
    };
    let Hop::Port(ifindex) = hop else { return Err(DropReason::NotLocal) };
    let port = facts.port(ifindex).ok_or(DropReason::NotLocal)?;
    Ok(Inner::Packet(Packet { port, ip, routed }))
}

impl Packet<'_> {
    /// Whether its hops end here.
    pub fn is_spent(&self) -> bool {
        self.routed && self.ip.hops <= 1
    }

    /// Delivers `frame`, which is the inner one, or tells the sender that its hops end here.
    pub fn deliver(&self, facts: &Facts, frame: Vec<u8>) -> Judgement {
        if self.is_spent() {
            return self.expire(facts, &frame);
        }
        let frame = if self.routed {
            let frame = encapsulate::one_hop_less(&frame, &self.ip);
            encapsulate::with_macs(frame, self.port.mac, facts.gateway_mac)
        } else {
            frame.into()
        };
        Ok(Verdict::Deliver { slot: self.port.slot, frame })
    }

    fn expire(&self, facts: &Facts, frame: &[u8]) -> Judgement {
        let reason = DropReason::TtlExpired;
        let frame = self.told(facts, frame).ok_or(reason)?;
        Ok(Verdict::Answer { reason, frame, to_port: false })
    }

    /// The message to a sender behind another host, of the gateway of the destination's subnet. Without one, or without
    /// a way back, the packet is what it was: out of hops.
    fn told(&self, facts: &Facts, frame: &[u8]) -> Option<Frame> {
        let to_sender = Ip { destination: self.ip.source, ..self.ip };
        if is_unroutable(&to_sender) {
            return None;
        }
        let Hop::Vtep { vtep, vni, router } = facts.route(self.port.network, self.ip.source)? else {
            return None;
        };
        let macs = (router, facts.router_mac);
        let message = icmp_error::about(facts, self.port, frame, &self.ip, macs, Refusal::TimeExceeded)?;
        let ip = Ip::read(self.ip.family, &message.bytes[ETHERNET..]).ok()?;
        let wrapping = Wrapping { vtep, vni, destination: router, source: facts.router_mac, routed: false };
        match encapsulate::send(facts, &message.bytes, &ip, 0, &wrapping) {
            Ok(Sent::Frame(mut frame)) => {
                let front = frame.bytes.len() - message.bytes.len();
                frame.sums.extend(message.sums.iter().map(|at| front + at));
                Some(frame)
            }
            Ok(Sent::TooBig(_)) | Err(_) => None,
        }
    }
}
