//! How many connections there may be, and what the programs keep besides them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{FlowAddress, FlowTimeouts};
use crate::assert_size;

/// How many connections there may be, and for how long.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FlowLimits {
    /// How long they live without a packet.
    pub timeouts: FlowTimeouts,
    /// Open ones of a port.
    pub per_port: u32,
    /// Open ones of all ports of a tenant on this host.
    pub per_tenant: u32,
    /// Half-open ones of a port: one more takes the place of its oldest.
    pub half_open: u32,
}
assert_size!(FlowLimits, 48);

impl FlowLimits {
    /// None at all.
    pub const NONE: Self = Self { timeouts: FlowTimeouts::NONE, per_port: 0, per_tenant: 0, half_open: 0 };
}

/// What the programs count of the connections of a port, or of a tenant. Only they write it; how many of these are over, the
/// daemon writes elsewhere, so that neither overwrites what the other counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FlowCounts {
    /// Connections that have been open.
    pub opened: u64,
    /// Connections that were asked for.
    pub asked: u64,
    /// Those of them that had to go before they were open or over time, because the port asked for too many.
    pub displaced: u64,
}
assert_size!(FlowCounts, 24);

/// A place in the order in which a port's connections were asked for: the oldest goes when there are too many.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct HalfOpenKey {
    /// Host end of the port's veth.
    pub ifindex: u32,
    /// From 0 to [`FlowLimits::half_open`], then from 0 again.
    pub place: u32,
}
assert_size!(HalfOpenKey, 8);

/// A fragmented packet to or from a port.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FragmentKey {
    /// Host end of the port's veth.
    pub ifindex: u32,
    /// The identification; of IPv4 the lower 16 bits.
    pub identification: u32,
    /// 4 or 6.
    pub family: u8,
    /// IP protocol number; of IPv6 0.
    pub protocol: u8,
    /// Who sent it: a [`Side`](crate::Side) as its number.
    pub side: u8,
    /// Zero.
    pub padding: u8,
    /// Its source.
    pub source: FlowAddress,
    /// Its destination.
    pub destination: FlowAddress,
}
assert_size!(FragmentKey, 44);

/// What the first fragment of a packet said, which was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Fragment {
    /// Transport port of the connection on the port's side.
    pub own_port: [u8; 2],
    /// The same of the peer.
    pub peer_port: [u8; 2],
    /// What policies see of the transport header: destination port, or ICMP type and code.
    pub detail: [u8; 2],
    /// IP protocol number, which later fragments of IPv6 do not tell.
    pub protocol: u8,
    /// Zero.
    pub padding: u8,
    /// When, in seconds of the kernel's monotonic clock.
    pub seen: u32,
}
assert_size!(Fragment, 12);

impl Fragment {
    /// Seconds within which the rest of a packet must come: what the receiver waits (RFC 8200 section 4.5).
    pub const LIFETIME: u32 = 60;
}
