//! What identifies a route, and what else stands in its NLRI (RFC 7432 section 7, RFC 9136 section 3.1).
//!
//! Millions of keys are held: a key has no field that is not needed to tell two routes apart, and what few routes
//! have stands in a box.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use weft_vxlan::MacAddr;

use crate::wire::{
    EthernetAd, EthernetSegment, EthernetSegmentId, EthernetTag, EvpnRoute, Family, InclusiveMulticast,
    IpPrefixRoute, Label, MacIp, Route, RouteDistinguisher, RouteTargetMembership, UnknownRoute,
};

/// What identifies a route of any family.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// EVPN type 1.
    EthernetAd {
        /// Of the instance, or of the host.
        rd: RouteDistinguisher,
        /// The segment.
        segment: EthernetSegmentId,
        /// All ones for the whole segment.
        tag: EthernetTag,
    },
    /// EVPN type 2.
    MacIp {
        /// Of the MAC-VRF.
        rd: RouteDistinguisher,
        /// The broadcast domain.
        tag: EthernetTag,
        /// The host's MAC address.
        mac: MacAddr,
        /// The host's address, if told.
        ip: Option<IpAddr>,
    },
    /// EVPN type 3.
    InclusiveMulticast {
        /// Of the MAC-VRF.
        rd: RouteDistinguisher,
        /// The broadcast domain.
        tag: EthernetTag,
        /// The host that wants floods.
        originator: IpAddr,
    },
    /// EVPN type 4.
    EthernetSegment {
        /// Of the host.
        rd: RouteDistinguisher,
        /// The segment.
        segment: EthernetSegmentId,
        /// The host that is attached.
        originator: IpAddr,
    },
    /// EVPN type 5.
    IpPrefix {
        /// Of the IP-VRF.
        rd: RouteDistinguisher,
        /// 0 in a VLAN-based service.
        tag: EthernetTag,
        /// The prefix.
        prefix: IpNet,
    },
    /// EVPN of another type: all of it.
    UnknownEvpn {
        /// The route type.
        kind: u8,
        /// The value as received.
        value: Box<[u8]>,
    },
    /// IPv4 unicast.
    Ipv4(Ipv4Net),
    /// IPv6 unicast.
    Ipv6(Ipv6Net),
    /// Route target membership.
    RouteTargets(RouteTargetMembership),
}

const _: () = assert!(size_of::<Key>() <= 40);
const _: () = assert!(size_of::<Payload>() <= 16);

/// What stands in the NLRI beside the key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// The VNI of the subnet (types 1 and 2) or of the network (type 5).
    pub label: Label,
    /// The VNI of the network of a type 2.
    pub l3_label: Option<Label>,
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rare {
    segment: EthernetSegmentId,
    gateway: Option<IpAddr>,
}

impl Payload {
    fn new(label: Label, l3: Option<Label>, segment: EthernetSegmentId, gateway: Option<IpAddr>) -> Self {
        let rare = !segment.is_single_homed() || gateway.is_some();
        Self { label, l3_label: l3, rare: rare.then(|| Box::new(Rare { segment, gateway })) }
    }

    /// The segment that a type 2 or type 5 is behind.
    #[must_use]
    pub fn segment(&self) -> EthernetSegmentId {
        self.rare.as_ref().map_or(EthernetSegmentId::ZERO, |rare| rare.segment)
    }

    /// The gateway of a type 5.
    #[must_use]
    pub fn gateway(&self) -> Option<IpAddr> {
        self.rare.as_ref().and_then(|rare| rare.gateway)
    }
}

impl Key {
    /// Takes a route apart. [`Key::route`] is the way back.
    #[must_use]
    pub fn split(route: Route) -> (Self, Payload) {
        match route {
            Route::Ipv4(net) => (Self::Ipv4(net), Payload::default()),
            Route::Ipv6(net) => (Self::Ipv6(net), Payload::default()),
            Route::RouteTargets(membership) => (Self::RouteTargets(membership), Payload::default()),
            Route::Evpn(route) => Self::split_evpn(route),
        }
    }

    fn split_evpn(route: EvpnRoute) -> (Self, Payload) {
        let zero = EthernetSegmentId::ZERO;
        match route {
            EvpnRoute::EthernetAd(EthernetAd { rd, segment, tag, label }) => {
                (Self::EthernetAd { rd, segment, tag }, Payload::new(label, None, zero, None))
            }
            EvpnRoute::MacIp(MacIp { rd, segment, tag, mac, ip, label, l3_label }) => {
                (Self::MacIp { rd, tag, mac, ip }, Payload::new(label, l3_label, segment, None))
            }
            EvpnRoute::InclusiveMulticast(InclusiveMulticast { rd, tag, originator }) => {
                (Self::InclusiveMulticast { rd, tag, originator }, Payload::default())
            }
            EvpnRoute::EthernetSegment(EthernetSegment { rd, segment, originator }) => {
                (Self::EthernetSegment { rd, segment, originator }, Payload::default())
            }
            EvpnRoute::IpPrefix(IpPrefixRoute { rd, segment, tag, prefix, gateway, label }) => {
                (Self::IpPrefix { rd, tag, prefix }, Payload::new(label, None, segment, gateway))
            }
            EvpnRoute::Unknown(UnknownRoute { kind, value }) => {
                (Self::UnknownEvpn { kind, value: value.into() }, Payload::default())
            }
        }
    }

