//! Rules of peers: what is wrong with them, and what they are in the RIB's words.

use ipnet::IpNet;
use weft_api::resource::Med;
use weft_api::resource::policy::{LengthMatch, PrefixMatch, Rule, RuleAction};
use weft_bgp::rib::{self, Change, Match, Policy, Verdict};
use weft_bgp::wire::Asn;

use super::session::family;
use crate::config::asn_fault;

/// The types of EVPN routes that have a meaning (RFC 7432 section 7, RFC 9136 section 3).
const EVPN_TYPES: std::ops::RangeInclusive<u8> = 1..=5;

/// The rules in the RIB's words. `own` is this host's AS.
#[must_use]
pub fn compile(rules: &[Rule], own: Asn) -> Policy {
    let rules = rules.iter().map(|rule| rib::Rule {
        matches: matches(rule),
        changes: changes(rule, own),
        verdict: match rule.action {
            RuleAction::Accept => Verdict::Accept,
            RuleAction::Reject => Verdict::Reject,
            RuleAction::Next => Verdict::Next,
        },
    });
    Policy { rules: rules.collect() }
}

/// Tells what is wrong with rules: the field below theirs, and the message.
pub fn check(rules: &[Rule], mut fault: impl FnMut(String, String)) {
    for (index, rule) in rules.iter().enumerate() {
        let mut fault = |field: &str, message: String| fault(format!("[{index}].{field}"), message);
        if let Some(prefix) = &rule.matches.prefix
            && let Some((field, message)) = prefix_fault(prefix)
        {
            fault(field, message);
        }
        if let Some(LengthMatch { least: Some(least), most: Some(most) }) = rule.matches.as_path_length
            && least > most
        {
            fault(
                "match.as_path_length",
                format!("no path has at least {least} and at most {most} ASes; exchange them"),
            );
        }
        if let Some(kind) = rule.matches.evpn_type.filter(|kind| !EVPN_TYPES.contains(kind)) {
            fault("match.evpn_type", format!("{kind} is no type of an EVPN route; name 1 to 5"));
        }
        if let Some(prepend) = rule.set.prepend {
            if prepend.times == 0 {
                fault(
                    "set.prepend.times",
                    "0 times changes nothing; name 1 to 255, or leave prepend out".to_owned(),
                );
            }
            if let Some(message) = prepend.asn.and_then(asn_fault) {
                fault("set.prepend.asn", message.to_owned());
            }
        }
        if rule.action == RuleAction::Reject && rule.set != Default::default() {
            fault("set", "what is rejected is not changed; leave set out, or accept".to_owned());
        }
    }
}

fn prefix_fault(prefix: &PrefixMatch) -> Option<(&'static str, String)> {
    let within = prefix.within;
    if within != within.trunc() {
        let message = format!("{within} has host bits set; write {}", within.trunc());
        return Some(("match.prefix.within", message));
    }
    let (least, most) = lengths(prefix);
    let range = within.prefix_len()..=within.max_prefix_len();
    for (field, length) in [("match.prefix.least", least), ("match.prefix.most", most)] {
        if !range.contains(&length) {
            let (from, to) = (range.start(), range.end());
            let message = format!("no prefix within {within} has the length {length}; name {from} to {to}");
            return Some((field, message));
        }
    }
    (least > most).then(|| {
        let message = format!("no length is at least {least} and at most {most}; exchange them");
        ("match.prefix.least", message)
    })
}

fn lengths(prefix: &PrefixMatch) -> (u8, u8) {
    let of_within: IpNet = prefix.within;
    (
        prefix.least.unwrap_or_else(|| of_within.prefix_len()),
        prefix.most.unwrap_or_else(|| of_within.max_prefix_len()),
    )
}

fn matches(rule: &Rule) -> Vec<Match> {
    let wanted = &rule.matches;
    let mut matches = Vec::new();
    matches.extend(wanted.family.map(|wanted| Match::Family(family(wanted))));
    matches.extend(wanted.evpn_type.map(Match::EvpnType));
    matches.extend(wanted.prefix.map(|prefix| {
        let (least, most) = lengths(&prefix);
        Match::Prefix { within: prefix.within, least, most }
    }));
    matches.extend(wanted.communities.iter().copied().map(Match::Community));
    matches.extend(wanted.large_communities.iter().copied().map(Match::LargeCommunity));
    matches.extend(wanted.route_targets.iter().copied().map(Match::RouteTarget));
    matches.extend(wanted.as_path.iter().copied().map(Match::AsPathContains));
    matches.extend(wanted.origin_as.map(Match::OriginAs));
    matches.extend(wanted.as_path_length.map(|length| Match::AsPathLength {
        least: length.least.unwrap_or_default().into(),
        most: length.most.map_or(usize::MAX, usize::from),
    }));
    matches
}

