//! Defaults, which of several rules decides, and where it is from.

use super::*;
use crate::{GroupId, GroupSet, Peer, Protocol, RuleSpec};

fn rule(direction: Direction, action: Action, priority: u16, protocol: Protocol, stateless: bool) -> Rule {
    let spec = RuleSpec {
        direction,
        action,
        priority,
        protocol,
        ports: None,
        icmp: None,
        peer: Peer::Any,
        stateless,
    };
    Rule::new(spec).unwrap()
}

fn decide(policy: &Policy) -> (Action, bool, Reason) {
    let groups = GroupSet::empty();
    let packet = Packet { peer: [10, 0, 0, 1].into(), groups: &groups, protocol: 6, detail: 80 };
    let Decision { action, stateless, reason } = policy.evaluate(&packet);
    (action, stateless, reason)
}

#[test]
fn defaults() {
    let ingress = Policy::new(Direction::Ingress, []);
    let egress = Policy::new(Direction::Egress, []);
    assert_eq!(decide(&ingress), (Action::Deny, false, Reason::Default));
    assert_eq!(decide(&egress), (Action::Allow, false, Reason::Default));
    assert_eq!(decide(&ingress.with_default(Action::Allow)), (Action::Allow, false, Reason::Default));
    assert_eq!(decide(&egress.with_default(Action::Deny)), (Action::Deny, false, Reason::Default));
}

#[test]
fn the_first_that_matches_decides() {
    use Action::{Allow, Deny};
    let rule = |action, priority, protocol, stateless| {
        rule(Direction::Ingress, action, priority, protocol, stateless)
    };
    let table = [
        // The lower priority, whatever it says.
        (vec![rule(Deny, 2, Protocol::Any, false), rule(Allow, 1, Protocol::Any, false)], (Allow, false, 0)),
        // Deny, of equal ones.
        (vec![rule(Allow, 1, Protocol::Tcp, false), rule(Deny, 1, Protocol::Any, false)], (Deny, false, 0)),
        // Stateful, of equal ones.
        (vec![rule(Allow, 1, Protocol::Any, true), rule(Allow, 1, Protocol::Tcp, false)], (Allow, false, 0)),
        (vec![rule(Allow, 1, Protocol::Any, true), rule(Allow, 0, Protocol::Udp, false)], (Allow, true, 1)),
        (vec![rule(Deny, u16::MAX, Protocol::Any, false)], (Deny, false, 0)),
    ];
    for (rules, (action, stateless, index)) in table {
        let policy = Policy::new(Direction::Ingress, rules).with_default(Allow);
        assert_eq!(decide(&policy), (action, stateless, Reason::Rule(index)));
    }
}

#[test]
fn equal_for_equal_rules() {
    let allow = |direction, protocol| rule(direction, Action::Allow, 1, protocol, false);
    let group = |name: &str, rules: Vec<Rule>| SecurityGroup { name: name.to_owned(), rules };
    let (tcp, udp) =
        (allow(Direction::Ingress, Protocol::Tcp), allow(Direction::Ingress, Protocol::Number(17)));
    let other_way = allow(Direction::Egress, Protocol::Icmp);
    let (web, all) = (group("web", vec![udp, tcp, other_way]), group("all", vec![tcp]));

    let policy = Policy::of_groups(Direction::Ingress, [&web, &all]);
    assert_eq!(policy, Policy::of_groups(Direction::Ingress, [&all, &web]));
    assert_eq!(policy.rules(), [tcp, udp]);
    assert_ne!(policy, policy.clone().with_default(Action::Allow));
    let found: Vec<_> = origins(&tcp, [&web, &all]).collect();
    assert_eq!(found, [Origin { group: "web", number: 1 }, Origin { group: "all", number: 0 }]);
}

#[test]
fn groups_of_a_peer_are_a_set() {
    let set = |numbers: &[u32]| -> GroupSet { numbers.iter().copied().map(GroupId).collect() };
    assert_eq!(set(&[3, 1, 3]), set(&[1, 3]));
    assert!(set(&[]).is_empty());
    assert_eq!(set(&[5, 1, 3]).only(|group| group.0 > 1), set(&[3, 5]));
}
