//! Rows of routes of one family, with path identifiers where agreed (RFC 7911 section 3), and their next hop
//! (RFC 2545 section 3, RFC 7432 section 9.2.1, RFC 8950 section 3).
//!
//! ```text
//! +----------------------------+--------------------+
//! | path identifier (4) if any | route of the family |   as often as there is room
//! +----------------------------+--------------------+
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use weft_vxlan::{Vtep, VtepError};

use super::evpn;
use super::reader::Reader;
use super::{AddPathFamilies, EncodeError, EvpnRoute, Family, Fault, RouteTargetMembership, prefix};

/// A route, and which of its paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nlri<T> {
    /// There if and only if both sides agreed on it for the family.
    pub path_id: Option<u32>,
    /// The route.
    pub route: T,
}

impl<T> From<T> for Nlri<T> {
    fn from(route: T) -> Self {
        Self { path_id: None, route }
    }
}

/// Routes of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routes {
    /// IPv4 unicast.
    Ipv4(Vec<Nlri<Ipv4Net>>),
    /// IPv6 unicast.
    Ipv6(Vec<Nlri<Ipv6Net>>),
    /// L2VPN EVPN.
    Evpn(Vec<Nlri<EvpnRoute>>),
    /// Route target membership.
    RouteTargets(Vec<Nlri<RouteTargetMembership>>),
}

/// Why the routes of a family cannot be found in the bytes (RFC 7606 section 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoutesError {
    /// A route crosses the end.
    #[error("a route crosses the end")]
    Truncated,
    /// Longer than an address of the family.
    #[error("prefix length {len} for {family}")]
    PrefixLength {
        /// The family.
        family: Family,
        /// The length field.
        len: u8,
    },
}

impl Routes {
    /// No routes of `family`; `None` if weft does not know it.
    #[must_use]
    pub const fn empty(family: Family) -> Option<Self> {
        match family {
            Family::IPV4_UNICAST => Some(Self::Ipv4(Vec::new())),
            Family::IPV6_UNICAST => Some(Self::Ipv6(Vec::new())),
            Family::EVPN => Some(Self::Evpn(Vec::new())),
            Family::ROUTE_TARGETS => Some(Self::RouteTargets(Vec::new())),
            _ => None,
        }
    }

    /// Their family.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Ipv4(_) => Family::IPV4_UNICAST,
            Self::Ipv6(_) => Family::IPV6_UNICAST,
            Self::Evpn(_) => Family::EVPN,
            Self::RouteTargets(_) => Family::ROUTE_TARGETS,
        }
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Ipv4(routes) => routes.len(),
            Self::Ipv6(routes) => routes.len(),
            Self::Evpn(routes) => routes.len(),
            Self::RouteTargets(routes) => routes.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills itself from `bytes`. Routes that cannot be read are left out and returned, if their own length says
    /// where the next one starts (RFC 7606 sections 3 j and 5.4).
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        path_ids: AddPathFamilies,
    ) -> Result<Vec<Refused>, RoutesError> {
        let with_id = path_ids.has(self.family());
        match self {
            Self::Ipv4(routes) => *routes = decode_row(bytes, with_id, prefix::decode_v4)?,
            Self::Ipv6(routes) => *routes = decode_row(bytes, with_id, prefix::decode_v6)?,
            Self::Evpn(routes) => return decode_evpn(routes, bytes, with_id),
            Self::RouteTargets(routes) => return decode_memberships(routes, bytes, with_id),
        }
        Ok(Vec::new())
    }

    /// Writes the routes.
    pub(super) fn encode(&self, path_ids: AddPathFamilies, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Ipv4(routes) => encode_ipv4(routes, path_ids, out),
            Self::Ipv6(routes) => encode_row(routes, Family::IPV6_UNICAST, path_ids, out, |route, out| {
                prefix::encode_v6(*route, out);
                Ok(())
            }),
            Self::Evpn(routes) => encode_row(routes, Family::EVPN, path_ids, out, EvpnRoute::encode),
            Self::RouteTargets(routes) => {
                encode_row(routes, Family::ROUTE_TARGETS, path_ids, out, |route, out| {
                    route.encode(out);
                    Ok(())
                })
            }
        }
    }
}

/// A route that was left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) fault: Fault,
    /// What to withdraw instead, if that can be read.
    pub(super) key: Option<Nlri<EvpnRoute>>,
}

