//! What a look-up finds: a rule that matches, in eight bytes, of which the lowest number counts.

use std::fmt;

use crate::{Action, Rule};

/// The number of a rule, which it keeps while it is in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleNumber(pub u32);

/// The best rule of a class for a service.
///
/// From the highest bit: 16 of the priority, 14 that are 0, one for allow, one for stateless, 32 of the rule's number. So the
/// order of the numbers is that in which rules count, and the best of several candidates is their minimum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidate(u64);

const ALLOW: u64 = 1 << 33;
const STATELESS: u64 = 1 << 32;

impl Candidate {
    /// No rule matches. It counts behind every rule.
    pub const NONE: Self = Self(u64::MAX);

    pub(crate) fn new(rule: &Rule, number: RuleNumber) -> Self {
        let action = match rule.action() {
            Action::Deny => 0,
            Action::Allow => ALLOW,
        };
        let stateless = if rule.stateless() { STATELESS } else { 0 };
        Self(u64::from(rule.priority()) << 48 | action | stateless | u64::from(number.0))
    }

    #[cfg(test)]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The value of an entry.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What the rule says; none if there is none.
    #[must_use]
    pub fn action(self) -> Option<Action> {
        let action = if self.0 & ALLOW == 0 { Action::Deny } else { Action::Allow };
        (self != Self::NONE).then_some(action)
    }

    /// Whether the rule judges packets one by one.
    #[must_use]
    pub fn stateless(self) -> bool {
        self != Self::NONE && self.0 & STATELESS != 0
    }

    /// The rule, if there is one.
    #[must_use]
    pub fn rule(self) -> Option<RuleNumber> {
        (self != Self::NONE).then_some(RuleNumber((self.0 & 0xffff_ffff) as u32))
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.action(), self.rule()) {
            (Some(action), Some(rule)) => write!(f, "{action} by rule {} ({:#x})", rule.0, self.0 >> 32),
            _ => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, Peer, Protocol, RuleSpec};

    fn candidate(priority: u16, action: Action, stateless: bool, number: u32) -> Candidate {
        let rule = Rule::new(RuleSpec {
            direction: Direction::Ingress,
            action,
            priority,
            protocol: Protocol::Any,
            ports: None,
            icmp: None,
            peer: Peer::Any,
            stateless,
        });
        Candidate::new(&rule.unwrap(), RuleNumber(number))
    }

    #[test]
    fn in_the_order_in_which_rules_count() {
        let order = [
            candidate(0, Action::Allow, true, u32::MAX),
            candidate(1, Action::Deny, false, 7),
            candidate(1, Action::Deny, true, 0),
            candidate(1, Action::Allow, false, 3),
            candidate(1, Action::Allow, false, 4),
            candidate(1, Action::Allow, true, 0),
            candidate(u16::MAX, Action::Allow, true, u32::MAX),
            Candidate::NONE,
        ];
        assert!(order.is_sorted_by(|one, other| one < other));
        assert_eq!(order[1].bits(), 1 << 48 | 7);
        assert_eq!(order[5].bits(), 1 << 48 | 1 << 33 | 1 << 32);
    }

    #[test]
    fn what_it_says() {
        let table = [
            (candidate(9, Action::Allow, true, 3), Some(Action::Allow), true, Some(RuleNumber(3))),
            (
                candidate(9, Action::Deny, false, u32::MAX),
                Some(Action::Deny),
                false,
                Some(RuleNumber(u32::MAX)),
            ),
            (Candidate::NONE, None, false, None),
        ];
        for (candidate, action, stateless, rule) in table {
            assert_eq!(
                (candidate.action(), candidate.stateless(), candidate.rule()),
                (action, stateless, rule)
            );
        }
    }
}
