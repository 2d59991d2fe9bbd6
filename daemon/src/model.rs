//! The intent, checked as a whole and filled in: what exists here is consistent.
//!
//! [`Model::build`] is the table of contents of all the rules. It is pure, and reports everything that is wrong, not
//! only the first thing. Where two objects contradict each other, the one that was changed is blamed.

mod addressing;
mod attachments;
mod flood;
mod groups;
mod macs;
pub(crate) mod names;
mod peerings;
mod peers;
mod prefixes;
mod remotes;
mod security;
mod sizes;
mod vnis;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};
use weft_api::kind::{Kind, Reference};
use weft_api::resource::{self, AllowedPair, Attachment, RemoteAddress, RemotePrefix, RouteTargets};
use weft_api::view::Problem;
use weft_bgp::wire::RouteDistinguisher;
use weft_dataplane::desired::Security;
use weft_vxlan::{MacAddr, Vni, Vtep};

use crate::bgp::session::Session;
use crate::config::{Config, Speaker};
use crate::intent::{Intent, reference};

pub use groups::SecurityGroup;
pub use security::{Membership, Policies};

/// What the rules must know of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Underlay device.
    pub underlay: String,
    /// Our tunnel address.
    pub vtep: Vtep,
    /// UDP port of VXLAN.
    pub udp_port: u16,
    /// Our MAC towards other hosts.
    pub router_mac: MacAddr,
    /// The anycast gateways' MAC.
    pub gateway_mac: MacAddr,
    /// What each port may cause.
    pub limits: weft_dataplane::desired::Limits,
    /// How many connections there may be, and for how long.
    pub flows: weft_dataplane::desired::FlowLimits,
    /// What the underlay device does before there is an skb.
    pub xdp: weft_dataplane::desired::Xdp,
    /// What the kernel has room for.
    pub sizes: weft_dataplane::Sizes,
    /// Whether the ways to other hosts are tested; the numbers of the self-test's network are then no tenant's.
    pub self_test: bool,
    /// The namespace of the self-test's port, if it could be made.
    pub self_test_netns: Option<PathBuf>,
    /// VTEPs that packets go to with checksums that this host computed.
    pub software_checksums: BTreeSet<Vtep>,
    /// VTEPs that were learned of.
    pub learned_vteps: BTreeSet<Vtep>,
    /// Who it is to its BGP neighbours; `None`: it speaks no BGP.
    pub speaker: Option<Speaker>,
}

/// Consistent resources, by name, with everything filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// Networks.
    pub networks: BTreeMap<String, resource::Network>,
    /// Security groups; those that their rules name exist and are of the same tenant.
    pub security_groups: BTreeMap<String, SecurityGroup>,
    /// What the rules of the ports' groups come to.
    pub policies: BTreeMap<Membership, Policies>,
    /// Subnets; each one's network exists.
    pub subnets: BTreeMap<String, Subnet>,
    /// Ports; each one's subnet and groups exist.
    pub ports: BTreeMap<String, Port>,
    /// Remotes; their subnets and networks exist.
    pub remotes: BTreeMap<String, Remote>,
    /// Peerings; their networks exist.
    pub peerings: BTreeMap<String, resource::Peering>,
    /// Groups of BGP neighbours.
    pub peer_groups: BTreeMap<String, PeerGroup>,
    /// BGP neighbours; their groups exist.
    pub peers: BTreeMap<String, Peer>,
    /// Of `[sizes]`, the first key that leaves no room for the self-test, which takes only what tenants leave.
    pub no_self_test_for: Option<&'static str>,
}

/// A subnet with its gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Name of its network.
    pub network: String,
    /// L2 VNI.
    pub vni: Vni,
    /// IPv4 prefix and gateway.
    pub ipv4: Option<(Ipv4Net, Ipv4Addr)>,
    /// IPv6 prefix and gateway.
    pub ipv6: Option<(Ipv6Net, Ipv6Addr)>,
    /// What its routes carry and which it takes.
    pub route_targets: Option<RouteTargets>,
    /// What tells its routes from those of others.
    pub route_distinguisher: Option<RouteDistinguisher>,
}

/// A port with its MAC and addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name of its subnet.
    pub subnet: String,
    /// MAC of the workload's end.
    pub mac: MacAddr,
    /// IPv4 address, if the subnet has IPv4.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address, if the subnet has IPv6.
    pub ipv6: Option<Ipv6Addr>,
    /// Where it is attached.
    pub attachment: Option<Attachment>,
    /// Its security groups, by name.
    pub security_groups: Vec<String>,
    /// What it may send from besides its own addresses, as it was given.
    pub allowed_pairs: Vec<AllowedPair>,
    /// What all of that comes to.
    pub security: Security,
}

/// A remote with its router MAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its tunnel address.
    pub vtep: Vtep,
    /// Its router MAC.
    pub router_mac: MacAddr,
    /// Subnets that it takes part in, besides those of its workloads.
    pub subnets: Vec<String>,
    /// Workloads on it.
    pub addresses: Vec<RemoteAddress>,
    /// Prefixes behind it.
    pub prefixes: Vec<RemotePrefix>,
}