fn decode_evpn(
    routes: &mut Vec<Nlri<EvpnRoute>>,
    bytes: &[u8],
    with_id: bool,
) -> Result<Vec<Refused>, RoutesError> {
    // Most messages hold routes of one kind: as many as would fit of the first one's length.
    let first = bytes.get(if with_id { 5 } else { 1 }).map_or(0, |&len| usize::from(len) + 2);
    routes.reserve(bytes.len() / first.max(evpn::SHORTEST));
    let mut refused = Vec::new();
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let path_id = decode_path_id(&mut reader, with_id)?;
        match EvpnRoute::decode(&mut reader).ok_or(RoutesError::Truncated)? {
            Ok(route) => routes.push(Nlri { path_id, route }),
            Err(unreadable) => {
                let key = unreadable.key().map(|route| Nlri { path_id, route });
                refused.push(Refused { fault: unreadable.error.into(), key });
            }
        }
    }
    Ok(refused)
}

/// One with a length that no membership has was never taken before, so there is nothing to withdraw.
fn decode_memberships(
    routes: &mut Vec<Nlri<RouteTargetMembership>>,
    bytes: &[u8],
    with_id: bool,
) -> Result<Vec<Refused>, RoutesError> {
    routes.reserve(bytes.len() / RouteTargetMembership::LONGEST);
    let mut refused = Vec::new();
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let path_id = decode_path_id(&mut reader, with_id)?;
        match RouteTargetMembership::decode(&mut reader)? {
            Ok(route) => routes.push(Nlri { path_id, route }),
            Err(len) => refused.push(Refused { fault: Fault::MembershipLength(len), key: None }),
        }
    }
    Ok(refused)
}

/// Writes IPv4 routes, which also stand outside of the multiprotocol attributes.
pub(super) fn encode_ipv4(
    routes: &[Nlri<Ipv4Net>],
    path_ids: AddPathFamilies,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    encode_row(routes, Family::IPV4_UNICAST, path_ids, out, |route, out| {
        prefix::encode_v4(*route, out);
        Ok(())
    })
}

fn encode_row<T>(
    routes: &[Nlri<T>],
    family: Family,
    path_ids: AddPathFamilies,
    out: &mut Vec<u8>,
    encode: impl Fn(&T, &mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let with_id = path_ids.has(family);
    for Nlri { path_id, route } in routes {
        match (path_id, with_id) {
            (Some(id), true) => out.extend(id.to_be_bytes()),
            (None, false) => {}
            (Some(_), false) | (None, true) => return Err(EncodeError::PathId(family)),
        }
        encode(route, out)?;
    }
    Ok(())
}

fn decode_row<T>(
    bytes: &[u8],
    with_id: bool,
    route: impl Fn(&mut Reader<'_>) -> Result<T, RoutesError>,
) -> Result<Vec<Nlri<T>>, RoutesError> {
    let mut reader = Reader::new(bytes);
    let mut routes = Vec::new();
    while !reader.is_empty() {
        let path_id = decode_path_id(&mut reader, with_id)?;
        routes.push(Nlri { path_id, route: route(&mut reader)? });
    }
    Ok(routes)
}

fn decode_path_id(reader: &mut Reader<'_>, with_id: bool) -> Result<Option<u32>, RoutesError> {
    if with_id { reader.u32().map(Some).ok_or(RoutesError::Truncated) } else { Ok(None) }
}

/// Where routes of a multiprotocol attribute lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NextHop {
    /// Four bytes.
    V4(Ipv4Addr),
    /// Sixteen bytes.
    V6(Ipv6Addr),
    /// Thirty-two bytes: a global and a link-local address.
    V6LinkLocal {
        /// The global one.
        global: Ipv6Addr,
        /// The link-local one.
        link_local: Ipv6Addr,
    },
}

/// The next hop is no address that a host could have (RFC 4271 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("next hop {0} is no host's address")]
pub struct NextHopError(pub IpAddr);

impl NextHop {
    /// Reads a next hop of `family`; `None` if its length fits no address of it.
    pub(super) fn decode(family: Family, bytes: &[u8], extended: bool) -> Option<Self> {
        let v4 = || bytes.try_into().ok().map(|bytes: [u8; 4]| Self::V4(bytes.into()));
        let v6 = || bytes.try_into().ok().map(|bytes: [u8; 16]| Self::V6(bytes.into()));
        let both = || {
            let (global, link_local) = bytes.split_first_chunk::<16>()?;
            let link_local: [u8; 16] = link_local.try_into().ok()?;
            Some(Self::V6LinkLocal { global: (*global).into(), link_local: link_local.into() })
        };
        match family {
            Family::IPV4_UNICAST if extended => v4().or_else(v6).or_else(both),
            Family::IPV4_UNICAST => v4(),
            Family::IPV6_UNICAST => v6().or_else(both),
            Family::EVPN | Family::ROUTE_TARGETS => v4().or_else(v6),
            _ => None,
        }
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::V4(address) => out.extend(address.octets()),
            Self::V6(address) => out.extend(address.octets()),
            Self::V6LinkLocal { global, link_local } => {
                out.extend(global.octets());
                out.extend(link_local.octets());
            }
        }
    }

    /// The global address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        match self {
            Self::V4(address) => IpAddr::V4(address),
            Self::V6(address) | Self::V6LinkLocal { global: address, .. } => IpAddr::V6(address),
        }
    }

    /// The tunnel end point of an EVPN route.
    ///
    /// # Errors
    /// [`VtepError`] if no other host could send to the address.
    pub fn vtep(self) -> Result<Vtep, VtepError> {
        Vtep::new(self.address())
    }

    pub(super) fn check(self) -> Result<(), NextHopError> {
        match self {
            // Only the link-local address counts where the global one is left out.
            Self::V6LinkLocal { global, .. } if global.is_unspecified() => Ok(()),
            Self::V4(_) | Self::V6(_) | Self::V6LinkLocal { .. } => check_host(self.address()),
        }
    }
}

