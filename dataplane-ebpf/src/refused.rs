//! What the kernel refused, in the daemon's log: which helper failed, and with which error. The drop itself is counted
//! and told as `kernel_refused`, which cannot say that.

use aya_log_ebpf::warn;
use weft_dataplane_abi::HostConfig;

use crate::skb::Skb;
use crate::{limit, maps};

/// The helpers of the kernel that may refuse.
#[derive(Clone, Copy)]
pub enum Helper {
    PullData,
    AdjustRoom,
    ChangeTail,
    ChangeType,
    SetTunnelKey,
    GetTunnelKey,
}

impl Helper {
    #[inline(always)]
    fn name(self) -> &'static str {
        match self {
            Self::PullData => "bpf_skb_pull_data",
            Self::AdjustRoom => "bpf_skb_adjust_room",
            Self::ChangeTail => "bpf_skb_change_tail",
            Self::ChangeType => "bpf_skb_change_type",
            Self::SetTunnelKey => "bpf_skb_set_tunnel_key",
            Self::GetTunnelKey => "bpf_skb_get_tunnel_key",
        }
    }
}

/// Logs a helper's error, within the limit of the port's drops. A function of its own: see [`crate::events`].
#[cold]
#[inline(never)]
pub fn refused(skb: &Skb, helper: Helper, error: i64) {
    let Ok(host) = maps::host() else { return };
    let ifindex = skb.ifindex();
    let slot = maps::endpoint(ifindex).map_or(0, |endpoint| endpoint.slot());
    if !limit::drop_event(HostConfig::limits(host), slot) {
        return;
    }
    warn!(skb, "{} refused a packet of {} bytes from interface {}: error {}", helper.name(), skb.len(), ifindex, error);
}
