//! What a multihomed site is called: the Ethernet segment identifier and the Ethernet tag (RFC 7432 section 5).

use std::fmt;

use weft_vxlan::MacAddr;

/// The ten bytes that name an Ethernet segment; the first is the type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct EthernetSegmentId([u8; 10]);

impl EthernetSegmentId {
    /// Bytes on the wire.
    pub const LEN: usize = 10;
    /// A single-homed site.
    pub const ZERO: Self = Self([0; Self::LEN]);
    /// Reserved: all ones.
    pub const MAX: Self = Self([0xff; Self::LEN]);

    /// The identifier from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }

    /// Whether the site is attached to this one host only.
    #[must_use]
    pub fn is_single_homed(self) -> bool {
        self == Self::ZERO
    }

    /// The ES-import route target that follows from the identifier: the six bytes behind the type, for the
    /// types made from a MAC address, 1 to 3 (RFC 7432 section 7.6).
    #[must_use]
    pub fn es_import(self) -> Option<MacAddr> {
        let [kind, a, b, c, d, e, f, ..] = self.0;
        (1..=3).contains(&kind).then(|| MacAddr::new([a, b, c, d, e, f]))
    }
}

impl fmt::Debug for EthernetSegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for EthernetSegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

/// The broadcast domain within an EVPN instance; 0 in a VLAN-based service (RFC 7432 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EthernetTag(pub u32);

impl EthernetTag {
    /// The only broadcast domain of a VLAN-based service.
    pub const ZERO: Self = Self(0);
    /// A type 1 that speaks for the whole segment (RFC 7432 section 8.2.1).
    pub const MAX: Self = Self(u32::MAX);
}

impl fmt::Display for EthernetTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn es_import_comes_from_the_mac() {
        let bytes = [1, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0, 0x64, 0];
        let esi = EthernetSegmentId::from_bytes(bytes);
        assert_eq!(esi.to_string(), "01:aa:bb:cc:dd:ee:ff:00:64:00");
        assert_eq!(esi.es_import(), Some(MacAddr::new([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff])));
        assert_eq!(EthernetSegmentId::ZERO.es_import(), None);
        assert!(EthernetSegmentId::ZERO.is_single_homed() && !esi.is_single_homed());
    }
}