fn changes(rule: &Rule, own: Asn) -> Vec<Change> {
    let set = &rule.set;
    let mut changes = Vec::new();
    changes.extend(set.local_pref.map(Change::LocalPref));
    changes.extend(set.med.map(|med| match med {
        Med::Value(value) => Change::Med(Some(value)),
        Med::None => Change::Med(None),
    }));
    changes.extend(set.remove_communities.iter().copied().map(Change::RemoveCommunity));
    changes.extend(set.add_communities.iter().copied().map(Change::AddCommunity));
    changes.extend(set.remove_large_communities.iter().copied().map(Change::RemoveLargeCommunity));
    changes.extend(set.add_large_communities.iter().copied().map(Change::AddLargeCommunity));
    changes.extend(set.prepend.map(|prepend| Change::Prepend(prepend.asn.unwrap_or(own), prepend.times)));
    changes
}

#[cfg(test)]
mod tests {
    use weft_bgp::wire::{Community, Family};

    use super::*;

    fn rules(json: &str) -> Vec<Rule> {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn rules_in_the_words_of_the_rib() {
        let policy = compile(
            &rules(
                r#"[{"match":{"family":"evpn","evpn_type":5,"prefix":{"within":"10.0.0.0/8","most":24},
                    "communities":["65000:1"],"as_path_length":{"least":1}},
                    "set":{"med":"none","local_pref":7,"prepend":{"times":2}},"action":"next"},
                   {"action":"reject"}]"#,
            ),
            Asn::new(65000),
        );
        let one = Community(65000 << 16 | 1);
        let first = rib::Rule {
            matches: vec![
                Match::Family(Family::EVPN),
                Match::EvpnType(5),
                Match::Prefix { within: "10.0.0.0/8".parse().unwrap(), least: 8, most: 24 },
                Match::Community(one),
                Match::AsPathLength { least: 1, most: usize::MAX },
            ],
            changes: vec![Change::LocalPref(7), Change::Med(None), Change::Prepend(Asn::new(65000), 2)],
            verdict: Verdict::Next,
        };
        let second = rib::Rule { matches: vec![], changes: vec![], verdict: Verdict::Reject };
        assert_eq!(policy, Policy { rules: vec![first, second] });
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field() {
        for (rule, field, message) in [
            (
                r#"{"match":{"prefix":{"within":"10.0.0.1/8"}},"action":"next"}"#,
                "[0].match.prefix.within",
                "write 10.0.0.0/8",
            ),
            (
                r#"{"match":{"prefix":{"within":"10.0.0.0/8","least":7}},"action":"next"}"#,
                "[0].match.prefix.least",
                "name 8 to 32",
            ),
            (
                r#"{"match":{"prefix":{"within":"10.0.0.0/8","most":33}},"action":"next"}"#,
                "[0].match.prefix.most",
                "name 8 to 32",
            ),
            (
                r#"{"match":{"prefix":{"within":"10.0.0.0/8","least":24,"most":16}},"action":"next"}"#,
                "[0].match.prefix.least",
                "exchange them",
            ),
            (
                r#"{"match":{"as_path_length":{"least":2,"most":1}},"action":"next"}"#,
                "[0].match.as_path_length",
                "exchange them",
            ),
            (r#"{"match":{"evpn_type":6},"action":"next"}"#, "[0].match.evpn_type", "name 1 to 5"),
            (r#"{"set":{"prepend":{"times":0}},"action":"next"}"#, "[0].set.prepend.times", "name 1 to 255"),
            (
                r#"{"set":{"prepend":{"asn":0,"times":1}},"action":"next"}"#,
                "[0].set.prepend.asn",
                "AS 0 is nobody's",
            ),
            (r#"{"set":{"local_pref":1},"action":"reject"}"#, "[0].set", "leave set out"),
        ] {
            let mut found = Vec::new();
            check(&rules(&format!("[{rule}]")), |field, message| found.push((field, message)));
            let [(at, said)] = found.as_slice() else { panic!("{rule}: {found:?}") };
            assert!(at == field && said.contains(message), "{rule}: {found:?}");
        }
    }
}
