//! What the tables hold for policies at the edge, how they grow, and which numbers stay.

use super::*;
use crate::{Action, Direction, GroupId, Maps, Packet, Peer, Protocol, Rule, RuleSpec};

const NO_LIMIT: Size = Size { peers: usize::MAX, identities: usize::MAX, services: usize::MAX };

fn rule(action: Action, protocol: Protocol, ports: Option<(u16, u16)>, peer: Peer) -> Rule {
    let ports = ports.map(|(first, last)| first..=last);
    let spec = RuleSpec {
        direction: Direction::Ingress,
        action,
        priority: 1,
        protocol,
        ports,
        icmp: None,
        peer,
        stateless: false,
    };
    Rule::new(spec).unwrap()
}

fn tcp(port: u16, peer: Peer) -> Rule {
    rule(Action::Allow, Protocol::Tcp, Some((port, port)), peer)
}

fn prefix(text: &str) -> Peer {
    Peer::Prefix(text.parse().unwrap())
}

fn group(number: u32) -> Peer {
    Peer::Group(GroupId(number))
}

fn ingress(rules: impl IntoIterator<Item = Rule>) -> Policy {
    Policy::new(Direction::Ingress, rules)
}

fn identities<const N: usize>(sets: [&[u32]; N]) -> BTreeMap<Identity, GroupSet> {
    let sets = sets.into_iter().map(|set| set.iter().copied().map(GroupId).collect());
    (0..).map(Identity).zip(sets).collect()
}

fn compile(policy: &Policy, identities: &BTreeMap<Identity, GroupSet>) -> Tables {
    Tables::compile(policy, identities, &NO_LIMIT).unwrap()
}

fn change(tables: &Tables, policy: &Policy, identities: &BTreeMap<Identity, GroupSet>) -> Update {
    tables.recompile(policy, identities, &NO_LIMIT).unwrap()
}

#[test]
fn nothing_but_the_default() {
    let tables = compile(&ingress([]), &identities([&[1]]));
    assert_eq!(tables.size(), Size::default());
    assert_eq!(tables.entries().collect::<Vec<_>>(), [Change::SetDefault(Action::Deny)]);
    let update = change(&tables, &ingress([]).with_default(Action::Allow), &BTreeMap::new());
    assert_eq!(update.changes, [Change::SetDefault(Action::Allow)]);
    assert_eq!(change(&update.tables, update.tables.policy(), &BTreeMap::new()).changes, []);
}

#[test]
fn the_ends_of_prefixes_and_ports() {
    let rules = [
        tcp(0, prefix("0.0.0.0/0")),
        tcp(65535, prefix("10.0.0.1/32")),
        tcp(1, prefix("fd00::1/128")),
        rule(Action::Allow, Protocol::Icmp, None, Peer::Any),
        rule(Action::Allow, Protocol::Icmpv6, None, group(1)),
    ];
    let policy = ingress(rules);
    let tables = compile(&policy, &identities([&[1]]));
    let maps = Maps::of(&tables);
    let (known, unknown): (GroupSet, _) = ([GroupId(1)].into_iter().collect(), GroupSet::empty());
    let table = [
        ("10.0.0.1", false, 6, 0, true),
        ("10.0.0.1", false, 6, 65535, true),
        ("10.0.0.1", false, 6, 65534, false),
        ("10.0.0.2", false, 6, 65535, false),
        ("255.255.255.255", false, 6, 0, true),
        ("fd00::1", false, 6, 0, false),
        ("fd00::1", false, 6, 1, true),
        ("fd00::", false, 6, 1, false),
        ("10.0.0.1", false, 1, 0x0800, true),
        // ICMP over IPv6 and ICMPv6 over IPv4 are no ICMP.
        ("fd00::1", false, 1, 0x0800, false),
        ("fd00::1", true, 58, 0x8000, true),
        ("fd00::1", false, 58, 0x8000, false),
        ("10.0.0.1", true, 58, 0x8000, false),
    ];
    for (peer, is_known, protocol, detail, allowed) in table {
        let groups = if is_known { &known } else { &unknown };
        let packet = Packet { peer: peer.parse().unwrap(), groups, protocol, detail };
        let found = tables.explain(maps.look_up(&packet, is_known.then_some(Identity(0))));
        assert_eq!(found, policy.evaluate(&packet), "{packet:?}");
        assert_eq!(found.action == Action::Allow, allowed, "{packet:?}");
    }
}

#[test]
fn rules_about_any_peer_multiply_with_nothing() {
    let net = |number: u8| prefix(&format!("10.{number}.0.0/16"));
    let rules = (0..100).map(|number| tcp(80 + u16::from(number), net(number)));
    let all = [tcp(443, Peer::Any), tcp(444, prefix("0.0.0.0/0")), tcp(445, prefix("::/0"))];
    let size = compile(&ingress(rules.chain(all)), &BTreeMap::new()).size();
    // One for each prefix; one for port 443 in each family, and one for each of the others.
    assert_eq!(size, Size { peers: 100, identities: 0, services: 100 + 4 });
}

