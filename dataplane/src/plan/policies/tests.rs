use std::net::IpAddr;

use weft_dataplane_abi::{MembershipKey, PortSecurity, port_flags};
use weft_policy::{Action, Direction, GroupSet, Policy, Protocol, RuleNumber, RuleSpec};

use super::*;

const LIMIT: usize = 64;

fn allow(port: u16, peer: Peer) -> Rule {
    let spec = RuleSpec {
        direction: Direction::Ingress,
        action: Action::Allow,
        priority: 100,
        protocol: Protocol::Tcp,
        ports: Some(port..=port),
        icmp: None,
        peer,
        stateless: false,
    };
    Rule::new(spec).unwrap()
}

/// Lets in TCP to these ports, from anywhere.
fn to(ports: &[u16]) -> Security {
    let rules = ports.iter().map(|port| allow(*port, Peer::Any));
    Security { ingress: Policy::new(Direction::Ingress, rules), ..Security::open() }
}

/// So many rules that they do not fit.
fn too_many() -> Security {
    let peer = |last: u8| Peer::Prefix(IpNet::from(IpAddr::from([10, 0, 0, last])));
    let rules = (0..=u8::MAX).map(|last| allow(80, peer(last)));
    Security { ingress: Policy::new(Direction::Ingress, rules), ..Security::open() }
}

fn from_group(group: u32) -> Security {
    let rule = allow(80, Peer::Group(GroupId(group)));
    Security { ingress: Policy::new(Direction::Ingress, [rule]), ..Security::open() }
}

/// Policies, and what the kernel would hold of ports.
struct World {
    policies: Policies,
    held: BTreeMap<u32, PortSecurity>,
    identities: Identities,
}

/// What a change did.
struct Done {
    ingress: Vec<u32>,
    /// Numbers, and whether nobody looked anything up under them yet.
    steps: Vec<(u32, bool)>,
    gone: Vec<u32>,
    failures: Vec<String>,
}

impl World {
    fn new() -> Self {
        let policies = Policies::found(BTreeMap::new(), [], LIMIT);
        Self { policies, held: BTreeMap::new(), identities: Identities::default() }
    }

    fn plan(&self, securities: &[Security]) -> PolicyPlan {
        let ports = securities.iter().zip(0..).map(|(security, port)| GuardedPort {
            name: ["a", "b", "c", "d"][usize::try_from(port).unwrap()],
            ifindex: 30 + port,
            security,
        });
        self.policies.plan(&ports.collect::<Vec<_>>(), &self.held, &self.identities)
    }

    /// Ports from interface index 30 on get these.
    fn have(&mut self, securities: &[Security]) -> Done {
        let plan = self.plan(securities);
        self.carry_out(plan)
    }

    fn carry_out(&mut self, plan: PolicyPlan) -> Done {
        self.held = plan.guards.clone();
        let steps = plan.steps.iter().map(|step| (step.number, step.is_new)).collect();
        let failures = plan.failures.iter().map(ToString::to_string).collect();
        let gone = self.policies.adopt(plan).gone.into_keys().collect();
        Done { ingress: self.held.values().map(|held| held.ingress).collect(), steps, gone, failures }
    }
}

#[test]
fn ports_with_one_policy_share_a_number_and_ports_without_rules_have_none() {
    let mut world = World::new();
    let done = world.have(&[to(&[80]), to(&[80]), to(&[443]), Security::open()]);
    assert_eq!(done.ingress, [1, 1, 2, 0]);
    assert_eq!(done.steps, [(1, true), (2, true)]);
    let firewall = port_flags::FIREWALL | port_flags::EGRESS_ALLOWED;
    assert_eq!(world.held[&30].flags, firewall);
    assert_eq!(world.held[&33].flags, port_flags::INGRESS_ALLOWED | port_flags::EGRESS_ALLOWED);
    let done = world.have(&[to(&[80]), to(&[80]), to(&[443]), Security::open()]);
    assert!(done.steps.is_empty() && done.gone.is_empty());
    let tables = world.policies.tables(2).unwrap();
    assert_eq!(tables.numbered().next(), Some((RuleNumber(0), &allow(443, Peer::Any))));
}

#[test]
fn a_port_without_any_rule_may_still_be_closed() {
    let mut world = World::new();
    let closed = Security { ingress: Policy::new(Direction::Ingress, []), ..Security::open() };
    let done = world.have(&[closed]);
    assert_eq!(done.ingress, [0]);
    assert_eq!(world.held[&30].flags, port_flags::FIREWALL | port_flags::EGRESS_ALLOWED);
}

