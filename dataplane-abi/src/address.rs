//! Keys by address, scoped by network (IP) or subnet (MAC).

use core::net::IpAddr;

use weft_vxlan::{MacAddr, Vni};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Scope, assert_size};

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

    /// The same key of the other family, for an IPv4 address that is in the first four bytes.
    #[must_use]
    #[inline(always)]
    pub const fn in_ipv4(self) -> Self {
        Self { family: family::IPV4, ..self }
    }

    /// Whether no router passes on packets to the address: it is unspecified, loopback, link-local, multicast or
    /// reserved (RFC 1122 section 3.2.1.3, RFC 3927 section 7, RFC 4291 section 2.4).
    #[must_use]
    #[inline(always)]
    pub fn is_unroutable(&self) -> bool {
        let [a, b, ..] = self.address;
        if self.family == family::IPV4 {
            a == 0 || a == 127 || a >= 224 || (a == 169 && b == 254)
        } else {
            let [start @ .., last] = self.address;
            a == 0xff || (a == 0xfe && b & 0xc0 == 0x80) || (start == [0; 15] && last <= 1)
        }
    }

    /// Whether it is of no single receiver: multicast, broadcast, or reserved for such (RFC 5771, RFC 4291 section 2.7).
    #[must_use]
    #[inline(always)]
    pub fn is_for_many(&self) -> bool {
        let [a, ..] = self.address;
        if self.family == family::IPV4 { a >= 224 } else { a == 0xff }
    }

    /// What an entry is for.
    #[must_use]
    #[inline(always)]
    pub const fn scope(&self) -> Scope {
        Scope::raw(self.network)
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

    /// The MAC address.
    #[must_use]
    pub const fn mac(&self) -> MacAddr {
        MacAddr::new(self.mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> IpKey {
        IpKey::new(Vni::MAX, text.parse().unwrap())
    }

    #[test]
    fn what_no_router_passes_on() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "169.254.169.254",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "ff05::2",
        ] {
            assert!(key(address).is_unroutable(), "{address}");
        }
        for address in [
            "1.0.0.1",
            "10.0.0.1",
            "169.253.0.1",
            "223.255.255.255",
            "::2",
            "fd00::1",
            "fec0::1",
            "2001:db8::",
        ] {
            assert!(!key(address).is_unroutable(), "{address}");
        }
    }

    #[test]
    fn families_never_meet() {
        assert_ne!(key("10.0.0.1"), key("::ffff:10.0.0.1"));
        assert_eq!(key("10.0.0.1").address(), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(key("fd00::1").address(), Some("fd00::1".parse().unwrap()));
    }
}
