//! What is announced and withdrawn, as bytes that are ready to be sent; and how a route is known again.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use ipnet::{IpNet, Ipv4Net};
use weft_bgp::wire::{
    AsPath, Attributes, Batch, Dialect, EthernetSegmentId, EthernetTag, EvpnRoute, ExtendedCommunity, Family,
    IpPrefixRoute, Label, MacIp, NextHop, Origin, Route, RouteTarget, TunnelType,
};
use weft_vxlan::{MacAddr, Vni};

use super::lab::{ASN, SENDER};

/// VNI of the routes, and the number of their route target.
pub(super) const VNI: u32 = 101;
/// The addresses of the routes; behind a network's own address and its gateway.
pub(super) const PREFIX: &str = "10.0.0.0/8";

/// Which routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A MAC and its IPv4 address.
    MacIp,
    /// An IPv4 prefix.
    Prefix,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::MacIp => "type-2",
            Self::Prefix => "type-5",
        }
    }
}

/// Routes with the same attributes, in messages that are full.
pub(super) struct Stream {
    pub(super) kind: Kind,
    pub(super) count: usize,
    pub(super) announce: Arc<Vec<u8>>,
    pub(super) withdraw: Arc<Vec<u8>>,
}

impl Stream {
    /// `count` routes, all different.
    pub(super) fn new(kind: Kind, count: usize) -> Result<Self> {
        let dialect = Dialect { internal: true, four_octet_as: true, ..Dialect::plain() };
        let next_hop = NextHop::V4(SENDER);
        let mut come = Batch::announce(Family::EVPN, next_hop, &attributes(kind)?, &dialect)?;
        let mut go = Batch::withdraw(Family::EVPN, &dialect);
        let (mut announce, mut withdraw) = (Vec::new(), Vec::new());
        for number in 0..u32::try_from(count)? {
            let route = Route::Evpn(route(kind, number)?);
            come.push(0, &route, &mut announce)?;
            go.push(0, &route, &mut withdraw)?;
        }
        come.flush(&mut announce)?;
        go.flush(&mut withdraw)?;
        Ok(Self { kind, count, announce: Arc::new(announce), withdraw: Arc::new(withdraw) })
    }
}

fn attributes(kind: Kind) -> Result<Attributes> {
    let target: RouteTarget = format!("{ASN}:{VNI}").parse()?;
    let mut extended_communities = vec![target.into(), TunnelType::VXLAN.into()];
    if kind == Kind::Prefix {
        extended_communities.push(ExtendedCommunity::router_mac(MacAddr::new([2, 0, 0, 0, 0, 1])));
    }
    Ok(Attributes {
        origin: Some(Origin::Igp),
        as_path: Some(AsPath::default()),
        local_pref: Some(100),
        extended_communities,
        ..Attributes::default()
    })
}

/// MAC and address of a route.
pub(super) fn station(number: u32) -> Result<(MacAddr, Ipv4Addr)> {
    let prefix: Ipv4Net = PREFIX.parse()?;
    let address = Ipv4Addr::from(u32::from(prefix.network()) + 2 + number);
    let [a, b, c, d] = number.to_be_bytes();
    Ok((MacAddr::new([2, 0xbb, a, b, c, d]), address))
}

fn route(kind: Kind, number: u32) -> Result<EvpnRoute> {
    let (mac, address) = station(number)?;
    let rd = format!("{SENDER}:{VNI}").parse().context("a route distinguisher")?;
    let label = Label::from(Vni::new(VNI)?);
    let (segment, tag) = (EthernetSegmentId::ZERO, EthernetTag(0));
    Ok(match kind {
        Kind::MacIp => {
            EvpnRoute::MacIp(MacIp { rd, segment, tag, mac, ip: Some(address.into()), label, l3_label: None })
        }
        Kind::Prefix => {
            let prefix = IpNet::new(address.into(), 32)?;
            EvpnRoute::IpPrefix(IpPrefixRoute { rd, segment, tag, prefix, gateway: None, label })
        }
    })
}

/// Codes and widths of what an UPDATE is searched for.
const MP_REACH: u8 = 14;
const MP_UNREACH: u8 = 15;
const LONG: u8 = 0x10;

/// A route that came or went, by a hash of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Come(u64),
    Gone(u64),
}

/// Finds the EVPN routes in the body of an UPDATE; nothing else is looked at. `None` if it is cut short.
pub(super) fn changes(body: &[u8], mut each: impl FnMut(Change)) -> Option<()> {
    let (withdrawn, rest) = counted(body)?;
    let (mut attributes, _) = counted(rest)?;
    debug_assert!(withdrawn.is_empty(), "no IPv4 route was asked for");
    while let [flags, code, rest @ ..] = attributes {
        let (value, rest) = if flags & LONG == 0 {
            let (length, rest) = rest.split_first()?;
            rest.split_at_checked(usize::from(*length))?
        } else {
            counted(rest)?
        };
        attributes = rest;
        match *code {
            MP_REACH => {
                let next_hop = usize::from(*value.get(3)?);
                routes(value.get(5 + next_hop..)?, |key| each(Change::Come(key)))?;
            }
            MP_UNREACH => routes(value.get(3..)?, |key| each(Change::Gone(key)))?,
            _ => {}
        }
    }
    Some(())
}

/// What a length of two bytes counts, and what follows.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn routes(mut bytes: &[u8], mut each: impl FnMut(u64)) -> Option<()> {
    while let [kind, length, rest @ ..] = bytes {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        bytes = rest;
        each(hash(*kind, value)?);
    }
    Some(())
}

/// Of what makes the route: neither its segment nor its labels.
fn hash(kind: u8, value: &[u8]) -> Option<u64> {
    let key = match kind {
        2 => value.get(18..30 + usize::from(*value.get(29)?) / 8)?,
        5 => value.get(18..value.len().checked_sub(3)?)?,
        _ => value.get(8..)?,
    };
    let words = value.get(..8)?.chunks(8).chain(key.chunks(8));
    Some(words.fold(u64::from(kind), |hash, word| {
        let word = word.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// All bodies of a stream of messages.
    fn bodies(mut stream: &[u8]) -> Vec<&[u8]> {
        let mut bodies = Vec::new();
        while !stream.is_empty() {
            let (message, rest) = stream.split_at(usize::from(u16::from_be_bytes([stream[16], stream[17]])));
            bodies.push(&message[19..]);
            stream = rest;
        }
        bodies
    }

    #[test]
    fn each_route_is_found_once_coming_and_once_going() {
        for kind in [Kind::MacIp, Kind::Prefix] {
            let stream = Stream::new(kind, 1000).unwrap();
            let (mut come, mut gone) = (HashSet::new(), HashSet::new());
            for body in bodies(&stream.announce).into_iter().chain(bodies(&stream.withdraw)) {
                let found = changes(body, |change| {
                    assert!(match change {
                        Change::Come(key) => come.insert(key),
                        Change::Gone(key) => gone.insert(key),
                    });
                });
                assert_eq!(found, Some(()));
            }
            assert_eq!(come.len(), 1000);
            assert_eq!(come, gone);
        }
    }

    #[test]
    fn what_is_cut_short_is_told() {
        let stream = Stream::new(Kind::MacIp, 1).unwrap();
        let body = &stream.announce[19..];
        assert_eq!(changes(&body[..body.len() - 1], |_| {}), None);
    }
}
