//! Security groups: what their rules may say, and what the groups of a port come to.

use std::collections::{BTreeMap, BTreeSet};

use weft_api::kind::{Kind, Reference};
use weft_api::resource::security::{self, Direction, Protocol};
use weft_api::resource::{self, RuleVerdict, SecurityRule};
use weft_dataplane::desired::Security;
use weft_policy::{Action, GroupId, Icmp, Peer, Policy, Rule, RuleSpec, SecurityGroup};
use weft_vxlan::MacAddr;

use super::macs::unicast_fault;
use super::{Faults, Ordered};

/// Groups that a port may be a member of, and pairs that it may have.
const MOST_GROUPS: usize = 16;
const MOST_PAIRS: usize = 16;
/// Rules that a group may have.
const MOST_RULES: usize = 100_000;

/// The groups' rules, by name, and what ports' groups come to.
pub(super) struct Groups<'a> {
    all: Ordered<'a>,
    rules: BTreeMap<&'a str, SecurityGroup>,
    /// By the groups' names and the network's defaults: ports with the same share what it comes to.
    shared: BTreeMap<(BTreeSet<&'a str>, bool, bool), Security>,
}

/// Checks the groups.
pub(super) fn resolve<'a>(all: Ordered<'a>, faults: &mut Faults) -> Groups<'a> {
    let mut rules = BTreeMap::new();
    let mut holders: BTreeMap<u32, &Reference> = BTreeMap::new();
    for id in all.order.iter().filter(|id| id.kind == Kind::SecurityGroup) {
        let Some(group) = all.intent.security_groups.get(&id.name) else { continue };
        check_id(group, id, &mut holders, faults);
        if group.rules.len() > MOST_RULES {
            let count = group.rules.len();
            let message =
                format!("it has {count} rules, a group may have {MOST_RULES}; divide it into several");
            faults.add_at(Kind::SecurityGroup, &group.name, "rules", message);
            continue;
        }
        let checked = group.rules.iter().enumerate().filter_map(|(at, rule)| {
            checked(all, group, rule).map_err(|message| fault(group, at, &message, faults)).ok()
        });
        let checked = SecurityGroup { name: group.name.clone(), rules: checked.collect() };
        rules.insert(group.name.as_str(), checked);
    }
    Groups { all, rules, shared: BTreeMap::new() }
}

fn check_id<'a>(
    group: &resource::SecurityGroup,
    id: &'a Reference,
    holders: &mut BTreeMap<u32, &'a Reference>,
    faults: &mut Faults,
) {
    let mut fault = |message: String| faults.add_at(Kind::SecurityGroup, &group.name, "id", message);
    if group.id == 0 {
        fault("id 0 is no group's; give it a number from 1 to 4294967295".to_owned());
    } else if let Some(holder) = holders.get(&group.id) {
        fault(format!(
            "id {} is that of {holder}; choose another, groups of all tenants share the numbers",
            group.id
        ));
    } else {
        holders.insert(group.id, id);
    }
}

fn fault(group: &resource::SecurityGroup, at: usize, message: &str, faults: &mut Faults) {
    let named = group.rules.get(at).and_then(|rule| rule.description.as_ref());
    let message = match named {
        Some(description) => format!("rule {at} ({description}): {message}"),
        None => format!("rule {at}: {message}"),
    };
    faults.add_at(Kind::SecurityGroup, &group.name, format!("rules[{at}]"), message);
}

/// A rule as policies have it.
fn checked(all: Ordered<'_>, of: &resource::SecurityGroup, rule: &SecurityRule) -> Result<Rule, String> {
    let peer = match (&rule.prefix, &rule.group) {
        (None, None) => Peer::Any,
        (Some(prefix), None) => Peer::Prefix(*prefix),
        (None, Some(name)) => Peer::Group(group_of(all, of, name)?),
        (Some(_), Some(_)) => {
            return Err(
                "it names a prefix and a group; a rule is about one of them, so make it two".to_owned()
            );
        }
    };
    let spec = RuleSpec {
        direction: match rule.direction {
            Direction::Ingress => weft_policy::Direction::Ingress,
            Direction::Egress => weft_policy::Direction::Egress,
        },
        action: action(rule.action),
        priority: rule.priority,
        protocol: match rule.protocol {
            Protocol::Any => weft_policy::Protocol::Any,
            Protocol::Number(number) => weft_policy::Protocol::from_number(number),
        },
        ports: rule.ports.map(|security::PortRange { first, last }| first..=last),
        icmp: rule.icmp.map(|icmp| Icmp { kind: icmp.kind, code: icmp.code }),
        peer,
        stateless: rule.stateless,
    };
    Rule::new(spec).map_err(|error| error.to_string())
}

