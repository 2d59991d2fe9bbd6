//! Whether a packet fits through the path to another host. A super-packet is judged by the segments that it is cut into
//! later, never by its own length.

use weft_dataplane_abi::DropReason;

use crate::extension_headers;
use crate::headers::{ETHERNET_LEN, IPV6_LEN, Udp, protocol};
use crate::ip::{self, Version};
use crate::skb::Skb;

/// `gso_size` of a super-packet that is a list of whole packets (SCTP): the sender cut them, to the MTU that it knew.
const CUT_ALREADY: u32 = 0xffff;

/// Whether the IP packet, or each that the super-packet is cut into, has at most `mtu` bytes.
#[inline(always)]
pub fn fits(skb: &mut Skb, version: Version, mtu: u32) -> Result<bool, DropReason> {
    let length = match skb.gso_size() {
        0 => skb.len() - ETHERNET_LEN as u32,
        CUT_ALREADY => return Ok(true),
        payload => payload + headers(skb, version)?,
    };
    Ok(length <= mtu)
}

/// Bytes of the headers in front of each segment's payload: network and transport. Headers of a tunnel that the workload
/// itself runs are not among them.
#[inline(always)]
fn headers(skb: &mut Skb, version: Version) -> Result<u32, DropReason> {
    let (transport, at) = match version {
        Version::V4 => {
            let packet = skb.packet();
            let ip = ip::ipv4(&packet, 0)?;
            (ip.protocol, ETHERNET_LEN + ip.header_len())
        }
        Version::V6 => {
            if extension_headers::follow(&skb.packet(), 0) {
                skb.pull(extension_headers::REACH)?;
            }
            match extension_headers::transport(&skb.packet(), 0)? {
                Some(transport) => transport,
                None => (0, ETHERNET_LEN + IPV6_LEN),
            }
        }
    };
    let network = (at - ETHERNET_LEN) as u32;
    Ok(match transport {
        protocol::TCP => network + tcp_header(skb, at)?,
        protocol::UDP => network + size_of::<Udp>() as u32,
        _ => network,
    })
}

/// Bytes of the TCP header at `at`, options included (RFC 9293 section 3.1).
#[inline(always)]
fn tcp_header(skb: &mut Skb, at: usize) -> Result<u32, DropReason> {
    const DATA_OFFSET: usize = 12;
    skb.pull((at + DATA_OFFSET + 2) as u32)?;
    let offset = u16::from_be_bytes(*skb.packet().get::<[u8; 2]>(at + DATA_OFFSET)?);
    Ok((offset >> 12) as u32 * 4)
}
