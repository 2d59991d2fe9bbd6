//! What a port may cause only so often. The rates are in the host's configuration, the state is in the port's slot.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use weft_dataplane_abi::Limits;

use crate::maps;

/// Whether the port of `slot` may have one more frame flooded.
#[inline(always)]
pub fn flood(limits: &Limits, slot: u32) -> bool {
    maps::limits(slot).is_some_and(|due| limits.floods.admit(&mut due.floods, now()))
}

/// Whether the port of `slot` may be sent one more ICMP error.
#[inline(always)]
pub fn icmp_error(limits: &Limits, slot: u32) -> bool {
    maps::limits(slot).is_some_and(|due| limits.icmp_errors.admit(&mut due.icmp_errors, now()))
}

/// Whether one more drop of the port of `slot` may be told.
#[inline(always)]
pub fn drop_event(limits: &Limits, slot: u32) -> bool {
    maps::limits(slot).is_some_and(|due| limits.drop_events.admit(&mut due.drop_events, now()))
}

/// Nanoseconds of a clock that is read cheaply and moves with the kernel's tick.
#[inline(always)]
fn now() -> u64 {
    // SAFETY: takes no pointers.
    unsafe { bpf_ktime_get_coarse_ns() }
}
