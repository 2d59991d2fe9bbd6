//! The contract between the kernel programs and the daemon: what the shared maps hold, why packets are dropped,
//! and the version of all that.
//!
//! Both sides compile these types. Each is `repr(C)` without implicit padding (zerocopy proves it), is checked
//! for size at compile time, and keeps addresses as byte arrays in wire order.
//!
//! # What two builds of one [`ABI_VERSION`] may differ in
//!
//! A weftd takes over the pinned maps of another build, older or newer, without a packet being lost, if both have the
//! same [`ABI_VERSION`]. It compares that before it touches anything, and refuses any other. So every change raises the
//! version, but for these:
//!
//! - A value gets new fields at its end, for which zero means what was so before there were these fields. Entries are
//!   carried over with zeros there, or cut off: a build that does not know the fields does without what they say. Of a
//!   value with a [seal](Sealed) they are behind it.
//! - A map has another size (`max_entries`).
//! - A map is new, and empty means what was so before there was this map. A build that does not know it leaves its pin
//!   alone.
//!
//! Keys, kinds of maps, the order and meaning of what is there, and the names of programs with pinned links stay.

#![cfg_attr(not(test), no_std)]

mod address;
mod counters;
mod drop_reason;
mod endpoint;
mod event;
mod flood;
mod flow;
mod host;
mod limit;
mod next_hop;
mod policy;
mod seal;
mod underlay;
mod vni;
mod vtep;

pub use address::{IpKey, MacKey, family};
pub use counters::{PortCounters, Traffic};
pub use drop_reason::DropReason;
pub use endpoint::{Endpoint, Gateways, PortSecurity, port_flags};
pub use event::{DropEvent, Place};
pub use flood::{FloodKey, FloodMember, MOST_FLOOD_VTEPS, flood_group};
pub use flow::{
    Flow, FlowAddress, FlowCounts, FlowKey, FlowLimits, FlowTimeouts, Fragment, FragmentKey, HalfOpenKey,
    Judged, Phase, Side, Signal, Step, address_of, flags, flow_address, flow_bytes, flow_words,
};
pub use host::HostConfig;
pub use limit::{Limits, PortLimits, Rate};
pub use next_hop::{HostRoute, NextHop, PathKey, PathSet, kind};
pub use policy::{
    AllowedPair, IdentityKey, MembershipKey, PolicyClass, PolicyRule, RuleKey, Ruling, ServiceKey, peer_key,
};
pub use seal::{Scope, Sealed};
pub use underlay::Underlay;
pub use vni::{VniEntry, vni_kind};
pub use vtep::{Uplink, VtepAddr, VtepEntry, VtepVniKey};

/// Raised with every change of a map's key, value or meaning that the rule above does not allow.
pub const ABI_VERSION: u32 = 5;

/// Names of the maps, as in the object file and in the pin folder.
///
/// Everything that a packet looks up is keyed by network or subnet: that is what keeps tenants apart.
pub mod maps {
    /// Array of one `u32`: the [`ABI_VERSION`](crate::ABI_VERSION) of the pinned maps.
    pub const ABI: &str = "ABI";
    /// Array of one [`HostConfig`](crate::HostConfig).
    pub const HOST: &str = "HOST";
    /// Hash from the interface index of a port's host end (`u32`) to [`Endpoint`](crate::Endpoint).
    pub const ENDPOINTS: &str = "ENDPOINTS";
    /// Hash from [`IpKey`](crate::IpKey) to [`HostRoute`](crate::HostRoute): single addresses.
    pub const HOSTS: &str = "HOSTS";
    /// LPM trie from [`IpKey`](crate::IpKey), its network and family always matched in full, to
    /// [`NextHop`](crate::NextHop): prefixes.
    pub const PREFIXES: &str = "PREFIXES";
    /// Hash from [`MacKey`](crate::MacKey) to [`NextHop`](crate::NextHop): switching within a subnet.
    pub const FDB: &str = "FDB";
    /// Hash from [`PathKey`](crate::PathKey) to [`NextHop`](crate::NextHop): the paths of those that have several.
    pub const PATHS: &str = "PATHS";
    /// Hash from a VNI that this host takes part in (`u32`) to [`VniEntry`](crate::VniEntry).
    pub const VNIS: &str = "VNIS";
    /// Hash from [`VtepVniKey`](crate::VtepVniKey) to `u8` (always 1): who may send into which VNI.
    pub const VTEP_VNIS: &str = "VTEP_VNIS";
    /// Hash from [`VtepAddr`](crate::VtepAddr) to [`VtepEntry`](crate::VtepEntry): how to reach a VTEP.
    pub const VTEPS: &str = "VTEPS";
    /// Hash from the interface index of an underlay device (`u32`) to [`Underlay`](crate::Underlay).
    pub const UNDERLAYS: &str = "UNDERLAYS";
    /// Hash from [`FloodKey`](crate::FloodKey) to [`FloodMember`](crate::FloodMember): who gets a copy of what is for
    /// a whole subnet.
    pub const FLOOD: &str = "FLOOD";
    /// Per-CPU array from a port's slot to [`PortCounters`](crate::PortCounters); slot 0 counts what belongs to
    /// no port.
    pub const COUNTERS: &str = "COUNTERS";
    /// Array from a port's slot to [`PortLimits`](crate::PortLimits); slot 0 is for what belongs to no port.
    pub const LIMITS: &str = "LIMITS";
    /// Ring buffer of [`DropEvent`](crate::DropEvent).
    pub const EVENTS: &str = "EVENTS";
    /// Array of one `u64`: when a router last said that an outer packet was too big for it, in nanoseconds of the
    /// kernel's monotonic clock.
    pub const PATH_MTU: &str = "PATH_MTU";

