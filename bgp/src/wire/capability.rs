//! Capabilities: what a speaker can do (RFC 5492 section 4).
//!
//! ```text
//! +----------+------------+------------------+
//! | code (1) | length (1) | value (variable) |
//! +----------+------------+------------------+
//! ```
//!
//! Unknown ones are kept. A known one with an impossible body ends the session, except for the host name,
//! which is only shown: it is then kept as unknown.

mod add_path;
mod restart;

use super::reader::Reader;
use super::{Afi, Asn, EncodeError, Family, OpenError, Safi, writer};
pub use add_path::{AddPath, AddPathMode};
pub use restart::{GracefulRestart, LongLived, LongLivedFamily, RestartFamily};

const MULTIPROTOCOL: u8 = 1;
const ROUTE_REFRESH: u8 = 2;
const EXTENDED_NEXT_HOP: u8 = 5;
const EXTENDED_MESSAGE: u8 = 6;
const ROLE: u8 = 9;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;
const ADD_PATH: u8 = 69;
const ENHANCED_ROUTE_REFRESH: u8 = 70;
const LONG_LIVED: u8 = 71;
const FQDN: u8 = 73;

/// A capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// 1: routes of this family (RFC 4760 section 8).
    Multiprotocol(Family),
    /// 2: route refresh (RFC 2918 section 2).
    RouteRefresh,
    /// 5: IPv6 next hops for families of another address family (RFC 8950 section 4).
    ExtendedNextHop(Vec<ExtendedNextHop>),
    /// 6: messages of up to 65535 bytes (RFC 8654 section 3).
    ExtendedMessage,
    /// 9: the speaker's role towards the other (RFC 9234 section 4.1).
    Role(Role),
    /// 64: graceful restart (RFC 4724 section 3, RFC 8538 section 2).
    GracefulRestart(GracefulRestart),
    /// 65: AS numbers of four bytes, and the speaker's own (RFC 6793 section 3).
    FourOctetAs(Asn),
    /// 69: several paths of one route (RFC 7911 section 4).
    AddPath(Vec<AddPath>),
    /// 70: begin and end of a refresh are marked (RFC 7313 section 3.1).
    EnhancedRouteRefresh,
    /// 71: long-lived graceful restart (RFC 9494 section 3.1).
    LongLived(LongLived),
    /// 73: the name of the speaker's host (draft-walton-bgp-hostname-capability).
    Fqdn(Fqdn),
    /// Any other, as received.
    Other {
        /// Its code.
        code: u8,
        /// Its value.
        value: Vec<u8>,
    },
}

/// For `family`, next hops of address family `next_hop` are understood (RFC 8950 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExtendedNextHop {
    /// The routes. On the wire, its SAFI has two bytes.
    pub family: Family,
    /// Their next hop.
    pub next_hop: Afi,
}

/// The speaker's role towards the other (RFC 9234 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// 0
    Provider,
    /// 1
    RouteServer,
    /// 2
    RouteServerClient,
    /// 3
    Customer,
    /// 4
    Peer,
}

/// Host and domain name; either may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fqdn {
    /// The host.
    pub host: String,
    /// Its domain.
    pub domain: String,
}

impl Capability {
    pub(super) fn as_four_octets(&self) -> Option<Asn> {
        if let Self::FourOctetAs(asn) = self { Some(*asn) } else { None }
    }

    pub(super) fn as_role(&self) -> Option<Role> {
        if let Self::Role(role) = self { Some(*role) } else { None }
    }

    /// Reads one capability.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, OpenError> {
        let code = reader.u8().ok_or(OpenError::Malformed)?;
        let value = reader.counted_u8().ok_or(OpenError::Malformed)?;
        let other = || Self::Other { code, value: value.to_vec() };
        let known = match code {
            MULTIPROTOCOL => multiprotocol(value).map(Self::Multiprotocol),
            ROUTE_REFRESH => empty(value, Self::RouteRefresh),
            EXTENDED_NEXT_HOP => records(value, ExtendedNextHop::from_bytes).map(Self::ExtendedNextHop),
            EXTENDED_MESSAGE => empty(value, Self::ExtendedMessage),
            ROLE => Role::decode(value).map(Self::Role),
            GRACEFUL_RESTART => GracefulRestart::decode(value).map(Self::GracefulRestart),
            FOUR_OCTET_AS => {
                value.try_into().ok().map(|asn| Self::FourOctetAs(Asn::new(u32::from_be_bytes(asn))))
            }
            // An unknown mode is ignored with its family (RFC 7911 section 4).
            ADD_PATH => records(value, AddPath::from_bytes)
                .map(|records| Self::AddPath(records.into_iter().flatten().collect())),
            ENHANCED_ROUTE_REFRESH => empty(value, Self::EnhancedRouteRefresh),
            LONG_LIVED => records(value, LongLivedFamily::from_bytes)
                .map(|families| Self::LongLived(LongLived { families })),
            FQDN => Some(Fqdn::decode(value).map_or_else(other, Self::Fqdn)),
            _ => Some(other()),
        };
        known.ok_or(OpenError::Capability(code))
    }

    /// Writes code, length and value.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(self.code());
        writer::counted_u8(out, "capability", |out| {
            match self {
                Self::RouteRefresh | Self::ExtendedMessage | Self::EnhancedRouteRefresh => {}
                Self::Multiprotocol(Family { afi: Afi(afi), safi }) => {
                    out.extend(afi.to_be_bytes());
                    out.extend([0, safi.0]);
                }
                Self::ExtendedNextHop(records) => {
                    out.extend(records.iter().flat_map(|record| record.to_bytes()));
                }
                Self::Role(role) => out.push(role.code()),
                Self::GracefulRestart(restart) => restart.encode(out)?,
                Self::FourOctetAs(asn) => out.extend(asn.get().to_be_bytes()),
                Self::AddPath(records) => out.extend(records.iter().flat_map(|record| record.to_bytes())),
                Self::LongLived(long) => long.encode(out)?,
                Self::Fqdn(name) => name.encode(out)?,
                Self::Other { value, .. } => out.extend(value),
            }
            Ok(())
        })
    }

    const fn code(&self) -> u8 {
        match self {
            Self::Multiprotocol(_) => MULTIPROTOCOL,
            Self::RouteRefresh => ROUTE_REFRESH,
            Self::ExtendedNextHop(_) => EXTENDED_NEXT_HOP,
            Self::ExtendedMessage => EXTENDED_MESSAGE,
            Self::Role(_) => ROLE,
            Self::GracefulRestart(_) => GRACEFUL_RESTART,
            Self::FourOctetAs(_) => FOUR_OCTET_AS,
            Self::AddPath(_) => ADD_PATH,
            Self::EnhancedRouteRefresh => ENHANCED_ROUTE_REFRESH,
            Self::LongLived(_) => LONG_LIVED,
            Self::Fqdn(_) => FQDN,
            Self::Other { code, .. } => *code,
        }
    }
}

