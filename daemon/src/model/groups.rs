//! Security groups: their ids, and their rules in the words of the tables. A group that is as it was is not looked at again.

use std::collections::BTreeMap;
use std::sync::Arc;

use weft_api::kind::Kind;
use weft_api::resource;
use weft_api::resource::security::{Direction, IcmpMessage, PortRange, Protocol};
use weft_api::resource::{RuleVerdict, SecurityRule};
use weft_policy::{Action, GroupId, Icmp, Peer, Rule, RuleSpec};

use super::names::missing;
use super::{Faults, Model, Ordered};
use crate::intent::{Intent, reference};

/// Rules that a group can have.
const MOST_RULES: usize = 100_000;

/// Bytes of a rule's description, which is told with every packet that the rule denies.
const LONGEST_DESCRIPTION: usize = 255;

/// A security group with its rules checked. Clones share all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// The group itself.
    pub given: Arc<resource::SecurityGroup>,
    /// The number by which other hosts know it.
    pub id: GroupId,
    /// Its rules, in the order in which they are written.
    pub rules: Arc<weft_policy::SecurityGroup>,
    /// The groups that its rules name. As long as they have these ids, the rules mean the same.
    named: Arc<BTreeMap<String, GroupId>>,
}

/// The groups with their rules. One with a fault is left out.
pub(super) fn resolve(
    all: Ordered<'_>,
    earlier: &Model,
    faults: &mut Faults,
) -> BTreeMap<String, SecurityGroup> {
    let mut holders: BTreeMap<GroupId, &str> = BTreeMap::new();
    let mut groups = BTreeMap::new();
    for group in all.security_groups() {
        let id = id_of(group);
        let mut fault = |message| faults.add_at(Kind::SecurityGroup, &group.name, "id", message);
        if group.id == 0 {
            fault("id 0 is no group's; give it a number from 1 to 4294967295".to_owned());
        } else if let Some(holder) = holders.get(&id) {
            fault(format!(
                "id {} is that of security-group/{holder}; choose another, groups of all tenants share the numbers",
                id.0
            ));
        } else {
            holders.insert(id, &group.name);
        }
        let before = earlier.security_groups.get(&group.name);
        let same = before.filter(|before| before.given == *group && before.means_the_same(all.intent));
        let resolved = match same {
            Some(before) => Some(before.clone()),
            None => compile(group, all, faults),
        };
        groups.extend(resolved.map(|resolved| (group.name.clone(), resolved)));
    }
    groups
}

impl SecurityGroup {
    /// Whether what its rules name is there, and is what it was.
    fn means_the_same(&self, intent: &Intent) -> bool {
        self.named.iter().all(|(name, id)| {
            let other = intent.security_groups.get(name);
            other.is_some_and(|other| id_of(other) == *id && other.tenant == self.given.tenant)
        })
    }
}

fn id_of(group: &resource::SecurityGroup) -> GroupId {
    GroupId(group.id)
}

fn compile(
    group: &Arc<resource::SecurityGroup>,
    all: Ordered<'_>,
    faults: &mut Faults,
) -> Option<SecurityGroup> {
    if group.rules.len() > MOST_RULES {
        let message = format!(
            "it has {} rules; a group has at most {MOST_RULES}, so divide it into several that ports are members of",
            group.rules.len()
        );
        faults.add_at(Kind::SecurityGroup, &group.name, "rules", message);
        return None;
    }
    let faults_before = faults.0.len();
    let (mut rules, mut named) = (Vec::with_capacity(group.rules.len()), BTreeMap::new());
    for (index, rule) in group.rules.iter().enumerate() {
        if let Some(name) = rule.group.as_ref().filter(|name| !named.contains_key(*name)) {
            match named_group(group, index, name, all) {
                Ok(id) => drop(named.insert(name.clone(), id)),
                Err(Misnamed::Here(message)) => {
                    let field = format!("rules[{index}].group");
                    faults.add_at(Kind::SecurityGroup, &group.name, field, message);
                    continue;
                }
                Err(Misnamed::There { id, message }) => {
                    // Once is enough.
                    named.insert(name.clone(), id);
                    faults.add_at(Kind::SecurityGroup, name, "tenant", message);
                }
            }
        }
        if let Some(message) = rule.description.as_deref().and_then(description_fault) {
            faults.add_at(
                Kind::SecurityGroup,
                &group.name,
                format!("rules[{index}].description"),
                format!("rule {index}: {message}"),
            );
            continue;
        }
        match spec(rule, &named).and_then(|spec| Rule::new(spec).map_err(|error| error.to_string())) {
            Ok(rule) => rules.push(rule),
            Err(message) => {
                let message = format!("{}: {message}", label(index, rule));
                faults.add_at(Kind::SecurityGroup, &group.name, format!("rules[{index}]"), message);
            }
        }
    }
    (faults.0.len() == faults_before).then(|| SecurityGroup {
        given: Arc::clone(group),
        id: id_of(group),
        rules: Arc::new(weft_policy::SecurityGroup { name: group.name.clone(), rules }),
        named: Arc::new(named),
    })
}

