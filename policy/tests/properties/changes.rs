//! Changes lead from the old entries to the new ones, and no packet on the way meets anything but an old or a new decision.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use weft_policy::{
    Decision, Direction, GroupSet, Identity, Maps, Packet, Peer, Policy, Reason, Rule, Tables, Update,
    Verdict,
};

use super::universe::{Case, NO_LIMIT, packets, peer, rule, rules, some_identities, with_peer};

/// What a user does to a rule.
#[derive(Debug, Clone)]
pub enum Edit {
    Add(Rule),
    Remove(Index),
    Replace(Index, Rule),
    /// The same for other peers.
    Move(Index, Peer),
}

pub fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        rule().prop_map(Edit::Add),
        any::<Index>().prop_map(Edit::Remove),
        (any::<Index>(), rule()).prop_map(|(index, rule)| Edit::Replace(index, rule)),
        (any::<Index>(), peer()).prop_map(|(index, peer)| Edit::Move(index, peer)),
    ]
}

impl Edit {
    pub fn apply(&self, rules: &mut Vec<Rule>) {
        match self {
            Self::Add(rule) => rules.push(*rule),
            Self::Remove(_) | Self::Replace(..) | Self::Move(..) if rules.is_empty() => {}
            Self::Remove(index) => drop(rules.swap_remove(index.index(rules.len()))),
            Self::Replace(index, rule) => {
                let at = index.index(rules.len());
                rules[at] = *rule;
            }
            Self::Move(index, peer) => {
                let at = index.index(rules.len());
                rules[at] = with_peer(&rules[at], *peer);
            }
        }
    }
}

pub fn policy(rules: &[Rule]) -> Policy {
    Policy::new(Direction::Ingress, rules.iter().copied())
}

/// Only the rules about one kind of peer: by address, by identity, by family.
pub fn policy_of_kind(rules: &[Rule], kind: u8) -> Policy {
    let of_kind = |rule: &&Rule| match rule.peer() {
        Peer::Prefix(prefix) if prefix.prefix_len() > 0 => kind == 0,
        Peer::Group(_) => kind == 1,
        Peer::Prefix(_) | Peer::Any => kind == 2,
    };
    Policy::new(Direction::Ingress, rules.iter().filter(of_kind).copied())
}

/// Whether the tables explain a verdict as the walk does, or by a rule that matches as well and says the same.
fn same(tables: &Tables, verdict: Verdict, packet: &Packet<'_>) -> bool {
    let rank = |rule: &Rule| (rule.priority(), rule.action(), rule.stateless());
    let (found, expected): (Decision, _) = (tables.explain(verdict), tables.policy().evaluate(packet));
    let rules = tables.policy().rules();
    match (found.reason, expected.reason) {
        (Reason::Rule(found), Reason::Rule(expected)) => {
            rules[found].matches(packet) && rank(&rules[found]) == rank(&rules[expected])
        }
        _ => found == expected,
    }
}

/// Every packet finds what its tables say.
fn check(tables: &Tables, maps: &Maps, cases: &[Case]) -> Result<(), TestCaseError> {
    for case in cases {
        let found = maps.look_up(&case.packet(), case.identity);
        prop_assert!(same(tables, found, &case.packet()), "{:?} finds {:?}", case, found);
    }
    Ok(())
}

/// The packets whose identity the tables know, if they have one.
pub fn of_known(mut cases: Vec<Case>, known: &BTreeMap<Identity, GroupSet>) -> Vec<Case> {
    cases.retain(|case| case.identity.is_none_or(|identity| known.contains_key(&identity)));
    cases
}

/// Makes the changes, and looks all packets up after each.
fn follow(maps: &mut Maps, update: &Update, cases: &[Case]) -> Result<(), TestCaseError> {
    let goal = &Maps::of(&update.tables);
    let start = maps.clone();
    let look_up = |maps: &Maps, case: &Case| maps.look_up(&case.packet(), case.identity);
    let ends: Vec<_> = cases.iter().map(|case| (case, look_up(&start, case), look_up(goal, case))).collect();
    for change in &update.changes {
        maps.apply(*change);
        for (case, before, after) in &ends {
            let now = look_up(maps, case);
            prop_assert!(now == *before || now == *after, "{:?} after {:?}: {:?}", case, change, now);
        }
        let (size, most) = (maps.size(), update.most);
        let fits =
            size.peers <= most.peers && size.identities <= most.identities && size.services <= most.services;
        prop_assert!(fits, "{:?} of {:?}", size, most);
    }
    prop_assert_eq!(&*maps, goal);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn one_rule_at_a_time(
        rules in rules(),
        edits in vec(edit(), 1..5),
        known in some_identities(),
        cases in packets(),
    ) {
        let (mut rules, cases) = (rules, of_known(cases, &known));
        let mut tables = Tables::compile(&policy(&rules), &known, &NO_LIMIT).unwrap();
        let mut maps = Maps::of(&tables);
        for edit in edits {
            edit.apply(&mut rules);
            let update = tables.recompile(&policy(&rules), &known, &NO_LIMIT).unwrap();
            follow(&mut maps, &update, &cases)?;
            tables = update.tables;
            check(&tables, &maps, &cases)?;
        }
    }

    /// By its family, its address and its identity, a packet finds the old or the new, however many rules change.
    #[test]
    fn all_rules_of_one_kind_at_once(
        before in rules(),
        after in rules(),
        known in some_identities(),
        cases in packets(),
        kind in 0u8..3,
    ) {
        let tables = Tables::compile(&policy_of_kind(&before, kind), &known, &NO_LIMIT).unwrap();
        let update = tables.recompile(&policy_of_kind(&after, kind), &known, &NO_LIMIT).unwrap();
        let cases = of_known(cases, &known);
        follow(&mut Maps::of(&tables), &update, &cases)?;
    }

    /// Any other policy and other identities: the outcome is right, whatever it was before.
    #[test]
    fn everything_at_once(versions in vec((rules(), some_identities()), 2..5), cases in packets()) {
        let mut tables = Tables::compile(&policy(&[]), &BTreeMap::new(), &NO_LIMIT).unwrap();
        let mut maps = Maps::of(&tables);
        for (rules, known) in versions {
            let update = tables.recompile(&policy(&rules), &known, &NO_LIMIT).unwrap();
            tables = update.tables;
            update.changes.into_iter().for_each(|change| maps.apply(change));
            prop_assert_eq!(&maps, &Maps::of(&tables));
            check(&tables, &maps, &of_known(cases.clone(), &known))?;
        }
    }
}
