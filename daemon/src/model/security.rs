//! What ports may send and receive: by their groups, by the defaults of their networks, and from which addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use weft_api::kind::Kind;
use weft_api::resource;
use weft_dataplane::desired::Security;
use weft_policy::{Action, Direction, GroupSet, Policy};

use super::groups::{self, SecurityGroup};
use super::macs::unicast_fault;
use super::{Faults, Host, Model, Ordered, Port};
use crate::intent::reference;

/// Groups that a port can be a member of.
const MOST_GROUPS: usize = 16;
/// Allowed pairs that a port can have.
const MOST_PAIRS: usize = 16;

/// What decides which rules count for a port. Ports that have it in common share them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Membership {
    /// Names of the groups.
    pub groups: BTreeSet<String>,
    /// What becomes of packets to the port that no rule is about.
    pub default_ingress: Action,
    /// The same of packets from the port.
    pub default_egress: Action,
}

/// The rules of some groups. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// What is let in.
    pub ingress: Policy,
    /// What is let out.
    pub egress: Policy,
    /// The groups.
    pub groups: GroupSet,
}

/// That ports are members of groups of their tenant, and that the addresses they may send from make sense.
pub(super) fn check(all: Ordered<'_>, host: &Host, faults: &mut Faults) {
    for port in all.ports() {
        check_groups(port, all, faults);
        check_pairs(port, all, host, faults);
    }
}

/// Fills in what the ports may send and receive.
pub(super) fn resolve(
    all: Ordered<'_>,
    earlier: &Model,
    groups: &BTreeMap<String, SecurityGroup>,
    ports: &mut BTreeMap<String, Port>,
) -> BTreeMap<Membership, Policies> {
    let mut policies: BTreeMap<Membership, Policies> = BTreeMap::new();
    for port in ports.values_mut() {
        let Some(network) = network_of(&port.subnet, all) else { continue };
        let membership = Membership {
            groups: port.security_groups.iter().cloned().collect(),
            default_ingress: groups::action(network.default_ingress),
            default_egress: groups::action(network.default_egress),
        };
        let found = policies.get(&membership).cloned();
        let Policies { ingress, egress, groups } = found.unwrap_or_else(|| {
            let made = earlier_policies(&membership, earlier, groups)
                .unwrap_or_else(|| Policies::of(&membership, groups));
            policies.insert(membership, made.clone());
            made
        });
        let pairs = port.allowed_pairs.iter().map(|pair| (pair.prefix, pair.mac.unwrap_or(port.mac)));
        let any_source = port.security.any_source;
        port.security = Security { ingress, egress, groups, pairs: pairs.collect(), any_source };
    }
    policies
}

/// Those that were made before, if none of the groups has changed since.
fn earlier_policies(
    membership: &Membership,
    earlier: &Model,
    groups: &BTreeMap<String, SecurityGroup>,
) -> Option<Policies> {
    let same = |name: &String| match (groups.get(name), earlier.security_groups.get(name)) {
        (Some(now), Some(before)) => now.id == before.id && Arc::ptr_eq(&now.rules, &before.rules),
        (None, _) | (_, None) => false,
    };
    earlier.policies.get(membership).filter(|_| membership.groups.iter().all(same)).cloned()
}

impl Policies {
    fn of(membership: &Membership, groups: &BTreeMap<String, SecurityGroup>) -> Self {
        let members = || membership.groups.iter().filter_map(|name| groups.get(name));
        let policy = |direction, default| {
            Policy::of_groups(direction, members().map(|group| &*group.rules)).with_default(default)
        };
        Self {
            ingress: policy(Direction::Ingress, membership.default_ingress),
            egress: policy(Direction::Egress, membership.default_egress),
            groups: members().map(|group| group.id).collect(),
        }
    }
}

fn network_of<'a>(subnet: &str, all: Ordered<'a>) -> Option<&'a resource::Network> {
    all.intent.networks.get(&all.intent.subnets.get(subnet)?.network)
}

