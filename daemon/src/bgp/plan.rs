//! From the model to what the speaker is to do: sessions with peers, and the instances of EVPN. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_api::resource::{ExportTargets, ImportTargets, RouteTargets};
use weft_bgp::evpn::{self, Overlapping, Targets};

use super::session::Session;
use crate::config::Speaker;
use crate::model::{Host, Model};

/// What the speaker is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Who it is.
    pub speaker: Speaker,
    /// Peers, by name.
    pub peers: Vec<ResolvedPeer>,
    /// Groups that take peers which nobody named.
    pub groups: Vec<ResolvedGroup>,
    /// The host, in the words of its instances.
    pub host: evpn::Host,
    /// The instances.
    pub instances: evpn::Config,
}

/// A peer with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedPeer {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Name of its group.
    pub group: Option<String>,
    /// What its session is like.
    pub session: Session,
}

/// A group that takes peers which nobody named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedGroup {
    /// Its name.
    pub name: String,
    /// Where they may connect from. Of two groups' ranges that have an address, the longer one counts.
    pub ranges: Vec<IpNet>,
    /// How many there may be at a time.
    pub max_peers: u32,
    /// What their sessions are like; this host does not connect.
    pub session: Session,
}

/// What the speaker of a host is to do; `None` if it has none.
#[must_use]
pub fn plan(model: &Model, host: &Host) -> Option<Plan> {
    let speaker = host.speaker.clone()?;
    let peers = model.peers.iter().map(|(name, peer)| ResolvedPeer {
        name: name.clone(),
        address: peer.given.address,
        group: peer.given.group.clone(),
        session: peer.session.clone(),
    });
    let groups = model.peer_groups.iter().filter_map(|(name, group)| {
        let session = group.session.clone()?;
        Some(ResolvedGroup {
            name: name.clone(),
            ranges: group.given.ranges.clone(),
            max_peers: group.max_peers(),
            session: Session { passive: true, ..session },
        })
    });
    let (peers, groups) = (peers.collect(), groups.collect());
    let evpn_host = evpn::Host {
        vtep: host.vtep,
        router_mac: host.router_mac,
        asn: speaker.asn,
        router_id: speaker.router_id,
    };
    let instances = instances(model, speaker.duplicates);
    Some(Plan { speaker, peers, groups, host: evpn_host, instances })
}

fn instances(model: &Model, duplicates: evpn::DuplicateDetection) -> evpn::Config {
    let networks = model.networks.values().map(|network| {
        let targets = Resolved::of(network.route_targets.as_ref());
        evpn::Network {
            name: network.name.clone(),
            vni: network.vni,
            route_distinguisher: network.route_distinguisher,
            import: targets.import,
            export: targets.export,
            import_any_as: targets.import_any_as,
        }
    });
    let subnets = model.subnets.iter().map(|(name, subnet)| {
        let targets = Resolved::of(subnet.route_targets.as_ref());
        let gateways = [subnet.ipv4.map(|(_, ip)| IpAddr::V4(ip)), subnet.ipv6.map(|(_, ip)| IpAddr::V6(ip))];
        evpn::Subnet {
            name: name.clone(),
            network: subnet.network.clone(),
            vni: subnet.vni,
            route_distinguisher: subnet.route_distinguisher,
            import: targets.import,
            export: targets.export,
            import_any_as: targets.import_any_as,
            prefixes: subnet.prefixes().collect(),
            gateways: gateways.into_iter().flatten().collect::<BTreeSet<_>>(),
        }
    });
    let peerings = model.peerings.values().flat_map(|peering| {
        let overlapping = peering.order.map_or(Overlapping::Refuse, Overlapping::Order);
        let ends = match peering.networks.as_slice() {
            [one, other] => vec![(one, other), (other, one)],
            _ => Vec::new(),
        };
        ends.into_iter().map(move |(from, to)| evpn::Peering {
            from: from.clone(),
            to: to.clone(),
            overlapping,
        })
    });
    evpn::Config {
        networks: networks.collect(),
        subnets: subnets.collect(),
        peerings: peerings.collect(),
        duplicates,
    }
}

/// Route targets in the words of the instances.
struct Resolved {
    import: Targets,
    export: Targets,
    import_any_as: bool,
}

impl Resolved {
    fn of(given: Option<&RouteTargets>) -> Self {
        let import = given.and_then(|given| given.import.as_ref());
        let export = given.and_then(|given| given.export.as_ref());
        let (import, import_any_as) = match import {
            None | Some(ImportTargets::Auto) => (Targets::Auto, false),
            Some(ImportTargets::AnyAs) => (Targets::Auto, true),
            Some(ImportTargets::Derived) => (Targets::Derived, false),
            Some(ImportTargets::Set(targets)) => (Targets::Set(targets.clone()), false),
        };
        let export = match export {
            None | Some(ExportTargets::Auto) => Targets::Auto,
            Some(ExportTargets::Derived) => Targets::Derived,
            Some(ExportTargets::Set(targets)) => Targets::Set(targets.clone()),
        };
        Self { import, export, import_any_as }
    }
}

#[cfg(test)]
mod tests;