/// A group of BGP neighbours. What it does not say is not filled in, for its peers may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerGroup {
    /// The group itself.
    pub given: resource::PeerGroup,
    /// What the sessions are like with those who connect from its ranges, if it has any.
    pub session: Option<Session>,
}

/// A BGP neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The peer itself, without what its group says.
    pub given: resource::Peer,
    /// What its session is like, with everything filled in.
    pub session: Session,
}

/// The resources to check, and in which order: unchanged ones first, so that the changed ones are blamed.
#[derive(Debug, Clone, Copy)]
struct Ordered<'a> {
    intent: &'a Intent,
    order: &'a [Reference],
}

/// What was found to be wrong so far.
#[derive(Debug, Default)]
struct Faults(Vec<Problem>);

impl Model {
    /// Checks `intent` as a whole and fills in what was left out. `changed` are the objects that were not there, or
    /// not so, when the rest was last found to be right; addresses are allocated in their order.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn build(intent: &Intent, host: &Host, changed: &[Reference]) -> Result<Self, Vec<Problem>> {
        Self::default().rebuild(intent, host, changed)
    }

    /// The same, where this is what was made of an earlier intent: what of security groups and their rules is as it was
    /// then is not looked at again, but shared.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn rebuild(&self, intent: &Intent, host: &Host, changed: &[Reference]) -> Result<Self, Vec<Problem>> {
        let asked: BTreeSet<_> = changed.iter().collect();
        let unchanged = intent.ids().filter(|id| !asked.contains(id));
        let order: Vec<_> =
            unchanged.chain(changed.iter().filter(|id| intent.contains(id)).cloned()).collect();
        let all = Ordered { intent, order: &order };
        let mut faults = Faults::default();
        names::check(all, &mut faults);
        vnis::check(all, host, &mut faults);
        let security_groups = groups::resolve(all, self, &mut faults);
        let subnets = prefixes::resolve_subnets(all, &mut faults);
        prefixes::check_overlaps(all, &subnets, &mut faults);
        let remotes = remotes::resolve(all, host, &mut faults);
        let mut ports = addressing::resolve(all, &subnets, host, &mut faults);
        security::check(all, host, &mut faults);
        let policies = security::resolve(all, self, &security_groups, &mut ports);
        attachments::check(all, &mut faults);
        flood::check(all, &mut faults);
        let (peer_groups, peers) = peers::resolve(all, host, &mut faults);
        peerings::check(all, &subnets, &mut faults);
        peerings::check_distinguishers(all, &mut faults);
        sizes::check(intent, host, &mut faults);
        if faults.0.is_empty() {
            let no_self_test_for = sizes::no_self_test_for(intent, host);
            Ok(Self {
                networks: intent.networks.clone(),
                security_groups,
                policies,
                subnets,
                ports,
                remotes,
                peerings: intent.peerings.clone(),
                peer_groups,
                peers,
                no_self_test_for,
            })
        } else {
            Err(faults.0)
        }
    }

    /// The same as resources, to be stored and shown.
    #[must_use]
    pub fn to_intent(&self) -> Intent {
        let security_groups =
            self.security_groups.iter().map(|(name, group)| (name.clone(), Arc::clone(&group.given)));
        let subnets = self.subnets.iter().map(|(name, subnet)| (name.clone(), subnet.to_resource(name)));
        let ports = self.ports.iter().map(|(name, port)| (name.clone(), port.to_resource(name)));
        let remotes = self.remotes.iter().map(|(name, remote)| (name.clone(), remote.to_resource(name)));
        let groups = self.peer_groups.iter().map(|(name, group)| (name.clone(), group.given.clone()));
        let peers = self.peers.iter().map(|(name, peer)| (name.clone(), peer.given.clone()));
        Intent {
            networks: self.networks.clone(),
            security_groups: security_groups.collect(),
            subnets: subnets.collect(),
            ports: ports.collect(),
            remotes: remotes.collect(),
            peerings: self.peerings.clone(),
            peer_groups: groups.collect(),
            peers: peers.collect(),
        }
    }

    /// The networks that each one sees, by its peerings: of several that have an address the first wins.
    #[must_use]
    pub fn seen(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut peerings: Vec<_> = self.peerings.values().collect();
        peerings.sort_by_key(|peering| peering.order);
        let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for peering in peerings {
            if let [one, other] = peering.networks.as_slice() {
                seen.entry(one).or_default().push(other);
                seen.entry(other).or_default().push(one);
            }
        }
        seen
    }

    /// Who owns a port's network.
    #[must_use]
    pub fn tenant_of(&self, port: &Port) -> Option<&str> {
        let subnet = self.subnets.get(&port.subnet)?;
        self.networks.get(&subnet.network).map(|network| network.tenant.as_str())
    }

    /// L3 VNI of a subnet's network.
    #[must_use]
    pub fn network_vni(&self, subnet: &Subnet) -> Option<Vni> {
        self.networks.get(&subnet.network).map(|network| network.vni)
    }
}

