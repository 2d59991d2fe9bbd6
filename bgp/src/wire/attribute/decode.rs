//! The value of one attribute, checked as RFC 7606 section 7 wants it.

use std::net::Ipv4Addr;

use super::super::routes::check_host;
use super::super::{AttributeCode, AttributeProblem, Dialect, ExtendedCommunity, RouterId};
use super::as4::{TwoOctet, without_confederations};
use super::{
    Aggregator, AsPath, Asn, Attributes, Community, LargeCommunity, Origin, PmsiTunnel, Segment, SegmentKind,
};

/// Reads the value of a known attribute into its place. What an error costs follows from code and problem.
pub(in crate::wire) fn decode_value(
    code: AttributeCode,
    value: &[u8],
    dialect: &Dialect,
    attributes: &mut Attributes,
    two_octet: &mut TwoOctet,
) -> Result<(), AttributeProblem> {
    use AttributeCode as Code;
    match code {
        Code::ORIGIN => {
            let [origin] = fixed(value)?;
            attributes.origin = Some(Origin::from_code(origin).ok_or(AttributeProblem::Value)?);
        }
        Code::AS_PATH => attributes.as_path = Some(as_path(value, dialect)?),
        Code::NEXT_HOP => {
            let address = Ipv4Addr::from(fixed(value)?);
            check_host(address.into())?;
            attributes.next_hop = Some(address);
        }
        Code::MED => attributes.med = Some(u32::from_be_bytes(fixed(value)?)),
        // Three attributes that mean nothing from an external peer, malformed or not (RFC 7606 sections 7.5,
        // 7.9 and 7.10).
        Code::LOCAL_PREF | Code::ORIGINATOR_ID | Code::CLUSTER_LIST if !dialect.internal => {
            return Err(AttributeProblem::Unexpected);
        }
        Code::LOCAL_PREF => attributes.local_pref = Some(u32::from_be_bytes(fixed(value)?)),
        Code::ATOMIC_AGGREGATE => {
            let [] = fixed(value)?;
            attributes.atomic_aggregate = true;
        }
        Code::AGGREGATOR => {
            attributes.aggregator = Some(Aggregator::decode(value, dialect.four_octet_as)?);
        }
        Code::COMMUNITIES => attributes.communities = row(value, Community::from_bytes)?,
        Code::ORIGINATOR_ID => {
            let id = RouterId::new(Ipv4Addr::from(fixed(value)?));
            attributes.originator_id = Some(id.map_err(|_| AttributeProblem::Value)?);
        }
        Code::CLUSTER_LIST => attributes.cluster_list = row(value, Ipv4Addr::from)?,
        Code::EXTENDED_COMMUNITIES => {
            attributes.extended_communities = row(value, ExtendedCommunity::from_bytes)?;
        }
        // Peers of four-byte numbers do not send these two (RFC 6793 section 4.1).
        Code::AS4_PATH | Code::AS4_AGGREGATOR if dialect.four_octet_as => {
            return Err(AttributeProblem::Unexpected);
        }
        Code::AS4_PATH => {
            two_octet.path = Some(without_confederations(without_sets(AsPath::decode(value, true)?)?));
        }
        Code::AS4_AGGREGATOR => two_octet.aggregator = Some(Aggregator::decode(value, true)?),
        Code::PMSI_TUNNEL => attributes.pmsi = Some(PmsiTunnel::decode(value)?),
        Code::LARGE_COMMUNITIES => attributes.large_communities = row(value, LargeCommunity::from_bytes)?,
        Code::ONLY_TO_CUSTOMER => {
            attributes.only_to_customer = Some(Asn::new(u32::from_be_bytes(fixed(value)?)));
        }
        // The caller reads the routes, and keeps what it does not know.
        _ => {}
    }
    Ok(())
}

/// Members of a confederation are only seen within it, so not from an external peer (RFC 5065 section 5).
fn as_path(value: &[u8], dialect: &Dialect) -> Result<AsPath, AttributeProblem> {
    let path = AsPath::decode(value, dialect.four_octet_as)?;
    let confederation = path.segments.iter().any(|segment| segment.kind.is_confederation());
    if confederation && !dialect.internal { Err(AttributeProblem::Value) } else { without_sets(path) }
}

