//! Tables of security groups.

use std::collections::BTreeMap;

use weft_api::resource::{Resource, RuleVerdict, SecurityGroup};
use weft_api::view::Stored;

use crate::output::table::{Table, or_dash};

pub(super) fn groups(stored: &[Stored]) -> Table<5> {
    let mut table = Table::new(["NAME", "TENANT", "ID", "RULES", "REVISION"]);
    for Stored { resource, revision } in stored {
        if let Resource::SecurityGroup(group) = resource {
            table.row([
                group.name.clone(),
                group.tenant.clone(),
                group.id.to_string(),
                group.rules.len().to_string(),
                revision.to_string(),
            ]);
        }
    }
    table
}

/// The rules of a group, in the order in which they count, with the place of each in the group, and its hits by that,
/// if they were asked for.
pub(crate) fn rules(group: &SecurityGroup, hits: Option<&BTreeMap<usize, u64>>) -> Table<9> {
    let mut table = Table::new([
        "RULE",
        "DIRECTION",
        "PRIORITY",
        "ACTION",
        "PROTOCOL",
        "SERVICE",
        "PEER",
        "HITS",
        "DESCRIPTION",
    ]);
    let mut rules: Vec<_> = group.rules.iter().enumerate().collect();
    rules.sort_by_key(|(_, rule)| {
        (word(&rule.direction), rule.priority, rule.action == RuleVerdict::Allow, rule.stateless)
    });
    for (index, rule) in rules {
        let icmp = rule.icmp.map(|icmp| match icmp.code {
            Some(code) => format!("type {} code {code}", icmp.kind),
            None => format!("type {}", icmp.kind),
        });
        let service = rule.ports.map(|ports| ports.to_string()).or(icmp);
        let group = rule.group.as_ref().map(|group| format!("group {group}"));
        let peer = rule.prefix.map(|prefix| prefix.to_string()).or(group);
        let mut action = word(&rule.action);
        if rule.stateless {
            action.push_str(" (stateless)");
        }
        table.row([
            index.to_string(),
            word(&rule.direction),
            rule.priority.to_string(),
            action,
            rule.protocol.to_string(),
            or_dash(service),
            peer.unwrap_or_else(|| "any".to_owned()),
            or_dash(hits.map(|hits| hits.get(&index).copied().unwrap_or_default())),
            or_dash(rule.description.as_ref()),
        ]);
    }
    table
}

/// The word that a value is in documents.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}
