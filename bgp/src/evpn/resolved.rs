//! The configuration with distinguishers and targets filled in, and by which targets routes come in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use weft_vxlan::Vni;

use super::config::{self, Config, ConfigError, Host, Overlapping, Targets};
use crate::wire::{Administered, RouteDistinguisher, RouteTarget};

/// The order of what a network imports itself; peerings come behind.
pub(super) const OWN_ORDER: u32 = 0;

/// What instances share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vrf {
    pub(super) rd: RouteDistinguisher,
    pub(super) export: BTreeSet<RouteTarget>,
    import: BTreeSet<RouteTarget>,
    import_any_as: bool,
}

/// A MAC-VRF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MacVrf {
    pub(super) vrf: Vrf,
    pub(super) network: Vni,
}

/// An IP-VRF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IpVrf {
    pub(super) vrf: Vrf,
    /// The networks that see its routes, each with the order there.
    pub(super) seen_by: BTreeMap<Vni, u32>,
    /// The networks whose routes it sees, the same way.
    pub(super) sees: BTreeMap<Vni, u32>,
    connected: BTreeSet<IpNet>,
    gateways: BTreeSet<IpAddr>,
}

/// Where routes with a target go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Import {
    Subnet(Vni),
    Network(Vni),
}

/// The configuration as it is used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Resolved {
    pub(super) subnets: BTreeMap<Vni, MacVrf>,
    pub(super) networks: BTreeMap<Vni, IpVrf>,
    subnet_names: BTreeMap<String, Vni>,
    network_names: BTreeMap<String, Vni>,
    imports: BTreeMap<RouteTarget, BTreeSet<Import>>,
    any_as: BTreeMap<Vni, Import>,
}

impl Resolved {
    /// Fills in what is automatic. Numbers of distinguishers stay as they were in `before`.
    pub(super) fn new(host: &Host, config: &Config, before: &Self) -> Result<Self, ConfigError> {
        config.check()?;
        let mut distinguishers = Distinguishers::new(host, config, before)?;
        let mut this = Self::default();
        for network in &config.networks {
            let rd = match network.route_distinguisher {
                Some(rd) => rd,
                None => distinguishers.automatic(&network.name, network.vni)?,
            };
            let vrf = vrf(host, network.vni, rd, &network.import, &network.export, network.import_any_as);
            this.enter(&vrf, network.vni, Import::Network(network.vni));
            this.network_names.insert(network.name.clone(), network.vni);
            let (connected, gateways) = (BTreeSet::new(), BTreeSet::new());
            this.networks.insert(
                network.vni,
                IpVrf { vrf, seen_by: BTreeMap::new(), sees: BTreeMap::new(), connected, gateways },
            );
        }
        for subnet in &config.subnets {
            let rd = match subnet.route_distinguisher {
                Some(rd) => rd,
                None => distinguishers.automatic(&subnet.name, subnet.vni)?,
            };
            let vrf = vrf(host, subnet.vni, rd, &subnet.import, &subnet.export, subnet.import_any_as);
            this.enter(&vrf, subnet.vni, Import::Subnet(subnet.vni));
            this.subnet_names.insert(subnet.name.clone(), subnet.vni);
            let Some(&network) = this.network_names.get(&subnet.network) else { continue };
            if let Some(network) = this.networks.get_mut(&network) {
                network.connected.extend(subnet.prefixes.iter().map(IpNet::trunc));
                network.gateways.extend(&subnet.gateways);
            }
            this.subnets.insert(subnet.vni, MacVrf { vrf, network });
        }
        for peering in &config.peerings {
            let order = match peering.overlapping {
                Overlapping::Refuse => OWN_ORDER + 1,
                Overlapping::Order(order) => OWN_ORDER + 1 + u32::from(order),
            };
            let ends = (this.network(&peering.from), this.network(&peering.to));
            let (Some(from), Some(to)) = ends else { continue };
            if let Some(network) = this.networks.get_mut(&from) {
                network.seen_by.insert(to, order);
            }
            if let Some(network) = this.networks.get_mut(&to) {
                network.sees.insert(from, order);
            }
        }
        Ok(this)
    }

    fn enter(&mut self, vrf: &Vrf, vni: Vni, import: Import) {
        for target in &vrf.import {
            self.imports.entry(*target).or_default().insert(import);
        }
        if vrf.import_any_as {
            self.any_as.insert(vni, import);
        }
    }

    /// The VNI of a subnet.
    pub(super) fn subnet(&self, name: &str) -> Option<Vni> {
        self.subnet_names.get(name).copied()
    }

    /// The VNI of a network.
    pub(super) fn network(&self, name: &str) -> Option<Vni> {
        self.network_names.get(name).copied()
    }

    /// Where a route with these targets goes; once for each target that says so.
    pub(super) fn imports(&self, targets: &[RouteTarget]) -> impl Iterator<Item = Import> {
        targets.iter().flat_map(|target| {
            let any_as = config::any_as_number(*target).and_then(|vni| self.any_as.get(&vni));
            self.imports.get(target).into_iter().flatten().chain(any_as).copied()
        })
    }