/// A group that a rule names: of the same tenant, for others' membership is not theirs to know.
fn group_of(all: Ordered<'_>, of: &resource::SecurityGroup, name: &str) -> Result<GroupId, String> {
    let Some(group) = all.intent.security_groups.get(name) else {
        return Err(format!("its group {name:?} does not exist; create security-group/{name} first"));
    };
    if group.tenant != of.tenant {
        let (theirs, ours) = (&group.tenant, &of.tenant);
        return Err(format!(
            "its group {name:?} is of tenant {theirs:?}, not of {ours:?}; name a prefix instead"
        ));
    }
    Ok(GroupId(group.id))
}

const fn action(verdict: RuleVerdict) -> Action {
    match verdict {
        RuleVerdict::Allow => Action::Allow,
        RuleVerdict::Deny => Action::Deny,
    }
}

impl<'a> Groups<'a> {
    /// What a port, whose own MAC is `mac`, may send and receive; and what of its groups and pairs is wrong.
    pub(super) fn of_port(
        &mut self,
        port: &'a resource::Port,
        mac: MacAddr,
        faults: &mut Faults,
    ) -> Security {
        let network = self.all.intent.subnets.get(&port.subnet);
        let Some(network) = network.and_then(|subnet| self.all.intent.networks.get(&subnet.network)) else {
            return Security::open();
        };
        self.check_groups(port, &network.tenant, faults);
        let groups: BTreeSet<_> = port.security_groups.iter().map(String::as_str).collect();
        let (ingress, egress) = (network.default_ingress, network.default_egress);
        let key = (groups, ingress == RuleVerdict::Allow, egress == RuleVerdict::Allow);
        let shared = match self.shared.get(&key) {
            Some(shared) => shared.clone(),
            None => {
                let new = self.security(&key.0, ingress, egress);
                self.shared.insert(key, new.clone());
                new
            }
        };
        let pairs = pairs(port, mac, faults);
        Security { pairs, any_source: port.any_source, ..shared }
    }

    fn check_groups(&self, port: &resource::Port, tenant: &str, faults: &mut Faults) {
        let mut fault = |at: usize, message: String| {
            faults.add_at(Kind::Port, &port.name, format!("security_groups[{at}]"), message);
        };
        for (at, name) in port.security_groups.iter().enumerate() {
            match self.all.intent.security_groups.get(name) {
                None => fault(
                    at,
                    format!("its group {name:?} does not exist; create security-group/{name} first"),
                ),
                Some(group) if group.tenant != tenant => fault(
                    at,
                    format!(
                        "its group {name:?} is of tenant {:?}, and its network of {tenant:?}; name a group of that tenant",
                        group.tenant
                    ),
                ),
                Some(_) => {}
            }
            if port.security_groups.iter().take(at).any(|before| before == name) {
                fault(at, format!("its group {name:?} is named twice; keep one"));
            }
        }
        if port.security_groups.len() > MOST_GROUPS {
            fault(
                MOST_GROUPS,
                format!("a port may be a member of {MOST_GROUPS} groups; put their rules into fewer"),
            );
        }
    }

    fn security(&self, groups: &BTreeSet<&str>, ingress: RuleVerdict, egress: RuleVerdict) -> Security {
        let all = || groups.iter().filter_map(|name| self.rules.get(name));
        let policy = |direction, default| Policy::of_groups(direction, all()).with_default(action(default));
        let ids = groups.iter().filter_map(|name| self.all.intent.security_groups.get(*name));
        Security {
            ingress: policy(weft_policy::Direction::Ingress, ingress),
            egress: policy(weft_policy::Direction::Egress, egress),
            groups: ids.map(|group| GroupId(group.id)).collect(),
            ..Security::open()
        }
    }
}

fn pairs(port: &resource::Port, mac: MacAddr, faults: &mut Faults) -> BTreeMap<ipnet::IpNet, MacAddr> {
    let mut pairs = BTreeMap::new();
    for (at, pair) in port.allowed_pairs.iter().enumerate() {
        let mut fault = |field: &str, message: String| {
            faults.add_at(Kind::Port, &port.name, format!("allowed_pairs[{at}].{field}"), message);
        };
        let (prefix, of) = (pair.prefix, pair.mac.unwrap_or(mac));
        if prefix != prefix.trunc() {
            let meant = prefix.trunc();
            fault(
                "prefix",
                format!("prefix {prefix} has bits set behind its length; it may be meant as {meant}"),
            );
        }
        if let Some(message) = unicast_fault(of) {
            fault("mac", format!("its {message}"));
        }
        if pairs.insert(prefix, of).is_some() {
            fault(
                "prefix",
                format!("prefix {prefix} is in the list twice; a prefix has one MAC besides the port's own"),
            );
        }
    }
    if port.allowed_pairs.len() > MOST_PAIRS {
        let message = format!(
            "a port may have {MOST_PAIRS} pairs; name wider prefixes, or set any_source if it is a router"
        );
        faults.add_at(Kind::Port, &port.name, "allowed_pairs", message);
    }
    pairs
}