    /// The whole route again.
    #[must_use]
    pub fn route(&self, payload: &Payload) -> Route {
        let (label, segment) = (payload.label, payload.segment());
        Route::Evpn(match *self {
            Self::Ipv4(net) => return Route::Ipv4(net),
            Self::Ipv6(net) => return Route::Ipv6(net),
            Self::RouteTargets(membership) => return Route::RouteTargets(membership),
            Self::EthernetAd { rd, segment, tag } => {
                EvpnRoute::EthernetAd(EthernetAd { rd, segment, tag, label })
            }
            Self::MacIp { rd, tag, mac, ip } => {
                EvpnRoute::MacIp(MacIp { rd, segment, tag, mac, ip, label, l3_label: payload.l3_label })
            }
            Self::InclusiveMulticast { rd, tag, originator } => {
                EvpnRoute::InclusiveMulticast(InclusiveMulticast { rd, tag, originator })
            }
            Self::EthernetSegment { rd, segment, originator } => {
                EvpnRoute::EthernetSegment(EthernetSegment { rd, segment, originator })
            }
            Self::IpPrefix { rd, tag, prefix } => {
                let gateway = payload.gateway();
                EvpnRoute::IpPrefix(IpPrefixRoute { rd, segment, tag, prefix, gateway, label })
            }
            Self::UnknownEvpn { kind, ref value } => {
                EvpnRoute::Unknown(UnknownRoute { kind, value: value.to_vec() })
            }
        })
    }

    /// Its family.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::EthernetAd { .. }
            | Self::MacIp { .. }
            | Self::InclusiveMulticast { .. }
            | Self::EthernetSegment { .. }
            | Self::IpPrefix { .. }
            | Self::UnknownEvpn { .. } => Family::EVPN,
            Self::Ipv4(_) => Family::IPV4_UNICAST,
            Self::Ipv6(_) => Family::IPV6_UNICAST,
            Self::RouteTargets(_) => Family::ROUTE_TARGETS,
        }
    }

    /// The EVPN route type.
    #[must_use]
    pub const fn evpn_kind(&self) -> Option<u8> {
        match self {
            Self::EthernetAd { .. } => Some(1),
            Self::MacIp { .. } => Some(2),
            Self::InclusiveMulticast { .. } => Some(3),
            Self::EthernetSegment { .. } => Some(4),
            Self::IpPrefix { .. } => Some(5),
            Self::UnknownEvpn { kind, .. } => Some(*kind),
            Self::Ipv4(_) | Self::Ipv6(_) | Self::RouteTargets(_) => None,
        }
    }

    /// The prefix of a unicast or type 5 route.
    #[must_use]
    pub const fn prefix(&self) -> Option<IpNet> {
        match self {
            Self::IpPrefix { prefix, .. } => Some(*prefix),
            Self::Ipv4(net) => Some(IpNet::V4(*net)),
            Self::Ipv6(net) => Some(IpNet::V6(*net)),
            Self::EthernetAd { .. }
            | Self::MacIp { .. }
            | Self::InclusiveMulticast { .. }
            | Self::EthernetSegment { .. }
            | Self::UnknownEvpn { .. }
            | Self::RouteTargets(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_of_each_kind_comes_back() {
        let rd = RouteDistinguisher::from_bytes([0, 1, 10, 0, 0, 1, 0, 7]);
        let segment = EthernetSegmentId::from_bytes([1; 10]);
        let (tag, label) = (EthernetTag(3), Label::from_bytes([0, 0, 100]));
        let (mac, originator) = (MacAddr::new([2, 0, 0, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
        let l3_label = Some(label);
        let prefix = "10.1.0.0/16".parse().unwrap();
        for route in [
            EvpnRoute::EthernetAd(EthernetAd { rd, segment, tag, label }),
            EvpnRoute::MacIp(MacIp { rd, segment, tag, mac, ip: Some(originator), label, l3_label }),
            EvpnRoute::InclusiveMulticast(InclusiveMulticast { rd, tag, originator }),
            EvpnRoute::EthernetSegment(EthernetSegment { rd, segment, originator }),
            EvpnRoute::IpPrefix(IpPrefixRoute {
                rd,
                segment: EthernetSegmentId::ZERO,
                tag,
                prefix,
                gateway: Some(originator),
                label,
            }),
            EvpnRoute::Unknown(UnknownRoute { kind: 9, value: vec![1, 2] }),
        ] {
            let route = Route::Evpn(route);
            let (key, payload) = Key::split(route.clone());
            assert_eq!(key.route(&payload), route);
            assert_eq!(key.family(), route.family());
        }
    }
}
