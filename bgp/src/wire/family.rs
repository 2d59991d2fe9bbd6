//! Address families: which kind of route (RFC 4760 section 3, the IANA registries of AFI and SAFI).

use std::fmt;

/// The address family identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Afi(pub u16);

impl Afi {
    /// IPv4.
    pub const IPV4: Self = Self(1);
    /// IPv6.
    pub const IPV6: Self = Self(2);
    /// Layer-2 VPN.
    pub const L2VPN: Self = Self(25);
}

/// The subsequent address family identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Safi(pub u8);

impl Safi {
    /// Unicast forwarding.
    pub const UNICAST: Self = Self(1);
    /// EVPN (RFC 7432 section 7).
    pub const EVPN: Self = Self(70);
    /// Route target membership (RFC 4684 section 4).
    pub const ROUTE_TARGETS: Self = Self(132);
}

/// An AFI and a SAFI: what is negotiated, announced and refreshed together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family {
    /// The address family.
    pub afi: Afi,
    /// The subsequent address family.
    pub safi: Safi,
}

impl Family {
    /// Bytes on the wire: AFI and SAFI.
    pub(super) const LEN: usize = 3;
    /// IPv4 unicast.
    pub const IPV4_UNICAST: Self = Self::new(Afi::IPV4, Safi::UNICAST);
    /// IPv6 unicast.
    pub const IPV6_UNICAST: Self = Self::new(Afi::IPV6, Safi::UNICAST);
    /// L2VPN EVPN.
    pub const EVPN: Self = Self::new(Afi::L2VPN, Safi::EVPN);
    /// Route target membership, for routes of any family.
    pub const ROUTE_TARGETS: Self = Self::new(Afi::IPV4, Safi::ROUTE_TARGETS);

    /// The family of `afi` and `safi`.
    #[must_use]
    pub const fn new(afi: Afi, safi: Safi) -> Self {
        Self { afi, safi }
    }

    pub(super) const fn from_bytes([a, b, safi]: [u8; Self::LEN]) -> Self {
        Self::new(Afi(u16::from_be_bytes([a, b])), Safi(safi))
    }

    pub(super) const fn to_bytes(self) -> [u8; Self::LEN] {
        let [a, b] = self.afi.0.to_be_bytes();
        [a, b, self.safi.0]
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IPV4_UNICAST => f.write_str("ipv4-unicast"),
            Self::IPV6_UNICAST => f.write_str("ipv6-unicast"),
            Self::EVPN => f.write_str("l2vpn-evpn"),
            Self::ROUTE_TARGETS => f.write_str("route-targets"),
            Self { afi, safi } => write!(f, "afi-{}-safi-{}", afi.0, safi.0),
        }
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_names() {
        for (bytes, family, name) in [
            ([0, 1, 1], Family::IPV4_UNICAST, "ipv4-unicast"),
            ([0, 2, 1], Family::IPV6_UNICAST, "ipv6-unicast"),
            ([0, 25, 70], Family::EVPN, "l2vpn-evpn"),
            ([0, 1, 132], Family::ROUTE_TARGETS, "route-targets"),
            ([0, 1, 128], Family::new(Afi(1), Safi(128)), "afi-1-safi-128"),
        ] {
            assert_eq!(Family::from_bytes(bytes), family);
            assert_eq!(family.to_bytes(), bytes);
            assert_eq!(family.to_string(), name);
        }
    }
}
