//! A route of another host, read once: what weft can use of it, or why it cannot (RFC 7432, RFC 8365, RFC 9135,
//! RFC 9136).

use std::borrow::Cow;
use std::net::IpAddr;

use weft_vxlan::{MacAddr, Vni, Vtep, VtepError};

use super::forwarding::{MOST_PATHS, Routed, RoutedPath};
use super::preference::Preference;
use crate::peer::PeerId;
use crate::wire::{
    Attributes, EthernetSegmentId, EthernetTag, EvpnRoute, ExtendedCommunityValue as Value, GroupCommunity,
    Label, MacIp, NextHop, RouteTarget, TunnelId, TunnelType,
};

/// The best path of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedPath<'a> {
    /// Its attributes: lent where they are held for many routes.
    pub attributes: Cow<'a, Attributes>,
    /// Where it leads to.
    pub next_hop: NextHop,
    /// Whom it is from.
    pub from: PeerId,
    /// Who has been gone for long (RFC 9494).
    pub long_lived_stale: bool,
}

/// Why a route is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The next hop cannot be a VTEP.
    #[error("its next hop cannot be: {0}")]
    NextHop(#[from] VtepError),
    /// The next hop is of the other address family than the own VTEP.
    #[error("VTEP {0} is not of the address family of the own one")]
    Family(Vtep),
    /// It asks for another encapsulation.
    #[error("encapsulation {} is not VXLAN (8)", .0.0)]
    Encapsulation(TunnelType),
    /// Its Ethernet tag is not zero: a VLAN-aware bundle.
    #[error("Ethernet tag {0}: VLAN-aware bundles are not done")]
    Tag(EthernetTag),
    /// No VNI where one must be.
    #[error("its label is no VNI")]
    Label,
    /// The MAC address is not a host's.
    #[error("{0} is no host's MAC address")]
    Mac(MacAddr),
    /// A type 3 without a PMSI tunnel of ingress replication.
    #[error("no PMSI tunnel of ingress replication")]
    NoIngressReplication,
    /// A type 5 without a router's MAC.
    #[error("no router's MAC")]
    NoRouterMac,
    /// A type 5 that resolves by another route (RFC 9136 sections 4.1 to 4.3).
    #[error("it has a gateway or a segment: only the interface-less model is done")]
    OverlayIndex,
}

/// A route of another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Learned {
    pub(super) from: PeerId,
    pub(super) vtep: Vtep,
    pub(super) targets: Box<[RouteTarget]>,
    pub(super) kind: Kind,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Mac(LearnedMac),
    Prefix(LearnedPrefix),
    Flood(Vni),
    Segment(EthernetSegmentId, Discovery),
}

/// A type 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Discovery {
    /// The VTEP is attached to the segment.
    Segment {
        /// One VTEP at a time takes what is for it.
        single_active: bool,
    },
    /// It has an instance there, and wants this VNI for it.
    Instance(Vni),
}

/// A type 5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LearnedPrefix {
    pub(super) routed: Routed,
    pub(super) preference: Preference,
    /// By its other paths: each by another VTEP.
    pub(super) others: Box<[RoutedPath]>,
}

impl Kind {
    /// How routed packets go to what is behind `vtep`.
    fn routed_path(&self, vtep: Vtep) -> Option<RoutedPath> {
        match self {
            Self::Prefix(of) => Some(RoutedPath { vtep, routed: of.routed }),
            Self::Mac(_) | Self::Flood(_) | Self::Segment(..) => None,
        }
    }
}

/// A type 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LearnedMac {
    pub(super) mac: MacAddr,
    pub(super) ip: Option<IpAddr>,
    pub(super) segment: EthernetSegmentId,
    pub(super) vni: Vni,
    pub(super) routed: Option<Routed>,
    pub(super) sticky: bool,
    pub(super) sequence: u32,
    /// A default gateway's: on many hosts at once, which is no move.
    pub(super) gateway: bool,
    pub(super) groups: Box<[GroupCommunity]>,
}

/// What the extended communities say.
#[derive(Default)]
struct Communities {
    targets: Vec<RouteTarget>,
    groups: Vec<GroupCommunity>,
    encapsulations: Vec<TunnelType>,
    router_mac: Option<MacAddr>,
    sticky: bool,
    sequence: u32,
    gateway: bool,
    single_active: bool,
}

impl Communities {
    fn read(attributes: &Attributes) -> Self {
        let mut this = Self::default();
        for community in &attributes.extended_communities {
            match community.value() {
                Value::RouteTarget(target) => this.targets.push(target),
                Value::Encapsulation(kind) => this.encapsulations.push(kind),
                Value::DefaultGateway => this.gateway = true,
                Value::Group(group) => this.groups.push(group),
                Value::RouterMac(mac) => this.router_mac = this.router_mac.or(Some(mac)),
                Value::MacMobility(mobility) => {
                    this.sticky |= mobility.sticky;
                    this.sequence = this.sequence.max(mobility.sequence);
                }
                Value::EsiLabel(label) => this.single_active |= label.single_active,
                Value::RouteOrigin(_) | Value::EsImport(_) | Value::NdFlags(_) | Value::Other => {}
            }
        }
        this.groups.sort_unstable();
        this.groups.dedup();
        this
    }
}

