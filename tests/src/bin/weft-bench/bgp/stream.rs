//! Routes as the bytes that a peer sends, made before anything is measured.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use weft_bgp::wire::{
    Administered, AsPath, Attributes, Batch, Dialect, EthernetSegmentId, EthernetTag, EvpnRoute,
    ExtendedCommunity, Family, IpPrefixRoute, Label, MacIp, NextHop, Origin, Route, RouteTarget,
};
use weft_vxlan::{MacAddr, Vni};

use super::ASN;

/// How peers and subjects speak: as two in one AS.
pub(crate) const DIALECT: Dialect = Dialect { internal: true, four_octet_as: true, ..Dialect::plain() };

/// Routes that share their attributes: those of one host's subnet.
const SHARED: u32 = 1000;
/// Of the attributes.
const VNI: u32 = 10_000;

/// What kind of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// MAC and address.
    Type2,
    /// A prefix.
    Type5,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Type2 => "type-2",
            Self::Type5 => "type-5",
        }
    }
}

/// Routes, and their withdrawal.
pub(crate) struct Stream {
    pub(crate) count: u32,
    pub(crate) announce: Vec<u8>,
    pub(crate) withdraw: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(kind: Kind, count: u32) -> Result<Self> {
        let (mut announce, mut withdraw) = (Vec::new(), Vec::new());
        let mut gone = Batch::withdraw(Family::EVPN, &DIALECT);
        for first in (0..count).step_by(usize::try_from(SHARED)?) {
            let host = first / SHARED;
            let next_hop = NextHop::V4(Ipv4Addr::from(0x0a40_0000 + host));
            let mut batch = Batch::announce(Family::EVPN, next_hop, &attributes(host)?, &DIALECT)?;
            for number in first..count.min(first + SHARED) {
                let route = route(kind, number)?;
                batch.push(0, &route, &mut announce)?;
                gone.push(0, &route, &mut withdraw)?;
            }
            batch.flush(&mut announce)?;
        }
        gone.flush(&mut withdraw)?;
        Ok(Self { count, announce, withdraw })
    }
}

fn attributes(host: u32) -> Result<Attributes> {
    let target = RouteTarget(Administered::As2 { asn: u16::try_from(ASN)?, number: VNI });
    let router_mac = MacAddr::new([2, 1, 0, 0, (host >> 8 & 0xff) as u8, (host & 0xff) as u8]);
    Ok(Attributes {
        origin: Some(Origin::Igp),
        as_path: Some(AsPath::default()),
        local_pref: Some(100),
        extended_communities: vec![
            ExtendedCommunity::VXLAN,
            target.into(),
            ExtendedCommunity::router_mac(router_mac),
        ],
        ..Attributes::default()
    })
}

fn route(kind: Kind, number: u32) -> Result<Route> {
    let host = number / SHARED;
    let rd = Administered::Ipv4 { address: Ipv4Addr::from(0x0a40_0000 + host), number: 1 }.into();
    let (segment, tag) = (EthernetSegmentId::ZERO, EthernetTag::ZERO);
    let label: Label = Vni::new(VNI)?.into();
    Ok(Route::Evpn(match kind {
        Kind::Type2 => {
            let [a, b, c, d] = number.to_be_bytes();
            let (mac, ip) =
                (MacAddr::new([2, 0, a, b, c, d]), Some(Ipv4Addr::from(0x0b00_0000 + number).into()));
            EvpnRoute::MacIp(MacIp { rd, segment, tag, mac, ip, label, l3_label: Some(label) })
        }
        Kind::Type5 => {
            let prefix = ipnet::Ipv4Net::new(Ipv4Addr::from(0x1000_0000 + number * 16), 28)?.into();
            EvpnRoute::IpPrefix(IpPrefixRoute { rd, segment, tag, prefix, gateway: None, label })
        }
    }))
}

/// What identifies each EVPN route in the NLRI of a multiprotocol attribute, without what may differ in a withdrawal.
pub(crate) fn keys(mut nlri: &[u8], mut take: impl FnMut(&[u8; 8], &[u8])) -> Result<()> {
    while let [kind, length, rest @ ..] = nlri {
        let (route, rest) = rest.split_at_checked((*length).into()).context("a route crosses the end")?;
        nlri = rest;
        let rd = route.first_chunk().context("a route without a distinguisher")?;
        let end = match kind {
            // Tag, MAC, and as many bytes of address as its length says in bits.
            2 => 30 + usize::from(*route.get(29).context("a short type 2")?) / 8,
            // Tag, length and prefix.
            5 => 27,
            other => anyhow::bail!("a route of type {other}"),
        };
        take(rd, route.get(18..end).context("a short route")?);
    }
    Ok(())
}
