//! The anycast gateway answers ping (RFC 792, RFC 4443 section 4.2), on the host of whoever asks.

use weft_dataplane_abi::{DropReason, HostConfig};

use crate::checksum::updated;
use crate::headers::{ETHERNET_LEN, Ethernet, IPV4_LEN, IPV6_LEN, Icmp, Ipv4, Ipv6, protocol};
use crate::icmp_error::Refusal;
use crate::ip::Version;
use crate::packet::Packet;
use crate::skb::Skb;
use crate::verdict::{Action, Verdict};

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// Bytes of an echo request without data.
const ECHO_LEN: usize = 8;

/// What the gateway's answers start with.
const TTL: u8 = 64;

/// Turns an echo request into its reply; everything else for the gateway is refused. Who tries a UDP or TCP port is told:
/// traceroute to the gateway ends by that.
#[inline(always)]
pub fn answer(skb: &mut Skb, host: &HostConfig, version: Version) -> Verdict {
    skb.pull((ETHERNET_LEN + IPV6_LEN + ECHO_LEN) as u32)?;
    let mut packet = skb.packet();
    let transport = match version {
        Version::V4 => packet.get::<Ipv4>(ETHERNET_LEN)?.protocol,
        Version::V6 => packet.get::<Ipv6>(ETHERNET_LEN)?.next_header,
    };
    if matches!(transport, protocol::UDP | protocol::TCP) {
        return Ok(Action::Refuse(Refusal::PortUnreachable));
    }
    match version {
        Version::V4 => answer_ipv4(&mut packet)?,
        Version::V6 => answer_ipv6(&mut packet)?,
    }
    let ethernet = packet.get_mut::<Ethernet>(0)?;
    ethernet.destination = ethernet.source;
    ethernet.source = host.gateway_mac();
    Ok(Action::Reply)
}

#[inline(always)]
fn answer_ipv4(packet: &mut Packet<'_>) -> Result<(), DropReason> {
    let ip = packet.get_mut::<Ipv4>(ETHERNET_LEN)?;
    if ip.protocol != protocol::ICMP || ip.version_ihl != 0x45 || ip.is_fragment() {
        return Err(DropReason::NotForGateway);
    }
    if (u16::from_be_bytes(ip.total_length) as usize) < IPV4_LEN + ECHO_LEN {
        return Err(DropReason::Malformed);
    }
    let (source, destination) = (ip.source, ip.destination);
    let old = u16::from_be_bytes([ip.ttl, ip.protocol]);
    let icmp = packet.get_mut::<Icmp>(ETHERNET_LEN + IPV4_LEN)?;
    if icmp.kind != ECHO_REQUEST || icmp.code != 0 {
        return Err(DropReason::NotForGateway);
    }
    icmp.kind = ECHO_REPLY;
    icmp.checksum = updated(icmp.checksum, u16::from_be_bytes([ECHO_REQUEST, 0]), 0);
    let ip = packet.get_mut::<Ipv4>(ETHERNET_LEN)?;
    ip.source = destination;
    ip.destination = source;
    ip.ttl = TTL;
    ip.checksum = updated(ip.checksum, old, u16::from_be_bytes([TTL, protocol::ICMP]));
    Ok(())
}

#[inline(always)]
fn answer_ipv6(packet: &mut Packet<'_>) -> Result<(), DropReason> {
    let ip = packet.get::<Ipv6>(ETHERNET_LEN)?;
    if ip.next_header != protocol::ICMPV6 {
        return Err(DropReason::NotForGateway);
    }
    if (u16::from_be_bytes(ip.payload_length) as usize) < ECHO_LEN {
        return Err(DropReason::Malformed);
    }
    let icmp = packet.get_mut::<Icmp>(ETHERNET_LEN + IPV6_LEN)?;
    if icmp.kind != ECHO_REQUEST_V6 || icmp.code != 0 {
        return Err(DropReason::NotForGateway);
    }
    icmp.kind = ECHO_REPLY_V6;
    let (old, new) = ([ECHO_REQUEST_V6, 0], [ECHO_REPLY_V6, 0]);
    icmp.checksum = updated(icmp.checksum, u16::from_be_bytes(old), u16::from_be_bytes(new));
    // The pseudo-header holds both addresses: their exchange leaves its sum as it was.
    let ip = packet.get_mut::<Ipv6>(ETHERNET_LEN)?;
    core::mem::swap(&mut ip.source, &mut ip.destination);
    ip.hop_limit = TTL;
    Ok(())
}
