//! The rules of a policy with numbers that they keep: an index would change for all rules behind a new one.

use std::cmp::Ordering;

use super::Numbers;
use crate::{Policy, Rule, RuleNumber};

/// A policy whose rules have numbers.
#[derive(Debug, Clone)]
pub(super) struct NumberedRules {
    policy: Policy,
    /// One for each rule of the policy.
    numbers: Vec<RuleNumber>,
    free: Numbers,
}

/// What differs between two policies.
#[derive(Debug, Default)]
pub(super) struct RuleChanges {
    pub(super) added: Vec<(Rule, RuleNumber)>,
    pub(super) removed: Vec<(Rule, RuleNumber)>,
}

impl NumberedRules {
    /// No rule, with the direction and default of `policy`.
    pub(super) fn empty(policy: &Policy) -> Self {
        let none = Policy::new(policy.direction(), []).with_default(policy.default_action());
        Self { policy: none, numbers: Vec::new(), free: Numbers::default() }
    }

    pub(super) const fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn index_of(&self, number: RuleNumber) -> Option<usize> {
        self.numbers.iter().position(|other| *other == number)
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = (RuleNumber, &Rule)> {
        self.numbers.iter().copied().zip(self.policy.rules())
    }

    /// The rules of `policy`, with the numbers that they have here. Both are in the same order, so one walk does.
    pub(super) fn next(&self, policy: &Policy) -> (Self, RuleChanges) {
        let mut changes = RuleChanges::default();
        let mut numbers = Vec::with_capacity(policy.rules().len());
        let mut free = self.free.clone();
        let mut old = self.policy.rules().iter().zip(&self.numbers).peekable();
        for rule in policy.rules() {
            while let Some((gone, number)) = old.next_if(|(other, _)| *other < rule) {
                changes.removed.push((*gone, *number));
            }
            let kept = old.next_if(|(other, _)| other.cmp(&rule) == Ordering::Equal);
            let number = kept.map_or_else(|| RuleNumber(free.take()), |(_, number)| *number);
            if kept.is_none() {
                changes.added.push((*rule, number));
            }
            numbers.push(number);
        }
        changes.removed.extend(old.map(|(gone, number)| (*gone, *number)));
        free.give_back(changes.removed.iter().map(|(_, number)| number.0));
        (Self { policy: policy.clone(), numbers, free }, changes)
    }
}
