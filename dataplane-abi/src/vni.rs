//! What a received VNI stands for.

use weft_vxlan::Vni;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::assert_size;

/// Values of [`VniEntry::kind`].
pub mod vni_kind {
    /// A subnet: the inner frame is switched by its destination MAC.
    pub const SUBNET: u32 = 2;
    /// A network: the inner packet is routed by its destination address.
    pub const NETWORK: u32 = 3;
}

/// A VNI that this host takes part in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct VniEntry {
    kind: u32,
    network: u32,
}
assert_size!(VniEntry, 8);

impl VniEntry {
    /// The L2 VNI of a subnet of the network with L3 VNI `network`.
    #[must_use]
    pub const fn subnet(network: Vni) -> Self {
        Self { kind: vni_kind::SUBNET, network: network.get() }
    }

    /// The L3 VNI `network` itself.
    #[must_use]
    pub const fn network_itself(network: Vni) -> Self {
        Self { kind: vni_kind::NETWORK, network: network.get() }
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
