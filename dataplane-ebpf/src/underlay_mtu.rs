//! ICMP errors of the underlay that say that an outer packet was too big (RFC 1191, RFC 8201). The host's stack takes
//! them, and its routes learn; but no event tells the daemon, so it is told here that there is something to look at.

use aya_ebpf::bindings::__sk_buff;
use weft_dataplane_abi::{HostConfig, VtepAddr};

use crate::headers::{
    ETHERNET_LEN, Ethernet, IPV4_LEN, IPV6_LEN, Icmp, Ipv4, Ipv6, Udp, ethertype, protocol,
};
use crate::maps;
use crate::packet::{Packet, Wire};
use crate::skb::Skb;

/// "Destination unreachable" with "fragmentation needed and DF set" (RFC 792).
const FRAGMENTATION_NEEDED: [u8; 2] = [3, 4];
/// "Packet too big" (RFC 4443 section 3.2).
const PACKET_TOO_BIG: [u8; 2] = [2, 0];
/// Both carry the MTU in the second four bytes, in IPv4 in the second two of these.
const ICMP_LEN: usize = 8;
/// Up to the quoted UDP header.
const HEADERS: u32 = (ETHERNET_LEN + IPV6_LEN + ICMP_LEN + IPV6_LEN + size_of::<Udp>()) as u32;

/// The first eight bytes of either error.
#[repr(C)]
struct TooBig {
    icmp: Icmp,
    mtu: [u8; 4],
}
// SAFETY: bytes only.
unsafe impl Wire for TooBig {}

/// Tells the daemon if the packet says that one of ours was too big, and for less than we already know. Anybody can
/// forge one, for a VTEP whose address is known: that only makes the daemon look, at most as often as it likes, and what
/// it then believes are the kernel's routes.
#[inline(always)]
pub fn notice(skb: &mut Skb, host: &HostConfig) {
    if is_icmp(&skb.packet(), host) {
        notice_icmp(skb.context());
    }
}

/// A [subprogram](crate::subprogram) of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn notice_icmp(skb: *mut __sk_buff) -> u32 {
    let mut skb = Skb::of(skb);
    if let Ok(host) = maps::host() {
        notice_quoted(&mut skb, host);
    }
    0
}

#[inline(always)]
fn notice_quoted(skb: &mut Skb, host: &HostConfig) {
    if skb.pull(HEADERS).is_err() {
        return;
    }
    let packet = skb.packet();
    let quoted = if host.vtep().is_ipv4() { quoted_ipv4(&packet, host) } else { quoted_ipv6(&packet, host) };
    if let Some((vtep, mtu)) = quoted
        && let Some(entry) = maps::vtep(&vtep)
        && mtu < entry.mtu() as u32
    {
        maps::tell_path_mtu();
    }
}

/// Whether it is ICMP for our VTEP's address: all that is asked of the host's other packets.
#[inline(always)]
fn is_icmp(packet: &Packet<'_>, host: &HostConfig) -> bool {
    let Ok(ethernet) = packet.get::<Ethernet>(0) else { return false };
    match ethernet.ethertype {
        ethertype::IPV4 => packet.get::<Ipv4>(ETHERNET_LEN).is_ok_and(|ip| {
            ip.protocol == protocol::ICMP
                && ip.version_ihl == 0x45
                && !ip.is_fragment()
                && VtepAddr::ipv4(ip.destination) == *host.vtep()
        }),
        ethertype::IPV6 => packet.get::<Ipv6>(ETHERNET_LEN).is_ok_and(|ip| {
            ip.next_header == protocol::ICMPV6 && VtepAddr::ipv6(ip.destination) == *host.vtep()
        }),
        _ => false,
    }
}

/// The VTEP that the quoted packet of ours was for, and the MTU that the router told.
#[inline(always)]
fn quoted_ipv4(packet: &Packet<'_>, host: &HostConfig) -> Option<(VtepAddr, u32)> {
    let error = packet.get::<TooBig>(ETHERNET_LEN + IPV4_LEN).ok()?;
    let ip = packet.get::<Ipv4>(ETHERNET_LEN + IPV4_LEN + ICMP_LEN).ok()?;
    let udp = packet.get::<Udp>(ETHERNET_LEN + IPV4_LEN + ICMP_LEN + IPV4_LEN).ok()?;
    let ours = [error.icmp.kind, error.icmp.code] == FRAGMENTATION_NEEDED
        && ip.version_ihl == 0x45
        && ip.protocol == protocol::UDP
        && VtepAddr::ipv4(ip.source) == *host.vtep()
        && udp.destination == host.udp_port();
    let [_, _, high, low] = error.mtu;
    ours.then_some((VtepAddr::ipv4(ip.destination), u16::from_be_bytes([high, low]) as u32))
}

#[inline(always)]
fn quoted_ipv6(packet: &Packet<'_>, host: &HostConfig) -> Option<(VtepAddr, u32)> {
    let error = packet.get::<TooBig>(ETHERNET_LEN + IPV6_LEN).ok()?;
    let ip = packet.get::<Ipv6>(ETHERNET_LEN + IPV6_LEN + ICMP_LEN).ok()?;
    let udp = packet.get::<Udp>(ETHERNET_LEN + IPV6_LEN + ICMP_LEN + IPV6_LEN).ok()?;
    let ours = [error.icmp.kind, error.icmp.code] == PACKET_TOO_BIG
        && ip.next_header == protocol::UDP
        && VtepAddr::ipv6(ip.source) == *host.vtep()
        && udp.destination == host.udp_port();
    ours.then_some((VtepAddr::ipv6(ip.destination), u32::from_be_bytes(error.mtu)))
}