#[test]
fn prefixes_within_each_other_repeat_rules() {
    let rules = [tcp(1, prefix("10.0.0.0/8")), tcp(3, prefix("10.1.0.0/16")), tcp(5, prefix("10.1.1.0/24"))];
    assert_eq!(compile(&ingress(rules), &BTreeMap::new()).size().services, 1 + 2 + 3);
}

#[test]
fn identities_share_what_the_policy_tells_apart() {
    let rules = [tcp(1, group(1)), tcp(3, group(2))];
    let tables = compile(&ingress(rules), &identities([&[1], &[1, 7], &[1, 2], &[7], &[]]));
    // {1} and {1, 2} are told apart; nobody asks for 7.
    assert_eq!(tables.size(), Size { peers: 0, identities: 3, services: 1 + 2 });
}

#[test]
fn a_change_touches_what_it_is_about() {
    let (near, far) = (prefix("10.0.0.0/16"), prefix("192.0.2.0/24"));
    let before = [tcp(80, near), tcp(80, far), tcp(80, group(1))];
    let tables = compile(&ingress(before), &identities([&[1]]));

    let added = ingress(before.into_iter().chain([tcp(443, far)]));
    let update = change(&tables, &added, &identities([&[1]]));
    assert_eq!(update.changes.len(), 1, "{:?}", update.changes);
    assert!(matches!(update.changes[0], Change::SetService(..)));

    // Back again, and under the same number.
    let back = change(&update.tables, &ingress(before), &identities([&[1]]));
    assert!(matches!(back.changes[..], [Change::RemoveService(_)]), "{:?}", back.changes);
    assert_eq!(Maps::of(&back.tables), Maps::of(&tables));

    // A class goes with its prefix, and nobody is in it any more when its entries go.
    let removed = change(&tables, &ingress([tcp(80, near), tcp(80, group(1))]), &identities([&[1]]));
    assert!(
        matches!(removed.changes[..], [Change::RemovePeer(_), Change::Wait, Change::RemoveService(_)]),
        "{:?}",
        removed.changes
    );
}

/// A rule that is replaced is not gone before the other one is there, whatever kinds of peers they are about.
#[test]
fn what_adds_comes_first() {
    let stays = tcp(80, group(1));
    let (about_all, about_two) =
        (ingress([stays, tcp(443, Peer::Any)]), ingress([stays, tcp(443, group(2))]));
    let known = identities([&[1, 2]]);
    let tables = compile(&about_all, &known);
    let there = change(&tables, &about_two, &known);
    assert!(
        matches!(
            there.changes[..],
            [
                // Members of 1 and 2 have another class now.
                Change::SetService(..),
                Change::SetService(..),
                Change::SetIdentity(..),
                Change::Wait,
                // Any peer, in both families.
                Change::RemoveService(ServiceKey { class: ClassId(0), .. }),
                Change::RemoveService(ServiceKey { class: ClassId(1), .. }),
                Change::Wait,
                // Members of 1 alone: there are none.
                Change::RemoveService(_),
            ]
        ),
        "{:?}",
        there.changes
    );
    assert_eq!(there.most, Size { peers: 0, identities: 1, services: 3 + 2 });
    let back = change(&there.tables, &about_all, &known);
    assert!(
        matches!(
            back.changes[..],
            [
                Change::SetService(..),
                Change::Wait,
                Change::SetService(ServiceKey { class: ClassId(0), .. }, _),
                Change::SetService(ServiceKey { class: ClassId(1), .. }, _),
                Change::Wait,
                Change::SetIdentity(..),
                Change::Wait,
                Change::RemoveService(_),
                Change::RemoveService(_),
            ]
        ),
        "{:?}",
        back.changes
    );
}

#[test]
fn too_large_says_what_and_how_much() {
    let policy = ingress((0..50).map(|port| tcp(port * 2, prefix("10.0.0.0/8"))));
    let limit = Size { services: 10, ..NO_LIMIT };
    let error = Tables::compile(&policy, &BTreeMap::new(), &limit).unwrap_err();
    assert_eq!(error, TooLarge { table: Table::Services, needed: 50, limit: 10 });
    assert!(
        error
            .to_string()
            .starts_with("the policy takes 50 entries or more in the table of services, which may have 10: ")
    );
    let tables = compile(&ingress([]), &BTreeMap::new());
    assert_eq!(tables.recompile(&policy, &BTreeMap::new(), &limit).unwrap_err(), error);
}

/// A thousand prefixes within each other with ranges of ports are refused before they take memory.
#[test]
fn what_multiplies_ends_at_the_limit() {
    let rules = (0..1_000u32).flat_map(|number| {
        let net = prefix(&format!("10.{}.{}.0/24", number / 250, number % 250));
        let wide = prefix(&format!("{}.0.0.0/5", 8));
        let port = u16::try_from(number * 8).unwrap();
        [tcp(port, net), tcp(port + 2, wide)]
    });
    let limit = Size { services: 100_000, ..NO_LIMIT };
    let error = Tables::compile(&ingress(rules), &BTreeMap::new(), &limit).unwrap_err();
    assert!((100_001..102_000).contains(&error.needed), "{error}");
}