fn check_groups(port: &resource::Port, all: Ordered<'_>, faults: &mut Faults) {
    if port.security_groups.len() > MOST_GROUPS {
        let message = format!(
            "it is a member of {} security groups; a port is a member of at most {MOST_GROUPS}, so put rules together",
            port.security_groups.len()
        );
        faults.add_at(Kind::Port, &port.name, "security_groups", message);
    }
    let Some(network) = network_of(&port.subnet, all) else { return };
    for (index, name) in port.security_groups.iter().enumerate() {
        let Some(group) = all.intent.security_groups.get(name) else { continue };
        if group.tenant == network.tenant {
            continue;
        }
        let ids = [
            reference(Kind::Port, &port.name),
            reference(Kind::SecurityGroup, name),
            reference(Kind::Network, &network.name),
        ];
        let [own, of_group, of_network] = &ids;
        let (theirs, ours) = (&group.tenant, &network.tenant);
        match all.last_of([of_network, of_group, own]).map(|id| id.kind) {
            Some(kind @ (Kind::SecurityGroup | Kind::Network)) => {
                let blamed = if kind == Kind::Network { &network.name } else { name };
                let message = format!(
                    "{own} in {of_network} is a member of {of_group}, and the one would be of tenant {ours:?}, the other \
                     of {theirs:?}; take the port out of the group first"
                );
                faults.add_at(kind, blamed, "tenant", message);
            }
            Some(Kind::Port | Kind::Subnet | Kind::Remote | Kind::Peering | Kind::PeerGroup | Kind::Peer)
            | None => {
                let message = format!(
                    "{of_group} is of tenant {theirs:?}, and {of_network} of {ours:?}; name a group of that tenant"
                );
                faults.add_at(Kind::Port, &port.name, format!("security_groups[{index}]"), message);
            }
        }
    }
}

fn check_pairs(port: &resource::Port, all: Ordered<'_>, host: &Host, faults: &mut Faults) {
    let mut fault = |field: String, message: String| faults.add_at(Kind::Port, &port.name, field, message);
    if port.allowed_pairs.len() > MOST_PAIRS {
        let message = format!(
            "it has {} allowed pairs; a port has at most {MOST_PAIRS}, so use shorter prefixes, or any_source for a router",
            port.allowed_pairs.len()
        );
        fault("allowed_pairs".to_owned(), message);
    }
    let subnet = all.intent.subnets.get(&port.subnet);
    let mut seen = BTreeSet::new();
    for (index, pair) in port.allowed_pairs.iter().enumerate() {
        let prefix = pair.prefix;
        let field = || format!("allowed_pairs[{index}].prefix");
        if prefix != prefix.trunc() {
            let meant = prefix.trunc();
            fault(
                field(),
                format!("prefix {prefix} has bits set behind its length; it may be meant as {meant}"),
            );
        } else if !seen.insert(prefix) {
            fault(field(), format!("prefix {prefix} is given twice; keep one, with the MAC that counts"));
        }
        if let Some(name) = subnet.and_then(|subnet| missing_family(prefix, subnet)) {
            let message = format!(
                "prefix {prefix}: subnet/{} has no {name} prefix; give the subnet one, or leave this one out",
                port.subnet
            );
            fault(field(), message);
        }
        if let Some(mac) = pair.mac {
            let gateways = (mac == host.gateway_mac).then(|| {
                format!("MAC {mac} is the gateways' own (underlay.gateway_mac in weftd.toml); choose another")
            });
            if let Some(message) = unicast_fault(mac).or(gateways) {
                fault(format!("allowed_pairs[{index}].mac"), message);
            }
        }
    }
}

/// The family of a prefix, if the subnet has none of it.
fn missing_family(prefix: IpNet, subnet: &resource::Subnet) -> Option<&'static str> {
    match prefix {
        IpNet::V4(_) => subnet.ipv4.is_none().then_some("ipv4"),
        IpNet::V6(_) => subnet.ipv6.is_none().then_some("ipv6"),
    }
}
