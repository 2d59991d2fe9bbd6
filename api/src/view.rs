//! What the daemon tells: status, routes, counters, plans, changes and errors.

pub mod bgp;
mod checksums;
pub mod security;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use weft_vxlan::{MacAddr, Vni, Vtep};

use crate::resource::Resource;
pub use checksums::{ChecksumState, ChecksumStatus, SelfTestPhase, SelfTestStatus, Workaround};

/// A stored resource with the revision of the store at which it was last written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The resource.
    #[serde(flatten)]
    pub resource: Resource,
    /// Revision of its last write.
    pub revision: u64,
}

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The host's name.
    pub host: String,
    /// weftd's version.
    pub version: String,
    /// Version of the kernel contract.
    pub abi: u32,
    /// How the programs are attached: `tcx`, or `clsact` where the kernel has no tcx.
    pub hook: String,
    /// Seconds since weftd started.
    pub uptime_seconds: u64,
    /// Underlay device.
    pub underlay: String,
    /// Tunnel address.
    pub vtep: Vtep,
    /// Router MAC.
    pub router_mac: MacAddr,
    /// Revision of the store.
    pub revision: u64,
    /// Resources by kind.
    pub resources: BTreeMap<String, usize>,
    /// Ports with their state in the kernel.
    pub ports: Vec<PortStatus>,
    /// Other hosts.
    pub vteps: Vec<VtepStatus>,
    /// How full the kernel's tables are.
    #[serde(default)]
    pub tables: Vec<TableStatus>,
    /// XDP on each underlay device that there is.
    #[serde(default)]
    pub xdp: Vec<XdpStatus>,
    /// Whether the ways to other hosts are tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_test: Option<SelfTestStatus>,
    /// Seconds since weftd last compared the kernel with what it should be, and made it so.
    pub checked_seconds_ago: u64,
    /// What the last reconciliation could not do. Empty: the kernel is as desired.
    pub failures: Vec<String>,
}

/// A port in [`Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    /// Its name.
    pub name: String,
    /// Its network's tenant.
    pub tenant: String,
    /// Its network.
    pub network: String,
    /// Its subnet.
    pub subnet: String,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it is attached and in the kernel.
    pub state: PortPhase,
    /// Host end of its veth, once attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Why it is in this state, if it should not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortPhase {
    /// Not attached to a namespace.
    Detached,
    /// Attached, and in the kernel as desired.
    Up,
    /// Attached, but the kernel is not as desired.
    Failed,
}

/// Another host in [`Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VtepStatus {
    /// Its tunnel address.
    pub vtep: Vtep,
    /// The next hops that flows to it are spread over; none if no route leads there.
    #[serde(default)]
    pub next_hops: Vec<NextHopStatus>,
    /// The largest outer packet that the way takes, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// What the self-test found out about the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksums: Option<ChecksumStatus>,
}

/// A next hop in [`VtepStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextHopStatus {
    /// Device that leads there.
    pub device: String,
    /// Its MAC, once resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
}

/// A table of the kernel in [`Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStatus {
    /// Its name.
    pub name: String,
    /// How many entries are wanted.
    pub entries: usize,
    /// How many fit.
    pub capacity: usize,
}

/// XDP on an underlay device in [`Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct XdpStatus {
    /// The device.
    pub device: String,
    /// What was asked for: `underlay.xdp` of weftd.toml.
    pub configured: Xdp,
    /// What the kernel has: never `auto`.
    pub effective: Xdp,
    /// Whether the driver runs it; `false` only if it is off: weft has no use for XDP behind the driver.
    pub native: bool,
    /// Why it is as it is.
    pub reason: String,
}

/// What an underlay device does with a received packet before the kernel makes an skb of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Xdp {
    /// What gains with the device's driver.
    #[default]
    Auto,
    /// Nothing.
    Off,
    /// Drops what may not come in.
    Guard,
    /// That, and decapsulates and delivers.
    Forward,
}

impl fmt::Display for Xdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Off => "off",
            Self::Guard => "guard",
            Self::Forward => "forward",
        })
    }
}

/// A line of `GET /v1/routes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Name of the network.
    pub network: String,
    /// Destination: a single address as a /32 or /128.
    pub destination: IpNet,
    /// Who said so.
    pub source: RouteSource,
    /// Where it leads.
    pub via: Via,
    /// Where it leads as well: each flow takes one of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Via>,
    /// MAC of a single address, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// Ids of the security groups that whoever has the address is a member of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<u32>,
}

/// Who said that a route exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteSource {
    /// A port of this host.
    Port(String),
    /// A subnet's gateway.
    Gateway(String),
    /// A remote, given by hand.
    Remote(String),
    /// A BGP peer.
    Peer(String),
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// A port of this host.
    Port(String),
    /// This host answers.
    Gateway,
    /// Another host, with the VNI of the VXLAN header.
    Vtep {
        /// Its tunnel address.
        vtep: Vtep,
        /// VNI.
        vni: Vni,
    },
}

