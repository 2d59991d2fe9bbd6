//! The 48-bit MAC address of IEEE 802.

use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;

/// A MAC address in wire order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct MacAddr([u8; 6]);

/// Why a text is not a MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a MAC address is six hexadecimal bytes joined by colons, such as 02:00:c0:00:02:01")]
pub struct MacAddrError;

impl MacAddr {
    /// All ones: every station of the broadcast domain.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// An address from its bytes in wire order.
    #[must_use]
    pub const fn new(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// The bytes in wire order.
    #[must_use]
    pub const fn bytes(self) -> [u8; 6] {
        self.0
    }

    /// Whether the group bit is set: multicast and broadcast.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether one station can own it: no group bit, not all zero.
    #[must_use]
    pub fn is_unicast(self) -> bool {
        !self.is_multicast() && self.0 != [0; 6]
    }

    /// The IPv6 link-local address with the modified EUI-64 identifier (RFC 4291 appendix A).
    #[must_use]
    pub const fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        let words = [
            u16::from_be_bytes([a ^ 2, b]),
            u16::from_be_bytes([c, 0xff]),
            u16::from_be_bytes([0xfe, d]),
            u16::from_be_bytes([e, f]),
        ];
        Ipv6Addr::new(0xfe80, 0, 0, 0, words[0], words[1], words[2], words[3])
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddr {
    type Err = MacAddrError;

    fn from_str(text: &str) -> Result<Self, MacAddrError> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(MacAddrError)?;
            // from_str_radix takes a sign, which no MAC address has.
            if !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(MacAddrError);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| MacAddrError)?;
        }
        if parts.next().is_some() { Err(MacAddrError) } else { Ok(Self(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip_and_refusals() {
        let mac = MacAddr::new([2, 0, 0xc0, 0, 2, 1]);
        assert_eq!(mac.to_string(), "02:00:c0:00:02:01");
        assert_eq!("02:00:C0:00:02:01".parse(), Ok(mac));
        for bad in [
            "",
            "02:00:c0:00:02",
            "02:00:c0:00:02:01:03",
            "2:0:c0:0:2:1",
            "02-00-c0-00-02-01",
            "+2:00:c0:00:02:01",
        ] {
            assert_eq!(bad.parse::<MacAddr>(), Err(MacAddrError), "{bad}");
        }
    }

    #[test]
    fn unicast_has_no_group_bit() {
        assert!(MacAddr::new([2, 0, 0, 0, 0, 1]).is_unicast());
        assert!(!MacAddr::BROADCAST.is_unicast());
        assert!(!MacAddr::new([0; 6]).is_unicast());
        assert!(MacAddr::new([0x33, 0x33, 0, 0, 0, 1]).is_multicast());
    }

    #[test]
    fn link_local_flips_the_universal_bit() {
        let mac = MacAddr::new([0x02, 0x11, 0x22, 0x33, 0x44, 0x55]);
        assert_eq!(mac.link_local(), "fe80::11:22ff:fe33:4455".parse::<Ipv6Addr>().unwrap());
    }
}