/// Why a rule may not name a group, and whether its own group is to blame or the one that it names.
enum Misnamed {
    Here(String),
    There { id: GroupId, message: String },
}

fn named_group(
    group: &resource::SecurityGroup,
    index: usize,
    name: &str,
    all: Ordered<'_>,
) -> Result<GroupId, Misnamed> {
    let label = || label(index, &group.rules[index]);
    let Some(other) = all.intent.security_groups.get(name) else {
        return Err(Misnamed::Here(format!("{}: {}", label(), missing(Kind::SecurityGroup, name))));
    };
    if other.tenant == group.tenant {
        return Ok(id_of(other));
    }
    let here = reference(Kind::SecurityGroup, &group.name);
    let there = reference(Kind::SecurityGroup, name);
    Err(if all.last_of([&there, &here]) == Some(&here) {
        Misnamed::Here(format!(
            "{}: {there} is of tenant {:?}, this one of {:?}; name a group of the same tenant, or prefixes",
            label(),
            other.tenant,
            group.tenant
        ))
    } else {
        let message = format!(
            "{here} is of tenant {:?} and names it in {}; leave it to that tenant, or change that rule first",
            group.tenant,
            label()
        );
        Misnamed::There { id: id_of(other), message }
    })
}

fn description_fault(description: &str) -> Option<String> {
    if description.len() > LONGEST_DESCRIPTION {
        let length = description.len();
        return Some(format!("its description has {length} bytes; it may have {LONGEST_DESCRIPTION}"));
    }
    let control = description.chars().find(|letter| letter.is_control())?;
    Some(format!(
        "its description has the control character {control:?}; write it on one line, of letters that can be seen"
    ))
}

/// How a rule is called in messages.
fn label(index: usize, rule: &SecurityRule) -> String {
    match &rule.description {
        Some(description) => format!("rule {index} ({description})"),
        None => format!("rule {index}"),
    }
}

fn spec(rule: &SecurityRule, named: &BTreeMap<String, GroupId>) -> Result<RuleSpec, String> {
    let peer = match (rule.prefix, rule.group.as_ref().and_then(|name| named.get(name))) {
        (None, None) => Peer::Any,
        (Some(prefix), None) => Peer::Prefix(prefix),
        (None, Some(id)) => Peer::Group(*id),
        (Some(prefix), Some(_)) => {
            return Err(format!("it names the prefix {prefix} and a group; make it two rules, one for each"));
        }
    };
    Ok(RuleSpec {
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
        ports: rule.ports.map(|PortRange { first, last }| first..=last),
        icmp: rule.icmp.map(|IcmpMessage { kind, code }| Icmp { kind, code }),
        peer,
        stateless: rule.stateless,
    })
}

/// The same in the words of the tables.
pub(super) const fn action(verdict: RuleVerdict) -> Action {
    match verdict {
        RuleVerdict::Allow => Action::Allow,
        RuleVerdict::Deny => Action::Deny,
    }
}