/// A port's line of `GET /v1/counters`; those of no port have an empty name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// The port's name, or empty.
    pub port: String,
    /// What the port sent and weft passed on.
    pub from_port: Traffic,
    /// What was delivered into the port.
    pub to_port: Traffic,
    /// Drops by reason; reasons without drops are left out.
    pub drops: BTreeMap<String, u64>,
}

/// Reasons of drops that every healthy workload causes: what it announces and asks when its NIC comes up. They are
/// counted like all others, but nothing is wrong.
pub const NOISE: [&str; 2] = ["neighbour_noise", "multicast"];

impl Counters {
    /// Drops that a person may want to look into: those for all reasons but [`NOISE`].
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.drops.iter().filter(|(reason, _)| !is_noise(reason)).map(|(_, count)| count).sum()
    }

    /// Drops for the reasons of [`NOISE`].
    #[must_use]
    pub fn noise(&self) -> u64 {
        self.drops.iter().filter(|(reason, _)| is_noise(reason)).map(|(_, count)| count).sum()
    }
}

/// Whether a reason is one of [`NOISE`].
#[must_use]
pub fn is_noise(reason: &str) -> bool {
    NOISE.contains(&reason)
}

/// Packets and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets; a super-packet (GSO) counts as one.
    pub packets: u64,
    /// Bytes of the tenant's frames.
    pub bytes: u64,
}

/// Answer to a change: what was or, on a dry run, would be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether nothing was changed because only the plan was asked for.
    pub dry_run: bool,
    /// Revision of the store after the change.
    pub revision: u64,
    /// Changes to resources, in order.
    pub resources: Vec<ResourceChange>,
    /// Changes to the kernel, in words, in order.
    pub kernel: Vec<String>,
    /// What the kernel refused; the intent is stored and is tried again.
    pub failures: Vec<String>,
}

/// A change to a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceChange {
    /// What happens to it.
    pub action: Action,
    /// The resource, as `kind/name`.
    pub resource: String,
}

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Create,
    /// It differs from the stored one.
    Replace,
    /// It goes.
    Delete,
    /// It is as it was.
    Unchanged,
}

/// One line of `GET /v1/watch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Revision of the change.
    pub revision: u64,
    /// What happened.
    pub action: Action,
    /// The resource after the change; for a deletion, before it.
    pub resource: Resource,
}

/// A packet that was dropped: a line of `GET /v1/drops`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drop {
    /// When, in UTC: `2026-01-31T23:59:59.123Z`.
    pub time: String,
    /// Why.
    pub reason: String,
    /// Name of the port that sent it; empty if no port of this host did.
    pub port: String,
    /// Name of its network, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Name of its subnet, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// The kernel program that dropped it.
    pub program: String,
    /// Interface index of the device that it arrived on.
    pub ifindex: u32,
    /// Bytes of the frame, outer headers included.
    pub length: u32,
    /// By which rule, if security groups denied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<security::Judgement>,
    /// The outer headers of a packet from another host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Tunnel>,
    /// The tenant's frame, as far as it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
}

/// The outer headers of a packet in [`Drop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// The VTEP that sent it, or says so.
    pub vtep: Vtep,
    /// The VNI of a VXLAN header that has a valid one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vni: Option<Vni>,
}

/// A tenant's frame in [`Drop`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Source MAC.
    pub source_mac: MacAddr,
    /// Destination MAC.
    pub destination_mac: MacAddr,
    /// EtherType.
    pub ethertype: u16,
    /// Source address; ARP's sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// Destination address; ARP's target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<IpAddr>,
    /// IP protocol number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
    /// Source port of TCP and UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    /// Destination port of TCP and UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    /// Type and code of ICMP and ICMPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<(u8, u8)>,
}

/// One line of `GET /v1/drops?follow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DropLine {
    /// A packet was dropped.
    Drop(Box<Drop>),
    /// More of a port's packets were dropped than are told one by one. They are counted.
    Untold(Untold),
    /// So many lines were lost on the way to this watcher, because it reads too slowly.
    Missed(u64),
}

/// Drops that were counted only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untold {
    /// Name of the port that sent them; empty if no port of this host did.
    pub port: String,
    /// How many since the last line like this.
    pub count: u64,
}

/// Body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Everything that is wrong. Nothing was changed.
    pub errors: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The object at fault, such as `subnet/red-a`, with the document's position in the input where there is one.
    pub object: String,
    /// The field at fault, such as `vni` or `addresses[17].mac`, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// A problem of an object as a whole.
    #[must_use]
    pub fn new(object: impl ToString, message: impl ToString) -> Self {
        Self { object: object.to_string(), field: None, message: message.to_string() }
    }

    /// The same, of one of its fields.
    #[must_use]
    pub fn at(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }
}
