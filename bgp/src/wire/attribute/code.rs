//! Attribute codes, the flags that each must have, and the attribute header (RFC 4271 section 4.3).

use std::fmt;

use super::EncodeError;

pub(in crate::wire) const OPTIONAL: u8 = 0x80;
pub(in crate::wire) const TRANSITIVE: u8 = 0x40;
pub(in crate::wire) const PARTIAL: u8 = 0x20;
pub(in crate::wire) const EXTENDED: u8 = 0x10;

/// The type code of an attribute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeCode(pub u8);

impl AttributeCode {
    /// RFC 4271 section 5.1.1.
    pub const ORIGIN: Self = Self(1);
    /// RFC 4271 section 5.1.2.
    pub const AS_PATH: Self = Self(2);
    /// RFC 4271 section 5.1.3.
    pub const NEXT_HOP: Self = Self(3);
    /// RFC 4271 section 5.1.4.
    pub const MED: Self = Self(4);
    /// RFC 4271 section 5.1.5.
    pub const LOCAL_PREF: Self = Self(5);
    /// RFC 4271 section 5.1.6.
    pub const ATOMIC_AGGREGATE: Self = Self(6);
    /// RFC 4271 section 5.1.7.
    pub const AGGREGATOR: Self = Self(7);
    /// RFC 1997, COMMUNITIES attribute.
    pub const COMMUNITIES: Self = Self(8);
    /// RFC 4456 section 8.
    pub const ORIGINATOR_ID: Self = Self(9);
    /// RFC 4456 section 8.
    pub const CLUSTER_LIST: Self = Self(10);
    /// RFC 4760 section 3.
    pub const MP_REACH_NLRI: Self = Self(14);
    /// RFC 4760 section 4.
    pub const MP_UNREACH_NLRI: Self = Self(15);
    /// RFC 4360 section 2.
    pub const EXTENDED_COMMUNITIES: Self = Self(16);
    /// RFC 6793 section 3.
    pub const AS4_PATH: Self = Self(17);
    /// RFC 6793 section 3.
    pub const AS4_AGGREGATOR: Self = Self(18);
    /// RFC 6514 section 5.
    pub const PMSI_TUNNEL: Self = Self(22);
    /// RFC 8092 section 3.
    pub const LARGE_COMMUNITIES: Self = Self(32);
    /// RFC 9234 section 5.
    pub const ONLY_TO_CUSTOMER: Self = Self(35);

    /// The optional and transitive bits of a known attribute.
    pub(in crate::wire) const fn expected_flags(self) -> Option<u8> {
        match self {
            Self::ORIGIN | Self::AS_PATH | Self::NEXT_HOP | Self::LOCAL_PREF | Self::ATOMIC_AGGREGATE => {
                Some(TRANSITIVE)
            }
            Self::MED
            | Self::ORIGINATOR_ID
            | Self::CLUSTER_LIST
            | Self::MP_REACH_NLRI
            | Self::MP_UNREACH_NLRI => Some(OPTIONAL),
            Self::AGGREGATOR
            | Self::COMMUNITIES
            | Self::EXTENDED_COMMUNITIES
            | Self::AS4_PATH
            | Self::AS4_AGGREGATOR
            | Self::PMSI_TUNNEL
            | Self::LARGE_COMMUNITIES
            | Self::ONLY_TO_CUSTOMER => Some(OPTIONAL | TRANSITIVE),
            _ => None,
        }
    }
}

