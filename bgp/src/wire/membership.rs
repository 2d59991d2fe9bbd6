//! Route target membership: which routes a speaker wants to get at all (RFC 4684 section 4).
//!
//! ```text
//! +---------------------------+---------------+------------------------------+
//! | length in bits (1): 0,    | origin AS (4) | route target: as many bytes  |
//! | or 32 to 96               |               | as the length has (0 to 8)   |
//! +---------------------------+---------------+------------------------------+
//! ```
//!
//! Length 0 stands alone: every route target. A shorter prefix than a whole route target means all those that start
//! with it. Bits behind the length mean nothing: they are read as zero.

use std::fmt;

use super::reader::Reader;
use super::{Asn, ExtendedCommunity, Family, RouteTarget, RoutesError};

const ORIGIN_BITS: u8 = 32;
const TARGET_BITS: u8 = 64;
const MAX_BITS: u8 = ORIGIN_BITS + TARGET_BITS;

/// Who wants which routes. All of it is its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteTargetMembership {
    /// Every route, whatever its targets.
    Default,
    /// Routes with one of these targets.
    Targets {
        /// The AS in which someone wants them.
        origin: Asn,
        /// The targets.
        targets: RouteTargetPrefix,
    },
}

/// All route targets that start with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteTargetPrefix {
    /// No bits set behind `len`.
    bytes: [u8; 8],
    /// Up to 64.
    len: u8,
}

/// A route target has 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("route target prefix of {0} bits, at most 64 are possible")]
pub struct RouteTargetPrefixError(pub u8);

impl RouteTargetMembership {
    /// The bytes of the longest one, with its length.
    pub(super) const LONGEST: usize = 1 + MAX_BITS as usize / 8;

    /// Whether a route with `community` is wanted because of it. A community that is no route target is never wanted.
    #[must_use]
    pub fn covers(self, community: ExtendedCommunity) -> bool {
        match self {
            Self::Default => community.is_route_target(),
            Self::Targets { targets, .. } => targets.covers(community),
        }
    }

    /// Reads one; the length alone of one that cannot be: it says where the next one starts.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Result<Self, u8>, RoutesError> {
        let len = reader.u8().ok_or(RoutesError::Truncated)?;
        if len > MAX_BITS {
            return Err(RoutesError::PrefixLength { family: Family::ROUTE_TARGETS, len });
        }
        let value = reader.take(usize::from(len).div_ceil(8)).ok_or(RoutesError::Truncated)?;
        let Some((origin, rest)) = value.split_first_chunk::<4>() else {
            return Ok(if len == 0 { Ok(Self::Default) } else { Err(len) });
        };
        let Some(target_len) = len.checked_sub(ORIGIN_BITS) else { return Ok(Err(len)) };
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(rest) {
            *to = *from;
        }
        let targets = RouteTargetPrefix::new(bytes, target_len);
        let origin = Asn::new(u32::from_be_bytes(*origin));
        Ok(targets.map(|targets| Self::Targets { origin, targets }).map_err(|_| len))
    }

    /// Writes length and value.
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::Default => out.push(0),
            Self::Targets { origin, targets } => {
                out.push(ORIGIN_BITS + targets.len);
                out.extend(origin.get().to_be_bytes());
                out.extend(targets.bytes.iter().take(usize::from(targets.len).div_ceil(8)));
            }
        }
    }
}

impl RouteTargetPrefix {
    /// Every route target.
    pub const ALL: Self = Self { bytes: [0; 8], len: 0 };

    /// The first `len` bits of `bytes`.
    ///
    /// # Errors
    /// [`RouteTargetPrefixError`] if there are not that many.
    pub const fn new(bytes: [u8; 8], len: u8) -> Result<Self, RouteTargetPrefixError> {
        if len > TARGET_BITS {
            return Err(RouteTargetPrefixError(len));
        }
        Ok(Self { bytes: (u64::from_be_bytes(bytes) & mask(len)).to_be_bytes(), len })
    }

    /// The community itself, which may also be an ES-import route target (RFC 7432 section 7.6).
    #[must_use]
    pub const fn exact(community: ExtendedCommunity) -> Self {
        Self { bytes: community.to_bytes(), len: TARGET_BITS }
    }

    /// The bits as they stand on the wire, filled up with zeros.
    #[must_use]
    pub const fn bytes(self) -> [u8; 8] {
        self.bytes
    }

    /// How many bits count.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "the length of a prefix, not of a collection")]
    pub const fn len(self) -> u8 {
        self.len
    }

    /// Whether `community` is a route target that starts with it.
    #[must_use]
    pub fn covers(self, community: ExtendedCommunity) -> bool {
        let bits = u64::from_be_bytes(community.to_bytes()) & mask(self.len);
        community.is_route_target() && bits.to_be_bytes() == self.bytes
    }
}

