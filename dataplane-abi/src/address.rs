//! Keys by address, scoped by network (IP) or subnet (MAC).

use core::net::IpAddr;

use weft_vxlan::{MacAddr, Vni};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::assert_size;

/// Values of [`IpKey::family`]: part of the key, so that an IPv6 packet with an IPv4-mapped address can never
/// meet an IPv4 entry.
pub mod family {
    /// IPv4.
    pub const IPV4: u32 = 4;
    /// IPv6.
    pub const IPV6: u32 = 6;
}

/// An IP address within a network.
///
/// As an LPM key its first 64 bits (network and family) always count, then as many of `address` as the prefix
/// is long.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct IpKey {
    network: u32,
    family: u32,
    /// IPv4 in the first four bytes, then zeros.
    address: [u8; 16],
}
assert_size!(IpKey, 24);

impl IpKey {
    /// Bits before the address in an LPM key.
    pub const SCOPE_BITS: u32 = 64;

    /// The key of `address` in the network with L3 VNI `network`.
    #[must_use]
    pub const fn new(network: Vni, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::ipv4(network.get(), v4.octets()),
            IpAddr::V6(v6) => Self::ipv6(network.get(), v6.octets()),
        }
    }

    /// The key of an IPv4 address in wire order.
    #[must_use]
    #[inline(always)]
    pub const fn ipv4(network: u32, [a, b, c, d]: [u8; 4]) -> Self {
        let address = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Self { network, family: family::IPV4, address }
    }

    /// The key of an IPv6 address in wire order.
    #[must_use]
    #[inline(always)]
    pub const fn ipv6(network: u32, address: [u8; 16]) -> Self {
        Self { network, family: family::IPV6, address }
    }

    /// L3 VNI of the network.
    #[must_use]
    pub const fn network(&self) -> u32 {
        self.network
    }

    /// One of [`family`].
    #[must_use]
    pub const fn family(&self) -> u32 {
        self.family
    }

    /// The address, or `None` if the family is neither IPv4 nor IPv6.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let [a, b, c, d, ..] = self.address;
        match self.family {
            family::IPV4 => Some(IpAddr::from([a, b, c, d])),
            family::IPV6 => Some(IpAddr::from(self.address)),
            _ => None,
        }
    }
}

/// A MAC address within a subnet.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MacKey {
    subnet: u32,
    mac: [u8; 6],
    padding: [u8; 2],
}
assert_size!(MacKey, 12);

impl MacKey {
    /// The key of `mac` in the subnet with L2 VNI `subnet`.
    #[must_use]
    pub const fn new(subnet: Vni, mac: MacAddr) -> Self {
        Self::raw(subnet.get(), mac.bytes())
    }

    /// The same from the values that the programs hold.
    #[must_use]
    #[inline(always)]
    pub const fn raw(subnet: u32, mac: [u8; 6]) -> Self {
        Self { subnet, mac, padding: [0; 2] }
    }

    /// L2 VNI of the subnet.
    #[must_use]
    pub const fn subnet(&self) -> u32 {
        self.subnet
    }

    /// The MAC address.
    #[must_use]
    pub const fn mac(&self) -> MacAddr {
        MacAddr::new(self.mac)
    }
}
