//! What the kernel refused, in the daemon's log: which helper failed, and with which error. The drop itself is counted
//! and told as `kernel_refused`, which cannot say that.

use aya_log_ebpf::warn;
use weft_dataplane_abi::HostConfig;

use crate::skb::Skb;
use crate::{limit, maps};

/// A helper of the kernel that may refuse. A type each, so that each has a log line of its own: the kernel's verifier
/// does not follow a name whose length it does not know.
pub trait Helper {
    const NAME: &'static str;
}

pub struct PullData;
pub struct AdjustRoom;
pub struct ChangeTail;
pub struct ChangeType;
pub struct LoadBytes;
pub struct StoreBytes;
pub struct SetTunnelKey;
pub struct GetTunnelKey;

impl Helper for PullData {
    const NAME: &'static str = "bpf_skb_pull_data";
}

impl Helper for AdjustRoom {
    const NAME: &'static str = "bpf_skb_adjust_room";
}

impl Helper for ChangeTail {
    const NAME: &'static str = "bpf_skb_change_tail";
}

impl Helper for ChangeType {
    const NAME: &'static str = "bpf_skb_change_type";
}

impl Helper for LoadBytes {
    const NAME: &'static str = "bpf_skb_load_bytes";
}

impl Helper for StoreBytes {
    const NAME: &'static str = "bpf_skb_store_bytes";
}

impl Helper for SetTunnelKey {
    const NAME: &'static str = "bpf_skb_set_tunnel_key";
}

impl Helper for GetTunnelKey {
    const NAME: &'static str = "bpf_skb_get_tunnel_key";
}

/// Logs a helper's error, within the limit of the port's drops. A function of its own: see [`crate::events`].
#[inline(never)]
pub fn refused<H: Helper>(skb: &Skb, error: i64) {
    let Ok(host) = maps::host() else { return };
    let ifindex = skb.ifindex();
    let slot = maps::endpoint(ifindex).map_or(0, |endpoint| endpoint.slot());
    if !limit::drop_event(HostConfig::limits(host), slot) {
        return;
    }
    warn!(skb, "{} refused a packet of {} bytes from interface {}: error {}", H::NAME, skb.len(), ifindex, error);
}