impl Host {
    /// The host of a config file.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let underlay = &config.underlay;
        Self {
            underlay: underlay.device.as_str().to_owned(),
            vtep: underlay.vtep,
            udp_port: underlay.udp_port(),
            router_mac: underlay.router_mac(),
            gateway_mac: underlay.gateway_mac(),
            limits: config.limits.for_dataplane(),
            flows: config.flow_limits(),
            xdp: underlay.xdp(),
            sizes: config.sizes.for_dataplane(),
            self_test: underlay.self_test,
            self_test_netns: None,
            software_checksums: BTreeSet::new(),
            learned_vteps: BTreeSet::new(),
            speaker: config.speaker(),
        }
    }
}

impl Port {
    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.ipv4.map(IpAddr::V4).into_iter().chain(self.ipv6.map(IpAddr::V6))
    }

    fn to_resource(&self, name: &str) -> resource::Port {
        resource::Port {
            name: name.to_owned(),
            subnet: self.subnet.clone(),
            mac: Some(self.mac),
            addresses: self.addresses().collect(),
            security_groups: self.security_groups.clone(),
            allowed_pairs: self.allowed_pairs.clone(),
            any_source: self.security.any_source,
            attachment: self.attachment.clone(),
        }
    }
}

impl Subnet {
    fn to_resource(&self, name: &str) -> resource::Subnet {
        resource::Subnet {
            name: name.to_owned(),
            network: self.network.clone(),
            vni: self.vni,
            ipv4: self.ipv4.map(|(prefix, _)| prefix),
            gateway4: self.ipv4.map(|(_, gateway)| gateway),
            ipv6: self.ipv6.map(|(prefix, _)| prefix),
            gateway6: self.ipv6.map(|(_, gateway)| gateway),
            route_targets: self.route_targets.clone(),
            route_distinguisher: self.route_distinguisher,
        }
    }
}

impl Remote {
    fn to_resource(&self, name: &str) -> resource::Remote {
        resource::Remote {
            name: name.to_owned(),
            vtep: self.vtep,
            router_mac: Some(self.router_mac),
            subnets: self.subnets.clone(),
            addresses: self.addresses.clone(),
            prefixes: self.prefixes.clone(),
        }
    }
}

impl PeerGroup {
    /// How many peers that nobody named there may be at a time.
    #[must_use]
    pub fn max_peers(&self) -> u32 {
        const UNLESS_GIVEN: u32 = 100;
        self.given.max_peers.map_or(UNLESS_GIVEN, std::num::NonZeroU32::get)
    }
}

impl<'a> Ordered<'a> {
    fn security_groups(self) -> impl Iterator<Item = &'a Arc<resource::SecurityGroup>> {
        self.of(Kind::SecurityGroup).filter_map(move |name| self.intent.security_groups.get(name))
    }

    fn subnets(self) -> impl Iterator<Item = &'a resource::Subnet> {
        self.of(Kind::Subnet).filter_map(move |name| self.intent.subnets.get(name))
    }

    fn ports(self) -> impl Iterator<Item = &'a resource::Port> {
        self.of(Kind::Port).filter_map(move |name| self.intent.ports.get(name))
    }

    fn remotes(self) -> impl Iterator<Item = &'a resource::Remote> {
        self.of(Kind::Remote).filter_map(move |name| self.intent.remotes.get(name))
    }

    fn peerings(self) -> impl Iterator<Item = &'a resource::Peering> {
        self.of(Kind::Peering).filter_map(move |name| self.intent.peerings.get(name))
    }

    fn peer_groups(self) -> impl Iterator<Item = &'a resource::PeerGroup> {
        self.of(Kind::PeerGroup).filter_map(move |name| self.intent.peer_groups.get(name))
    }

    fn peers(self) -> impl Iterator<Item = &'a resource::Peer> {
        self.of(Kind::Peer).filter_map(move |name| self.intent.peers.get(name))
    }

    /// Which of these that contradict each other is to blame: the one that comes last.
    fn last_of<const N: usize>(self, ids: [&Reference; N]) -> Option<&Reference> {
        ids.into_iter().max_by_key(|id| self.order.iter().position(|other| other == *id))
    }

    fn of(self, kind: Kind) -> impl Iterator<Item = &'a String> {
        self.order.iter().filter(move |id| id.kind == kind).map(|id| &id.name)
    }
}

impl Faults {
    /// Something is wrong with an object as a whole.
    fn add(&mut self, kind: Kind, name: &str, message: impl ToString) {
        self.0.push(Problem::new(reference(kind, name), message));
    }

    /// Something is wrong with a field, such as `vni` or `addresses[17].mac`.
    fn add_at(&mut self, kind: Kind, name: &str, field: impl Into<String>, message: impl ToString) {
        self.0.push(Problem::new(reference(kind, name), message).at(field));
    }
}

#[cfg(test)]
pub(crate) mod tests;
