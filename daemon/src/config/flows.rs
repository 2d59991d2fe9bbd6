//! `[flows]`: how many connections ports may have, and for how long without a packet.

use std::num::NonZeroU32;

use serde::Deserialize;
use weft_dataplane::desired::{FlowLimits, FlowTimeouts};

/// Limits of connections. Times are in seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flows {
    per_port: NonZeroU32,
    per_tenant: NonZeroU32,
    half_open_per_port: NonZeroU32,
    tcp_opening: NonZeroU32,
    tcp_open: NonZeroU32,
    tcp_half_closed: NonZeroU32,
    tcp_closed: NonZeroU32,
    tcp_reset: NonZeroU32,
    udp_single: NonZeroU32,
    udp_open: NonZeroU32,
    icmp: NonZeroU32,
    other: NonZeroU32,
}

impl Flows {
    /// The same in the data plane's words.
    #[must_use]
    pub const fn for_dataplane(self) -> FlowLimits {
        FlowLimits {
            timeouts: FlowTimeouts {
                tcp_opening: self.tcp_opening.get(),
                tcp_open: self.tcp_open.get(),
                tcp_half_closed: self.tcp_half_closed.get(),
                tcp_closed: self.tcp_closed.get(),
                tcp_reset: self.tcp_reset.get(),
                udp_single: self.udp_single.get(),
                udp_open: self.udp_open.get(),
                icmp: self.icmp.get(),
                other: self.other.get(),
            },
            per_port: self.per_port.get(),
            per_tenant: self.per_tenant.get(),
            half_open: self.half_open_per_port.get(),
        }
    }
}

impl Default for Flows {
    fn default() -> Self {
        let number = |number: u32| NonZeroU32::MIN.saturating_add(number.saturating_sub(1));
        let timeouts = FlowTimeouts::default();
        Self {
            per_port: number(65_536),
            per_tenant: number(131_072),
            half_open_per_port: number(1024),
            tcp_opening: number(timeouts.tcp_opening),
            tcp_open: number(timeouts.tcp_open),
            tcp_half_closed: number(timeouts.tcp_half_closed),
            tcp_closed: number(timeouts.tcp_closed),
            tcp_reset: number(timeouts.tcp_reset),
            udp_single: number(timeouts.udp_single),
            udp_open: number(timeouts.udp_open),
            icmp: number(timeouts.icmp),
            other: number(timeouts.other),
        }
    }
}
