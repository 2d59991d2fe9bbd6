//! EVPN routes (RFC 7432 section 7, RFC 9136 section 3).
//!
//! ```text
//! +----------------+------------+------------------+
//! | route type (1) | length (1) | value (variable) |
//! +----------------+------------+------------------+
//! ```
//!
//! Types that weft does not know are kept as they are: a route reflector passes them on, and whoever uses routes
//! leaves them out (RFC 7606 section 5.4).
//!
//! A known type with a body that cannot be right is an error of that route alone. RFC 7606 section 3 j wants the
//! session reset where the routes of a message cannot be parsed, because then nobody knows what to withdraw. Here the
//! length still says where each route starts: all others are good, and the bad one is withdrawn if its key can be read,
//! else it was never taken. To reset instead would let one bad route, passed on by a reflector, cut off every peer.
//! Only a route that crosses the end of its attribute ends the session.

mod ethernet_ad;
mod mac_ip;
mod multicast;
mod prefix_route;
mod segment;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weft_vxlan::MacAddr;

use super::reader::Reader;
use super::{EncodeError, EthernetSegmentId, EthernetTag, Label, RouteDistinguisher, writer};
pub use ethernet_ad::EthernetAd;
pub use mac_ip::MacIp;
pub use multicast::InclusiveMulticast;
pub use prefix_route::IpPrefixRoute;
pub use segment::EthernetSegment;

/// Bytes of the shortest route of a known type, with type and length: a type 3 over IPv4.
pub(super) const SHORTEST: usize = 19;

/// An EVPN route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EvpnRoute {
    /// 1: a segment, or an instance on it, is reachable here.
    EthernetAd(EthernetAd),
    /// 2: a MAC address, perhaps with an IP address.
    MacIp(MacIp),
    /// 3: broadcast, unknown unicast and multicast go here.
    InclusiveMulticast(InclusiveMulticast),
    /// 4: who is attached to a segment.
    EthernetSegment(EthernetSegment),
    /// 5: an IP prefix.
    IpPrefix(IpPrefixRoute),
    /// Any other, as received.
    Unknown(UnknownRoute),
}

/// A route of a type that weft does not know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnknownRoute {
    /// Not 1 to 5.
    pub kind: u8,
    /// Up to 255 bytes.
    pub value: Vec<u8>,
}

/// What is wrong with a route whose type and length can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvpnError {
    /// A length that the type cannot have with what stands inside.
    #[error("type {kind} of length {len}")]
    Length {
        /// The route type.
        kind: u8,
        /// The length field.
        len: usize,
    },
    /// A MAC address has 48 bits.
    #[error("type 2 with a MAC address of {0} bits")]
    MacLength(u8),
    /// Neither 32 nor 128, nor 0 where an address may be left out.
    #[error("type {kind} with an IP address of {bits} bits")]
    IpLength {
        /// The route type.
        kind: u8,
        /// The address length field.
        bits: u8,
    },
    /// A prefix longer than its address.
    #[error("type 5 with prefix length {0}")]
    PrefixLength(u8),
    /// A segment and a gateway address at once (RFC 9136 section 3.2).
    #[error("type 5 with a segment and a gateway")]
    TwoOverlayIndexes,
    /// No segment, no gateway, no router's MAC address and no label: nothing to reach the prefix by (RFC 9136
    /// section 3.2).
    #[error("type 5 without anything that it could resolve by")]
    NoOverlayIndex,
    /// The router's MAC address beside it is one of many hosts (RFC 9136 section 3.2).
    #[error("type 5 with the router's MAC address {0}")]
    RouterMac(MacAddr),
}

