//! `[flows]`: how many connections ports with security groups may have, and when one without packets is over. `[flow_log]`:
//! where those that ended are written.

use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use weft_dataplane::desired::{FlowLimits, FlowTimeouts};

use super::{AbsolutePath, Sizes};
use crate::flows::log::Settings;

/// Connections of a port, unless the kernel has room for fewer at all.
const PER_PORT: u32 = 65_536;
/// The same of all ports of a tenant on this host.
const PER_TENANT: u32 = 131_072;
/// Connections of a port that are asked for.
const HALF_OPEN_PER_PORT: u32 = 1024;

/// Bytes of the log's file, unless given.
const MAX_BYTES: NonZeroU64 = NonZeroU64::new(100 << 20).unwrap();

/// `[flow_log]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowLog {
    file: Option<AbsolutePath>,
    sample: Option<NonZeroU32>,
    max_bytes: Option<NonZeroU64>,
}

impl FlowLog {
    /// In the log's own words; `None` if there is no file.
    pub(super) fn settings(&self) -> Option<Settings> {
        Some(Settings {
            file: self.file.as_ref()?.as_path().to_owned(),
            sample: self.sample.map_or(1, NonZeroU32::get),
            max_bytes: self.max_bytes.unwrap_or(MAX_BYTES).get(),
        })
    }
}

/// `[flows]`. Times are in seconds without a packet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flows {
    per_port: Option<Spanned<NonZeroU32>>,
    per_tenant: Option<Spanned<NonZeroU32>>,
    half_open_per_port: Option<Spanned<NonZeroU32>>,
    tcp_opening: Option<NonZeroU32>,
    tcp_open: Option<NonZeroU32>,
    tcp_half_closed: Option<NonZeroU32>,
    tcp_closed: Option<NonZeroU32>,
    tcp_reset: Option<NonZeroU32>,
    udp_single: Option<NonZeroU32>,
    udp_open: Option<NonZeroU32>,
    icmp: Option<NonZeroU32>,
    other: Option<NonZeroU32>,
}

impl Flows {
    /// A number that is above what the kernel has room for, if there is one, and where it stands.
    pub(super) fn fault(&self, sizes: &Sizes) -> Option<(Range<usize>, String)> {
        let table = [
            (&self.per_port, "flows.per_port", "sizes.flows", sizes.flows),
            (&self.per_tenant, "flows.per_tenant", "sizes.flows", sizes.flows),
            (&self.half_open_per_port, "flows.half_open_per_port", "sizes.half_open", sizes.half_open),
        ];
        table.into_iter().find_map(|(given, key, size_key, size)| {
            let given = given.as_ref().filter(|given| *given.get_ref() > size)?;
            let message = format!(
                "{key} is {}, and the kernel has room for {size} at all ({size_key}); raise {size_key}, or lower {key}",
                given.get_ref()
            );
            Some((given.span(), message))
        })
    }

    /// The same in the data plane's words. What is not given is no more than there is room for.
    pub(super) fn for_dataplane(&self, sizes: &Sizes) -> FlowLimits {
        let limit = |given: &Option<Spanned<NonZeroU32>>, unless_given: u32, size: NonZeroU32| {
            given.as_ref().map_or_else(|| unless_given.min(size.get()), |given| given.get_ref().get())
        };
        FlowLimits {
            timeouts: self.timeouts(),
            per_port: limit(&self.per_port, PER_PORT, sizes.flows),
            per_tenant: limit(&self.per_tenant, PER_TENANT, sizes.flows),
            half_open: limit(&self.half_open_per_port, HALF_OPEN_PER_PORT, sizes.half_open),
        }
    }

    fn timeouts(&self) -> FlowTimeouts {
        let or = |given: Option<NonZeroU32>, unless_given: u32| given.map_or(unless_given, NonZeroU32::get);
        let unless_given = FlowTimeouts::default();
        FlowTimeouts {
            tcp_opening: or(self.tcp_opening, unless_given.tcp_opening),
            tcp_open: or(self.tcp_open, unless_given.tcp_open),
            tcp_half_closed: or(self.tcp_half_closed, unless_given.tcp_half_closed),
            tcp_closed: or(self.tcp_closed, unless_given.tcp_closed),
            tcp_reset: or(self.tcp_reset, unless_given.tcp_reset),
            udp_single: or(self.udp_single, unless_given.udp_single),
            udp_open: or(self.udp_open, unless_given.udp_open),
            icmp: or(self.icmp, unless_given.icmp),
            other: or(self.other, unless_given.other),
        }
    }
}
