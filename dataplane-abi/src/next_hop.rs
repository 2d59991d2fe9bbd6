//! Where a packet goes.

use weft_vxlan::{MacAddr, Vni, Vtep};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::seal::sealed;
use crate::{Scope, VtepAddr, assert_size};

/// Values of [`NextHop::kind`].
pub mod kind {
    /// A port of this host.
    pub const LOCAL: u32 = 1;
    /// Another host, through its VTEP.
    pub const REMOTE: u32 = 2;
    /// The anycast gateway of a subnet: this host answers itself.
    pub const GATEWAY: u32 = 3;
    /// One of several other hosts, by flow: what is at a [`PathKey`](super::PathKey) is of the kind [`REMOTE`]. The first of
    /// them is told here too, for whoever does not find the others.
    pub const MULTIPATH: u32 = 4;
}

/// In the place of a local next hop's VNI, which it has none of.
const FIREWALLED: u32 = 1;

/// Where a packet goes: a port of this host, a VTEP, one of several VTEPs, or the gateway.
///
/// Its scope is the network (L3 VNI) whose addresses it is for, or the subnet (L2 VNI) whose MAC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct NextHop {
    kind: u32,
    vni: u32,
    ifindex: u32,
    slot: u32,
    mac: [u8; 6],
    set_high: [u8; 2],
    vtep: VtepAddr,
    seal: u32,
}
assert_size!(NextHop, 44);
sealed!(NextHop);

impl NextHop {
    /// The port behind the veth `ifindex`, with the MAC that a routed packet must carry, and its counters' slot.
    #[must_use]
    pub const fn local(scope: Scope, ifindex: u32, slot: u32, mac: MacAddr) -> Self {
        Self {
            kind: kind::LOCAL,
            vni: 0,
            ifindex,
            slot,
            mac: mac.bytes(),
            set_high: [0; 2],
            vtep: VtepAddr::NONE,
            seal: 0,
        }
        .sealed(scope)
    }

    /// The host behind `vtep`, with the VNI that it wants in the VXLAN header and, for routed packets, the
    /// inner destination MAC: its router MAC (RFC 9135 section 6.1).
    #[must_use]
    pub const fn remote(scope: Scope, vtep: Vtep, vni: Vni, router_mac: MacAddr) -> Self {
        Self {
            kind: kind::REMOTE,
            vni: vni.get(),
            ifindex: 0,
            slot: 0,
            mac: router_mac.bytes(),
            set_high: [0; 2],
            vtep: VtepAddr::new(vtep),
            seal: 0,
        }
        .sealed(scope)
    }

    /// One of the `paths` that `set` has in the scope, of which this remote one is the first.
    #[must_use]
    pub const fn among(self, scope: Scope, set: PathSet, paths: u32) -> Self {
        let PathSet([low, high]) = set;
        // As large as before, for there may be a million of them: what a remote one has no use for holds the set.
        let [.., a, b] = high.to_be_bytes();
        Self { kind: kind::MULTIPATH, ifindex: low, slot: paths, set_high: [a, b], seal: 0, ..self }
            .sealed(scope)
    }

    /// The gateway of a subnet, with the MAC that it answers with.
    #[must_use]
    pub const fn gateway(scope: Scope, mac: MacAddr) -> Self {
        Self {
            kind: kind::GATEWAY,
            vni: 0,
            ifindex: 0,
            slot: 0,
            mac: mac.bytes(),
            set_high: [0; 2],
            vtep: VtepAddr::NONE,
            seal: 0,
        }
        .sealed(scope)
    }

    /// The same local port, whose packets are judged by its security groups.
    #[must_use]
    pub const fn firewalled(self, scope: Scope) -> Self {
        Self { vni: FIREWALLED, seal: 0, ..self }.sealed(scope)
    }

    /// Local: whether what goes there is judged by security groups.
    #[must_use]
    #[inline(always)]
    pub const fn is_firewalled(&self) -> bool {
        self.vni == FIREWALLED
    }

    /// The same for a MAC of a member of the groups whose set has this number; 0: of none. A frame has its destination MAC already,
    /// so the number is in the place of that of a packet that is routed.
    #[must_use]
    pub const fn of_member(self, scope: Scope, identity: u32) -> Self {
        let [a, b, c, d] = identity.to_ne_bytes();
        Self { mac: [a, b, c, d, 0, 0], seal: 0, ..self }.sealed(scope)
    }

    /// Of a MAC: number of the set of groups that whoever has it is a member of; 0: of none.
    #[must_use]
    #[inline(always)]
    pub const fn identity(&self) -> u32 {
        let [a, b, c, d, ..] = self.mac;
        u32::from_ne_bytes([a, b, c, d])
    }

    /// The same for addresses of another network, which sees those that this one is for.
    #[must_use]
    pub const fn within(self, scope: Scope) -> Self {
        Self { seal: 0, ..self }.sealed(scope)
    }

