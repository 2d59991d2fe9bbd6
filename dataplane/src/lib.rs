//! Keeps a host's kernel as the daemon wants it: loads, pins and replaces the eBPF programs, and makes devices,
//! neighbours and maps as [`desired`].
//!
//! A reconciliation is observe → plan → diff → apply. What weft may change or remove is known in one place,
//! `names`. Everything is relative to the network namespace of the thread that calls [`Dataplane::open`].

mod apply;
mod bpf;
mod change;
mod counters;
mod dataplane;
pub mod desired;
mod diff;
mod error;
mod ethtool;
mod events;
mod flows;
mod kernel;
mod names;
mod netlink;
mod netns;
mod observe;
mod path_mtu;
mod patience;
mod plan;
mod teardown;
mod tenure;
mod trial;
mod underlay_routes;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

pub use change::{Change, DeviceSetting, Operation, PortSetting};
pub use dataplane::Dataplane;
pub use error::{ObserveError, OpenError};
pub use events::{DropReader, Dropped, Frame, Judged, Packet, Transport, Tunnel};
pub use flows::{DecidedBy, Flow, FlowReader, RuleHits, RuleId};
pub use trial::{Trial, TrialError, Verdict};
pub use underlay_routes::UnderlayRoutes;
pub use weft_dataplane_abi::{MOST_FLOOD_VTEPS, Phase, Side};

/// Where weft's pins live and how large its maps are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A folder of weft's own on a bpffs, such as `/sys/fs/bpf/weft`; created if missing.
    pub pin_folder: PathBuf,
    /// Sizes of the maps.
    pub sizes: Sizes,
    /// How programs are to be attached; `None`: by the best that the kernel has.
    pub hook: Option<Hook>,
    /// Routes to other hosts that the maps hold stay until an update says otherwise, or [`Dataplane::sweep`] is called. If
    /// not, those that the first reconciliation does not want go.
    pub keep_routes: bool,
}

/// How programs are attached to devices. Packets notice no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// By pinned links (Linux 6.6).
    Tcx,
    /// As filters of a clsact queueing discipline.
    Clsact,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        })
    }
}

/// Whose intent the kernel is made to follow: a data plane that follows one store is not taken over by another, for
/// example an empty one, unless that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The store's id: lower-case hexadecimal digits.
    pub store: String,
    /// Take over what follows another store. What that one wanted and this one does not is removed.
    pub take_over: bool,
}

/// How many entries the maps have room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Ports of this host.
    pub ports: u32,
    /// VNIs that this host takes part in, L2 and L3.
    pub vnis: u32,
    /// Other hosts.
    pub vteps: u32,
    /// Single addresses, and MACs, here and on other hosts.
    pub addresses: u32,
    /// Prefixes.
    pub prefixes: u32,
    /// Open connections.
    pub flows: u32,
    /// Connections that are asked for.
    pub half_open: u32,
    /// Entries of each table of the ports' policies.
    pub rules: u32,
    /// Bytes of the buffer in which drops wait to be told: a power of two, and a whole page at least.
    pub events: u32,
}

/// A change that could not be made. The others were.
#[derive(Debug, thiserror::Error)]
#[error("{object}: {cause}")]
pub struct Failure {
    /// What it was about, such as `port red-web-1`.
    pub object: String,
    /// The port's name, if it was about a port.
    pub port: Option<String>,
    /// What happened and what to do.
    pub cause: String,
}

/// What a reconciliation, or a change of routes, did.
#[derive(Debug, Default)]
pub struct Report {
    /// Whether all was compared with the kernel. If not, only routes changed, and `ports` and `vteps` are empty.
    pub is_whole: bool,
    /// A reconciliation is due: routes lead to other VTEPs than before.
    pub is_unsettled: bool,
    /// How full the maps are.
    pub tables: Vec<TableFill>,
    /// How many routes are kept from before without having been confirmed.
    pub unconfirmed: usize,
    /// Changes made, in order. Of a map of which many entries changed, only how many.
    pub changes: Vec<Change>,
    /// Changes that failed.
    pub failures: Vec<Failure>,
    /// State of every desired port.
    pub ports: BTreeMap<String, PortState>,
    /// State of the host's VTEPs: address and whether the next hop is resolved.
    pub vteps: BTreeMap<weft_vxlan::Vtep, VtepState>,
    /// XDP on each underlay device that there is.
    pub xdp: Vec<XdpState>,
}

/// What an underlay device does before there is an skb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XdpMode {
    /// Nothing.
    Off,
    /// Drops what may not come in.
    Guard,
    /// That, and decapsulates and delivers.
    Forward,
}

/// XDP on an underlay device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XdpState {
    /// The device.
    pub device: String,
    /// What was asked for.
    pub configured: desired::Xdp,
    /// What the kernel has; if not off, then in native mode.
    pub effective: XdpMode,
    /// Why.
    pub reason: String,
}

/// How full a map is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFill {
    /// The map.
    pub map: &'static str,
    /// How many entries are wanted.
    pub entries: usize,
    /// How many fit.
    pub capacity: usize,
}

/// A port as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortState {
    /// The host end of its veth.
    pub device: String,
    /// Interface index of the host end.
    pub ifindex: u32,
    /// MTU of the workload's end.
    pub mtu: u32,
}

/// The way to another host, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VtepState {
    /// The next hops that flows are spread over; none if no route leads there.
    pub next_hops: Vec<NextHopState>,
    /// The largest outer packet that the way takes, in bytes: the devices', the route's, or what routers told.
    pub mtu: u16,
}

/// A next hop on the way to another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHopState {
    /// Device that leads there.
    pub device: String,
    /// Its MAC, once resolved. While none of a VTEP's next hops is, the kernel's vxlan device sends.
    pub mac: Option<weft_vxlan::MacAddr>,
}

/// Rules for which the kernel's tables have no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoom {
    /// Names of the ports that were to have them.
    pub ports: Vec<String>,
    /// Which table, and how large it may be.
    pub cause: String,
}

impl Failure {
    fn new(object: String, cause: String) -> Self {
        Self { object, port: None, cause }
    }

    fn of_port(port: &str, cause: String) -> Self {
        Self { object: format!("port {port}"), port: Some(port.to_owned()), cause }
    }
}

impl Report {
    /// Notes the outcome of a change.
    fn record(&mut self, change: Change, done: Result<(), String>) {
        match done {
            Ok(()) => self.changes.push(change),
            Err(cause) => {
                let port = change.port().map(str::to_owned);
                self.failures.push(Failure { object: change.object(), port, cause });
            }
        }
    }
}
