//! Tells drops one by one: an event in the ring buffer, within the limit of the packet's port, so that neither a flood
//! from the wire nor one port silences another.
//!
//! Everything that an event holds is found out here, after the verdict: a packet that is not dropped pays nothing. The
//! packet is told by its first bytes, which the daemon takes apart.

use core::ptr::addr_of_mut;

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use weft_dataplane_abi::{DropEvent, DropReason, HostConfig, Limits, Place, Rate, VtepAddr};

use crate::ip::Version;
use crate::skb::Skb;
use crate::xdp::Xdp;
use crate::{counters, limit, maps};

/// Until the daemon has configured the host.
const UNCONFIGURED: Limits = Limits {
    floods: Rate::per_second(0),
    icmp_errors: Rate::per_second(0),
    drop_events: Rate::per_second(10),
};

/// What is known of a dropped packet besides its bytes.
pub struct Dropped {
    /// [`DropReason`] and [`Place`] as their numbers.
    pub reason: u32,
    pub place: u32,
    pub ifindex: u32,
    pub slot: u32,
    pub len: u32,
    /// The sending VTEP and the VNI, of a packet without its outer headers.
    pub tunnel: Option<(VtepAddr, u32)>,
}

/// Tells a drop at TC.
#[inline(always)]
pub fn tell_skb(skb: &mut Skb, place: Place, slot: u32, reason: DropReason) {
    match place {
        Place::Vxlan => tell_decapsulated(skb.context(), slot, reason as u32),
        Place::Pod | Place::Underlay | Place::Guard | Place::XdpGuard | Place::XdpForward => {
            tell_whole(skb.context(), place as u32, slot, reason as u32)
        }
    };
}

/// Tells a drop at XDP, of what belongs to no port.
#[inline(always)]
pub fn tell_xdp(xdp: &mut Xdp, place: Place, reason: DropReason) {
    tell_at_xdp(xdp.context(), place as u32, reason as u32);
}

/// A [subprogram] of its own, as the next. Not `#[cold]`: that would put it into a section of its own, and aya takes functions of
/// two sections for the same if they have the same place there.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tell_at_xdp(xdp: *mut xdp_md, place: u32, reason: u32) -> u32 {
    let xdp = Xdp::of(xdp);
    let dropped = Dropped { reason, place, ifindex: xdp.ifindex(), slot: 0, len: xdp.len(), tunnel: None };
    tell(&dropped, |head| xdp.copy_head(head));
    0
}

/// A packet with all of its headers.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tell_whole(skb: *mut __sk_buff, place: u32, slot: u32, reason: u32) -> u32 {
    let skb = Skb::of(skb);
    let dropped = Dropped { reason, place, ifindex: skb.ifindex(), slot, len: skb.len(), tunnel: None };
    tell(&dropped, |head| skb.copy_head(head));
    0
}

/// A packet whose outer headers the kernel took off.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tell_decapsulated(skb: *mut __sk_buff, slot: u32, reason: u32) -> u32 {
    let skb = Skb::of(skb);
    let outer = maps::host().map_or(Version::V4, |host| Version::of_vtep(host.vtep()));
    let tunnel = skb.tunnel_key(outer).ok().map(|(_, remote, vni)| (remote, vni));
    let (place, ifindex, len) = (Place::Vxlan as u32, skb.ifindex(), skb.len());
    tell(&Dropped { reason, place, ifindex, slot, len, tunnel }, |head| skb.copy_head(head));
    0
}

/// Tells a drop, unless the port's limit or the buffer is exhausted. `copy` fills in the packet's first bytes and
/// returns how many they are.
#[inline(always)]
pub fn tell(dropped: &Dropped, copy: impl FnOnce(&mut [u8; DropEvent::HEAD]) -> u16) {
    let host = maps::host().ok();
    let limits = host.map_or(&UNCONFIGURED, HostConfig::limits);
    if !limit::drop_event(limits, dropped.slot) {
        return counters::untold(dropped.slot);
    }
    let Some(mut entry) = maps::event() else { return counters::untold(dropped.slot) };
    let event = entry.as_mut_ptr();
    // SAFETY: the kernel reserved room for an event. Nothing is read of it before it is written.
    let event = unsafe {
        event.write_bytes(0, 1);
        &mut *event
    };
    // SAFETY: takes no pointers.
    event.time = unsafe { bpf_ktime_get_boot_ns() };
    event.reason = dropped.reason;
    event.place = dropped.place;
    event.ifindex = dropped.ifindex;
    event.slot = dropped.slot;
    event.len = dropped.len;
    if dropped.slot != 0
        && let Ok(Some(endpoint)) = maps::endpoint(dropped.ifindex)
    {
        event.network = endpoint.network();
        event.subnet = endpoint.subnet();
    }
    if dropped.reason == DropReason::PolicyDenied as u32
        && let Ok(facts) = maps::facts()
    {
        event.judged = facts.ifindex;
        event.policy = facts.policy;
        event.rule = facts.rule;
        event.side = facts.side;
    }
    if let Some((vtep, vni)) = dropped.tunnel {
        event.vtep = vtep;
        event.vni = vni;
    }
    if let Some(host) = host {
        event.udp_port = host.udp_port();
    }
    // SAFETY: as above.
    event.head_len = copy(unsafe { &mut *addr_of_mut!(event.head) });
    entry.submit(0);
}
