//! What the data plane knows of a port from which a packet comes.

use core::net::{Ipv4Addr, Ipv6Addr};

use weft_vxlan::{MacAddr, Vni};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::seal::sealed;
use crate::{Scope, assert_size};

/// A port of this host, found by the interface index of its host end, which is the scope of the entry.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Endpoint {
    network: u32,
    subnet: u32,
    slot: u32,
    mac: [u8; 6],
    padding: [u8; 2],
    ipv4: [u8; 4],
    ipv6: [u8; 16],
    link_local: [u8; 16],
    gateway_ipv4: [u8; 4],
    gateway_ipv6: [u8; 16],
    security: PortSecurity,
    seal: u32,
}
assert_size!(Endpoint, 96);
sealed!(Endpoint);

/// What a port may send and receive. All zero: its own addresses, and whatever comes.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(C)]
pub struct PortSecurity {
    /// Number of the policy of what comes to the port; 0: it has no rule.
    pub ingress: u32,
    /// Number of the policy of what the port sends.
    pub egress: u32,
    /// Where the connections of its tenant are counted, in [`FLOW_COUNTS`](crate::maps::FLOW_COUNTS).
    pub tenant: u32,
    /// Bits of [`port_flags`].
    pub flags: u32,
}
assert_size!(PortSecurity, 16);

/// Bits of [`PortSecurity::flags`].
pub mod port_flags {
    /// Packets are judged, as parts of connections. Without it, all else about policies counts for nothing.
    pub const FIREWALL: u32 = 1;
    /// What comes is allowed unless a rule says otherwise.
    pub const INGRESS_ALLOWED: u32 = 1 << 1;
    /// What the port sends is allowed unless a rule says otherwise.
    pub const EGRESS_ALLOWED: u32 = 1 << 2;
    /// It may send from any MAC and address: a router.
    pub const ANY_SOURCE: u32 = 1 << 3;
    /// It has pairs of addresses and MACs besides its own.
    pub const PAIRS: u32 = 1 << 4;
}

/// The addresses that a port is told of errors from (ICMP): those of its subnet's gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gateways {
    /// Of IPv4.
    pub ipv4: Ipv4Addr,
    /// Of IPv6.
    pub ipv6: Ipv6Addr,
}

impl Gateways {
    /// Of a subnet whose gateway, with `mac`, has these addresses. A family without one is told of errors from where
    /// its standard says: IPv4 from the dummy address 192.0.0.8 (RFC 7600 section 4.8), IPv6 from the link-local
    /// address of the gateway's MAC (RFC 4443 section 2.2: any unicast address of the node).
    #[must_use]
    pub fn new(ipv4: Option<Ipv4Addr>, ipv6: Option<Ipv6Addr>, mac: MacAddr) -> Self {
        Self {
            ipv4: ipv4.unwrap_or(Ipv4Addr::new(192, 0, 0, 8)),
            ipv6: ipv6.unwrap_or_else(|| mac.link_local()),
        }
    }
}

impl Endpoint {
    /// The port behind the veth `ifindex`, of `subnet` (L2 VNI) in `network` (L3 VNI), with its counters at `slot`. An address that the port
    /// does not have is stored as the unspecified one, which no packet may use as its source.
    #[must_use]
    pub fn new(
        ifindex: u32,
        network: Vni,
        subnet: Vni,
        slot: u32,
        mac: MacAddr,
        (ipv4, ipv6): (Option<Ipv4Addr>, Option<Ipv6Addr>),
        gateways: Gateways,
    ) -> Self {
        Self {
            network: network.get(),
            subnet: subnet.get(),
            slot,
            mac: mac.bytes(),
            padding: [0; 2],
            ipv4: ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED).octets(),
            ipv6: ipv6.unwrap_or(Ipv6Addr::UNSPECIFIED).octets(),
            link_local: mac.link_local().octets(),
            gateway_ipv4: gateways.ipv4.octets(),
            gateway_ipv6: gateways.ipv6.octets(),
            security: PortSecurity::default(),
            seal: 0,
        }
        .sealed(Scope::raw(ifindex))
    }

    /// The same port, behind the veth `ifindex`, with this security.
    #[must_use]
    pub fn with_security(self, ifindex: u32, security: PortSecurity) -> Self {
        Self { security, seal: 0, ..self }.sealed(Scope::raw(ifindex))
    }

    /// What it may send and receive.
    #[must_use]
    #[inline(always)]
    pub const fn security(&self) -> &PortSecurity {
        &self.security
    }

    /// Whether a bit of [`port_flags`] is set.
    #[must_use]
    #[inline(always)]
    pub const fn has(&self, flag: u32) -> bool {
        self.security.flags & flag != 0
    }

    /// L3 VNI of the port's network.
    #[must_use]
    #[inline(always)]
    pub const fn network(&self) -> u32 {
        self.network
    }

    /// L2 VNI of the port's subnet.
    #[must_use]
    #[inline(always)]
    pub const fn subnet(&self) -> u32 {
        self.subnet
    }

    /// Index of the port's counters.
    #[must_use]
    #[inline(always)]
    pub const fn slot(&self) -> u32 {
        self.slot
    }

    /// The only source MAC that the port may use.
    #[must_use]
    #[inline(always)]
    pub const fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// The IPv4 address that the port is told of errors from.
    #[must_use]
    #[inline(always)]
    pub const fn gateway_ipv4(&self) -> [u8; 4] {
        self.gateway_ipv4
    }

    /// The IPv6 address that the port is told of errors from.
    #[must_use]
    #[inline(always)]
    pub const fn gateway_ipv6(&self) -> [u8; 16] {
        self.gateway_ipv6
    }

    /// Whether the port may send from this IPv4 address.
    #[must_use]
    #[inline(always)]
    pub fn owns_ipv4(&self, source: [u8; 4]) -> bool {
        source != [0; 4] && source == self.ipv4
    }

    /// Whether the port may send from this IPv6 address: its own, or the link-local one of its MAC.
    #[must_use]
    #[inline(always)]
    pub fn owns_ipv6(&self, source: [u8; 16]) -> bool {
        source != [0; 16] && (source == self.ipv6 || source == self.link_local)
    }

    /// Whether `source` is the port's link-local address, which no router passes on.
    #[must_use]
    #[inline(always)]
    pub fn is_link_local(&self, source: [u8; 16]) -> bool {
        source == self.link_local
    }
}
