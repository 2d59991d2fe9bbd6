//! AS_PATH: the ASes that a route passed (RFC 4271 section 4.3, RFC 5065 section 3, RFC 6793 section 4).
//!
//! ```text
//! +--------------------+-----------+---------------------------+
//! | segment type (1)   | count (1) | AS numbers of 2 or 4 each |   for each segment
//! +--------------------+-----------+---------------------------+
//! ```

use std::fmt;

use super::super::reader::Reader;
use super::super::{AttributeProblem, EncodeError};
use super::Asn;

/// What the ASes of a segment have to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// 1: passed in no known order.
    Set,
    /// 2: passed, the last one first.
    Sequence,
    /// 3: members of a confederation passed, the last one first.
    ConfederationSequence,
    /// 4: members of a confederation passed in no known order.
    ConfederationSet,
}

impl SegmentKind {
    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Set),
            2 => Some(Self::Sequence),
            3 => Some(Self::ConfederationSequence),
            4 => Some(Self::ConfederationSet),
            _ => None,
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Set => 1,
            Self::Sequence => 2,
            Self::ConfederationSequence => 3,
            Self::ConfederationSet => 4,
        }
    }

    /// Whether its ASes are members of a confederation.
    #[must_use]
    pub const fn is_confederation(self) -> bool {
        matches!(self, Self::ConfederationSequence | Self::ConfederationSet)
    }
}

/// A segment: 1 to 255 ASes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// What they have to do with each other.
    pub kind: SegmentKind,
    /// The ASes.
    pub asns: Vec<Asn>,
}

/// The ASes that a route passed, the last one first. Empty for a route of the own AS.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct AsPath {
    /// The segments.
    pub segments: Vec<Segment>,
}

/// ASes in one segment at most: its count is a byte.
pub(super) const MAX_SEGMENT: usize = 255;

impl AsPath {
    /// A path of one sequence, or the empty one.
    #[must_use]
    pub fn sequence(asns: impl IntoIterator<Item = Asn>) -> Self {
        let asns: Vec<_> = asns.into_iter().collect();
        if asns.is_empty() {
            return Self::default();
        }
        Self { segments: vec![Segment { kind: SegmentKind::Sequence, asns }] }
    }

    /// Adds the AS that the route leaves (RFC 4271 section 5.1.2).
    pub fn prepend(&mut self, asn: Asn) {
        match self.segments.first_mut() {
            Some(Segment { kind: SegmentKind::Sequence, asns }) if asns.len() < MAX_SEGMENT => {
                asns.insert(0, asn);
            }
            _ => self.segments.insert(0, Segment { kind: SegmentKind::Sequence, asns: vec![asn] }),
        }
    }

    /// The length that best path selection compares: a set counts as one, a confederation not at all
    /// (RFC 4271 section 9.1.2.2, RFC 5065 section 5.3).
    #[must_use]
    pub fn hops(&self) -> usize {
        self.segments.iter().map(Segment::hops).sum()
    }

    /// Whether the route passed `asn`: then it is a loop for it.
    #[must_use]
    pub fn contains(&self, asn: Asn) -> bool {
        self.segments.iter().any(|segment| segment.asns.contains(&asn))
    }

    /// The neighbour that sent the route, if it is in a sequence.
    #[must_use]
    pub fn first(&self) -> Option<Asn> {
        match self.segments.first() {
            Some(Segment { kind: SegmentKind::Sequence, asns }) => asns.first().copied(),
            _ => None,
        }
    }

    /// Reads the value, with numbers of four bytes or of two.
    pub(super) fn decode(value: &[u8], four: bool) -> Result<Self, AttributeProblem> {
        let mut reader = Reader::new(value);
        let mut segments = Vec::new();
        while !reader.is_empty() {
            let kind = reader.u8().and_then(SegmentKind::from_code).ok_or(AttributeProblem::Value)?;
            let count = usize::from(reader.u8().ok_or(AttributeProblem::Value)?);
            let bytes = reader.take(count * if four { 4 } else { 2 }).ok_or(AttributeProblem::Value)?;
            if count == 0 {
                return Err(AttributeProblem::Value);
            }
            let asns: Vec<_> = if four {
                bytes.as_chunks().0.iter().map(|&asn| Asn::new(u32::from_be_bytes(asn))).collect()
            } else {
                bytes.as_chunks().0.iter().map(|&asn| Asn::new(u16::from_be_bytes(asn).into())).collect()
            };
            if asns.iter().any(|asn| asn.is_zero()) {
                return Err(AttributeProblem::ZeroAs);
            }
            segments.push(Segment { kind, asns });
        }
        Ok(Self { segments })
    }