/// The first `len` bits, at most all.
const fn mask(len: u8) -> u64 {
    match u64::MAX.checked_shr(len as u32) {
        Some(rest) => !rest,
        None => u64::MAX,
    }
}

impl From<RouteTarget> for RouteTargetPrefix {
    fn from(target: RouteTarget) -> Self {
        Self::exact(target.into())
    }
}

impl fmt::Display for RouteTargetPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:016x}/{}", u64::from_be_bytes(self.bytes), self.len)
    }
}

impl fmt::Debug for RouteTargetPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RouteTargetMembership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Targets { origin, targets } => write!(f, "{origin}:{targets}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> RouteTarget {
        text.parse().unwrap()
    }

    fn targets(targets: RouteTargetPrefix) -> RouteTargetMembership {
        RouteTargetMembership::Targets { origin: Asn::new(65000), targets }
    }

    fn decode(bytes: &[u8]) -> Result<Result<RouteTargetMembership, u8>, RoutesError> {
        RouteTargetMembership::decode(&mut Reader::new(bytes))
    }

    #[test]
    fn bytes_and_values() {
        let of_as = RouteTargetPrefix::new([0, 2, 0xfd, 0xe8, 0, 0, 0, 0], 32).unwrap();
        let odd = RouteTargetPrefix::new([0, 2, 0xfd, 0xe8, 0x80, 0, 0, 0], 33).unwrap();
        for (bytes, value) in [
            (&[0][..], RouteTargetMembership::Default),
            (&[32, 0, 0, 0xfd, 0xe8], targets(RouteTargetPrefix::ALL)),
            (&[64, 0, 0, 0xfd, 0xe8, 0, 2, 0xfd, 0xe8], targets(of_as)),
            (&[65, 0, 0, 0xfd, 0xe8, 0, 2, 0xfd, 0xe8, 0x80], targets(odd)),
            (&[96, 0, 0, 0xfd, 0xe8, 0, 2, 0xfd, 0xe8, 0, 0, 0, 100], targets(target("65000:100").into())),
        ] {
            assert_eq!(decode(bytes), Ok(Ok(value)));
            let mut out = Vec::new();
            value.encode(&mut out);
            assert_eq!(out, bytes, "{value}");
            assert!(out.len() <= RouteTargetMembership::LONGEST);
            for len in 0..bytes.len() {
                assert_eq!(decode(&bytes[..len]), Err(RoutesError::Truncated), "{len} of {bytes:?}");
            }
        }
    }

    #[test]
    fn bits_behind_the_length_mean_nothing() {
        let odd = RouteTargetPrefix::new([0x80, 0, 0, 0, 0, 0, 0, 0], 1).unwrap();
        assert_eq!(decode(&[33, 0, 0, 0xfd, 0xe8, 0xff]), Ok(Ok(targets(odd))));
        assert_eq!(RouteTargetPrefix::new([0xff; 8], 1), Ok(odd));
    }

    #[test]
    fn refusals() {
        let too_long = |len| RoutesError::PrefixLength { family: Family::ROUTE_TARGETS, len };
        assert_eq!(decode(&[97; 20]), Err(too_long(97)));
        assert_eq!(decode(&[255; 40]), Err(too_long(255)));
        // The origin AS has no prefixes (RFC 4684 section 4).
        for len in 1..32_u8 {
            let bytes = [len, 1, 2, 3, 4];
            let mut reader = Reader::new(&bytes);
            assert_eq!(RouteTargetMembership::decode(&mut reader), Ok(Err(len)));
            assert_eq!(reader.remaining(), 4 - usize::from(len).div_ceil(8), "the next one starts behind it");
        }
        assert_eq!(RouteTargetPrefix::new([0; 8], 65), Err(RouteTargetPrefixError(65)));
    }

    #[test]
    fn what_a_prefix_covers() {
        let community = ExtendedCommunity::from(target("65000:100"));
        let es_import = ExtendedCommunity::from_bytes([6, 2, 1, 2, 3, 4, 5, 6]);
        let all = targets(RouteTargetPrefix::ALL);
        for membership in [RouteTargetMembership::Default, all] {
            assert!(membership.covers(community) && membership.covers(es_import));
            assert!(!membership.covers(ExtendedCommunity::VXLAN), "no route target");
        }
        for len in 0..=64 {
            let prefix = RouteTargetPrefix::new(community.to_bytes(), len).unwrap();
            assert!(prefix.covers(community), "{len}");
            // 100 and 101 differ in the last bit.
            assert_eq!(prefix.covers(target("65000:101").into()), len < 64, "{len}");
        }
        assert!(RouteTargetPrefix::exact(es_import).covers(es_import));
    }
}
