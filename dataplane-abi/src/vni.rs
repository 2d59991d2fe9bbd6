//! What a received VNI stands for.

use weft_vxlan::Vni;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::seal::sealed;
use crate::{Scope, assert_size};

/// Values of [`VniEntry::kind`].
pub mod vni_kind {
    /// A subnet: the inner frame is switched by its destination MAC.
    pub const SUBNET: u32 = 2;
    /// A network: the inner packet is routed by its destination address.
    pub const NETWORK: u32 = 3;
}

/// A VNI that this host takes part in: the scope of the entry.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct VniEntry {
    kind: u32,
    network: u32,
    seal: u32,
}
assert_size!(VniEntry, 12);
sealed!(VniEntry);

impl VniEntry {
    /// The L2 VNI `subnet` of a subnet of the network with L3 VNI `network`.
    #[must_use]
    pub const fn subnet(subnet: Vni, network: Vni) -> Self {
        Self { kind: vni_kind::SUBNET, network: network.get(), seal: 0 }.sealed(Scope::of(subnet))
    }

    /// The L3 VNI `network` itself.
    #[must_use]
    pub const fn network_itself(network: Vni) -> Self {
        Self { kind: vni_kind::NETWORK, network: network.get(), seal: 0 }.sealed(Scope::of(network))
    }

    /// One of [`vni_kind`].
    #[must_use]
    #[inline(always)]
    pub const fn kind(&self) -> u32 {
        self.kind
    }

    /// L3 VNI of the network.
    #[must_use]
    #[inline(always)]
    pub const fn network(&self) -> u32 {
        self.network
    }
}