#[test]
fn a_policy_whose_ports_all_change_it_hands_its_number_on() {
    let mut world = World::new();
    world.have(&[to(&[80]), to(&[80]), to(&[443])]);
    let done = world.have(&[to(&[80, 81]), to(&[80, 81]), to(&[443])]);
    assert_eq!((done.ingress, done.steps, done.gone), (vec![1, 1, 2], vec![(1, false)], vec![]));
    // One of them alone goes its own way.
    let done = world.have(&[to(&[80, 82]), to(&[80, 81]), to(&[443])]);
    assert_eq!((done.ingress, done.steps, done.gone), (vec![3, 1, 2], vec![(3, true)], vec![]));
    // To one that is there already: the number goes.
    let done = world.have(&[to(&[443]), to(&[80, 81]), to(&[443])]);
    assert_eq!((done.ingress, done.steps, done.gone), (vec![2, 1, 2], vec![], vec![3]));
    // A number is not given out again, and another port may come to one that changes.
    let done = world.have(&[to(&[443]), to(&[22]), to(&[443]), to(&[22])]);
    assert_eq!((done.ingress, done.steps), (vec![2, 1, 2, 1], vec![(1, false)]));
    // Two numbers become one.
    let done = world.have(&[to(&[23]), to(&[23]), to(&[23]), to(&[23])]);
    assert_eq!((done.ingress, done.gone), (vec![1, 1, 1, 1], vec![2]));
    assert_eq!(world.have(&[]).gone, [1]);
}

#[test]
fn a_default_changes_without_an_entry() {
    let mut world = World::new();
    world.have(&[to(&[80])]);
    let Security { ingress, .. } = to(&[80]);
    let open = Security { ingress: ingress.with_default(Action::Allow), ..Security::open() };
    let done = world.have(&[open]);
    assert_eq!((done.ingress, done.steps), (vec![1], vec![(1, false)]));
    assert!(world.held[&30].flags & port_flags::INGRESS_ALLOWED != 0);
}

#[test]
fn what_does_not_fit_is_refused_and_the_port_keeps_what_it_has() {
    let mut world = World::new();
    world.have(&[to(&[80]), Security::open()]);
    let before = world.held.clone();
    let done = world.have(&[too_many(), too_many()]);
    assert_eq!((done.ingress, done.steps, done.gone), (vec![1, 0], vec![], vec![]));
    assert_eq!(world.held, before);
    let [a, b] = done.failures.as_slice() else { panic!("{:?}", done.failures) };
    assert!(a.starts_with("port a: ") && a.contains("goes by the rules that it had"), "{a}");
    assert!(b.starts_with("port b: ") && b.contains("is let through as it was"), "{b}");
    // And goes on from there.
    let done = world.have(&[to(&[81]), to(&[81])]);
    assert_eq!((done.ingress, done.failures.len()), (vec![1, 1], 0));
}

#[test]
fn a_port_that_has_nothing_yet_gets_nothing_through() {
    let mut world = World::new();
    let egress = to(&[80]).ingress;
    let done = world.have(&[Security { egress, ..too_many() }, to(&[80])]);
    assert_eq!(done.ingress, [0, 1]);
    assert_eq!(world.held[&30], PortSecurity { flags: port_flags::FIREWALL, ..PortSecurity::default() });
    assert!(done.failures[0].contains("nothing else is"), "{:?}", done.failures);
}

#[test]
fn all_policies_together_must_fit() {
    let mut world = World::new();
    let many = |first: u16| to(&(first..first + 10).map(|port| 2 * port).collect::<Vec<_>>());
    // Twenty entries each, and room for 64.
    let done = world.have(&[many(1), many(101), many(201), many(301)]);
    assert_eq!((done.ingress, done.failures.len()), (vec![1, 2, 3, 0], 1));
    assert!(done.failures[0].starts_with("port d: "), "{:?}", done.failures);
}

#[test]
fn entries_that_the_kernel_refuses_are_nobody_s() {
    let mut world = World::new();
    world.have(&[to(&[80])]);
    let mut plan = world.plan(&[to(&[80]), to(&[81])]);
    plan.give_up(&world.policies, 2, &world.held, "no");
    let done = world.carry_out(plan);
    assert_eq!((done.ingress, done.gone), (vec![1, 0], vec![2]));
    assert_eq!(world.held[&31].flags, port_flags::FIREWALL);
    // One that changes in place stays, whatever it is now, until there is another.
    let mut plan = world.plan(&[to(&[90])]);
    plan.give_up(&world.policies, 1, &world.held, "no");
    let done = world.carry_out(plan);
    assert_eq!((done.ingress, done.failures.len(), done.gone), (vec![1], 1, vec![]));
    let done = world.have(&[to(&[90])]);
    assert_eq!((done.ingress, done.steps, done.gone), (vec![3], vec![(3, true)], vec![1]));
}

