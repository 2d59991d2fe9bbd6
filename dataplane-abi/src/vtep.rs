//! Tunnel end points: who may send, and how to reach them.

use weft_vxlan::{MacAddr, Vni, Vtep};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::assert_size;

/// The address of a VTEP: sixteen bytes in wire order, IPv4 as an IPv4-mapped IPv6 address.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct VtepAddr([u8; 16]);
assert_size!(VtepAddr, 16);

impl VtepAddr {
    /// All zero: no VTEP.
    pub const NONE: Self = Self([0; 16]);

    /// The address of `vtep`.
    #[must_use]
    pub const fn new(vtep: Vtep) -> Self {
        Self(vtep.to_bytes())
    }

    /// An IPv4 address in wire order.
    #[must_use]
    #[inline(always)]
    pub const fn ipv4([a, b, c, d]: [u8; 4]) -> Self {
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// Whether it is an IPv4 address.
    #[must_use]
    #[inline(always)]
    pub const fn is_ipv4(&self) -> bool {
        matches!(self.0, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..])
    }

    /// An IPv6 address in wire order.
    #[must_use]
    #[inline(always)]
    pub const fn ipv6(address: [u8; 16]) -> Self {
        Self(address)
    }

    /// The last four bytes: the IPv4 address, if it is one.
    #[must_use]
    #[inline(always)]
    pub const fn ipv4_bytes(&self) -> [u8; 4] {
        let [.., a, b, c, d] = self.0;
        [a, b, c, d]
    }

    /// All sixteen bytes.
    #[must_use]
    #[inline(always)]
    pub const fn bytes(&self) -> [u8; 16] {
        self.0
    }
}

/// A VNI into which a VTEP may send.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct VtepVniKey {
    vni: u32,
    vtep: VtepAddr,
}
assert_size!(VtepVniKey, 20);

impl VtepVniKey {
    /// `vtep` may send into `vni`.
    #[must_use]
    pub const fn new(vni: Vni, vtep: Vtep) -> Self {
        Self::raw(vni.get(), VtepAddr::new(vtep))
    }

    /// The same from the values that the programs hold.
    #[must_use]
    #[inline(always)]
    pub const fn raw(vni: u32, vtep: VtepAddr) -> Self {
        Self { vni, vtep }
    }

    /// The VNI.
    #[must_use]
    pub const fn vni(&self) -> u32 {
        self.vni
    }

    /// The VTEP.
    #[must_use]
    pub const fn vtep(&self) -> &VtepAddr {
        &self.vtep
    }
}

/// How outer packets leave this host: the outer Ethernet header, and through which device.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Uplink {
    ifindex: u32,
    destination: [u8; 6],
    source: [u8; 6],
}
assert_size!(Uplink, 16);

impl Uplink {
    /// None: the next hop is not known.
    const NONE: Self = Self { ifindex: 0, destination: [0; 6], source: [0; 6] };

    /// Through the device `ifindex`, from MAC `source` to MAC `destination`.
    #[must_use]
    pub const fn new(ifindex: u32, source: MacAddr, destination: MacAddr) -> Self {
        Self { ifindex, destination: destination.bytes(), source: source.bytes() }
    }

    /// Whether the programs can write the outer Ethernet header themselves.
    #[must_use]
    #[inline(always)]
    pub const fn is_resolved(&self) -> bool {
        self.ifindex != 0
    }

    /// The device that outer packets leave through.
    #[must_use]
    #[inline(always)]
    pub const fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Outer destination MAC: the VTEP's, or its gateway's.
    #[must_use]
    #[inline(always)]
    pub const fn destination(&self) -> [u8; 6] {
        self.destination
    }

    /// Outer source MAC: the underlay device's.
    #[must_use]
    #[inline(always)]
    pub const fn source(&self) -> [u8; 6] {
        self.source
    }
}

/// How to reach a VTEP without a look-up per packet: the outer Ethernet header and what else never changes.
///
/// Flows are spread over the uplinks that lead there (ECMP) by [`VtepEntry::UPLINKS`] places, each of which holds one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct VtepEntry {
    mtu: u16,
    ipv4_checksum: u16,
    uplinks: [Uplink; Self::UPLINKS],
}
assert_size!(VtepEntry, 132);

impl VtepEntry {
    /// Places among which flows are spread.
    pub const UPLINKS: usize = 1 << Self::UPLINK_BITS;
    const UPLINK_BITS: u32 = 3;

    /// A VTEP behind resolved next hops, for outer packets of at most `mtu` bytes. `ipv4_checksum` is the one's
    /// complement sum, in host order of its big-endian words, of an outer IPv4 header whose length field, DSCP and
    /// ECN are zero; 0 over IPv6.
    #[must_use]
    pub const fn resolved(uplinks: [Uplink; Self::UPLINKS], mtu: u16, ipv4_checksum: u16) -> Self {
        Self { mtu, ipv4_checksum, uplinks }
    }

    /// A VTEP whose next hop is not known yet: the kernel's vxlan device sends, and resolves it on the way.
    #[must_use]
    pub const fn unresolved(mtu: u16) -> Self {
        Self { mtu, ipv4_checksum: 0, uplinks: [Uplink::NONE; Self::UPLINKS] }
    }

    /// The largest outer IP packet, in bytes.
    #[must_use]
    #[inline(always)]
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Partial sum of the outer IPv4 header without its length, DSCP and ECN.
    #[must_use]
    #[inline(always)]
    pub const fn ipv4_checksum(&self) -> u16 {
        self.ipv4_checksum
    }

    /// The uplink of the flow with this hash. Taken from the hash's highest bits: the outer source port is made of the
    /// lower ones, so that routers on the way spread what goes through one uplink anew.
    #[must_use]
    #[inline(always)]
    pub const fn uplink(&self, flow_hash: u32) -> &Uplink {
        &self.uplinks[(flow_hash >> (u32::BITS - Self::UPLINK_BITS)) as usize]
    }

    /// All places.
    #[must_use]
    pub const fn uplinks(&self) -> &[Uplink; Self::UPLINKS] {
        &self.uplinks
    }
}
