//! Whether a packet fits through the path to another host. A super-packet is judged by the segments that it is cut into
//! later, never by its own length.

use weft_dataplane_abi::DropReason;

use crate::extension_headers;
use crate::headers::{ETHERNET_LEN, IPV6_LEN, Udp, protocol};
use crate::ip::{self, Version};
use crate::packet::Packet;
use crate::skb::Skb;

/// `gso_size` of a super-packet that is a list of whole packets (SCTP): the sender cut them, to the MTU that it knew.
const CUT_ALREADY: u32 = 0xffff;

/// Whether the IP packet, or each that the super-packet is cut into, has at most `mtu` bytes.
#[inline(always)]
pub fn fits(skb: &mut Skb, version: Version, mtu: u32) -> Result<bool, DropReason> {
    let length = match skb.gso_size() {
        0 => skb.len() - ETHERNET_LEN as u32,
        CUT_ALREADY => return Ok(true),
        payload => match headers(skb.again(), version) {
            0 => return Err(DropReason::Malformed),
            headers => payload + headers,
        },
    };
    Ok(length <= mtu)
}

/// Bytes of the headers in front of each segment's payload, network and transport; 0: they end too early. Headers of a
/// tunnel that the workload itself runs are not among them. A function of its own, for the size of the programs' stacks.
#[inline(never)]
fn headers(mut skb: Skb, version: Version) -> u32 {
    let found = match version {
        Version::V4 => transport_v4(&skb.packet()),
        Version::V6 => transport_v6(&mut skb),
    };
    let Some((transport, at)) = found else { return 0 };
    let header = match transport {
        protocol::TCP => tcp_header(&mut skb, at),
        protocol::UDP => size_of::<Udp>(),
        _ => 0,
    };
    (at - ETHERNET_LEN + header) as u32
}

/// The transport protocol and where its header is.
#[inline(always)]
fn transport_v4(packet: &Packet<'_>) -> Option<(u8, usize)> {
    let ip = ip::ipv4(packet, 0).ok()?;
    Some((ip.protocol, ETHERNET_LEN + ip.header_len()))
}

#[inline(always)]
fn transport_v6(skb: &mut Skb) -> Option<(u8, usize)> {
    if extension_headers::follow(&skb.packet(), 0) {
        skb.pull(extension_headers::REACH).ok()?;
    }
    let transport = extension_headers::transport(&skb.packet(), 0).ok()?;
    Some(transport.unwrap_or((0, ETHERNET_LEN + IPV6_LEN)))
}

/// Bytes of the TCP header at `at`, options included (RFC 9293 section 3.1); 0: it ends too early.
#[inline(always)]
fn tcp_header(skb: &mut Skb, at: usize) -> usize {
    const DATA_OFFSET: usize = 12;
    if skb.pull((at + DATA_OFFSET + 2) as u32).is_err() {
        return 0;
    }
    match skb.packet().get::<[u8; 2]>(at + DATA_OFFSET) {
        Ok(offset) => (u16::from_be_bytes(*offset) >> 12) as usize * 4,
        Err(_) => 0,
    }
}
