//! What may come out of a tunnel, and into which port it goes: the same for packets that weft and that the kernel
//! decapsulates.

use weft_dataplane_abi::{DropReason, HostConfig, MacKey, NextHop, VtepAddr, VtepVniKey, kind, vni_kind};

use crate::headers::Ethernet;
use crate::ip::{self, Version};
use crate::skb::Skb;
use crate::verdict::{Action, Verdict};
use crate::{maps, neighbour_discovery, route, ttl};

/// A frame that passed all checks.
pub struct Received {
    next_hop: &'static NextHop,
    routed: bool,
    version: Version,
    destination: [u8; 6],
    source: [u8; 6],
}

impl Received {
    /// IP version of the inner packet.
    #[inline(always)]
    pub fn version(&self) -> Version {
        self.version
    }
}

/// Judges the inner frame at `frame`, of `len` bytes, that `remote` sent into `vni`.
#[inline(always)]
pub fn judge(
    skb: &mut Skb,
    frame: usize,
    len: u32,
    host: &HostConfig,
    remote: VtepAddr,
    vni: u32,
) -> Result<Received, DropReason> {
    let entry = maps::vni(vni).ok_or(DropReason::UnknownVni)?;
    if !maps::may_send(&VtepVniKey::raw(vni, remote)) {
        return Err(DropReason::UnknownVtep);
    }
    let version = Version::of(skb.packet().get::<Ethernet>(frame)?.ethertype)?;
    let routed = entry.kind() == vni_kind::NETWORK;
    // Neighbours are told by the control plane, here as there: nobody needs to hear it from another host. Routed, it
    // has lost the hop limit of 255 that makes it count.
    if !routed && version == Version::V6 && neighbour_discovery::is_message(skb, frame)? {
        return Err(DropReason::NeighbourNoise);
    }
    let packet = &skb.packet();
    let ethernet = packet.get::<Ethernet>(frame)?;
    let destination = ip::destination(packet, frame, len, version, entry.network())?;
    let next_hop = if routed {
        if ethernet.destination != host.router_mac() {
            return Err(DropReason::NotRouterMac);
        }
        ttl::check(packet, frame, version)?;
        route::lookup(destination)?
    } else {
        switched(vni, ethernet.destination)?
    };
    // Only ever into a port: what another host sends is not sent on.
    if next_hop.kind() != kind::LOCAL {
        return Err(DropReason::NotLocal);
    }
    let (destination, source) =
        if routed { (next_hop.mac(), host.gateway_mac()) } else { (ethernet.destination, ethernet.source) };
    Ok(Received { next_hop, routed, version, destination, source })
}

#[inline(always)]
fn switched(subnet: u32, mac: [u8; 6]) -> Result<&'static NextHop, DropReason> {
    if mac[0] & 1 != 0 {
        return Err(DropReason::Multicast);
    }
    maps::switch(&MacKey::raw(subnet, mac)).ok_or(DropReason::UnknownMac)
}

/// Delivers the packet. Its Ethernet header is written again in full: where weft took the outer headers off, the
/// kernel kept the outer one in front.
#[inline(always)]
pub fn deliver(skb: &mut Skb, received: &Received) -> Verdict {
    if received.routed {
        ttl::decrement(skb, received.version)?;
    }
    let mut packet = skb.packet();
    let ethernet = packet.get_mut::<Ethernet>(0)?;
    ethernet.destination = received.destination;
    ethernet.source = received.source;
    ethernet.ethertype = received.version.ethertype();
    skb.accept()?;
    Ok(Action::Deliver { ifindex: received.next_hop.ifindex(), slot: received.next_hop.slot() })
}
