//! Which of several hosts a flow goes to.
//!
//! By a hash of what stays the same as long as the flow does. The kernel's own hash of a workload's TCP is drawn anew when a
//! segment is sent again: it may choose another uplink then, but not another host.

use weft_dataplane_abi::{DropReason, NextHop, kind};

use crate::headers::{ETHERNET_LEN, IPV4_LEN, IPV6_LEN, protocol};
use crate::ip::{self, Version};
use crate::maps;
use crate::packet::Wire;
use crate::skb::Skb;

/// Both transport ports.
#[repr(C)]
struct Ports([u8; 4]);
// SAFETY: bytes only.
unsafe impl Wire for Ports {}

/// The path of the packet's flow to `next_hop`, in the network or subnet `scope`.
#[inline(always)]
pub fn choose(
    skb: &mut Skb,
    version: Version,
    next_hop: &'static NextHop,
    scope: u32,
) -> Result<&'static NextHop, DropReason> {
    if next_hop.kind() != kind::MULTIPATH {
        return Ok(next_hop);
    }
    maps::path(next_hop, scope, hash(skb, version)?)
}

/// Of the addresses, the protocol and, where every packet of the flow has them in its place, the ports: all fragments of a
/// packet go one way.
#[inline(always)]
fn hash(skb: &mut Skb, version: Version) -> Result<u32, DropReason> {
    skb.pull((ETHERNET_LEN + IPV6_LEN + size_of::<Ports>()) as u32)?;
    let packet = skb.packet();
    let (addresses, number, ports) = match version {
        Version::V4 => {
            let ip = ip::ipv4(&packet, 0)?;
            let sum = mix(mix(0, u32::from_ne_bytes(ip.source)), u32::from_ne_bytes(ip.destination));
            let plain = !ip.is_fragment() && ip.header_len() == IPV4_LEN;
            (sum, ip.protocol, plain.then_some(ETHERNET_LEN + IPV4_LEN))
        }
        Version::V6 => {
            let ip = ip::ipv6(&packet, 0)?;
            let mut sum = 0;
            for address in [&ip.source, &ip.destination] {
                for word in address.as_chunks::<4>().0 {
                    sum = mix(sum, u32::from_ne_bytes(*word));
                }
            }
            (sum, ip.next_header, Some(ETHERNET_LEN + IPV6_LEN))
        }
    };
    let ports = ports.filter(|_| number == protocol::TCP || number == protocol::UDP);
    let ports =
        ports.and_then(|at| packet.get::<Ports>(at).ok()).map_or(0, |ports| u32::from_ne_bytes(ports.0));
    let sum = mix(mix(addresses, ports), number as u32);
    Ok(sum ^ sum >> 16)
}

/// One word more in a sum: a step of MurmurHash3 (public domain).
#[inline(always)]
const fn mix(sum: u32, word: u32) -> u32 {
    let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    (sum ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}