fn empty(value: &[u8], capability: Capability) -> Option<Capability> {
    value.is_empty().then_some(capability)
}

fn multiprotocol(value: &[u8]) -> Option<Family> {
    let &[a, b, _reserved, safi] = value else { return None };
    Some(Family::from_bytes([a, b, safi]))
}

/// A value that is a row of records of `N` bytes; `None` if bytes are left over.
fn records<const N: usize, T>(value: &[u8], read: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (records, rest) = value.as_chunks::<N>();
    rest.is_empty().then(|| records.iter().map(|record| read(*record)).collect())
}

impl ExtendedNextHop {
    const fn from_bytes([a, b, _, safi, c, d]: [u8; 6]) -> Self {
        let family = Family::new(Afi(u16::from_be_bytes([a, b])), Safi(safi));
        Self { family, next_hop: Afi(u16::from_be_bytes([c, d])) }
    }

    const fn to_bytes(self) -> [u8; 6] {
        let ([a, b, safi], [c, d]) = (self.family.to_bytes(), self.next_hop.0.to_be_bytes());
        [a, b, 0, safi, c, d]
    }
}

impl Role {
    fn decode(value: &[u8]) -> Option<Self> {
        match value {
            [0] => Some(Self::Provider),
            [1] => Some(Self::RouteServer),
            [2] => Some(Self::RouteServerClient),
            [3] => Some(Self::Customer),
            [4] => Some(Self::Peer),
            _ => None,
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Provider => 0,
            Self::RouteServer => 1,
            Self::RouteServerClient => 2,
            Self::Customer => 3,
            Self::Peer => 4,
        }
    }
}

impl Fqdn {
    fn decode(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let host = String::from_utf8(reader.counted_u8()?.to_vec()).ok()?;
        let domain = String::from_utf8(reader.counted_u8()?.to_vec()).ok()?;
        reader.is_empty().then_some(Self { host, domain })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for name in [&self.host, &self.domain] {
            writer::counted_u8(out, "host name", |out| {
                out.extend(name.as_bytes());
                Ok(())
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Capability, OpenError> {
        Capability::decode(&mut Reader::new(bytes))
    }

    #[test]
    fn bytes_and_values() {
        let name = |host: &str, domain: &str| Fqdn { host: host.into(), domain: domain.into() };
        let next_hop = ExtendedNextHop { family: Family::IPV4_UNICAST, next_hop: Afi::IPV6 };
        for (bytes, value) in [
            (&[1, 4, 0, 25, 0, 70][..], Capability::Multiprotocol(Family::EVPN)),
            (&[2, 0], Capability::RouteRefresh),
            (&[5, 6, 0, 1, 0, 1, 0, 2], Capability::ExtendedNextHop(vec![next_hop])),
            (&[6, 0], Capability::ExtendedMessage),
            (&[9, 1, 0], Capability::Role(Role::Provider)),
            (&[9, 1, 1], Capability::Role(Role::RouteServer)),
            (&[9, 1, 2], Capability::Role(Role::RouteServerClient)),
            (&[9, 1, 3], Capability::Role(Role::Customer)),
            (&[9, 1, 4], Capability::Role(Role::Peer)),
            (&[65, 4, 0xfa, 0x56, 0xea, 1], Capability::FourOctetAs(Asn::new(4_200_000_001))),
            (&[70, 0], Capability::EnhancedRouteRefresh),
            (&[73, 4, 2, b'v', b'1', 0], Capability::Fqdn(name("v1", ""))),
            (&[73, 2, 1, 0xff], Capability::Other { code: 73, value: vec![1, 0xff] }),
            (&[128, 0], Capability::Other { code: 128, value: vec![] }),
        ] {
            assert_eq!(decode(bytes), Ok(value.clone()));
            let mut out = Vec::new();
            value.encode(&mut out).unwrap();
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn impossible_bodies() {
        for bytes in [
            &[1, 3, 0, 25, 70][..],
            &[2, 1, 0],
            &[5, 5, 0, 1, 0, 1, 0],
            &[6, 1, 0],
            &[9, 1, 5],
            &[64, 1, 0],
            &[64, 3, 0, 0, 0],
            &[65, 2, 0, 1],
            &[69, 3, 0, 25, 70],
            &[71, 6, 0, 25, 70, 0, 0, 0],
        ] {
            assert_eq!(decode(bytes), Err(OpenError::Capability(bytes[0])));
        }
        assert_eq!(decode(&[1]), Err(OpenError::Malformed));
        assert_eq!(decode(&[1, 4, 0]), Err(OpenError::Malformed));
    }
}
