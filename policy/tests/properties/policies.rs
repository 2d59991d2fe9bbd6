//! A policy is the same whatever order its groups come in.

use proptest::collection::vec;
use proptest::prelude::*;
use weft_policy::{Direction, Origin, Policy, SecurityGroup, origins};

use super::universe::{packet, rules};

proptest! {
    #[test]
    fn order_and_repetition_do_not_count(
        groups in vec(rules(), 0..4),
        again in any::<prop::sample::Index>(),
        shuffled in Just(()).prop_perturb(|(), rng| rng),
    ) {
        let groups: Vec<_> = groups
            .into_iter()
            .enumerate()
            .map(|(number, rules)| SecurityGroup { name: format!("group-{number}"), rules })
            .collect();
        let policy = Policy::of_groups(Direction::Ingress, &groups);

        let mut other = groups.clone();
        if !groups.is_empty() {
            other.push(groups[again.index(groups.len())].clone());
        }
        let mut rng = shuffled;
        other.sort_by_cached_key(|_| rng.next_u32());
        for group in &mut other {
            group.rules.sort_by_cached_key(|_| rng.next_u32());
        }
        prop_assert_eq!(&policy, &Policy::of_groups(Direction::Ingress, &other));

        for rule in policy.rules() {
            prop_assert!(rule.direction() == Direction::Ingress);
            let found: Vec<_> = origins(rule, &groups).collect();
            let says = |at: &Origin<'_>| {
                groups.iter().any(|group| group.name == at.group && group.rules[at.number] == *rule)
            };
            prop_assert!(!found.is_empty() && found.iter().all(says));
        }
    }

    /// The walk ends at the first rule that matches: no other that matches counts before it.
    #[test]
    fn the_best_rule_decides(rules in rules(), case in packet()) {
        let policy = Policy::new(Direction::Ingress, rules);
        let packet = case.packet();
        let decision = policy.evaluate(&packet);
        let best = policy.rules().iter().filter(|rule| rule.matches(&packet)).min_by_key(|rule| {
            (rule.priority(), rule.action(), rule.stateless())
        });
        prop_assert_eq!(decision.action, best.map_or(policy.default_action(), |rule| rule.action()));
        prop_assert_eq!(decision.stateless, best.is_some_and(|rule| rule.stateless()));
    }
}
