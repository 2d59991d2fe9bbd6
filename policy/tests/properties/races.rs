//! A look-up reads several entries, and changes are made between one and the next. Whatever the moments, as long as it does
//! not last over a wait, it decides as it did before or as it will.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weft_policy::{Candidate, Change, ClassId, Family, GroupSet, Identity, Maps, Policy, Tables};

use super::changes::{edit, of_known, policy, policy_of_kind};
use super::universe::{Case, NO_LIMIT, packets, rules, some_identities};

/// The maps after each change, in stretches that end at a wait.
fn stretches(start: Maps, changes: &[Change]) -> Vec<Vec<Maps>> {
    let mut now = start;
    let mut stretches = Vec::new();
    for changes in changes.split(|change| *change == Change::Wait) {
        let mut stretch = vec![now.clone()];
        for change in changes {
            now.apply(*change);
            stretch.push(now.clone());
        }
        stretches.push(stretch);
    }
    stretches
}

/// What can be found of a class that is looked up at one moment, and asked for its rule at the same or a later one.
fn candidates(stretch: &[Maps], case: &Case, class: impl Fn(&Maps) -> Option<ClassId>) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut last = None;
    for (at, maps) in stretch.iter().enumerate() {
        let class = class(maps);
        // One that was seen a moment ago could be asked at each of these moments, and was.
        if last.replace(class) == Some(class) {
            continue;
        }
        match class {
            None => found.push(Candidate::NONE),
            Some(class) => found.extend(stretch[at..].iter().map(|maps| maps.best(class, &case.packet()))),
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn check(
    before: &Policy,
    after: &Policy,
    known: &BTreeMap<Identity, GroupSet>,
    cases: Vec<Case>,
) -> Result<(), TestCaseError> {
    let tables = Tables::compile(before, known, &NO_LIMIT).unwrap();
    let update = tables.recompile(after, known, &NO_LIMIT).unwrap();
    let (start, goal) = (Maps::of(&tables), Maps::of(&update.tables));
    let stretches = stretches(start.clone(), &update.changes);
    for case in of_known(cases, known) {
        let (packet, identity) = (case.packet(), case.identity);
        let ends = [start.look_up(&packet, identity), goal.look_up(&packet, identity)];
        let any = ClassId::any(Family::of(case.peer));
        for stretch in &stretches {
            let by_family = candidates(stretch, &case, |_| Some(any));
            let by_address = candidates(stretch, &case, |maps| maps.classes(&packet, identity).0);
            let by_identity = candidates(stretch, &case, |maps| maps.classes(&packet, identity).1);
            for (one, two) in by_family.iter().flat_map(|one| by_address.iter().map(move |two| (one, two))) {
                for three in &by_identity {
                    let found = start.verdict(*one.min(two).min(three));
                    prop_assert!(ends.contains(&found), "{:?} finds {:?}", case, found);
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn while_one_rule_changes(
        rules in rules(),
        edit in edit(),
        known in some_identities(),
        cases in packets(),
    ) {
        let before = policy(&rules);
        let mut rules = rules;
        edit.apply(&mut rules);
        check(&before, &policy(&rules), &known, cases)?;
    }

    #[test]
    fn while_all_rules_of_one_kind_change(
        before in rules(),
        after in rules(),
        known in some_identities(),
        cases in packets(),
        kind in 0u8..3,
    ) {
        check(&policy_of_kind(&before, kind), &policy_of_kind(&after, kind), &known, cases)?;
    }
}
