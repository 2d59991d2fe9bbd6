//! What the groups of a port come to, for one direction; and the plain walk over its rules.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::{Action, Direction, Packet, Rule};

/// A named set of rules that ports are members of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its name.
    pub name: String,
    /// Its rules, in the order in which they are written.
    pub rules: Vec<Rule>,
}

/// The rules of one direction and what happens without one.
///
/// Equal policies treat every packet alike, for the rules are in one order, each once, and where they are from is left
/// out: ports whose groups come to the same rules can share what it compiles to. Clones share the rules, and are found to
/// be equal without a look at them.
#[derive(Debug, Clone, Eq)]
pub struct Policy {
    direction: Direction,
    default: Action,
    rules: Arc<[Rule]>,
}

/// What becomes of a packet, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of it.
    pub action: Action,
    /// Whether the next packet of the flow is judged anew.
    pub stateless: bool,
    /// What says so.
    pub reason: Reason,
}

/// What a decision is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No rule matches.
    Default,
    /// The rule with this index in [`Policy::rules`].
    Rule(usize),
}

/// Where a rule is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The name of the group.
    pub group: &'a str,
    /// Which of the group's rules it is, from 0.
    pub number: usize,
}

impl Policy {
    /// The policy of `rules`, of which those of the other direction are left out. Without a rule that matches, ingress
    /// is denied and egress allowed.
    #[must_use]
    pub fn new(direction: Direction, rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut rules: Vec<_> = rules.into_iter().filter(|rule| rule.direction() == direction).collect();
        rules.sort_unstable();
        rules.dedup();
        let default = match direction {
            Direction::Ingress => Action::Deny,
            Direction::Egress => Action::Allow,
        };
        Self { direction, default, rules: rules.into() }
    }

    /// The policy of the rules of all `groups`.
    #[must_use]
    pub fn of_groups<'a>(direction: Direction, groups: impl IntoIterator<Item = &'a SecurityGroup>) -> Self {
        Self::new(direction, groups.into_iter().flat_map(|group| group.rules.iter().copied()))
    }

    /// The same rules with another default.
    #[must_use]
    pub fn with_default(self, default: Action) -> Self {
        Self { default, ..self }
    }

    /// The direction of all its rules.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// What becomes of a packet that no rule matches.
    #[must_use]
    pub const fn default_action(&self) -> Action {
        self.default
    }

    /// The rules, in the order in which they count.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What becomes of a packet: the first rule that matches decides.
    #[must_use]
    pub fn evaluate(&self, packet: &Packet<'_>) -> Decision {
        match self.rules.iter().position(|rule| rule.matches(packet)) {
            Some(index) => {
                let rule = &self.rules[index];
                Decision { action: rule.action(), stateless: rule.stateless(), reason: Reason::Rule(index) }
            }
            None => Decision { action: self.default, stateless: false, reason: Reason::Default },
        }
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.direction == other.direction
            && self.default == other.default
            && (Arc::ptr_eq(&self.rules, &other.rules) || self.rules == other.rules)
    }
}

impl Hash for Policy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { direction, default, rules } = self;
        (direction, default, rules).hash(state);
    }
}

/// Where `rule` is written in `groups`: at least once if it is of a policy of theirs, and several times if they repeat it.
pub fn origins<'a>(
    rule: &Rule,
    groups: impl IntoIterator<Item = &'a SecurityGroup>,
) -> impl Iterator<Item = Origin<'a>> {
    groups.into_iter().flat_map(move |group| {
        let numbered = group.rules.iter().enumerate().filter(move |(_, other)| *other == rule);
        numbered.map(|(number, _)| Origin { group: &group.name, number })
    })
}

#[cfg(test)]
mod tests;
