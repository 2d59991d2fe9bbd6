//! Into the tunnel: outer Ethernet, IP, UDP and VXLAN headers (RFC 7348 section 5) written in one go, from values that
//! the daemon prepared for each VTEP.

use weft_dataplane_abi::{DropReason, HostConfig, NextHop};
use weft_vxlan::{HEADER_LEN, source_port};

use crate::headers::{
    ETHERNET_LEN, Ethernet, IPV4_LEN, IPV6_LEN, Ipv4, Ipv6, OUTER_IPV4_LEN, OUTER_IPV6_LEN, Udp, ethertype,
    protocol,
};
use crate::icmp_error::Refusal;
use crate::ip::{Version, set_macs};
use crate::packet::Wire;
use crate::skb::{GrowError, Skb};
use crate::verdict::{Action, Verdict};
use crate::{ecn, maps, path_mtu, ttl};

/// Everything in front of the inner network header, over IPv4.
#[repr(C)]
struct OuterIpv4 {
    ethernet: Ethernet,
    ip: Ipv4,
    tunnel: Tunnel,
}
// SAFETY: bytes only.
unsafe impl Wire for OuterIpv4 {}
const _: () = assert!(size_of::<OuterIpv4>() == OUTER_IPV4_LEN + ETHERNET_LEN);

/// The same over IPv6.
#[repr(C)]
struct OuterIpv6 {
    ethernet: Ethernet,
    ip: Ipv6,
    tunnel: Tunnel,
}
// SAFETY: bytes only.
unsafe impl Wire for OuterIpv6 {}
const _: () = assert!(size_of::<OuterIpv6>() == OUTER_IPV6_LEN + ETHERNET_LEN);

/// What follows the outer IP header.
#[repr(C)]
struct Tunnel {
    udp: Udp,
    vxlan: [u8; HEADER_LEN],
    inner: Ethernet,
}

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
    let outer = Version::of_vtep(next_hop.vtep());
    let frame = skb.len();
    let outer_ip = frame + (outer.outer_len() - ETHERNET_LEN) as u32;
    // An IP packet gains its own Ethernet header, and the outer one does not count: so many bytes as are in front.
    let mtu = (entry.mtu() as u32).saturating_sub(outer.outer_len() as u32);
    if !path_mtu::fits(skb, version, mtu)? {
        return Ok(Action::Refuse(Refusal::TooBig { mtu }));
    }
    if routed {
        ttl::decrement(skb, version)?;
    }
    let flow = skb.flow_hash();
    let uplink = entry.uplink(flow);
    // A super-packet that is longer than its outer header could say is cut by the kernel's device first.
    if !uplink.is_resolved() || outer_ip > u16::MAX as u32 {
        return through_kernel(skb, host, next_hop, destination, source);
    }
    let ecn = ecn::field(&skb.packet(), 0, version)?;
    match skb.grow(outer) {
        Ok(()) => {}
        Err(GrowError::DeviceOnly) => {
            return through_kernel(skb, host, next_hop, destination, source);
        }
        Err(GrowError::Refused) => return Err(DropReason::KernelRefused),
    }
    let mut packet = skb.packet();
    // Field by field, here and below: a header built beside and then copied takes stack, of which little is left.
    let (ethernet, tunnel) = match outer {
        Version::V4 => {
            let outer = packet.get_mut::<OuterIpv4>(0)?;
            outer.ethernet.ethertype = ethertype::IPV4;
            write_ipv4(&mut outer.ip, host, next_hop, entry.ipv4_checksum(), outer_ip as u16, ecn);
            outer.tunnel.udp.length = (outer_ip as u16 - IPV4_LEN as u16).to_be_bytes();
            (&mut outer.ethernet, &mut outer.tunnel)
        }
        Version::V6 => {
            let outer = packet.get_mut::<OuterIpv6>(0)?;
            let payload = outer_ip as u16 - IPV6_LEN as u16;
            outer.ethernet.ethertype = ethertype::IPV6;
            write_ipv6(&mut outer.ip, host, next_hop, payload, flow, ecn);
            outer.tunnel.udp.length = payload.to_be_bytes();
            (&mut outer.ethernet, &mut outer.tunnel)
        }
    };
    ethernet.destination = uplink.destination();
    ethernet.source = uplink.source();
    write_tunnel(tunnel, host, next_hop, flow);
    tunnel.inner.destination = destination;
    tunnel.inner.source = source;
    tunnel.inner.ethertype = version.ethertype();
    Ok(Action::Transmit { ifindex: uplink.ifindex() })
}

#[inline(always)]
fn write_ipv4(ip: &mut Ipv4, host: &HostConfig, next_hop: &NextHop, partial_sum: u16, length: u16, ecn: u8) {
    ip.version_ihl = 0x45;
    ip.tos = ecn;
    ip.total_length = length.to_be_bytes();
    ip.identification = [0; 2];
    ip.flags_fragment = DONT_FRAGMENT;
    ip.ttl = TTL;
    ip.protocol = protocol::UDP;
    let sum = partial_sum as u32 + length as u32 + ecn as u32;
    let sum = (sum & 0xffff) + (sum >> 16);
    ip.checksum = (!((sum + (sum >> 16)) as u16)).to_be_bytes();
    ip.source = host.vtep().ipv4_bytes();
    ip.destination = next_hop.vtep().ipv4_bytes();
}

/// The flow label follows the flow as the UDP source port does (RFC 6438 section 3).
#[inline(always)]
fn write_ipv6(ip: &mut Ipv6, host: &HostConfig, next_hop: &NextHop, payload: u16, flow: u32, ecn: u8) {
    ip.version_class_flow = (6 << 28 | (ecn as u32) << 20 | flow & 0xf_ffff).to_be_bytes();
    ip.payload_length = payload.to_be_bytes();
    ip.next_header = protocol::UDP;
    ip.hop_limit = TTL;
    ip.source = host.vtep().bytes();
    ip.destination = next_hop.vtep().bytes();
}

/// UDP but for its length, and VXLAN.
#[inline(always)]
fn write_tunnel(tunnel: &mut Tunnel, host: &HostConfig, next_hop: &NextHop, flow: u32) {
    tunnel.udp.source = source_port(flow).to_be_bytes();
    tunnel.udp.destination = host.udp_port();
    // Zero: the inner packet has checksums of its own (RFC 7348 section 5; over IPv6, RFC 6935 and RFC 6936).
    tunnel.udp.checksum = [0; 2];
    let [_, a, b, c] = next_hop.vni().to_be_bytes();
    tunnel.vxlan = [0x08, 0, 0, 0, a, b, c, 0];
}

/// Leaves the outer headers to the kernel's vxlan device: slower, but it resolves the next hop itself, and takes whatever
/// super-packets there are.
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
