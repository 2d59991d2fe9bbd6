//! Where a packet goes, and the only place that turns it into a kernel verdict.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC};
use weft_dataplane_abi::{DropReason, Place};

use crate::flood::Reach;
use crate::icmp_error::Refusal;
use crate::outcome::Outcome;
use crate::skb::Skb;
use crate::xdp::Xdp;
use crate::{counters, events, refused};

/// Where a packet goes.
pub enum Action {
    /// Not ours: on to the next program, and then to the host's stack, untouched.
    Pass,
    /// Answered in place: back to where it came from.
    Reply,
    /// Into a port of this host, which may have to judge it first.
    Deliver { ifindex: u32, slot: u32, firewalled: bool },
    /// Out of a device, encapsulated or with a tunnel key for the kernel's vxlan device.
    Transmit { ifindex: u32 },
    /// For a whole subnet, or whoever in it. It is dropped for this reason if nobody gets a copy.
    Flood { reach: Reach, reason: DropReason },
    /// Dropped, and its sender may be told: `icmp_error` makes an [`Action::Answer`] of it where that is so.
    Refuse(Refusal),
    /// Dropped; what the packet now holds tells its sender, and leaves by this device.
    Answer { reason: DropReason, ifindex: u32 },
    /// Dropped and told, and its sender is not: too many such messages, or one that must not be sent.
    Unanswered { reason: DropReason },
    /// Copies of it are on their way; it ends here itself.
    Copied,
}

/// What a stage decides.
pub type Verdict = Result<Action, DropReason>;

/// Counts and executes the verdict of the program `place` on a packet that came from the port of `slot` (0: no port)
/// with `len` bytes.
#[inline(always)]
pub fn execute(skb: &mut Skb, place: Place, slot: u32, len: u32, outcome: Outcome) -> i32 {
    match outcome.verdict() {
        Ok(Action::Pass) => TC_ACT_UNSPEC,
        Ok(Action::Reply) => {
            counters::from_port(slot, len);
            counters::to_port(slot, skb.len());
            skb.redirect(skb.ifindex())
        }
        Ok(Action::Deliver { ifindex, slot: to, .. }) => {
            counters::from_port(slot, len);
            counters::to_port(to, skb.len());
            skb.redirect_peer(ifindex)
        }
        Ok(Action::Transmit { ifindex }) => {
            counters::from_port(slot, len);
            skb.redirect(ifindex)
        }
        Ok(Action::Answer { reason, ifindex }) => {
            // Told while the packet still was what was dropped.
            counters::drop(slot, reason);
            // What goes back through a tunnel is for no port of this host.
            if slot != 0 {
                counters::to_port(slot, skb.len());
            }
            skb.redirect(ifindex)
        }
        Ok(Action::Refuse(refusal)) => {
            dropped(skb, place, slot, refusal.reason());
            TC_ACT_SHOT
        }
        Ok(Action::Flood { reason, .. }) => {
            dropped(skb, place, slot, reason);
            TC_ACT_SHOT
        }
        Ok(Action::Unanswered { reason }) => {
            count(skb, slot, reason);
            TC_ACT_SHOT
        }
        Ok(Action::Copied) => {
            counters::from_port(slot, len);
            TC_ACT_SHOT
        }
        Err(reason) => {
            dropped(skb, place, slot, reason);
            TC_ACT_SHOT
        }
    }
}

/// The same before there is an skb, for a frame of `len` bytes from the underlay.
#[inline(always)]
pub fn execute_xdp(xdp: &mut Xdp, place: Place, len: u32, verdict: Verdict) -> u32 {
    match verdict {
        Ok(Action::Deliver { ifindex, slot, .. }) => {
            counters::from_port(0, len);
            counters::to_port(slot, xdp.len());
            xdp.redirect(ifindex)
        }
        // All else that can be done with a packet needs an skb.
        Ok(_) => XDP_PASS,
        Err(reason) => {
            counters::drop(0, reason);
            events::tell_xdp(xdp, place, reason);
            XDP_DROP
        }
    }
}

/// Counts a drop, and tells it. The packet is still as it was judged.
#[inline(always)]
pub fn dropped(skb: &mut Skb, place: Place, slot: u32, reason: DropReason) {
    count(skb, slot, reason);
    events::tell_skb(skb, place, slot, reason);
}

#[inline(always)]
fn count(skb: &mut Skb, slot: u32, reason: DropReason) {
    counters::drop(slot, reason);
    if reason == DropReason::KernelRefused {
        refused::log(skb, slot);
    }
}
