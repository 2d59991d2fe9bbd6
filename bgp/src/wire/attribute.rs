//! Path attributes: what is true of all routes of a message (RFC 4271 sections 4.3 and 5).
//!
//! ```text
//! +-----------+----------+------------------------------+------------------+
//! | flags (1) | code (1) | length (1; 2 if bit 0x10)    | value (variable) |
//! +-----------+----------+------------------------------+------------------+
//! flags: 0x80 optional, 0x40 transitive, 0x20 partial, 0x10 extended length
//! ```
//!
//! MP_REACH_NLRI and MP_UNREACH_NLRI are with the message, for they are its routes. Attributes are written in
//! the order of their codes.

mod aggregator;
mod as4;
mod as_path;
mod code;
mod community;
mod decode;
mod pmsi;

use std::net::Ipv4Addr;

use super::{Asn, Dialect, EncodeError, ExtendedCommunity, RouterId};
pub use aggregator::Aggregator;
pub use as_path::{AsPath, Segment, SegmentKind};
pub(super) use as4::TwoOctet;
pub use code::{AttributeCode, PartialBits};
pub(super) use code::{EXTENDED, PARTIAL, encode_attribute};
pub use community::{Community, LargeCommunity, ParseCommunityError};
pub(super) use decode::decode_value;
pub use pmsi::{PmsiTunnel, TunnelId};

/// How a route came into BGP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// 0
    Igp,
    /// 1
    Egp,
    /// 2
    Incomplete,
}

/// The attributes of a message. AS4_PATH and AS4_AGGREGATOR are merged on receipt and made on sending
/// (RFC 6793 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Attributes {
    /// 1, mandatory with routes.
    pub origin: Option<Origin>,
    /// 2, mandatory with routes.
    pub as_path: Option<AsPath>,
    /// 3, mandatory with IPv4 routes outside of MP_REACH_NLRI, and ignored without.
    pub next_hop: Option<Ipv4Addr>,
    /// 4
    pub med: Option<u32>,
    /// 5, mandatory with routes of internal peers.
    pub local_pref: Option<u32>,
    /// 6
    pub atomic_aggregate: bool,
    /// 7
    pub aggregator: Option<Aggregator>,
    /// 8 (RFC 1997, COMMUNITIES attribute)
    pub communities: Vec<Community>,
    /// 9 (RFC 4456 section 8)
    pub originator_id: Option<RouterId>,
    /// 10 (RFC 4456 section 8): the reflectors passed, the last one first.
    pub cluster_list: Vec<Ipv4Addr>,
    /// 16 (RFC 4360 section 2)
    pub extended_communities: Vec<ExtendedCommunity>,
    /// 22 (RFC 6514 section 5)
    pub pmsi: Option<PmsiTunnel>,
    /// 32 (RFC 8092 section 3)
    pub large_communities: Vec<LargeCommunity>,
    /// 35 (RFC 9234 section 5)
    pub only_to_customer: Option<Asn>,
    /// Transitive ones that weft does not know, by code.
    pub unknown: Vec<UnknownAttribute>,
    /// Which of the above some router on the way did not know.
    pub partial: PartialBits,
}

/// An optional transitive attribute that weft does not know. It goes on with the partial bit set, whatever it
/// had before (RFC 4271 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnknownAttribute {
    /// Its code.
    pub code: AttributeCode,
    /// Its value as received.
    pub value: Vec<u8>,
}

impl Origin {
    const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Igp),
            1 => Some(Self::Egp),
            2 => Some(Self::Incomplete),
            _ => None,
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Igp => 0,
            Self::Egp => 1,
            Self::Incomplete => 2,
        }
    }
}

impl Attributes {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes all attributes in the order of their codes.
    pub(super) fn encode(&self, dialect: &Dialect, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut row = Row { out, partial: self.partial, unknown: &self.unknown };
        self.encode_classic(dialect.four_octet_as, &mut row)?;
        self.encode_added(dialect.four_octet_as, &mut row)?;
        row.unknown_before(None)
    }

