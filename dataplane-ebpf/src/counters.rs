//! Counters per port, on the CPU that runs the program.

use core::hint::black_box;

use weft_dataplane_abi::{DropReason, Traffic};

use crate::maps;

/// The port of `slot` sent a frame that weft passed on. Slot 0 is no port: what comes from other hosts.
#[inline(always)]
pub fn from_port(slot: u32, len: u32) {
    if let Some(counters) = maps::counters(slot) {
        count(&mut counters.from_port, len);
    }
}

/// A frame goes into the port of `slot`.
#[inline(always)]
pub fn to_port(slot: u32, len: u32) {
    if let Some(counters) = maps::counters(slot) {
        count(&mut counters.to_port, len);
    }
}

/// A frame from the port of `slot` was dropped.
#[inline(always)]
pub fn drop(slot: u32, reason: DropReason) {
    if let Some(counters) = maps::counters(slot) {
        // The mask changes nothing, and shows the verifier that the index is in bounds. The compiler knows that it changes
        // nothing and would leave it out.
        counters.drops[black_box(reason.index()) & (DropReason::CAPACITY - 1)] += 1;
    }
}

/// A drop of the port of `slot` was counted only.
#[inline(always)]
pub fn untold(slot: u32) {
    if let Some(counters) = maps::counters(slot) {
        counters.untold += 1;
    }
}

#[inline(always)]
fn count(traffic: &mut Traffic, len: u32) {
    traffic.packets += 1;
    traffic.bytes += len as u64;
}