impl EvpnRoute {
    /// Reads one route; `None` if it crosses the end.
    #[inline]
    pub(super) fn decode<'a>(reader: &mut Reader<'a>) -> Option<Result<Self, Unreadable<'a>>> {
        let kind = reader.u8()?;
        let value = reader.counted_u8()?;
        // Nearly all routes are of this type. Inlined down to where they are kept, for a value that is handed through
        // four results costs more than reading it.
        if kind == mac_ip::KIND
            && let Ok(route) = MacIp::decode(value)
        {
            return Some(Ok(Self::MacIp(route)));
        }
        Some(Self::decode_value(kind, value).map_err(|error| Unreadable { error, kind, value }))
    }

    #[inline(never)]
    fn decode_value(kind: u8, value: &[u8]) -> Result<Self, EvpnError> {
        match kind {
            ethernet_ad::KIND => EthernetAd::decode(value).map(Self::EthernetAd),
            mac_ip::KIND => MacIp::decode(value).map(Self::MacIp),
            multicast::KIND => InclusiveMulticast::decode(value).map(Self::InclusiveMulticast),
            segment::KIND => EthernetSegment::decode(value).map(Self::EthernetSegment),
            prefix_route::KIND => IpPrefixRoute::decode(value).map(Self::IpPrefix),
            _ => Ok(Self::Unknown(UnknownRoute { kind, value: value.to_vec() })),
        }
    }

    /// Writes type, length and value.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(self.kind());
        writer::counted_u8(out, "EVPN route", |out| {
            match self {
                Self::EthernetAd(route) => route.encode(out),
                Self::MacIp(route) => route.encode(out),
                Self::InclusiveMulticast(route) => route.encode(out),
                Self::EthernetSegment(route) => route.encode(out),
                Self::IpPrefix(route) => route.encode(out)?,
                Self::Unknown(route) if route.kind <= prefix_route::KIND && route.kind != 0 => {
                    return Err(EncodeError::NotEncodable("a known EVPN route type as an unknown one"));
                }
                Self::Unknown(route) => out.extend(&route.value),
            }
            Ok(())
        })
    }

    /// The route type.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::EthernetAd(_) => ethernet_ad::KIND,
            Self::MacIp(_) => mac_ip::KIND,
            Self::InclusiveMulticast(_) => multicast::KIND,
            Self::EthernetSegment(_) => segment::KIND,
            Self::IpPrefix(_) => prefix_route::KIND,
            Self::Unknown(route) => route.kind,
        }
    }
}

/// A route that cannot be read. What the peer announced before under the same key is not what it means now:
/// the key is withdrawn if it can be read (RFC 7606 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable<'a> {
    pub(super) error: EvpnError,
    kind: u8,
    value: &'a [u8],
}

impl Unreadable<'_> {
    /// The key of a route of which only the labels behind it are wrong, with a label of zero, as in a withdrawal. The
    /// other types have nothing behind their key, or do not say how long it is when their length is wrong.
    #[cold]
    pub(super) fn key(&self) -> Option<EvpnRoute> {
        let len = match self.kind {
            ethernet_ad::KIND => ethernet_ad::KEY_LEN,
            mac_ip::KIND => mac_ip::key_len(self.value)?,
            _ => return None,
        };
        let with_label = [self.value.get(..len)?, &Label::ZERO.to_bytes()].concat();
        EvpnRoute::decode_value(self.kind, &with_label).ok()
    }
}

/// Reads the fields that the route types share; a field that is not there is a wrong length of the route.
struct Fields<'a> {
    kind: u8,
    len: usize,
    reader: Reader<'a>,
}

impl<'a> Fields<'a> {
    const fn new(kind: u8, value: &'a [u8]) -> Self {
        Self { kind, len: value.len(), reader: Reader::new(value) }
    }

    const fn wrong_length(&self) -> EvpnError {
        EvpnError::Length { kind: self.kind, len: self.len }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EvpnError> {
        self.reader.array().ok_or(self.wrong_length())
    }

    fn u8(&mut self) -> Result<u8, EvpnError> {
        self.array().map(u8::from_be_bytes)
    }

    fn distinguisher(&mut self) -> Result<RouteDistinguisher, EvpnError> {
        self.array().map(RouteDistinguisher::from_bytes)
    }

    fn segment(&mut self) -> Result<EthernetSegmentId, EvpnError> {
        self.array().map(EthernetSegmentId::from_bytes)
    }

    fn tag(&mut self) -> Result<EthernetTag, EvpnError> {
        self.array().map(|bytes| EthernetTag(u32::from_be_bytes(bytes)))
    }

    fn label(&mut self) -> Result<Label, EvpnError> {
        self.array().map(Label::from_bytes)
    }

    /// A length in bits and an address of that length; `None` for length 0.
    #[inline(always)]
    fn counted_address(&mut self) -> Result<Option<IpAddr>, EvpnError> {
        match self.u8()? {
            0 => Ok(None),
            32 => Ok(Some(Ipv4Addr::from(self.array::<4>()?).into())),
            128 => Ok(Some(Ipv6Addr::from(self.array::<16>()?).into())),
            bits => Err(EvpnError::IpLength { kind: self.kind, bits }),
        }
    }

    /// The address of a router, which cannot be left out.
    fn originator(&mut self) -> Result<IpAddr, EvpnError> {
        let kind = self.kind;
        self.counted_address()?.ok_or(EvpnError::IpLength { kind, bits: 0 })
    }

    fn end(&self) -> Result<(), EvpnError> {
        if self.reader.is_empty() { Ok(()) } else { Err(self.wrong_length()) }
    }
}

fn encode_counted_address(address: Option<IpAddr>, out: &mut Vec<u8>) {
    match address {
        None => out.push(0),
        Some(IpAddr::V4(v4)) => {
            out.push(32);
            out.extend(v4.octets());
        }
        Some(IpAddr::V6(v6)) => {
            out.push(128);
            out.extend(v6.octets());
        }
    }
}

#[cfg(test)]
mod tests;