impl Learned {
    /// Reads a route with all its paths; what another path cannot be used for, the best one still can.
    pub(super) fn read_all(
        route: &EvpnRoute,
        best: &LearnedPath<'_>,
        others: &[(EvpnRoute, LearnedPath<'_>)],
        own: Vtep,
    ) -> Result<Option<Self>, Refusal> {
        let mut learned = Self::read(route, best, own)?;
        if let Some(Self { kind: Kind::Prefix(of), vtep: first, .. }) = &mut learned {
            let others = others.iter().filter_map(|(route, path)| Self::read(route, path, own).ok()?);
            let others = others.filter(|other| other.vtep != own && other.vtep != *first);
            let mut others: Vec<_> = others.filter_map(|other| other.kind.routed_path(other.vtep)).collect();
            others.sort_by_key(|path| path.vtep);
            others.dedup_by_key(|path| path.vtep);
            others.truncate(MOST_PATHS - 1);
            of.others = others.into();
        }
        Ok(learned)
    }

    /// Reads a route; `None` if it is of a type that weft does not use.
    fn read(route: &EvpnRoute, path: &LearnedPath<'_>, own: Vtep) -> Result<Option<Self>, Refusal> {
        let communities = Communities::read(&path.attributes);
        let encapsulations = &communities.encapsulations;
        if let Some(other) = encapsulations.first()
            && !encapsulations.contains(&TunnelType::VXLAN)
        {
            return Err(Refusal::Encapsulation(*other));
        }
        let mut vtep = path.next_hop.vtep()?;
        let kind = match route {
            EvpnRoute::EthernetAd(route) if route.tag == EthernetTag::MAX => {
                let single_active = communities.single_active;
                Kind::Segment(route.segment, Discovery::Segment { single_active })
            }
            EvpnRoute::EthernetAd(route) => {
                check_tag(route.tag)?;
                Kind::Segment(route.segment, Discovery::Instance(vni(route.label)?))
            }
            EvpnRoute::MacIp(route) => Kind::Mac(LearnedMac::read(route, &communities)?),
            EvpnRoute::InclusiveMulticast(route) => {
                check_tag(route.tag)?;
                let tunnel = path.attributes.pmsi.as_ref().ok_or(Refusal::NoIngressReplication)?;
                match tunnel.tunnel {
                    TunnelId::IngressReplication(address) => vtep = Vtep::new(address)?,
                    TunnelId::Other { .. } => return Err(Refusal::NoIngressReplication),
                }
                Kind::Flood(vni(tunnel.label)?)
            }
            EvpnRoute::IpPrefix(route) => {
                check_tag(route.tag)?;
                if route.gateway.is_some() || !route.segment.is_single_homed() {
                    return Err(Refusal::OverlayIndex);
                }
                let router_mac = communities.router_mac.ok_or(Refusal::NoRouterMac)?;
                let routed = Routed { router_mac, vni: vni(route.label)? };
                let preference = Preference::read(path);
                Kind::Prefix(LearnedPrefix { routed, preference, others: Box::default() })
            }
            EvpnRoute::EthernetSegment(_) | EvpnRoute::Unknown(_) => return Ok(None),
        };
        if vtep.address().is_ipv4() != own.address().is_ipv4() {
            return Err(Refusal::Family(vtep));
        }
        Ok(Some(Self { from: path.from, vtep, targets: communities.targets.into(), kind }))
    }
}

impl LearnedMac {
    fn read(route: &MacIp, communities: &Communities) -> Result<Self, Refusal> {
        check_tag(route.tag)?;
        if !route.mac.is_unicast() {
            return Err(Refusal::Mac(route.mac));
        }
        let l3 = route.l3_label.and_then(|label| label.vni().ok());
        let routed = match (l3, communities.router_mac) {
            (Some(vni), Some(router_mac)) if router_mac.is_unicast() => Some(Routed { router_mac, vni }),
            (Some(_), Some(_) | None) | (None, _) => None,
        };
        Ok(Self {
            mac: route.mac,
            ip: route.ip,
            segment: route.segment,
            vni: vni(route.label)?,
            routed,
            sticky: communities.sticky,
            sequence: communities.sequence,
            gateway: communities.gateway,
            groups: communities.groups.as_slice().into(),
        })
    }
}

fn check_tag(tag: EthernetTag) -> Result<(), Refusal> {
    if tag == EthernetTag::ZERO { Ok(()) } else { Err(Refusal::Tag(tag)) }
}

fn vni(label: Label) -> Result<Vni, Refusal> {
    label.vni().map_err(|_| Refusal::Label)
}
