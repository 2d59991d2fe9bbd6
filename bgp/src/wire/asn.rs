//! Who speaks: the autonomous system number (RFC 6793 section 3) and the BGP identifier (RFC 6286 section 2.1).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A four-byte autonomous system number. 0 is no AS (RFC 7607 section 2), but some fields hold it on the way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Asn(u32);

impl Asn {
    /// What stands for a four-byte AS where only two bytes fit (RFC 6793 section 9).
    pub const TRANS: Self = Self(23456);

    /// The number as an AS.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether this is the AS that RFC 7607 section 2 forbids.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The two bytes for a peer or a field without room for four: [`Asn::TRANS`] if it does not fit.
    #[must_use]
    pub fn two_octets(self) -> u16 {
        u16::try_from(self.0).unwrap_or(23456)
    }
}

impl fmt::Debug for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Asn {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The BGP identifier: four bytes, not zero, unique within an AS (RFC 6286 section 2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RouterId(Ipv4Addr);

/// Zero is not a BGP identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the BGP identifier 0.0.0.0 is not legal (RFC 6286 section 2.1)")]
pub struct RouterIdError;

impl RouterId {
    /// Checks that `id` is not zero.
    ///
    /// # Errors
    /// [`RouterIdError`] if it is.
    pub const fn new(id: Ipv4Addr) -> Result<Self, RouterIdError> {
        if id.is_unspecified() { Err(RouterIdError) } else { Ok(Self(id)) }
    }

    /// The identifier in the form of an address, which it need not be.
    #[must_use]
    pub const fn get(self) -> Ipv4Addr {
        self.0
    }
}

impl fmt::Debug for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_as_of_four_bytes_becomes_trans_in_two() {
        assert_eq!(Asn::new(65000).two_octets(), 65000);
        assert_eq!(Asn::new(4_200_000_001).two_octets(), 23456);
    }

    #[test]
    fn zero_is_no_identifier() {
        assert_eq!(RouterId::new(Ipv4Addr::UNSPECIFIED), Err(RouterIdError));
        assert!(RouterId::new(Ipv4Addr::new(10, 250, 0, 1)).is_ok());
    }
}
