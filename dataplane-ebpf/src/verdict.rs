//! Where a packet goes, and the only place that turns it into a kernel verdict.

use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC};
use weft_dataplane_abi::DropReason;

use crate::counters;
use crate::icmp_error::Refusal;
use crate::skb::Skb;

/// Where a packet goes.
pub enum Action {
    /// Not ours: on to the next program, and then to the host's stack, untouched.
    Pass,
    /// Answered in place: back to where it came from.
    Reply,
    /// Into a port of this host.
    Deliver { ifindex: u32, slot: u32 },
    /// Out of a device, encapsulated or with a tunnel key for the kernel's vxlan device.
    Transmit { ifindex: u32 },
    /// Dropped, and its sender may be told: `icmp_error` makes an [`Action::Answer`] of it where that is so.
    Refuse(Refusal),
    /// Dropped; what the packet now holds tells its sender, and leaves by this device.
    Answer { reason: DropReason, ifindex: u32 },
    /// Copies of it are on their way; it ends here itself.
    Copied,
}

/// What a stage decides.
pub type Verdict = Result<Action, DropReason>;

/// Counts and executes the verdict on a packet that came from the port of `slot` (0: no port) with `len` bytes.
#[inline(always)]
pub fn execute(skb: &Skb, slot: u32, len: u32, verdict: Verdict) -> i32 {
    match verdict {
        Ok(Action::Pass) => TC_ACT_UNSPEC,
        Ok(Action::Reply) => {
            counters::from_port(slot, len);
            counters::to_port(slot, skb.len());
            skb.redirect(skb.ifindex())
        }
        Ok(Action::Deliver { ifindex, slot: to }) => {
            counters::from_port(slot, len);
            counters::to_port(to, skb.len());
            skb.redirect_peer(ifindex)
        }
        Ok(Action::Transmit { ifindex }) => {
            counters::from_port(slot, len);
            skb.redirect(ifindex)
        }
        Ok(Action::Answer { reason, ifindex }) => {
            counters::drop(slot, reason);
            if ifindex == skb.ifindex() {
                counters::to_port(slot, skb.len());
            }
            skb.redirect(ifindex)
        }
        Ok(Action::Refuse(refusal)) => {
            counters::drop(slot, refusal.reason());
            TC_ACT_SHOT
        }
        Ok(Action::Copied) => {
            counters::from_port(slot, len);
            TC_ACT_SHOT
        }
        Err(reason) => {
            counters::drop(slot, reason);
            TC_ACT_SHOT
        }
    }
}