    /// LPM trie from [`IpKey`](crate::IpKey), with the number of a policy for the network, to
    /// [`PolicyClass`](crate::PolicyClass): peers by prefix.
    pub const PEERS: &str = "PEERS";
    /// Hash from [`IdentityKey`](crate::IdentityKey) to [`PolicyClass`](crate::PolicyClass): peers by their groups.
    pub const IDENTITIES: &str = "IDENTITIES";
    /// LPM trie from [`ServiceKey`](crate::ServiceKey) to [`PolicyRule`](crate::PolicyRule).
    pub const SERVICES: &str = "SERVICES";
    /// Array of one `u32`: the generation of all that connections are judged by. One that was judged by another is judged
    /// again.
    pub const GENERATION: &str = "GENERATION";
    /// Hash from [`RuleKey`](crate::RuleKey) to `u64`: how many packets a rule decided about that belonged to no
    /// connection, or had to be judged again. The programs add entries.
    pub const HITS: &str = "HITS";
    /// LPM trie from [`IpKey`](crate::IpKey), with the interface index of a port for the network, to
    /// [`AllowedPair`](crate::AllowedPair).
    pub const PAIRS: &str = "PAIRS";
    /// Hash from [`FlowKey`](crate::FlowKey) to [`Flow`](crate::Flow): connections that are, or were, open.
    pub const FLOWS: &str = "FLOWS";
    /// The same of those that are asked for.
    pub const HALF_OPEN: &str = "HALF_OPEN";
    /// LRU hash from [`HalfOpenKey`](crate::HalfOpenKey) to [`FlowKey`](crate::FlowKey): the order in which they were asked
    /// for.
    pub const ASKED: &str = "ASKED";
    /// LRU hash from [`FragmentKey`](crate::FragmentKey) to [`Fragment`](crate::Fragment).
    pub const FRAGMENTS: &str = "FRAGMENTS";
    /// Array of [`FlowCounts`](crate::FlowCounts), which the programs write: by a port's slot, and behind all slots by
    /// [`PortSecurity::tenant`](crate::PortSecurity::tenant).
    pub const FLOW_COUNTS: &str = "FLOW_COUNTS";
    /// Array of `u64`, which the daemon writes: how many of the connections that were
    /// [opened](crate::FlowCounts::opened) are over, at the same indices.
    pub const FLOWS_OVER: &str = "FLOWS_OVER";
    /// Hash from [`MembershipKey`](crate::MembershipKey) to `u8` (always 1): what numbers of sets of groups stand for. For
    /// the daemon only.
    pub const MEMBERSHIPS: &str = "MEMBERSHIPS";

    /// All of them.
    pub const ALL: [&str; 29] = [
        ABI,
        HOST,
        ENDPOINTS,
        HOSTS,
        PREFIXES,
        FDB,
        PATHS,
        VNIS,
        VTEP_VNIS,
        VTEPS,
        UNDERLAYS,
        FLOOD,
        COUNTERS,
        LIMITS,
        EVENTS,
        PATH_MTU,
        PEERS,
        IDENTITIES,
        SERVICES,
        GENERATION,
        HITS,
        PAIRS,
        FLOWS,
        HALF_OPEN,
        ASKED,
        FRAGMENTS,
        FLOW_COUNTS,
        FLOWS_OVER,
        MEMBERSHIPS,
    ];
}

/// Names of the programs, as in the object file.
pub mod programs {
    /// Ingress on the host end of each port's veth.
    pub const FROM_POD: &str = "from_pod";
    /// Ingress on the underlay device.
    pub const FROM_UNDERLAY: &str = "from_underlay";
    /// Ingress on weft's kernel vxlan device.
    pub const FROM_VXLAN: &str = "from_vxlan";

    /// Ingress on the devices of weft's own, behind the others: drops what arrives without them.
    pub const GUARD: &str = "guard";

    /// Attached nowhere: judges a packet by a port's policies, without any effect.
    pub const JUDGE: &str = "judge";

    /// XDP on an underlay device: drops what may not come in, before there is an skb.
    pub const XDP_GUARD: &str = "xdp_guard";
    /// XDP on an underlay device: the same, and delivers into ports.
    pub const XDP_FORWARD: &str = "xdp_forward";

    /// The XDP programs, of which a device has at most one, held by a pinned link.
    pub const XDP: [&str; 2] = [XDP_GUARD, XDP_FORWARD];
    /// The TC programs that are attached one to a device: what each device of weft's does.
    pub const ALL: [&str; 3] = [FROM_POD, FROM_UNDERLAY, FROM_VXLAN];
}

/// What is asked of the program [`JUDGE`](programs::JUDGE), and what it answers.
///
/// Of the five words of `__sk_buff::cb` the first is the interface index of the port that judges, with [`trial::FROM_PEER`] if the
/// other side sent the packet; the others are the [`VtepAddr`] that it comes from. It leaves there the numbers of the policy and
/// of the rule, and whether that is stateless.
pub mod trial {
    /// The port that judges did not send the packet: [`Side::Peer`](crate::Side::Peer).
    pub const FROM_PEER: u32 = 1 << 31;
    /// The packet is let through.
    pub const ALLOWED: i32 = 1;
    /// It is not.
    pub const DENIED: i32 = 0;
    /// It was not judged, because it would be dropped for the reason whose number is added.
    pub const UNJUDGED: i32 = 1000;
    /// Bytes of Ethernet and IPv6 headers.
    pub const HEADERS: u32 = 54;
}

/// Fails the build if a shared type is not as large as both sides believe.
macro_rules! assert_size {
    ($type:ty, $size:expr) => {
        const _: () = assert!(size_of::<$type>() == $size);
    };
}
pub(crate) use assert_size;