#[test]
fn numbers_of_before_are_left_and_not_given_out() {
    let keys = PolicyKeys::of(
        4,
        Tables::compile(&to(&[80]).ingress, &BTreeMap::new(), &rest(LIMIT, Size::default()))
            .unwrap()
            .entries(),
    );
    let mut world = World::new();
    world.policies = Policies::found(BTreeMap::from([(4, keys.clone()), (5, keys.clone())]), [4, 6], LIMIT);
    world.held =
        [30, 31].map(|port| (port, PortSecurity { ingress: 4, flags: 1, ..PortSecurity::default() })).into();
    // What is refused goes by what was there.
    let done = world.have(&[to(&[80]), too_many()]);
    assert_eq!((done.ingress, done.gone), (vec![7, 4], vec![5]));
    let done = world.have(&[to(&[80]), to(&[80])]);
    assert_eq!((done.ingress, done.gone), (vec![7, 7], vec![4]));
}

#[test]
fn sets_of_groups_that_come_and_go_change_the_policies_that_name_one() {
    let mut world = World::new();
    world.have(&[from_group(7), from_group(8)]);
    world.identities.settle();
    let set: GroupSet = [GroupId(7), GroupId(9)].into_iter().collect();
    let number = world.identities.claim(&set);
    let plan = world.policies.plan_identities(&world.identities);
    let [step] = plan.steps.as_slice() else { panic!("{:?}", plan.steps) };
    assert_eq!((step.number, step.is_new), (1, false));
    assert!(step.changes.iter().any(|change| matches!(change, Change::SetIdentity(Identity(1), _))));
    world.policies.adopt(plan);
    world.identities.settle();
    assert!(world.policies.plan_identities(&world.identities).steps.is_empty());

    world.identities.take_unrecorded();
    world.identities.release(number);
    assert_eq!(world.identities.forget_unused().len(), 2);
    let plan = world.policies.plan_identities(&world.identities);
    assert!(plan.steps[0].changes.contains(&Change::RemoveIdentity(Identity(1))));
    world.policies.adopt(plan);
    assert_eq!(world.policies.size().identities, 0);
}

#[test]
fn sets_that_were_recorded_are_compiled_in_at_once() {
    let recorded = MembershipKey { identity: 3, group: 7 };
    let mut world = World { identities: Identities::recorded([recorded]), ..World::new() };
    world.have(&[from_group(7)]);
    assert_eq!(world.policies.size().identities, 1);
}

#[test]
fn a_rule_that_goes_is_told_of_by_its_number() {
    let mut world = World::new();
    world.have(&[to(&[80, 90])]);
    let plan = world.plan(&[to(&[70, 90])]);
    let left = world.policies.adopt(plan);
    let by = DecidedBy { direction: Direction::Ingress, rule: Some(allow(80, Peer::Any)) };
    assert_eq!(left.retired, [(RuleKey { policy: 1, rule: 0 }, by)]);
    let left = world.policies.adopt(PolicyPlan::default());
    assert_eq!((left.gone.len(), left.tables[&1].numbered().count()), (1, 2));
}

#[test]
fn what_a_port_goes_on_by_knows_new_sets_too() {
    let mut world = World::new();
    world.have(&[from_group(7)]);
    world.identities.settle();
    world.identities.claim(&[GroupId(7)].into_iter().collect());
    let done = world.have(&[too_many()]);
    assert_eq!((done.ingress, done.failures.len(), done.steps), (vec![1], 1, vec![(1, false)]));
    assert_eq!(world.policies.size().identities, 1);
}

/// In: rules that fit and rules that do not, looked at before they are made. Out: what does not fit, by its ports; and the change
/// then writes what was compiled, unless another set of groups came in between.
#[test]
fn what_does_not_fit_is_known_before_it_is_made() {
    let mut world = World::new();
    world.have(&[to(&[80]), to(&[80])]);
    let plan = world.plan(&[too_many(), too_many()]);
    let unfit = world.policies.prepare(plan, &world.identities);
    let [Unfit { ports, direction, cause }] = unfit.as_slice() else { panic!("{unfit:?}") };
    assert_eq!((ports.as_slice(), *direction), (&["a".to_owned(), "b".to_owned()][..], Direction::Ingress));
    assert_eq!(cause.limit, LIMIT);

    let next = [from_group(7), from_group(7)];
    let plan = world.plan(&next);
    assert_eq!(world.policies.prepare(plan, &world.identities), []);
    let compiled = world.policies.prepared[0].tables.size();
    let done = world.have(&next);
    assert_eq!((done.ingress, done.steps), (vec![1, 1], vec![(1, false)]));
    assert_eq!(world.policies.tables(1).unwrap().size(), compiled);
    assert!(world.policies.prepared.is_empty());

    let next = [from_group(8), from_group(8)];
    let plan = world.plan(&next);
    world.policies.prepare(plan, &world.identities);
    world.identities.number(&[GroupId(8)].into_iter().collect());
    world.have(&next);
    assert_eq!(world.policies.tables(1).unwrap().size().identities, 1, "it knows the set that came");
}