    /// Codes 1 to 10.
    fn encode_classic(&self, four: bool, row: &mut Row<'_>) -> Result<(), EncodeError> {
        use AttributeCode as Code;
        if let Some(origin) = self.origin {
            row.bytes(Code::ORIGIN, [origin.code()])?;
        }
        if let Some(path) = &self.as_path {
            row.value(Code::AS_PATH, |out| path.encode(four, out))?;
        }
        if let Some(address) = self.next_hop {
            row.bytes(Code::NEXT_HOP, address.octets())?;
        }
        if let Some(med) = self.med {
            row.bytes(Code::MED, med.to_be_bytes())?;
        }
        if let Some(preference) = self.local_pref {
            row.bytes(Code::LOCAL_PREF, preference.to_be_bytes())?;
        }
        if self.atomic_aggregate {
            row.bytes(Code::ATOMIC_AGGREGATE, [])?;
        }
        if let Some(aggregator) = self.aggregator {
            row.bytes(Code::AGGREGATOR, aggregator.to_bytes(four))?;
        }
        row.list(Code::COMMUNITIES, &self.communities, |community| community.to_bytes())?;
        if let Some(id) = self.originator_id {
            row.bytes(Code::ORIGINATOR_ID, id.get().octets())?;
        }
        row.list(Code::CLUSTER_LIST, &self.cluster_list, Ipv4Addr::octets)
    }

    /// Codes 16 and up.
    fn encode_added(&self, four: bool, row: &mut Row<'_>) -> Result<(), EncodeError> {
        use AttributeCode as Code;
        row.list(Code::EXTENDED_COMMUNITIES, &self.extended_communities, |community| community.to_bytes())?;
        if let Some(path) = self.as_path.as_ref().filter(|_| !four).and_then(as4::as4_path) {
            row.value(Code::AS4_PATH, |out| path.encode(true, out))?;
        }
        if let Some(aggregator) = self.aggregator.filter(|aggregator| !four && !aggregator.fits_two_octets())
        {
            row.bytes(Code::AS4_AGGREGATOR, aggregator.to_bytes(true))?;
        }
        if let Some(tunnel) = &self.pmsi {
            row.bytes(Code::PMSI_TUNNEL, tunnel.to_bytes())?;
        }
        row.list(Code::LARGE_COMMUNITIES, &self.large_communities, |community| community.to_bytes())?;
        if let Some(asn) = self.only_to_customer {
            row.bytes(Code::ONLY_TO_CUSTOMER, asn.get().to_be_bytes())?;
        }
        Ok(())
    }
}

/// The attributes on their way out: before each known one go the unknown ones of a lower code.
struct Row<'a> {
    out: &'a mut Vec<u8>,
    partial: PartialBits,
    unknown: &'a [UnknownAttribute],
}

impl Row<'_> {
    fn value(
        &mut self,
        code: AttributeCode,
        value: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.unknown_before(Some(code))?;
        encode_attribute(code, self.partial.flag(code), self.out, value)
    }

    fn bytes(&mut self, code: AttributeCode, bytes: impl AsRef<[u8]>) -> Result<(), EncodeError> {
        self.value(code, |out| {
            out.extend(bytes.as_ref());
            Ok(())
        })
    }

    /// Nothing at all for an empty list, which no attribute may be.
    fn list<T, const N: usize>(
        &mut self,
        code: AttributeCode,
        list: &[T],
        bytes: impl Fn(&T) -> [u8; N],
    ) -> Result<(), EncodeError> {
        if list.is_empty() {
            return Ok(());
        }
        self.value(code, |out| {
            out.extend(list.iter().flat_map(bytes));
            Ok(())
        })
    }

    fn unknown_before(&mut self, code: Option<AttributeCode>) -> Result<(), EncodeError> {
        while let Some((first, rest)) = self.unknown.split_first()
            && code.is_none_or(|code| first.code < code)
        {
            if first.code.expected_flags().is_some() {
                return Err(EncodeError::NotEncodable("a known attribute as an unknown one"));
            }
            encode_attribute(first.code, PARTIAL, self.out, |out| {
                out.extend(&first.value);
                Ok(())
            })?;
            self.unknown = rest;
        }
        Ok(())
    }
}
