//! What the kernel's vxlan device took out of its outer headers (docs/ARCHITECTURE.md, "From another host").

use weft_dataplane_abi::DropReason;

use super::facts::Facts;
use super::parse::Family;
use super::tunnelled::{self, Inner};
use super::{Arrival, Judgement, bridge};

pub fn judge(facts: &Facts, arrival: &Arrival) -> Judgement {
    if !facts.configured {
        return Err(DropReason::NotConfigured);
    }
    let key = arrival.tunnel.ok_or(DropReason::KernelRefused)?;
    // The kernel does not tell addresses of the other family.
    if Family::of(key.local) != Family::of(facts.vtep) {
        return Err(DropReason::KernelRefused);
    }
    if key.local != facts.vtep || Family::of(key.remote.to_canonical()) != Family::of(key.local) {
        return Err(DropReason::UnknownVtep);
    }
    let length = arrival.frame.len();
    match tunnelled::judge(facts, &arrival.frame, 0, length, key.remote, key.vni)? {
        Inner::Packet(packet) => packet.deliver(facts, arrival.frame.clone()),
        Inner::Bridged(subnet) => bridge::receive(facts, arrival, subnet),
    }
}
