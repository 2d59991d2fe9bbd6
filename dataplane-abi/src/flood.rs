//! Who gets a copy of a frame that is for a whole subnet (head-end replication, RFC 8365 section 5.1.3).

use weft_vxlan::{Vni, Vtep};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::seal::sealed;
use crate::{Scope, VtepAddr, assert_size};

/// The most VTEPs that a frame of one subnet is copied to.
pub const MOST_FLOOD_VTEPS: u32 = 1024;

/// Values of [`FloodKey::group`]. What comes out of a tunnel is copied to the first only: split horizon
/// (RFC 7432 section 8.3) holds because the second is never read for it.
pub mod flood_group {
    /// Ports of this host.
    pub const PORTS: u32 = 1;
    /// VTEPs of other hosts.
    pub const VTEPS: u32 = 2;
}

/// A place in one of a subnet's two lists. The places of a list are numbered from 0 without a gap: the first that is
/// not there ends it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FloodKey {
    subnet: u32,
    group: u32,
    index: u32,
}
assert_size!(FloodKey, 12);

impl FloodKey {
    /// The place `index` in the list `group` of the subnet with L2 VNI `subnet`.
    #[must_use]
    pub const fn new(subnet: Vni, group: u32, index: u32) -> Self {
        Self::raw(subnet.get(), group, index)
    }

    /// The same from the values that the programs hold.
    #[must_use]
    #[inline(always)]
    pub const fn raw(subnet: u32, group: u32, index: u32) -> Self {
        Self { subnet, group, index }
    }

    /// What an entry is for.
    #[must_use]
    #[inline(always)]
    pub const fn scope(&self) -> Scope {
        Scope::raw(self.subnet)
    }

    /// L2 VNI of the subnet.
    #[must_use]
    pub const fn subnet(&self) -> u32 {
        self.subnet
    }

    /// One of [`flood_group`].
    #[must_use]
    pub const fn group(&self) -> u32 {
        self.group
    }

    /// The place in the list, from 0.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }
}

/// A port or a VTEP that gets a copy, in a list of the subnet that is its scope.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FloodMember {
    ifindex: u32,
    slot: u32,
    vni: u32,
    vtep: VtepAddr,
    seal: u32,
}
assert_size!(FloodMember, 32);
sealed!(FloodMember);

impl FloodMember {
    /// The port behind the veth `ifindex`, with its counters at `slot`.
    #[must_use]
    pub const fn port(subnet: Vni, ifindex: u32, slot: u32) -> Self {
        Self { ifindex, slot, vni: 0, vtep: VtepAddr::NONE, seal: 0 }.sealed(Scope::of(subnet))
    }

    /// The host behind `vtep`, with the VNI that it wants in the VXLAN header.
    #[must_use]
    pub const fn vtep(subnet: Vni, vtep: Vtep, vni: Vni) -> Self {
        Self { ifindex: 0, slot: 0, vni: vni.get(), vtep: VtepAddr::new(vtep), seal: 0 }
            .sealed(Scope::of(subnet))
    }

    /// Port: the host end of its veth.
    #[must_use]
    #[inline(always)]
    pub const fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Port: index of its counters.
    #[must_use]
    #[inline(always)]
    pub const fn slot(&self) -> u32 {
        self.slot
    }

    /// VTEP: the VNI for the VXLAN header, as the peer advertised it.
    #[must_use]
    #[inline(always)]
    pub const fn vni(&self) -> u32 {
        self.vni
    }

    /// VTEP: its address.
    #[must_use]
    #[inline(always)]
    pub const fn address(&self) -> &VtepAddr {
        &self.vtep
    }
}
