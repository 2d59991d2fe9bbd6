//! What the kernel refused, in the daemon's log: which helper failed, and with which error. The drop itself is counted
//! and told as `kernel_refused`, which cannot say that.
//!
//! Where a helper fails, only a note is made ([`crate::skb`]), in the packet's own scratch words; it is logged when the
//! packet's walk has ended, with the stack free again.

use aya_ebpf::bindings::__sk_buff;
use aya_log_ebpf::warn;

use crate::skb::Skb;
use crate::{limit, maps};

/// The helpers of the kernel that may refuse, in the order of [`NAMES`].
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Helper {
    PullData = 0,
    AdjustRoom = 1,
    ChangeTail = 2,
    ChangeType = 3,
    LoadBytes = 4,
    StoreBytes = 5,
    SetTunnelKey = 6,
    GetTunnelKey = 7,
}

/// Their names, each as long as the longest: the kernel's verifier does not follow one whose length it does not know.
static NAMES: [[u8; LONGEST]; 8] = [
    *b"bpf_skb_pull_data     ",
    *b"bpf_skb_adjust_room   ",
    *b"bpf_skb_change_tail   ",
    *b"bpf_skb_change_type   ",
    *b"bpf_skb_load_bytes    ",
    *b"bpf_skb_store_bytes   ",
    *b"bpf_skb_set_tunnel_key",
    *b"bpf_skb_get_tunnel_key",
];
const LONGEST: usize = 22;

/// Logs what was noted of a packet of the port of `slot`, within the limit of the port's drops. The rest is a function of its own:
/// see [`crate::events`].
#[inline(always)]
pub fn log(skb: &mut Skb, slot: u32) {
    log_refused(skb.context(), slot);
}

/// A [subprogram](crate::subprogram) of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn log_refused(skb: *mut __sk_buff, slot: u32) -> u32 {
    let skb = &Skb::of(skb);
    let Ok(host) = maps::host() else { return 0 };
    if !limit::drop_event(host.limits(), slot) {
        return 0;
    }
    let (helper, error) = skb.refusal();
    // SAFETY: the names are ASCII.
    let name = unsafe { core::str::from_utf8_unchecked(&NAMES[helper as usize & 7]) };
    warn!(
        skb,
        "the kernel refused a packet of {} bytes from interface {}: error {} of {}",
        skb.len(),
        skb.ifindex(),
        error,
        name
    );
    0
}