    /// One of [`kind`].
    #[must_use]
    #[inline(always)]
    pub const fn kind(&self) -> u32 {
        self.kind
    }

    /// Whether packets leave this host.
    #[must_use]
    #[inline(always)]
    pub const fn is_elsewhere(&self) -> bool {
        matches!(self.kind, kind::REMOTE | kind::MULTIPATH)
    }

    /// Multipath: which paths there are, and how many.
    #[must_use]
    #[inline(always)]
    pub const fn paths(&self) -> (PathSet, u32) {
        let [a, b] = self.set_high;
        (PathSet([self.ifindex, u32::from_be_bytes([0, 0, a, b])]), self.slot)
    }

    /// Elsewhere: the VNI for the VXLAN header, as the peer advertised it.
    #[must_use]
    #[inline(always)]
    pub const fn vni(&self) -> u32 {
        self.vni
    }

    /// Local: the host end of the port's veth.
    #[must_use]
    #[inline(always)]
    pub const fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Local: index of the port's counters.
    #[must_use]
    #[inline(always)]
    pub const fn slot(&self) -> u32 {
        self.slot
    }

    /// Destination MAC of a packet that is routed to here.
    #[must_use]
    #[inline(always)]
    pub const fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Elsewhere: the tunnel end point.
    #[must_use]
    #[inline(always)]
    pub const fn vtep(&self) -> &VtepAddr {
        &self.vtep
    }
}

/// Which paths: a number made of what they are, so that equal ones are held once and survive a daemon.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct PathSet([u32; 2]);

impl PathSet {
    /// The set with this number, of which 48 bits count.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the parts of the number")]
    pub const fn new(number: u64) -> Self {
        Self([number as u32, (number >> 32) as u16 as u32])
    }
}

/// One of the paths of a [multipath](kind::MULTIPATH) next hop, from 0.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PathKey {
    scope: u32,
    set: PathSet,
    index: u32,
}
assert_size!(PathKey, 16);

impl PathKey {
    /// The path `index` of a set of the network (L3 VNI) or subnet (L2 VNI) `scope`.
    #[must_use]
    #[inline(always)]
    pub const fn raw(scope: u32, set: PathSet, index: u32) -> Self {
        Self { scope, set, index }
    }

    /// What an entry is for.
    #[must_use]
    #[inline(always)]
    pub const fn scope(&self) -> Scope {
        Scope::raw(self.scope)
    }

    /// L3 VNI of the network, or L2 VNI of the subnet.
    #[must_use]
    pub const fn vni(&self) -> u32 {
        self.scope
    }

    /// Which of the paths.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }
}

/// Where a single address is: its next hop for routed packets, and what a neighbour of its subnet is told.
///
/// The next hop has a seal of its own: who only routes does not read on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct HostRoute {
    next_hop: NextHop,
    subnet: u32,
    mac: [u8; 6],
    padding: [u8; 2],
    identity: u32,
    seal: u32,
}
assert_size!(HostRoute, 64);
sealed!(HostRoute);

impl HostRoute {
    /// An address of `network` (L3 VNI), the scope of `next_hop` too, and of `subnet` (L2 VNI), that ARP and neighbour discovery resolve to `mac`.
    #[must_use]
    pub const fn new(network: Scope, next_hop: NextHop, subnet: Vni, mac: MacAddr) -> Self {
        let (subnet, mac) = (subnet.get(), mac.bytes());
        Self { next_hop, subnet, mac, padding: [0; 2], identity: 0, seal: 0 }.sealed(network)
    }

    /// An address of `network` that is routed only: no neighbour resolves it.
    #[must_use]
    pub const fn routed(network: Scope, next_hop: NextHop) -> Self {
        Self { next_hop, subnet: 0, mac: [0; 6], padding: [0; 2], identity: 0, seal: 0 }.sealed(network)
    }

    /// The same address, of a member of the groups whose set has this number; 0: of none.
    #[must_use]
    pub const fn with_identity(self, network: Scope, identity: u32) -> Self {
        Self { identity, seal: 0, ..self }.sealed(network)
    }

    /// Number of the set of groups that whoever has the address is a member of; 0: of none.
    #[must_use]
    #[inline(always)]
    pub const fn identity(&self) -> u32 {
        self.identity
    }

    /// Where packets to the address go.
    #[must_use]
    #[inline(always)]
    pub const fn next_hop(&self) -> &NextHop {
        &self.next_hop
    }

    /// The subnet (L2 VNI) that the address belongs to, and its MAC there, unless it is routed only.
    #[must_use]
    pub const fn neighbour(&self) -> Option<(u32, [u8; 6])> {
        if self.subnet == 0 { None } else { Some((self.subnet, self.mac)) }
    }

    /// The MAC that a neighbour in `subnet` is told, if the address belongs to that subnet.
    #[must_use]
    #[inline(always)]
    pub const fn neighbour_mac(&self, subnet: u32) -> Option<[u8; 6]> {
        if self.subnet == subnet { Some(self.mac) } else { None }
    }
}
