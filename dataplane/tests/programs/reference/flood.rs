//! Copies for a whole subnet (docs/design/datapath.md, "What is for a whole subnet").

use weft_dataplane_abi::DropReason;

use super::encapsulate::overhead;
use super::facts::{Facts, Port};
use super::parse::{ETHERNET, Family};
use super::{Arrival, Judgement, Verdict};

/// Of what a port sends: to VTEPs, and to the other ports if it is for `everybody`.
pub fn from_port(
    facts: &Facts,
    arrival: &Arrival,
    port: &Port,
    everybody: bool,
    reason: DropReason,
) -> Judgement {
    let slots = if everybody { others(facts, port.subnet, Some(arrival.ifindex)) } else { Vec::new() };
    let vteps = facts.flood(port.subnet).map_or(&[][..], |flood| &flood.vteps);
    if slots.is_empty() && vteps.is_empty() {
        return Err(reason);
    }
    if !facts.within_limits {
        return Err(DropReason::FloodLimited);
    }
    let known: Vec<_> = vteps.iter().filter_map(|vtep| facts.far(*vtep)).collect();
    let fits = |outer, mtu| arrival.gso_size != 0 || arrival.frame.len() + overhead(outer) - ETHERNET <= mtu;
    let fitting = known.iter().filter(|far| fits(Family::of(far.vtep), far.mtu)).count();
    if slots.is_empty() && fitting == 0 {
        return Err(if known.is_empty() { reason } else { DropReason::TooBig });
    }
    Ok(Verdict::Copied { slots, vteps: fitting as u64 })
}

/// Of what another host sends: to all ports, and to no host.
pub fn from_tunnel(facts: &Facts, subnet: u32, reason: DropReason) -> Judgement {
    let slots = others(facts, subnet, None);
    if slots.is_empty() { Err(reason) } else { Ok(Verdict::Copied { slots, vteps: 0 }) }
}

/// Slots of the subnet's ports, but for that which the frame came from.
fn others(facts: &Facts, subnet: u32, from: Option<u32>) -> Vec<u32> {
    let ports = facts.flood(subnet).map_or(&[][..], |flood| &flood.ports);
    let others = ports.iter().filter(|ifindex| Some(**ifindex) != from);
    others.filter_map(|ifindex| facts.port(*ifindex)).map(|port| port.slot).collect()
}
