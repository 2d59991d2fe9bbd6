//! ARP (RFC 826, RFC 5227) and IPv6 neighbour discovery (RFC 4861), of a port and of another host.

use std::net::IpAddr;

use weft_dataplane_abi::DropReason;

use super::checksum::icmpv6;
use super::facts::{Facts, Hop, Port};
use super::frame::Frame;
use super::parse::{ETHERNET, Ip, byte, ipv4, ipv6, is_group, mac, word};
use super::{Mac, encapsulate};

const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// Offset of an ICMPv6 message, and of the options of a solicitation or advertisement.
const MESSAGE: usize = ETHERNET + 40;
const OPTIONS: usize = MESSAGE + 24;

/// What becomes of a port's question, or of what it tells.
pub enum Asked {
    Answered(Frame),
    /// For stations of other hosts, or dropped for this reason.
    Elsewhere(DropReason),
}

/// What another host says.
pub struct Heard {
    /// What it claims: this address at this MAC.
    pub claims: Vec<(IpAddr, Mac)>,
    /// The MAC that it says it has.
    pub mac: Mac,
    pub wanted: Wanted,
}

/// For whom that is.
pub enum Wanted {
    /// Who has the address.
    Owner(IpAddr),
    /// Whom the frame is addressed to.
    Addressee,
    Nobody,
}

struct Arp {
    operation: u16,
    sender_mac: Mac,
    sender: IpAddr,
    target: IpAddr,
}

impl Arp {
    fn read(frame: &[u8]) -> Result<Self, DropReason> {
        let arp = frame.get(ETHERNET..ETHERNET + 28).ok_or(DropReason::Malformed)?;
        // Ethernet and IPv4, with addresses of six and four bytes.
        if arp[..6] != [0, 1, 8, 0, 6, 4] {
            return Err(DropReason::Malformed);
        }
        let read = || {
            Some(Self {
                operation: word(arp, 6)?,
                sender_mac: mac(arp, 8)?,
                sender: ipv4(arp, 14)?,
                target: ipv4(arp, 24)?,
            })
        };
        read().ok_or(DropReason::Malformed)
    }
}

pub fn arp_of_port(facts: &Facts, port: &Port, frame: &[u8]) -> Result<Asked, DropReason> {
    let arp = Arp::read(frame)?;
    if arp.sender_mac != port.mac {
        return Err(DropReason::SpoofedMac);
    }
    let is_probe = arp.sender.is_unspecified();
    if !is_probe && arp.sender != port.ipv4 {
        return Err(DropReason::SpoofedIp);
    }
    match arp.operation {
        REPLY if !is_probe && !is_group([frame[0]; 6]) => Ok(Asked::Elsewhere(DropReason::NeighbourNoise)),
        REQUEST if arp.target != port.ipv4 => match facts.address(port.network, arp.target) {
            None if is_probe => Err(DropReason::UnknownNeighbour),
            None => Ok(Asked::Elsewhere(DropReason::UnknownNeighbour)),
            Some(known) => {
                let asked = known.neighbour.filter(|(subnet, _)| *subnet == port.subnet);
                let (_, mac) = asked.ok_or(DropReason::UnknownNeighbour)?;
                let mut answer = frame.to_vec();
                answer[20..22].copy_from_slice(&[0, 2]);
                answer[22..28].copy_from_slice(&mac);
                answer[28..32].copy_from_slice(&frame[38..42]);
                answer[32..38].copy_from_slice(&port.mac);
                answer[38..42].copy_from_slice(&frame[28..32]);
                Ok(Asked::Answered(encapsulate::with_macs(answer.into(), port.mac, mac)))
            }
        },
        _ => Err(DropReason::NeighbourNoise),
    }
}

pub fn arp_of_host(frame: &[u8]) -> Result<Heard, DropReason> {
    let arp = Arp::read(frame)?;
    let claims = if arp.sender.is_unspecified() { Vec::new() } else { vec![(arp.sender, arp.sender_mac)] };
    let is_question = arp.operation == REQUEST && arp.sender != arp.target;
    let wanted = if is_question { Wanted::Owner(arp.target) } else { Wanted::Addressee };
    Ok(Heard { claims, mac: arp.sender_mac, wanted })
}

