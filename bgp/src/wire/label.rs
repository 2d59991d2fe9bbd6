//! The three-byte label field of EVPN routes: with VXLAN, all 24 bits are the VNI (RFC 8365 section 5.1.3).

use std::fmt;

use weft_vxlan::{Vni, VniError};

/// A label field as it stands on the wire. Zero occurs: in withdrawals, and in a type 1 per segment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Label([u8; 3]);

impl Label {
    /// All bits clear: no VNI.
    pub const ZERO: Self = Self([0; 3]);

    /// The field from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 3]) -> Self {
        Self(bytes)
    }

    /// The bytes on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        self.0
    }

    /// The VNI that the field holds, not shifted.
    ///
    /// # Errors
    /// [`VniError`] if the field is zero.
    pub const fn vni(self) -> Result<Vni, VniError> {
        Vni::from_bytes(self.0)
    }
}

impl From<Vni> for Label {
    fn from(vni: Vni) -> Self {
        Self(vni.to_bytes())
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        fmt::Display::fmt(&u32::from_be_bytes([0, a, b, c]), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vni_fills_the_field() {
        for (bytes, vni) in [([0, 0, 100], 100), ([1, 0x11, 0x70], 70_000), ([0xff; 3], 16_777_215)] {
            let vni = Vni::new(vni).unwrap();
            assert_eq!(Label::from_bytes(bytes).vni(), Ok(vni));
            assert_eq!(Label::from(vni).to_bytes(), bytes);
        }
        assert!(Label::ZERO.vni().is_err());
    }
}
