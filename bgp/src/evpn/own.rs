//! Routes of this host: what ports, subnets and prefixes are announced as (RFC 7432 sections 9 to 11, RFC 9135
//! section 4, RFC 9136 section 4.4.2).

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_vxlan::{MacAddr, Vni};

use super::Instances;
use super::config::Host;
use super::local::Attached;
use super::resolved::Vrf;
use crate::wire::{
    AsPath, Attributes, EthernetSegmentId, EthernetTag, EvpnRoute, ExtendedCommunity, InclusiveMulticast,
    IpPrefixRoute, Label, MacIp, MacMobility, NextHop, Origin, PmsiTunnel, RouteDistinguisher, TunnelId,
};

/// A change of what this host announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origination {
    /// A route is new, or has other labels or attributes.
    Announce {
        /// The route.
        route: EvpnRoute,
        /// What is true of it.
        attributes: Box<Attributes>,
        /// The own VTEP.
        next_hop: NextHop,
    },
    /// A route is gone. Its labels are zero.
    Withdraw(EvpnRoute),
}

/// What identifies an own route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct OwnKey {
    rd: RouteDistinguisher,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum What {
    Multicast,
    Prefix(IpNet),
    Mac(MacAddr, Option<IpAddr>),
}

/// What else an own route says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnRoute {
    label: Label,
    l3_label: Option<Label>,
    attributes: Attributes,
}

impl OwnKey {
    fn route(&self, host: &Host, label: Label, l3_label: Option<Label>) -> EvpnRoute {
        let (rd, tag, segment) = (self.rd, EthernetTag::ZERO, EthernetSegmentId::ZERO);
        match self.what {
            What::Multicast => {
                let originator = host.vtep.address();
                EvpnRoute::InclusiveMulticast(InclusiveMulticast { rd, tag, originator })
            }
            What::Prefix(prefix) => {
                EvpnRoute::IpPrefix(IpPrefixRoute { rd, segment, tag, prefix, gateway: None, label })
            }
            What::Mac(mac, ip) => EvpnRoute::MacIp(MacIp { rd, segment, tag, mac, ip, label, l3_label }),
        }
    }
}

impl Origination {
    pub(super) fn new(host: &Host, key: &OwnKey, route: Option<OwnRoute>) -> Self {
        let Some(OwnRoute { label, l3_label, attributes }) = route else {
            return Self::Withdraw(key.route(host, Label::ZERO, None));
        };
        let next_hop = match host.vtep.address() {
            IpAddr::V4(address) => NextHop::V4(address),
            IpAddr::V6(address) => NextHop::V6(address),
        };
        let (route, attributes) = (key.route(host, label, l3_label), Box::new(attributes));
        Self::Announce { route, attributes, next_hop }
    }
}

/// Attributes of an own route, in the order in which FRR writes its communities.
fn attributes(
    vrfs: &[&Vrf],
    router_mac: Option<MacAddr>,
    more: impl IntoIterator<Item = ExtendedCommunity>,
) -> Attributes {
    let mut communities = vec![ExtendedCommunity::VXLAN];
    let targets: BTreeSet<_> = vrfs.iter().flat_map(|vrf| &vrf.export).copied().collect();
    communities.extend(targets.into_iter().map(ExtendedCommunity::from));
    communities.extend(router_mac.map(ExtendedCommunity::router_mac));
    communities.extend(more);
    Attributes {
        origin: Some(Origin::Igp),
        as_path: Some(AsPath::default()),
        extended_communities: communities,
        ..Attributes::default()
    }
}

impl Instances {
    /// The routes of a port: its MAC address if that is here, and with it each IP address that is here.
    pub(super) fn port_routes(&self, attached: &Attached) -> Vec<(OwnKey, OwnRoute)> {
        let Some(place) = attached.place else { return Vec::new() };
        let (subnet, network) =
            (self.resolved.subnets.get(&place.subnet), self.resolved.networks.get(&place.network));
        let (Some(subnet), Some(network), true) = (subnet, network, attached.held) else { return Vec::new() };
        let port = &attached.port;
        let (rd, sequence) = (subnet.vrf.rd, attached.sequence);
        let mobility = (sequence > 0 || port.sticky)
            .then(|| ExtendedCommunity::from(MacMobility { sticky: port.sticky, sequence }));
        let more = || mobility.into_iter().chain(port.groups.iter().map(|group| (*group).into()));
        let label = place.subnet.into();
        let attributes_mac = attributes(&[&subnet.vrf], None, more());
        let alone = OwnRoute { label, l3_label: None, attributes: attributes_mac };
        let mut routes = vec![(OwnKey { rd, what: What::Mac(port.mac, None) }, alone)];
        let with_ip = OwnRoute {
            label,
            l3_label: Some(place.network.into()),
            attributes: attributes(&[&subnet.vrf, &network.vrf], Some(self.host.router_mac), more()),
        };
        for ip in port.ips.difference(&attached.lost) {
            routes.push((OwnKey { rd, what: What::Mac(port.mac, Some(*ip)) }, with_ip.clone()));
        }
        routes
    }

    /// The route by which a subnet's floods come here: there while a port is.
    pub(super) fn multicast_route(&self, vni: Vni) -> Option<(OwnKey, OwnRoute)> {
        self.macs.range((vni, MacAddr::new([0; 6]))..=(vni, MacAddr::BROADCAST)).next()?;
        let subnet = self.resolved.subnets.get(&vni)?;
        let label = vni.into();
        let tunnel = TunnelId::IngressReplication(self.host.vtep.address());
        let attributes = Attributes {
            pmsi: Some(PmsiTunnel { flags: 0, label, tunnel }),
            ..attributes(&[&subnet.vrf], None, [])
        };
        let key = OwnKey { rd: subnet.vrf.rd, what: What::Multicast };
        Some((key, OwnRoute { label: Label::ZERO, l3_label: None, attributes }))
    }

    /// The routes of a network's own prefixes.
    pub(super) fn prefix_routes(&self, name: &str) -> Vec<(OwnKey, OwnRoute)> {
        let (Some(vni), Some(prefixes)) = (self.resolved.network(name), self.prefixes.get(name)) else {
            return Vec::new();
        };
        let Some(network) = self.resolved.networks.get(&vni) else { return Vec::new() };
        let attributes = attributes(&[&network.vrf], Some(self.host.router_mac), []);
        let route = OwnRoute { label: vni.into(), l3_label: None, attributes };
        let rd = network.vrf.rd;
        prefixes.iter().map(|prefix| (OwnKey { rd, what: What::Prefix(*prefix) }, route.clone())).collect()
    }

    /// Makes the announced routes of an owner these, and no others. Returns them for the next time.
    pub(super) fn announce(
        &mut self,
        before: &BTreeSet<OwnKey>,
        routes: impl IntoIterator<Item = (OwnKey, OwnRoute)>,
    ) -> BTreeSet<OwnKey> {
        let mut after = BTreeSet::new();
        for (key, route) in routes {
            self.own.set(&key, Some(route));
            after.insert(key);
        }
        for gone in before.difference(&after) {
            self.own.set(gone, None);
        }
        after
    }
}