pub fn discovery_of_port(facts: &Facts, port: &Port, frame: &[u8], ip: &Ip) -> Result<Asked, DropReason> {
    let detecting = ip.source.is_unspecified();
    if !detecting && !port.owns(ip.source) {
        return Err(DropReason::SpoofedIp);
    }
    // Router solicitations may be shorter; the others are nothing then (RFC 4861 section 7.1).
    if ip.total < 40 + 24 {
        return Err(DropReason::NeighbourNoise);
    }
    let (kind, code) = (frame[MESSAGE], frame[MESSAGE + 1]);
    let target = ipv6(frame, MESSAGE + 8).ok_or(DropReason::Malformed)?;
    if kind == ADVERTISEMENT && !port.owns(target) {
        return Err(DropReason::SpoofedIp);
    }
    if let Some(claimed) = mac(frame, OPTIONS + 2)
        && matches!(frame[OPTIONS], 1 | 2)
        && claimed != port.mac
    {
        return Err(DropReason::SpoofedMac);
    }
    if kind == ADVERTISEMENT && !is_group([frame[0]; 6]) {
        return elsewhere(frame, ip, DropReason::NeighbourNoise);
    }
    if kind != SOLICITATION || port.owns(target) {
        return Err(DropReason::NeighbourNoise);
    }
    if ip.hops != 255 || code != 0 {
        return Err(DropReason::Malformed);
    }
    let Some(known) = facts.address(port.network, target) else {
        return match detecting {
            true => Err(DropReason::UnknownNeighbour),
            false => elsewhere(frame, ip, DropReason::UnknownNeighbour),
        };
    };
    let asked = known.neighbour.filter(|(subnet, _)| *subnet == port.subnet);
    let (_, mac) = asked.ok_or(DropReason::UnknownNeighbour)?;
    Ok(Asked::Answered(advertisement(port, frame, known.hop == Hop::Gateway, mac, detecting)))
}

/// What only other hosts may know, if its one option, or none, tells no second MAC.
fn elsewhere(frame: &[u8], ip: &Ip, reason: DropReason) -> Result<Asked, DropReason> {
    claimed(frame, ip).map(|_| Asked::Elsewhere(reason)).ok_or(DropReason::NeighbourNoise)
}

fn claimed(frame: &[u8], ip: &Ip) -> Option<Mac> {
    match ip.total - 40 {
        24 => mac(frame, 6),
        32 if matches!(byte(frame, OPTIONS)?, 1 | 2) && byte(frame, OPTIONS + 1)? == 1 => {
            mac(frame, OPTIONS + 2)
        }
        _ => None,
    }
}

/// The answer (RFC 4861 section 7.2.4): to all nodes if the asker has no address yet.
fn advertisement(port: &Port, frame: &[u8], is_router: bool, mac: Mac, detecting: bool) -> Frame {
    let target = &frame[MESSAGE + 8..MESSAGE + 24];
    let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let (to, to_mac, solicited) = if detecting {
        (&all_nodes[..], [0x33, 0x33, 0, 0, 0, 1], 0)
    } else {
        (&frame[22..38], port.mac, 0x40)
    };
    let router = if is_router { 0x80 } else { 0 };
    let mut message = vec![ADVERTISEMENT, 0, 0, 0, 0x20 | solicited | router, 0, 0, 0];
    message.extend(target);
    message.extend([2, 1]);
    message.extend(mac);
    let sum = icmpv6(target, to, &message);
    message[2..4].copy_from_slice(&sum);
    let mut bytes = [to_mac.as_slice(), &mac, &[0x86, 0xdd]].concat();
    // Version, traffic class and flow label are the question's.
    bytes.extend(&frame[14..18]);
    bytes.extend([0, 32, 58, 255]);
    bytes.extend(target);
    bytes.extend(to);
    bytes.extend(message);
    Frame::from(bytes).summed_at(MESSAGE + 2)
}

pub fn discovery_of_host(frame: &[u8], ip: &Ip) -> Result<Heard, DropReason> {
    if ip.total < 40 + 24 {
        return Err(DropReason::NeighbourNoise);
    }
    let mac = claimed(frame, ip).ok_or(DropReason::NeighbourNoise)?;
    let target = ipv6(frame, MESSAGE + 8).ok_or(DropReason::Malformed)?;
    let mut claims = Vec::new();
    if !ip.source.is_unspecified() {
        claims.push((ip.source, mac));
    }
    let wanted = match frame[MESSAGE] {
        SOLICITATION => Wanted::Owner(target),
        ADVERTISEMENT => {
            claims.push((target, mac));
            Wanted::Addressee
        }
        _ => Wanted::Nobody,
    };
    Ok(Heard { claims, mac, wanted })
}