/// Whether a host can have this address: not of networks 0 and 127, not multicast, reserved or unspecified.
pub(super) fn check_host(address: IpAddr) -> Result<(), NextHopError> {
    let good = match address {
        IpAddr::V4(v4) => !matches!(v4.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_loopback() && !v6.is_multicast(),
    };
    if good { Ok(()) } else { Err(NextHopError(address)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_hop_lengths_by_family() {
        for (family, extended, good) in [
            (Family::IPV4_UNICAST, false, &[4][..]),
            (Family::IPV4_UNICAST, true, &[4, 16, 32]),
            (Family::IPV6_UNICAST, false, &[16, 32]),
            (Family::EVPN, false, &[4, 16]),
            (Family::ROUTE_TARGETS, false, &[4, 16]),
            (Family::new(super::super::Afi(1), super::super::Safi(128)), false, &[]),
        ] {
            for len in 0..40 {
                let bytes = vec![1; len];
                let next_hop = NextHop::decode(family, &bytes, extended);
                assert_eq!(next_hop.is_some(), good.contains(&len), "{family} {len}");
                if let Some(next_hop) = next_hop {
                    let mut out = Vec::new();
                    next_hop.encode(&mut out);
                    assert_eq!(out, bytes);
                }
            }
        }
    }

    #[test]
    fn addresses_that_no_host_has() {
        for bad in ["0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255", "::", "::1", "ff02::1"] {
            let address = bad.parse().unwrap();
            assert_eq!(check_host(address), Err(NextHopError(address)));
        }
        assert_eq!(check_host("10.250.0.1".parse().unwrap()), Ok(()));
        assert_eq!(check_host("2001:db8::1".parse().unwrap()), Ok(()));
    }

    #[test]
    fn path_identifiers_must_be_agreed_on() {
        let mut routes = Routes::Ipv4(Vec::new());
        let bytes = [0, 0, 0, 7, 8, 10];
        let ids = AddPathFamilies { ipv4: true, ..AddPathFamilies::default() };
        assert_eq!(routes.decode(&bytes, ids), Ok(vec![]));
        let route = "10.0.0.0/8".parse().unwrap();
        assert_eq!(routes, Routes::Ipv4(vec![Nlri { path_id: Some(7), route }]));
        let mut out = Vec::new();
        routes.encode(ids, &mut out).unwrap();
        assert_eq!(out, bytes);
        let refused = routes.encode(AddPathFamilies::default(), &mut Vec::new());
        assert_eq!(refused, Err(EncodeError::PathId(Family::IPV4_UNICAST)));
        assert_eq!(routes.decode(&bytes[..3], ids), Err(RoutesError::Truncated));
    }
}
