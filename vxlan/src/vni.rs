//! The VXLAN network identifier: 24 bits (RFC 7348 section 5).

use core::fmt;
use core::str::FromStr;

/// A VXLAN network identifier, 1 to 2^24 - 1.
///
/// Zero is refused: many implementations treat it as "no VNI", and RFC 8365 section 5.1.2.1 uses the same
/// 24-bit field for MPLS labels, where 0 is the explicit null label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Vni(u32);

/// Why a number is not a VNI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VniError {
    /// Outside 1 to 2^24 - 1.
    #[error("VNI {0} is outside 1 to 16777215 (24 bits, 0 is reserved)")]
    OutOfRange(u64),
    /// Not a decimal number.
    #[error("a VNI is a decimal number from 1 to 16777215")]
    NotANumber,
}

impl Vni {
    /// The largest VNI, 2^24 - 1.
    pub const MAX: Self = Self(0xff_ffff);

    /// Checks that `value` is a legal VNI.
    ///
    /// # Errors
    /// [`VniError::OutOfRange`] if `value` is 0 or does not fit in 24 bits.
    pub const fn new(value: u32) -> Result<Self, VniError> {
        if value == 0 || value > Self::MAX.0 {
            return Err(VniError::OutOfRange(value as u64));
        }
        Ok(Self(value))
    }

    /// The number, 1 to 2^24 - 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The three bytes on the wire, most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// Reads the three bytes of the wire.
    ///
    /// # Errors
    /// [`VniError::OutOfRange`] if they are all zero.
    pub const fn from_bytes([a, b, c]: [u8; 3]) -> Result<Self, VniError> {
        Self::new(u32::from_be_bytes([0, a, b, c]))
    }
}

impl fmt::Debug for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl TryFrom<u32> for Vni {
    type Error = VniError;

    fn try_from(value: u32) -> Result<Self, VniError> {
        Self::new(value)
    }
}

impl FromStr for Vni {
    type Err = VniError;

    fn from_str(text: &str) -> Result<Self, VniError> {
        let value: u64 = text.parse().map_err(|_| VniError::NotANumber)?;
        u32::try_from(value).map_err(|_| VniError::OutOfRange(value)).and_then(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_24_bits_without_zero() {
        assert_eq!(Vni::new(0), Err(VniError::OutOfRange(0)));
        assert_eq!(Vni::new(1 << 24), Err(VniError::OutOfRange(1 << 24)));
        assert_eq!(Vni::new(1).map(Vni::get), Ok(1));
        assert_eq!(Vni::new(0xff_ffff), Ok(Vni::MAX));
    }

    #[test]
    fn bytes_are_big_endian() {
        let vni = Vni::new(0x01_0203).unwrap();
        assert_eq!(vni.to_bytes(), [1, 2, 3]);
        assert_eq!(Vni::from_bytes([1, 2, 3]), Ok(vni));
        assert_eq!(Vni::from_bytes([0; 3]), Err(VniError::OutOfRange(0)));
    }

    #[test]
    fn text_says_what_is_wrong() {
        assert_eq!("5001".parse(), Vni::new(5001));
        assert_eq!("4294967296".parse::<Vni>(), Err(VniError::OutOfRange(1 << 32)));
        assert_eq!("red".parse::<Vni>(), Err(VniError::NotANumber));
    }
}