    /// The lowest subnet of a network that a route with these targets goes to.
    pub(super) fn imported_subnet(&self, targets: &[RouteTarget], network: Vni) -> Option<Vni> {
        let subnets = self.imports(targets).filter_map(|import| match import {
            Import::Subnet(vni) => Some(vni),
            Import::Network(_) => None,
        });
        subnets.filter(|vni| self.subnets.get(vni).is_some_and(|subnet| subnet.network == network)).min()
    }

    /// Every imported target, or `None` if some instance imports those of any AS, which cannot be said by targets.
    pub(super) fn wanted(&self) -> Option<BTreeSet<RouteTarget>> {
        self.any_as.is_empty().then(|| self.imports.keys().copied().collect())
    }

    /// The distinguisher that an instance has, if it is an automatic one.
    fn automatic(&self, host: &Host, vni: Vni) -> Option<RouteDistinguisher> {
        let subnet = self.subnets.get(&vni).map(|subnet| subnet.vrf.rd);
        let rd = subnet.or_else(|| self.networks.get(&vni).map(|network| network.vrf.rd))?;
        let automatic = matches!(rd.value(), Some(Administered::Ipv4 { address, .. })
            if address == host.router_id.get());
        automatic.then_some(rd)
    }

    /// Whether `address` is a gateway's of this host.
    pub(super) fn is_gateway(&self, network: Vni, address: IpAddr) -> bool {
        self.networks.get(&network).is_some_and(|network| network.gateways.contains(&address))
    }

    /// Whether `prefix` is a subnet's of the network.
    pub(super) fn is_connected(&self, network: Vni, prefix: IpNet) -> bool {
        self.networks.get(&network).is_some_and(|network| network.connected.contains(&prefix))
    }

    /// The instances that are not the same in `other`.
    pub(super) fn changed(&self, other: &Self) -> BTreeSet<Vni> {
        let mut changed = differing(&self.subnets, &other.subnets);
        changed.extend(differing(&self.networks, &other.networks));
        // A host's route in a network says what its subnet knows of it.
        let subnets = self.subnets.iter().chain(&other.subnets);
        let networks: Vec<_> =
            subnets.filter(|(vni, _)| changed.contains(vni)).map(|(_, subnet)| subnet.network).collect();
        changed.extend(networks);
        changed
    }
}

fn differing<T: PartialEq>(one: &BTreeMap<Vni, T>, other: &BTreeMap<Vni, T>) -> BTreeSet<Vni> {
    one.keys().chain(other.keys()).filter(|vni| one.get(vni) != other.get(vni)).copied().collect()
}

fn vrf(
    host: &Host,
    vni: Vni,
    rd: RouteDistinguisher,
    import: &Targets,
    export: &Targets,
    import_any_as: bool,
) -> Vrf {
    let (import, export) = (import.resolve(host.asn, vni), export.resolve(host.asn, vni));
    Vrf { rd, export, import, import_any_as }
}

/// Hands out route distinguishers: the router identifier and, if it is free, the low half of the VNI, so that they are
/// mostly the same after a start.
struct Distinguishers<'a> {
    host: &'a Host,
    kept: BTreeMap<Vni, RouteDistinguisher>,
    taken: BTreeSet<RouteDistinguisher>,
}

impl<'a> Distinguishers<'a> {
    fn new(host: &'a Host, config: &Config, before: &Resolved) -> Result<Self, ConfigError> {
        let mut this = Self { host, kept: BTreeMap::new(), taken: BTreeSet::new() };
        let networks =
            config.networks.iter().map(|network| (&network.name, network.vni, network.route_distinguisher));
        let subnets =
            config.subnets.iter().map(|subnet| (&subnet.name, subnet.vni, subnet.route_distinguisher));
        let all: Vec<_> = networks.chain(subnets).collect();
        for (name, _, rd) in &all {
            if let Some(rd) = *rd
                && !this.taken.insert(rd)
            {
                return Err(ConfigError::Distinguisher { name: (*name).clone(), rd });
            }
        }
        for (_, vni, _) in all.iter().filter(|(.., rd)| rd.is_none()) {
            if let Some(rd) = before.automatic(host, *vni)
                && this.taken.insert(rd)
            {
                this.kept.insert(*vni, rd);
            }
        }
        Ok(this)
    }

    fn automatic(&mut self, name: &str, vni: Vni) -> Result<RouteDistinguisher, ConfigError> {
        if let Some(kept) = self.kept.get(&vni) {
            return Ok(*kept);
        }
        let [_, a, b] = vni.to_bytes();
        let first = u16::from_be_bytes([a, b]);
        for number in (first..=u16::MAX).chain(0..first).filter(|number| *number != 0) {
            let address = self.host.router_id.get();
            let rd = RouteDistinguisher::from(Administered::Ipv4 { address, number });
            if self.taken.insert(rd) {
                return Ok(rd);
            }
        }
        Err(ConfigError::NoNumber(name.to_owned()))
    }
}