    /// Writes the value.
    pub(super) fn encode(&self, four: bool, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for Segment { kind, asns } in &self.segments {
            let too_long =
                EncodeError::TooLong { what: "AS path segment", len: asns.len(), max: MAX_SEGMENT };
            out.extend([kind.code(), u8::try_from(asns.len()).map_err(|_| too_long)?]);
            if asns.is_empty() {
                return Err(EncodeError::NotEncodable("an AS path segment without an AS"));
            }
            for asn in asns {
                if four {
                    out.extend(asn.get().to_be_bytes());
                } else {
                    out.extend(asn.two_octets().to_be_bytes());
                }
            }
        }
        Ok(())
    }
}

impl Segment {
    pub(super) fn hops(&self) -> usize {
        match self.kind {
            SegmentKind::Set => 1,
            SegmentKind::Sequence => self.asns.len(),
            SegmentKind::ConfederationSequence | SegmentKind::ConfederationSet => 0,
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, between, close) = match self.kind {
            SegmentKind::Sequence => ("", " ", ""),
            SegmentKind::Set => ("{", ",", "}"),
            SegmentKind::ConfederationSequence => ("(", " ", ")"),
            SegmentKind::ConfederationSet => ("[", ",", "]"),
        };
        f.write_str(open)?;
        for (index, asn) in self.asns.iter().enumerate() {
            write!(f, "{}{asn}", if index == 0 { "" } else { between })?;
        }
        f.write_str(close)
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for AsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            write!(f, "{}{segment}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for AsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_values() {
        let (a, b) = (Asn::new(4_200_000_001), Asn::new(65001));
        let set = Segment { kind: SegmentKind::Set, asns: vec![b] };
        let sequence = Segment { kind: SegmentKind::Sequence, asns: vec![a, b] };
        let path = AsPath { segments: vec![sequence, set] };
        let four = [2, 2, 0xfa, 0x56, 0xea, 1, 0, 0, 0xfd, 0xe9, 1, 1, 0, 0, 0xfd, 0xe9];
        let mut out = Vec::new();
        path.encode(true, &mut out).unwrap();
        assert_eq!(out, four);
        assert_eq!(AsPath::decode(&four, true), Ok(path.clone()));
        let mut out = Vec::new();
        path.encode(false, &mut out).unwrap();
        assert_eq!(out, [2, 2, 0x5b, 0xa0, 0xfd, 0xe9, 1, 1, 0xfd, 0xe9]);
        assert_eq!((path.hops(), path.first(), path.contains(b)), (3, Some(a), true));
        assert_eq!(path.to_string(), "4200000001 65001 {65001}");
        assert_eq!(AsPath::decode(&[], true), Ok(AsPath::default()));
    }

    #[test]
    fn refusals() {
        for value in [&[2][..], &[2, 0], &[5, 1, 0, 1], &[0, 1, 0, 1], &[2, 2, 0, 1], &[2, 1, 0, 1, 9]] {
            assert_eq!(AsPath::decode(value, false), Err(AttributeProblem::Value), "{value:?}");
        }
        assert_eq!(AsPath::decode(&[2, 1, 0, 0], false), Err(AttributeProblem::ZeroAs));
        // A path of two-byte numbers, read as one of four-byte numbers.
        assert_eq!(AsPath::decode(&[2, 1, 0xfd, 0xe8], true), Err(AttributeProblem::Value));
    }

    #[test]
    fn prepend_starts_a_segment_when_the_first_is_full() {
        let mut path = AsPath::sequence([Asn::new(1); 255]);
        path.prepend(Asn::new(2));
        assert_eq!((path.segments.len(), path.hops(), path.first()), (2, 256, Some(Asn::new(2))));
        path.prepend(Asn::new(3));
        assert_eq!(path.segments.len(), 2);
    }
}