impl fmt::Display for AttributeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::ORIGIN => "ORIGIN",
            Self::AS_PATH => "AS_PATH",
            Self::NEXT_HOP => "NEXT_HOP",
            Self::MED => "MULTI_EXIT_DISC",
            Self::LOCAL_PREF => "LOCAL_PREF",
            Self::ATOMIC_AGGREGATE => "ATOMIC_AGGREGATE",
            Self::AGGREGATOR => "AGGREGATOR",
            Self::COMMUNITIES => "COMMUNITIES",
            Self::ORIGINATOR_ID => "ORIGINATOR_ID",
            Self::CLUSTER_LIST => "CLUSTER_LIST",
            Self::MP_REACH_NLRI => "MP_REACH_NLRI",
            Self::MP_UNREACH_NLRI => "MP_UNREACH_NLRI",
            Self::EXTENDED_COMMUNITIES => "EXTENDED_COMMUNITIES",
            Self::AS4_PATH => "AS4_PATH",
            Self::AS4_AGGREGATOR => "AS4_AGGREGATOR",
            Self::PMSI_TUNNEL => "PMSI_TUNNEL",
            Self::LARGE_COMMUNITIES => "LARGE_COMMUNITIES",
            Self::ONLY_TO_CUSTOMER => "ONLY_TO_CUSTOMER",
            Self(code) => return write!(f, "{code}"),
        };
        f.write_str(name)
    }
}

impl fmt::Debug for AttributeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which known transitive attributes came with the partial bit, which must stay set (RFC 4271 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PartialBits(u64);

impl PartialBits {
    const fn bit(code: AttributeCode) -> u64 {
        match code.expected_flags() {
            // These two are merged away.
            Some(_) if matches!(code, AttributeCode::AS4_PATH | AttributeCode::AS4_AGGREGATOR) => 0,
            Some(flags) if flags & OPTIONAL != 0 && flags & TRANSITIVE != 0 && code.0 < 64 => 1 << code.0,
            _ => 0,
        }
    }

    /// Remembers the bit for an attribute that can have it, which only optional transitive ones can.
    pub const fn set(&mut self, code: AttributeCode) {
        self.0 |= Self::bit(code);
    }

    /// Whether the attribute has the bit.
    #[must_use]
    pub const fn has(self, code: AttributeCode) -> bool {
        self.0 & Self::bit(code) != 0
    }

    pub(super) const fn flag(self, code: AttributeCode) -> u8 {
        if self.has(code) { PARTIAL } else { 0 }
    }
}

/// Writes an attribute: its own flags and `more`, the code, the shorter length that does, the value.
pub(in crate::wire) fn encode_attribute(
    code: AttributeCode,
    more: u8,
    out: &mut Vec<u8>,
    value: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let flags = code.expected_flags().unwrap_or(OPTIONAL | TRANSITIVE) | more;
    let at = out.len();
    out.extend([flags | EXTENDED, code.0, 0, 0]);
    let start = out.len();
    value(out)?;
    let len = out.len() - start;
    if let Ok(short) = u8::try_from(len) {
        out[at] = flags;
        out[at + 2] = short;
        out.remove(at + 3);
        return Ok(());
    }
    let max = usize::from(u16::MAX);
    let long = u16::try_from(len).map_err(|_| EncodeError::TooLong { what: "attribute", len, max })?;
    out[at + 2..start].copy_from_slice(&long.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_length_that_does() {
        for (len, header) in [(0, &[0xc0, 8, 0][..]), (255, &[0xc0, 8, 255]), (256, &[0xd0, 8, 1, 0])] {
            let mut out = Vec::new();
            let fill = |out: &mut Vec<u8>| {
                out.resize(out.len() + len, 7);
                Ok(())
            };
            encode_attribute(AttributeCode::COMMUNITIES, 0, &mut out, fill).unwrap();
            assert_eq!(&out[..header.len()], header);
            assert_eq!(out.len(), header.len() + len);
        }
    }

    #[test]
    fn only_optional_transitive_attributes_are_partial() {
        let mut partial = PartialBits::default();
        partial.set(AttributeCode::COMMUNITIES);
        partial.set(AttributeCode::ORIGIN);
        partial.set(AttributeCode::MED);
        partial.set(AttributeCode(200));
        assert!(partial.has(AttributeCode::COMMUNITIES));
        assert_eq!(partial, PartialBits(1 << 8));
    }
}
