//! Into the tunnel: outer Ethernet, IPv4, UDP and VXLAN headers (RFC 7348 section 5) written in one go, from
//! values that the daemon prepared for each VTEP.

use weft_dataplane_abi::{DropReason, HostConfig, NextHop, VtepEntry};
use weft_vxlan::{HEADER_LEN, source_port};

use crate::headers::{ETHERNET_LEN, Ethernet, IPV4_LEN, Ipv4, OUTER_IPV4_LEN, Udp, ethertype, protocol};
use crate::icmp_error::Refusal;
use crate::ip::{Version, set_macs};
use crate::packet::Wire;
use crate::skb::{GrowError, Skb};
use crate::verdict::{Action, Verdict};
use crate::{maps, path_mtu, ttl};

/// Everything in front of the inner network header.
#[repr(C)]
struct Outer {
    ethernet: Ethernet,
    ip: Ipv4,
    udp: Udp,
    vxlan: [u8; HEADER_LEN],
    inner: Ethernet,
}
// SAFETY: bytes only.
unsafe impl Wire for Outer {}
const _: () = assert!(size_of::<Outer>() == OUTER_IPV4_LEN + ETHERNET_LEN);

/// Bytes that an IP packet gains.
const OVERHEAD: u32 = OUTER_IPV4_LEN as u32;
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];
const TTL: u8 = 64;

/// Sends the frame to the next hop's VTEP, with these inner MACs, and with one hop less if it is `routed`.
#[inline(always)]
pub fn encapsulate(
    skb: &mut Skb,
    host: &HostConfig,
    next_hop: &NextHop,
    version: Version,
    destination: [u8; 6],
    source: [u8; 6],
    routed: bool,
) -> Verdict {
    let entry = maps::vtep(next_hop.vtep()).ok_or(DropReason::NoVtep)?;
    let frame = skb.len();
    let outer_ip = frame + (OUTER_IPV4_LEN - ETHERNET_LEN) as u32;
    let mtu = (entry.mtu() as u32).saturating_sub(OVERHEAD);
    if !path_mtu::fits(skb, version, mtu)? {
        return Ok(Action::Refuse(Refusal::TooBig { mtu }));
    }
    if routed {
        ttl::decrement(skb, version)?;
    }
    // A super-packet that is longer than its outer header could say is cut by the kernel's device first.
    if !entry.is_resolved() || outer_ip > u16::MAX as u32 {
        return through_kernel(skb, host, next_hop, destination, source);
    }
    let port = source_port(skb.flow_hash());
    match skb.grow() {
        Ok(()) => {}
        Err(GrowError::EncapsulatedBefore) => {
            return through_kernel(skb, host, next_hop, destination, source);
        }
        Err(GrowError::Refused) => return Err(DropReason::KernelRefused),
    }
    let mut packet = skb.packet();
    let outer = packet.get_mut::<Outer>(0)?;
    write_outer(outer, host, next_hop, entry, outer_ip as u16, port);
    outer.inner.destination = destination;
    outer.inner.source = source;
    outer.inner.ethertype = version.ethertype();
    Ok(Action::Transmit { ifindex: entry.ifindex() })
}

#[inline(always)]
fn write_outer(
    outer: &mut Outer,
    host: &HostConfig,
    next_hop: &NextHop,
    entry: &VtepEntry,
    length: u16,
    source_port: u16,
) {
    outer.ethernet.destination = entry.destination();
    outer.ethernet.source = entry.source();
    outer.ethernet.ethertype = ethertype::IPV4;

    let ip = &mut outer.ip;
    ip.version_ihl = 0x45;
    ip.tos = 0;
    ip.total_length = length.to_be_bytes();
    ip.identification = [0; 2];
    ip.flags_fragment = DONT_FRAGMENT;
    ip.ttl = TTL;
    ip.protocol = protocol::UDP;
    let sum = entry.ipv4_checksum() as u32 + length as u32;
    ip.checksum = (!((sum + (sum >> 16)) as u16)).to_be_bytes();
    ip.source = host.vtep().ipv4_bytes();
    ip.destination = next_hop.vtep().ipv4_bytes();

    outer.udp.source = source_port.to_be_bytes();
    outer.udp.destination = host.udp_port();
    outer.udp.length = (length - IPV4_LEN as u16).to_be_bytes();
    // Zero: the inner packet has checksums of its own (RFC 7348 section 5).
    outer.udp.checksum = [0; 2];

    let [_, a, b, c] = next_hop.vni().to_be_bytes();
    outer.vxlan = [0x08, 0, 0, 0, a, b, c, 0];
}

/// Leaves the outer headers to the kernel's vxlan device: slower, but it resolves the next hop itself.
#[inline(always)]
fn through_kernel(
    skb: &mut Skb,
    host: &HostConfig,
    next_hop: &NextHop,
    destination: [u8; 6],
    source: [u8; 6],
) -> Verdict {
    set_macs(&mut skb.packet(), destination, source)?;
    skb.set_tunnel(host.vtep(), next_hop.vtep(), next_hop.vni())?;
    Ok(Action::Transmit { ifindex: host.vxlan_ifindex() })
}
