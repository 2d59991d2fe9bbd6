//! Four-byte AS numbers through peers that know two bytes only: AS4_PATH and AS4_AGGREGATOR (RFC 6793
//! section 4.2).

use super::as_path::MAX_SEGMENT;
use super::{Aggregator, AsPath, Asn, Attributes, Segment, SegmentKind};

/// The two attributes of a peer of two-byte numbers, until they are merged.
#[derive(Debug, Default)]
pub(in crate::wire) struct TwoOctet {
    pub(super) path: Option<AsPath>,
    pub(super) aggregator: Option<Aggregator>,
}

impl TwoOctet {
    /// Puts the real numbers where AS_TRANS stands (RFC 6793 section 4.2.3).
    pub(in crate::wire) fn merge_into(self, attributes: &mut Attributes) {
        match (&mut attributes.aggregator, self.aggregator) {
            // Someone of two-byte numbers aggregated on the way: what is in the other two is older.
            (Some(aggregator), Some(_)) if aggregator.asn != Asn::TRANS => return,
            (Some(aggregator), Some(real)) => *aggregator = real,
            _ => {}
        }
        if let (Some(path), Some(real)) = (&mut attributes.as_path, self.path) {
            merge_paths(path, real);
        }
    }
}

/// Replaces the end of `path` by `real`. A longer `real` than `path` is ignored.
fn merge_paths(path: &mut AsPath, real: AsPath) {
    let Some(mut lead) = path.hops().checked_sub(real.hops()) else { return };
    let mut segments = Vec::new();
    for segment in std::mem::take(&mut path.segments) {
        // Confederation segments before or next to what is kept stay.
        if lead == 0 && !segment.kind.is_confederation() {
            break;
        }
        let hops = segment.hops();
        if hops <= lead {
            lead -= hops;
            segments.push(segment);
        } else {
            let asns = segment.asns.into_iter().take(lead).collect();
            segments.push(Segment { kind: segment.kind, asns });
            break;
        }
    }
    let mut real = real.segments.into_iter().peekable();
    if let Some(last) = segments.last_mut()
        && let Some(next) = real.next_if(|next| last.takes(next))
    {
        last.asns.extend(next.asns);
    }
    segments.extend(real);
    path.segments = segments;
}

impl Segment {
    /// Whether `next` can become a part of this segment.
    fn takes(&self, next: &Self) -> bool {
        let sequences = self.kind == SegmentKind::Sequence && next.kind == SegmentKind::Sequence;
        sequences && self.asns.len() + next.asns.len() <= MAX_SEGMENT
    }
}

/// The AS4_PATH that must go with `path` to a peer of two-byte numbers, if any (RFC 6793 section 4.2.2).
pub(super) fn as4_path(path: &AsPath) -> Option<AsPath> {
    let real = without_confederations(path.clone());
    let needed = real.segments.iter().flat_map(|segment| &segment.asns).any(|asn| asn.get() > 0xffff);
    needed.then_some(real)
}

/// A path without the segments that AS4_PATH must not have (RFC 6793 sections 3 and 6).
pub(super) fn without_confederations(mut path: AsPath) -> AsPath {
    path.segments.retain(|segment| !segment.kind.is_confederation());
    path
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const BIG: u32 = 4_200_000_001;

    fn segment(kind: SegmentKind, asns: &[u32]) -> Segment {
        Segment { kind, asns: asns.iter().copied().map(Asn::new).collect() }
    }

    fn path(asns: &[u32]) -> AsPath {
        AsPath::sequence(asns.iter().copied().map(Asn::new))
    }

    fn merged(mut received: AsPath, real: AsPath) -> AsPath {
        merge_paths(&mut received, real);
        received
    }

    #[test]
    fn the_real_numbers_replace_the_end() {
        assert_eq!(merged(path(&[100, 23456, 200]), path(&[BIG, 200])), path(&[100, BIG, 200]));
        assert_eq!(merged(path(&[23456]), path(&[BIG])), path(&[BIG]));
        assert_eq!(merged(path(&[23456]), path(&[BIG, 1])), path(&[23456]), "too long");
        assert_eq!(merged(path(&[100, 23456]), path(&[])), path(&[100, 23456]));
    }

    #[test]
    fn sets_and_confederations() {
        let set = segment(SegmentKind::Set, &[BIG, 5]);
        let trans = segment(SegmentKind::Set, &[23456, 5]);
        let confederation = segment(SegmentKind::ConfederationSequence, &[64512]);
        let received =
            AsPath { segments: vec![confederation.clone(), segment(SegmentKind::Sequence, &[100]), trans] };
        let real = AsPath { segments: vec![set.clone()] };
        let expected = AsPath { segments: vec![confederation, segment(SegmentKind::Sequence, &[100]), set] };
        assert_eq!(merged(received, real), expected);
    }

    #[test]
    fn an_aggregator_of_two_bytes_makes_both_void() {
        let aggregator = |asn| Aggregator { asn: Asn::new(asn), address: Ipv4Addr::LOCALHOST };
        let received = |asn| Attributes {
            aggregator: Some(aggregator(asn)),
            as_path: Some(path(&[23456])),
            ..Attributes::default()
        };
        let two = || TwoOctet { path: Some(path(&[BIG])), aggregator: Some(aggregator(BIG)) };
        let mut attributes = received(100);
        two().merge_into(&mut attributes);
        assert_eq!(attributes, received(100));
        let mut attributes = received(23456);
        two().merge_into(&mut attributes);
        assert_eq!((attributes.as_path, attributes.aggregator), (Some(path(&[BIG])), Some(aggregator(BIG))));
    }

    #[test]
    fn as4_path_only_where_two_bytes_do_not_do() {
        assert_eq!(as4_path(&path(&[100, 200])), None);
        let mut with_confederation = path(&[BIG]);
        with_confederation.segments.insert(0, segment(SegmentKind::ConfederationSequence, &[64512]));
        assert_eq!(as4_path(&with_confederation), Some(path(&[BIG])));
    }
}
