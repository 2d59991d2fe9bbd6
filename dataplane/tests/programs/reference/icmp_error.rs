//! What a sender is told (docs/design/datapath.md, "What a sender is told"; RFC 792, RFC 1812 section 4.3, RFC 4443).

use std::net::{IpAddr, Ipv4Addr};

use weft_dataplane_abi::DropReason;

use super::extension_headers::{Leads, follow};
use super::facts::{Facts, Port, link_local};
use super::frame::Frame;
use super::from_pod::is_icmpv4;
use super::parse::{ETHERNET, Family, ICMPV6, Ip};
use super::{Mac, checksum};

/// What a packet was refused for.
#[derive(Clone, Copy)]
pub enum Refusal {
    TooBig(usize),
    TimeExceeded,
    PortUnreachable,
}

impl Refusal {
    pub fn reason(self) -> DropReason {
        match self {
            Self::TooBig(_) => DropReason::TooBig,
            Self::TimeExceeded => DropReason::TtlExpired,
            Self::PortUnreachable => DropReason::NotForGateway,
        }
    }
}

/// The message about the packet in `frame` from the gateway of the port's subnet, to and from these MACs.
pub fn about(
    facts: &Facts,
    port: &Port,
    frame: &[u8],
    ip: &Ip,
    macs: (Mac, Mac),
    refusal: Refusal,
) -> Option<Frame> {
    if !facts.within_limits || !may_be_answered(frame, ip) {
        return None;
    }
    let from = match (refusal, ip.family) {
        (Refusal::PortUnreachable, _) => ip.destination,
        (_, Family::V4) => port.gateways.0.unwrap_or(Ipv4Addr::new(192, 0, 0, 8).into()),
        (_, Family::V6) => port.gateways.1.unwrap_or(link_local(facts.gateway_mac)),
    };
    let packet = &frame[ETHERNET..ETHERNET + ip.total];
    let mut bytes = [macs.0.as_slice(), &macs.1, &ip.family.ethertype().to_be_bytes()].concat();
    match ip.family {
        Family::V4 => {
            let message = message_v4(refusal, &packet[..packet.len().min(576 - 28)]);
            let mut header = vec![0x45, 0xc0];
            header.extend(u16::try_from(20 + message.len()).unwrap().to_be_bytes());
            header.extend([0, 0, 0, 0, 64, 1, 0, 0]);
            header.extend(octets(from));
            header.extend(octets(ip.source));
            let sum = checksum::checksum(&header);
            header[10..12].copy_from_slice(&sum);
            bytes.extend(header);
            bytes.extend(message);
            Some(Frame::from(bytes).summed_at(24).summed_at(36))
        }
        Family::V6 => {
            let mut message = message_v6(refusal, &packet[..packet.len().min(1280 - 48)]);
            let sum = checksum::icmpv6(&octets(from), &octets(ip.source), &message);
            message[2..4].copy_from_slice(&sum);
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
            bytes.extend([ICMPV6, 64]);
            bytes.extend(octets(from));
            bytes.extend(octets(ip.source));
            bytes.extend(message);
            Some(Frame::from(bytes).summed_at(56))
        }
    }
}

fn message_v4(refusal: Refusal, quote: &[u8]) -> Vec<u8> {
    let (kind, code, mtu) = match refusal {
        // No path takes less (RFC 791 section 3.2).
        Refusal::TooBig(mtu) => (3, 4, mtu.max(68)),
        Refusal::TimeExceeded => (11, 0, 0),
        Refusal::PortUnreachable => (3, 3, 0),
    };
    let mut message = vec![kind, code, 0, 0];
    message.extend(u32::try_from(mtu).unwrap().to_be_bytes());
    message.extend(quote);
    let sum = checksum::checksum(&message);
    message[2..4].copy_from_slice(&sum);
    message
}

fn message_v6(refusal: Refusal, quote: &[u8]) -> Vec<u8> {
    let (kind, code, mtu) = match refusal {
        // Nor less here (RFC 8200 section 5).
        Refusal::TooBig(mtu) => (2, 0, mtu.max(1280)),
        Refusal::TimeExceeded => (3, 0, 0),
        Refusal::PortUnreachable => (1, 4, 0),
    };
    let mut message = vec![kind, code, 0, 0];
    message.extend(u32::try_from(mtu).unwrap().to_be_bytes());
    message.extend(quote);
    message
}

/// No error about an error, about a later fragment, or to or about many (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e).
fn may_be_answered(frame: &[u8], ip: &Ip) -> bool {
    match (ip.source, ip.destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let [first, ..] = from.octets();
            if first == 0 || from.is_loopback() || first >= 224 || to.octets()[0] >= 224 {
                return false;
            }
            if ip.fragment_offset != 0 {
                return false;
            }
            let at = ETHERNET + ip.header;
            !is_icmpv4(ip)
                || frame.get(at..at + 4).is_some_and(|icmp| !matches!(icmp[0], 3 | 4 | 5 | 11 | 12))
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            if from.is_unspecified() || from.is_multicast() || to.is_multicast() {
                return false;
            }
            match follow(frame, 0) {
                Ok(Leads::To(ICMPV6, at)) => {
                    frame.get(at..at + 4).is_some_and(|icmp| icmp[0] >= 128 && icmp[0] != 137)
                }
                Ok(Leads::To(..)) => true,
                Ok(Leads::Nowhere) | Err(_) => false,
            }
        }
        _ => false,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