/// Refuses what passed a set, be it one of a confederation (RFC 9774 section 3).
fn without_sets(path: AsPath) -> Result<AsPath, AttributeProblem> {
    let is_set = |segment: &Segment| matches!(segment.kind, SegmentKind::Set | SegmentKind::ConfederationSet);
    if path.segments.iter().any(is_set) { Err(AttributeProblem::AsSet) } else { Ok(path) }
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], AttributeProblem> {
    value.try_into().map_err(|_| AttributeProblem::Length(value.len()))
}

/// A row of one or more records of `N` bytes.
fn row<const N: usize, T>(value: &[u8], read: impl Fn([u8; N]) -> T) -> Result<Vec<T>, AttributeProblem> {
    match value.as_chunks::<N>() {
        ([], _) | (_, [_, ..]) => Err(AttributeProblem::Length(value.len())),
        (records, []) => Ok(records.iter().map(|record| read(*record)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(code: AttributeCode, value: &[u8], dialect: Dialect) -> Result<Attributes, AttributeProblem> {
        let mut attributes = Attributes::default();
        decode_value(code, value, &dialect, &mut attributes, &mut TwoOctet::default())?;
        Ok(attributes)
    }

    #[test]
    fn lengths_that_an_attribute_cannot_have() {
        use AttributeCode as Code;
        let dialect = Dialect { internal: true, ..Dialect::default() };
        for (code, bad) in [
            (Code::ORIGIN, &[0, 2][..]),
            (Code::NEXT_HOP, &[0, 3, 5]),
            (Code::MED, &[0, 3, 5]),
            (Code::LOCAL_PREF, &[0, 3, 5]),
            (Code::ATOMIC_AGGREGATE, &[1]),
            (Code::AGGREGATOR, &[0, 5, 7, 8]),
            (Code::COMMUNITIES, &[0, 3, 5]),
            (Code::ORIGINATOR_ID, &[0, 3, 5]),
            (Code::CLUSTER_LIST, &[0, 3, 5]),
            (Code::EXTENDED_COMMUNITIES, &[0, 7, 9]),
            (Code::AS4_AGGREGATOR, &[0, 6, 9]),
            (Code::PMSI_TUNNEL, &[0, 4]),
            (Code::LARGE_COMMUNITIES, &[0, 11, 13]),
            (Code::ONLY_TO_CUSTOMER, &[0, 3, 5]),
        ] {
            for &len in bad {
                assert_eq!(
                    decode(code, &vec![1; len], dialect),
                    Err(AttributeProblem::Length(len)),
                    "{code}"
                );
            }
        }
    }

    #[test]
    fn values_that_an_attribute_cannot_have() {
        use AttributeCode as Code;
        let (internal, external) = (Dialect { internal: true, ..Dialect::default() }, Dialect::default());
        assert_eq!(decode(Code::ORIGIN, &[3], internal), Err(AttributeProblem::Value));
        assert_eq!(decode(Code::ORIGINATOR_ID, &[0; 4], internal), Err(AttributeProblem::Value));
        let next_hop = decode(Code::NEXT_HOP, &[224, 0, 0, 5], internal);
        assert!(matches!(next_hop, Err(AttributeProblem::NextHop(_))));
        assert!(decode(Code::AS_PATH, &[3, 1, 0, 1], internal).is_ok());
        assert_eq!(decode(Code::AS_PATH, &[3, 1, 0, 1], external), Err(AttributeProblem::Value));
        for kind in [1, 4] {
            assert_eq!(decode(Code::AS_PATH, &[kind, 1, 0, 1], internal), Err(AttributeProblem::AsSet));
        }
        assert_eq!(decode(Code::AS4_PATH, &[1, 1, 0, 0, 0, 1], external), Err(AttributeProblem::AsSet));
        for code in [Code::LOCAL_PREF, Code::ORIGINATOR_ID, Code::CLUSTER_LIST] {
            assert_eq!(decode(code, &[1; 9], external), Err(AttributeProblem::Unexpected), "{code}");
        }
        let four = Dialect { four_octet_as: true, ..Dialect::default() };
        for code in [Code::AS4_PATH, Code::AS4_AGGREGATOR] {
            assert_eq!(decode(code, &[1; 9], four), Err(AttributeProblem::Unexpected), "{code}");
        }
    }
}
