//! Six bytes that someone administers: the body of route distinguishers (RFC 4364 section 4.2), route targets
//! and route origins (RFC 4360 sections 3 to 5, RFC 5668 section 2).
//!
//! ```text
//! kind 0: | AS (2) | number (4) |   kind 1: | IPv4 address (4) | number (2) |   kind 2: | AS (4) | number (2) |
//! ```

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::Asn;

/// A number in the space of an AS or an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Administered {
    /// Kind 0: an AS of two bytes.
    As2 {
        /// The AS.
        asn: u16,
        /// Its number.
        number: u32,
    },
    /// Kind 1: an IPv4 address.
    Ipv4 {
        /// The address.
        address: Ipv4Addr,
        /// Its number.
        number: u16,
    },
    /// Kind 2: an AS of four bytes.
    As4 {
        /// The AS.
        asn: Asn,
        /// Its number.
        number: u16,
    },
}

/// Why a text is not an administered number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not AS:NUMBER or ADDRESS:NUMBER (such as 65000:100, 192.0.2.1:100 or 4200000001:100)")]
pub struct ParseAdministeredError {
    text: String,
}

impl Administered {
    /// Reads kind and body; `None` if the kind is not 0, 1 or 2.
    #[must_use]
    pub const fn from_parts(kind: u8, [a, b, c, d, e, f]: [u8; 6]) -> Option<Self> {
        match kind {
            0 => {
                Some(Self::As2 { asn: u16::from_be_bytes([a, b]), number: u32::from_be_bytes([c, d, e, f]) })
            }
            1 => Some(Self::Ipv4 { address: Ipv4Addr::new(a, b, c, d), number: u16::from_be_bytes([e, f]) }),
            2 => Some(Self::As4 {
                asn: Asn::new(u32::from_be_bytes([a, b, c, d])),
                number: u16::from_be_bytes([e, f]),
            }),
            _ => None,
        }
    }

    /// The kind and the body.
    #[must_use]
    pub const fn to_parts(self) -> (u8, [u8; 6]) {
        match self {
            Self::As2 { asn, number } => {
                let ([a, b], [c, d, e, f]) = (asn.to_be_bytes(), number.to_be_bytes());
                (0, [a, b, c, d, e, f])
            }
            Self::Ipv4 { address, number } => {
                let ([a, b, c, d], [e, f]) = (address.octets(), number.to_be_bytes());
                (1, [a, b, c, d, e, f])
            }
            Self::As4 { asn, number } => {
                let ([a, b, c, d], [e, f]) = (asn.get().to_be_bytes(), number.to_be_bytes());
                (2, [a, b, c, d, e, f])
            }
        }
    }
}

impl fmt::Display for Administered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::As2 { asn, number } => write!(f, "{asn}:{number}"),
            Self::Ipv4 { address, number } => write!(f, "{address}:{number}"),
            // An AS that would fit in two bytes is marked, so that the text names one value only.
            Self::As4 { asn, number } if asn.get() <= 0xffff => write!(f, "{asn}L:{number}"),
            Self::As4 { asn, number } => write!(f, "{asn}:{number}"),
        }
    }
}

impl fmt::Debug for Administered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Administered {
    type Err = ParseAdministeredError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once(':').and_then(|(owner, number)| {
            if let Ok(address) = owner.parse() {
                return Some(Self::Ipv4 { address, number: number.parse().ok()? });
            }
            if let Ok(asn) = owner.parse() {
                return Some(Self::As2 { asn, number: number.parse().ok()? });
            }
            let asn = owner.strip_suffix('L').unwrap_or(owner).parse().ok()?;
            Some(Self::As4 { asn, number: number.parse().ok()? })
        });
        parsed.ok_or_else(|| ParseAdministeredError { text: text.to_owned() })
    }
}

/// What makes routes of two VRFs different even if their prefixes are equal (RFC 4364 section 4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RouteDistinguisher([u8; 8]);

impl RouteDistinguisher {
    /// Bytes on the wire.
    pub const LEN: usize = 8;

    /// The distinguisher from its bytes. Kinds that nobody defined yet are kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }

    /// Who administers it; `None` for an unknown kind.
    #[must_use]
    pub const fn value(self) -> Option<Administered> {
        match self.0 {
            [0, kind, a, b, c, d, e, f] => Administered::from_parts(kind, [a, b, c, d, e, f]),
            _ => None,
        }
    }
}

impl From<Administered> for RouteDistinguisher {
    fn from(value: Administered) -> Self {
        let (kind, [a, b, c, d, e, f]) = value.to_parts();
        Self([0, kind, a, b, c, d, e, f])
    }
}

impl fmt::Display for RouteDistinguisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Some(value) => fmt::Display::fmt(&value, f),
            None => write!(f, "0x{:016x}", u64::from_be_bytes(self.0)),
        }
    }
}

impl fmt::Debug for RouteDistinguisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which VRFs import a route (RFC 4360 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteTarget(pub Administered);

/// Which site a route came from (RFC 4360 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteOrigin(pub Administered);

impl FromStr for RouteDistinguisher {
    type Err = ParseAdministeredError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Administered::into)
    }
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for RouteTarget {
    type Err = ParseAdministeredError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_of_every_kind() {
        for (text, kind, body) in [
            ("65000:100", 0, [0xfd, 0xe8, 0, 0, 0, 100]),
            ("10.250.0.1:2", 1, [10, 250, 0, 1, 0, 2]),
            ("4200000001:7", 2, [0xfa, 0x56, 0xea, 1, 0, 7]),
            ("65000L:7", 2, [0, 0, 0xfd, 0xe8, 0, 7]),
        ] {
            let value: Administered = text.parse().unwrap();
            assert_eq!(value.to_parts(), (kind, body), "{text}");
            assert_eq!(Administered::from_parts(kind, body), Some(value));
            assert_eq!(value.to_string(), text);
            let rd = RouteDistinguisher::from(value);
            assert_eq!((rd.value(), rd.to_string()), (Some(value), text.to_owned()));
            assert_eq!(text.parse(), Ok(rd));
        }
    }

    #[test]
    fn refused_texts_name_themselves() {
        for bad in ["", "65000", "65000:-1", "4200000001:70000", "10.0.0.1:65536", "x:1"] {
            let error = bad.parse::<RouteTarget>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("{bad:?}")), "{error}");
        }
    }

    #[test]
    fn unknown_kinds_of_distinguisher_are_kept() {
        let rd = RouteDistinguisher::from_bytes([0, 9, 1, 2, 3, 4, 5, 6]);
        assert_eq!(rd.value(), None);
        assert_eq!(rd.to_string(), "0x0009010203040506");
    }
}
