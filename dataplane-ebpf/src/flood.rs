//! Copies for a whole subnet: of what a port sends to the ports here and by head-end replication to the other hosts'
//! VTEPs (RFC 7432 section 11, RFC 8365 section 5.1.3); of what another host sends to the ports here only.
//!
//! Copies for VTEPs go through the kernel's vxlan device: it takes any EtherType, and the rate of floods is limited.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use weft_dataplane_abi::{DropReason, Endpoint, FloodKey, HostConfig, MOST_FLOOD_VTEPS, flood_group};

use crate::headers::ETHERNET_LEN;
use crate::ip::Version;
use crate::skb::Skb;
use crate::verdict::{Action, Verdict};
use crate::{counters, firewall, limit, maps};

/// More than there are ports of a host: their list ends before.
const MOST_PORTS: u32 = 1 << 20;

/// Answers of the step of a loop to the kernel.
const GO_ON: i64 = 0;
const STOP: i64 = 1;

/// Who gets copies of what a port sends.
#[derive(Clone, Copy, PartialEq)]
pub enum Reach {
    /// The other ports of the subnet, and other hosts.
    All,
    /// Other hosts. For what has one receiver that nobody knows: the MACs and addresses of ports are all known, so it
    /// is none of them, and what is not for them they should not read.
    OtherHosts,
}

/// What goes along a subnet's lists. Its answers are flags and not numbers: what does not grow from step to step, the
/// kernel's verifier has seen after a few steps.
struct Walk<'a> {
    skb: &'a mut Skb,
    host: &'static HostConfig,
    subnet: u32,
    /// The device that the frame came from, which gets no copy.
    from: u32,
    len: u32,
    /// Whether each port judges it: a packet, whose facts were read.
    judged: bool,
    /// Whether somebody got a copy.
    copied: bool,
    /// Whether somebody got none because the way there does not take a frame of this size.
    too_big: bool,
    /// Whether somebody got none because who it is changed while it was read.
    changed: bool,
}

/// A step of `bpf_loop`.
type Step = unsafe extern "C" fn(u64, *mut Walk<'_>) -> i64;

/// Copies what the port of `endpoint` sends, within its rate. `reason` is why it is dropped if there is nobody to get a
/// copy. The frame's sender must have been checked.
#[inline(always)]
pub fn from_port(skb: &mut Skb, endpoint: &Endpoint, reach: Reach, reason: DropReason) -> Verdict {
    copy(skb, endpoint, reach, reason)?;
    Ok(Action::Copied)
}

/// A function of its own, as inlined code shares no stack with other such code, and the steps need some.
#[inline(never)]
fn copy(skb: &mut Skb, endpoint: &Endpoint, reach: Reach, reason: DropReason) -> Result<(), DropReason> {
    let host = maps::host()?;
    let subnet = endpoint.subnet();
    let is_there = |group, index| Ok(maps::flood(&FloodKey::raw(subnet, group, index))?.is_some());
    // One of the ports is the sender.
    let somebody =
        is_there(flood_group::VTEPS, 0)? || (reach == Reach::All && is_there(flood_group::PORTS, 1)?);
    if !somebody {
        return Err(reason);
    }
    if !limit::flood(host.limits(), endpoint.slot()) {
        return Err(DropReason::FloodLimited);
    }
    // What goes to other hosts is judged there.
    let judged = reach == Reach::All;
    let mut walk = Walk::new(skb, host, subnet, judged);
    if reach == Reach::All {
        walk.along(to_port, MOST_PORTS);
    }
    walk.along(to_vtep, MOST_FLOOD_VTEPS);
    match walk {
        Walk { copied: true, .. } => Ok(()),
        Walk { too_big: true, .. } => Err(DropReason::TooBig),
        Walk { changed: true, .. } => Err(DropReason::TableChanged),
        _ => Err(reason),
    }
}

/// Copies what another host sent to all ports of the subnet, each of which judges it if it is `judged`: a packet, whose facts
/// were read. `reason` is why it is dropped if there are none.
#[inline(always)]
pub fn from_tunnel(
    skb: &mut Skb,
    host: &'static HostConfig,
    subnet: u32,
    judged: bool,
    reason: DropReason,
) -> Verdict {
    let mut walk = Walk::new(skb, host, subnet, judged);
    walk.along(to_port, MOST_PORTS);
    match walk {
        Walk { copied: true, .. } => Ok(Action::Copied),
        Walk { changed: true, .. } => Err(DropReason::TableChanged),
        _ => Err(reason),
    }
}

impl<'a> Walk<'a> {
    #[inline(always)]
    fn new(skb: &'a mut Skb, host: &'static HostConfig, subnet: u32, judged: bool) -> Self {
        let (from, len) = (skb.ifindex(), skb.len());
        Self { skb, host, subnet, from, len, judged, copied: false, too_big: false, changed: false }
    }

    /// Takes steps until one says that the list has ended, `most` at the most.
    #[inline(always)]
    fn along(&mut self, step: Step, most: u32) {
        // SAFETY: the kernel calls `step` as it is declared, with this walk, and only until it returns here.
        unsafe { bpf_loop(most, step as *mut c_void, (&raw mut *self).cast(), 0) };
    }
}

/// A copy for the port at `index` of the list.
unsafe extern "C" fn to_port(index: u64, walk: *mut Walk<'_>) -> i64 {
    // SAFETY: the kernel passes the walk that `along` gave it, which nobody else uses meanwhile.
    let walk = unsafe { &mut *walk };
    let key = FloodKey::raw(walk.subnet, flood_group::PORTS, index as u32);
    let member = match maps::flood(&key) {
        Ok(Some(member)) => member,
        Ok(None) => return STOP,
        Err(_) => {
            walk.changed = true;
            return GO_ON;
        }
    };
    if member.ifindex() == walk.from {
        return GO_ON;
    }
    if walk.judged && firewall::admits_copy(member.ifindex()).is_err() {
        return GO_ON;
    }
    if walk.skb.send_copy(member.ifindex()) {
        walk.copied = true;
        counters::to_port(member.slot(), walk.len);
    }
    GO_ON
}

/// A copy for the VTEP at `index` of the list.
unsafe extern "C" fn to_vtep(index: u64, walk: *mut Walk<'_>) -> i64 {
    // SAFETY: as in `to_port`.
    let walk = unsafe { &mut *walk };
    let key = FloodKey::raw(walk.subnet, flood_group::VTEPS, index as u32);
    let member = match maps::flood(&key) {
        Ok(Some(member)) => member,
        Ok(None) => return STOP,
        Err(_) => {
            walk.changed = true;
            return GO_ON;
        }
    };
    let Some(vtep) = maps::vtep(member.address()) else { return GO_ON };
    let outer_ip = walk.len + (Version::of_vtep(member.address()).outer_len() - ETHERNET_LEN) as u32;
    // A super-packet is cut to the sender's segment size later.
    if outer_ip > vtep.mtu() as u32 && !walk.skb.is_gso() {
        walk.too_big = true;
        return GO_ON;
    }
    let told = walk.skb.set_tunnel(walk.host.vtep(), member.address(), member.vni());
    if told.is_ok() && walk.skb.send_copy(walk.host.vxlan_ifindex()) {
        walk.copied = true;
    }
    GO_ON
}
