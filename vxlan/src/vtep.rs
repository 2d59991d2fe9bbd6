//! The VXLAN tunnel end point: the address on the underlay that a host sends and receives VXLAN with.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

use crate::MacAddr;

/// The underlay address of a host that encapsulates and decapsulates (RFC 7348 section 4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Vtep(IpAddr);

/// Why an address cannot be a VTEP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VtepError {
    /// Unspecified, loopback, multicast, broadcast, IPv6 link-local, or an IPv4-mapped IPv6 address.
    #[error("VTEP {0} is not a unicast address that another host can reach")]
    NotUnicast(IpAddr),
    /// Not an IP address.
    #[error("a VTEP is an IPv4 or IPv6 address")]
    NotAnAddress,
}

impl Vtep {
    /// Checks that `address` can be a tunnel end point.
    ///
    /// # Errors
    /// [`VtepError::NotUnicast`] if no other host could send to it.
    pub fn new(address: IpAddr) -> Result<Self, VtepError> {
        let special = match address {
            IpAddr::V4(v4) => v4.is_broadcast(),
            // A link-local address means nothing without its link.
            IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some() || v6.is_unicast_link_local(),
        };
        if special || address.is_unspecified() || address.is_loopback() || address.is_multicast() {
            return Err(VtepError::NotUnicast(address));
        }
        Ok(Self(address))
    }

    /// The address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.0
    }

    /// Sixteen bytes in wire order, IPv4 as an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2).
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        match self.0 {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        }
    }

    /// The reverse of [`Vtep::to_bytes`].
    ///
    /// # Errors
    /// [`VtepError::NotUnicast`] as in [`Vtep::new`].
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, VtepError> {
        Self::new(Ipv6Addr::from(bytes).to_canonical())
    }

    /// The router MAC that a host takes when none is configured: `02:00` and the VTEP's IPv4 address, or a hash of its
    /// IPv6 address (32-bit FNV-1a), so that peers can know it from the address alone. It goes into the router's MAC
    /// extended community and into the inner destination of routed packets (RFC 9135 section 6).
    #[must_use]
    pub const fn default_router_mac(self) -> MacAddr {
        let [a, b, c, d] = match self.0 {
            IpAddr::V4(v4) => v4.octets(),
            // Its last four bytes alone are those of many hosts: `::1` of every prefix.
            IpAddr::V6(v6) => fnv_1a(v6.octets()).to_be_bytes(),
        };
        MacAddr::new([2, 0, a, b, c, d])
    }
}

const fn fnv_1a(bytes: [u8; 16]) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

impl fmt::Debug for Vtep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Vtep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Vtep {
    type Err = VtepError;

    fn from_str(text: &str) -> Result<Self, VtepError> {
        text.parse().map_err(|_| VtepError::NotAnAddress).and_then(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reachable_unicast() {
        for bad in [
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "ff02::1",
            "fe80::1",
            "::ffff:192.0.2.1",
        ] {
            let address = bad.parse().unwrap();
            assert_eq!(Vtep::new(address), Err(VtepError::NotUnicast(address)));
        }
        assert!("192.0.2.1".parse::<Vtep>().is_ok());
        assert!("2001:db8::1".parse::<Vtep>().is_ok());
        assert_eq!("host1".parse::<Vtep>(), Err(VtepError::NotAnAddress));
    }

    #[test]
    fn sixteen_bytes_and_back() {
        for text in ["192.0.2.1", "2001:db8::1"] {
            let vtep: Vtep = text.parse().unwrap();
            assert_eq!(Vtep::from_bytes(vtep.to_bytes()), Ok(vtep));
        }
    }

    #[test]
    fn router_mac_follows_the_address() {
        let vtep: Vtep = "192.0.2.1".parse().unwrap();
        assert_eq!(vtep.default_router_mac(), MacAddr::new([2, 0, 192, 0, 2, 1]));
        let of = |text: &str| text.parse::<Vtep>().unwrap().default_router_mac();
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
        // What peers of another version derive must not change.
        assert_eq!(of("2001:db8::1").to_string(), "02:00:6e:5b:04:f4");
    }
}
