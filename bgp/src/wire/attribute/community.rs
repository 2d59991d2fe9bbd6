//! Communities of four bytes (RFC 1997, whose sections have no numbers) and of twelve (RFC 8092 section 3).
//!
//! ```text
//! community:        | AS (2) | value (2) |
//! large community:  | global administrator (4) | local data (4) | local data (4) |
//! ```

use std::fmt;
use std::str::FromStr;

/// A community.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

impl Community {
    /// Not beyond a confederation (RFC 1997, Well-known Communities).
    pub const NO_EXPORT: Self = Self(0xffff_ff01);
    /// To nobody (RFC 1997, Well-known Communities).
    pub const NO_ADVERTISE: Self = Self(0xffff_ff02);
    /// Stale, kept by long-lived graceful restart (RFC 9494 section 3.2).
    pub const LLGR_STALE: Self = Self(0xffff_0006);
    /// Not to be kept by long-lived graceful restart (RFC 9494 section 3.3).
    pub const NO_LLGR: Self = Self(0xffff_0007);
    /// About to go away (RFC 8326 section 4).
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xffff_0000);

    pub(super) const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    pub(super) const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff)
    }
}

impl fmt::Debug for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no community.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseCommunityError {
    /// Of four bytes.
    #[error(
        "{0:?} is not AS:VALUE with both up to 65535 (such as 65000:100), no-export, no-advertise or graceful-shutdown"
    )]
    Community(String),
    /// Of twelve.
    #[error("{0:?} is not AS:VALUE:VALUE with each up to 4294967295 (such as 65000:1:2)")]
    Large(String),
}

impl FromStr for Community {
    type Err = ParseCommunityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = || {
            let (asn, value) = text.split_once(':')?;
            Some(Self(u32::from(asn.parse::<u16>().ok()?) << 16 | u32::from(value.parse::<u16>().ok()?)))
        };
        match text {
            "no-export" => Ok(Self::NO_EXPORT),
            "no-advertise" => Ok(Self::NO_ADVERTISE),
            "graceful-shutdown" => Ok(Self::GRACEFUL_SHUTDOWN),
            _ => numbers().ok_or_else(|| ParseCommunityError::Community(text.to_owned())),
        }
    }
}

/// A large community.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity {
    /// The AS that gives the rest a meaning.
    pub administrator: u32,
    /// The first of its two parts.
    pub first: u32,
    /// The second.
    pub second: u32,
}

impl LargeCommunity {
    pub(super) const fn from_bytes([a, b, c, d, e, f, g, h, i, j, k, l]: [u8; 12]) -> Self {
        Self {
            administrator: u32::from_be_bytes([a, b, c, d]),
            first: u32::from_be_bytes([e, f, g, h]),
            second: u32::from_be_bytes([i, j, k, l]),
        }
    }

    pub(super) const fn to_bytes(self) -> [u8; 12] {
        let [a, b, c, d] = self.administrator.to_be_bytes();
        let [e, f, g, h] = self.first.to_be_bytes();
        let [i, j, k, l] = self.second.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.administrator, self.first, self.second)
    }
}

impl fmt::Debug for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LargeCommunity {
    type Err = ParseCommunityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, ':').map(|part| part.parse().ok());
        let mut next = || parts.next().flatten();
        let numbers = next().zip(next()).zip(next());
        let ((administrator, first), second) =
            numbers.ok_or_else(|| ParseCommunityError::Large(text.to_owned()))?;
        Ok(Self { administrator, first, second })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_values() {
        assert_eq!("65000:100".parse(), Ok(Community(0xfde8_0064)));
        assert_eq!("no-export".parse(), Ok(Community::NO_EXPORT));
        assert_eq!("no-advertise".parse(), Ok(Community::NO_ADVERTISE));
        assert_eq!("graceful-shutdown".parse(), Ok(Community::GRACEFUL_SHUTDOWN));
        let large = LargeCommunity { administrator: 4_200_000_001, first: 2, second: 3 };
        assert_eq!("4200000001:2:3".parse(), Ok(large));
        for bad in ["", "1", "1:65536", "65536:1", "1:2:3", "-1:2", "No-Export"] {
            let error = bad.parse::<Community>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{bad:?} is not AS:VALUE with")), "{error}");
        }
        for bad in ["", "1:2", "1:2:3:4", "1:2:4294967296", "a:2:3"] {
            let error = bad.parse::<LargeCommunity>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{bad:?} is not AS:VALUE:VALUE")), "{error}");
        }
    }

    #[test]
    fn bytes_and_values() {
        let community = Community::from_bytes([0xfd, 0xe8, 0, 100]);
        assert_eq!((community.to_bytes(), community.to_string()), ([0xfd, 0xe8, 0, 100], "65000:100".into()));
        let bytes = [0xfa, 0x56, 0xea, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        let large = LargeCommunity::from_bytes(bytes);
        assert_eq!((large.to_bytes(), large.to_string()), (bytes, "4200000001:2:3".into()));
    }
}
