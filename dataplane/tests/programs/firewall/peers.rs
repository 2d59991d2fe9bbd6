//! Rules in the path of packets: groups of peers on other hosts, and rules without connections.

use std::collections::BTreeMap;

use weft_dataplane_abi as abi;
use weft_dataplane_abi::{DropReason, IpKey, NextHop, Scope, Side, VtepVniKey, flags, maps, port_flags};
use weft_policy::{
    Action, Direction, GroupId, GroupSet, Identity, Peer, Policy, Protocol, Rule, RuleSpec, Tables,
};

use super::connections::run;
use super::rules::write;
use super::universe::NO_LIMIT;
use crate::world::*;

const POLICY: u32 = 5;
const GROUP: GroupId = GroupId(7);
/// Of those that are members of it alone.
const MEMBER: Identity = Identity(3);

fn rule(peer: Peer, stateless: bool) -> Rule {
    let spec = RuleSpec {
        direction: Direction::Ingress,
        action: Action::Allow,
        priority: 1000,
        protocol: Protocol::Tcp,
        ports: None,
        icmp: None,
        peer,
        stateless,
    };
    Rule::new(spec).unwrap()
}

/// ALICE sends whatever she wants, and gets what the rule lets in.
fn world_with(rule: Rule) -> Option<World> {
    let mut world = World::load()?;
    let sets: BTreeMap<_, GroupSet> = [(MEMBER, [GROUP].into_iter().collect())].into();
    let tables = Tables::compile(&Policy::new(Direction::Ingress, [rule]), &sets, &NO_LIMIT).unwrap();
    tables.entries().for_each(|entry| write(&mut world, POLICY, entry));
    let flags = port_flags::FIREWALL | port_flags::EGRESS_ALLOWED;
    world.secure(ALICE_SLOT, abi::PortSecurity { ingress: POLICY, egress: 0, tenant: TENANT, flags });
    Some(world)
}

/// CAROL is on the host 192.0.2.2, with these groups.
fn place_carol(world: &mut World, identity: u32) {
    let scope = Scope::of(red());
    let hop = NextHop::remote(scope, vtep(2), red(), vtep(2).default_router_mac());
    let route = abi::HostRoute::new(scope, hop, vni(101), CAROL.mac).with_identity(scope, identity);
    world.put(maps::HOSTS, IpKey::new(red(), CAROL.ipv4.into()), route);
}

/// In: SYN from CAROL, as a member and not, from her own host, and in her name from another host of the subnet. Out: it comes in
/// from the member's own host alone.
#[test]
fn have_their_groups_only_where_they_are() {
    let Some(mut world) = world_with(rule(Peer::Group(GROUP), false)) else { return };
    let denied = Err(DropReason::PolicyDenied.name());
    world.put(maps::VTEP_VNIS, VtepVniKey::new(vni(101), vtep(3)), 1_u8);
    let mut port = 1000;
    let mut asks = |world: &mut World, from| {
        port += 1;
        let frame = through_tunnel(from, 101, &tcp(CAROL, ALICE, (port, 80), flags::SYN));
        let before = world.drops(0);
        let outcome = world.run(abi::programs::FROM_UNDERLAY, &frame);
        if world.drops(0) == before {
            assert_eq!(outcome.verdict, REDIRECT);
            return Ok(());
        }
        Err(DropReason::PolicyDenied.name())
    };
    place_carol(&mut world, 0);
    assert_eq!(asks(&mut world, 2), denied);
    place_carol(&mut world, MEMBER.0);
    assert_eq!(asks(&mut world, 2), Ok(()));
    assert_eq!(asks(&mut world, 3), denied);
    // A set of groups that no rule names.
    place_carol(&mut world, MEMBER.0 + 1);
    assert_eq!(asks(&mut world, 2), denied);
}

/// In: segments from CAROL by a rule without connections, and the answers. Out: hers pass without SYN, and nothing is kept of
/// them; when the rule goes, so does the next one.
#[test]
fn of_a_stateless_rule_are_judged_one_by_one() {
    let Some(mut world) = world_with(rule(Peer::Any, true)) else { return };
    let segment = |flags| tcp(CAROL, ALICE, (1000, 80), flags);
    for flags in [flags::ACK, flags::SYN, flags::RST] {
        assert_eq!(run(&mut world, Side::Peer, &segment(flags)), Ok(()));
    }
    assert!(world.entries::<abi::FlowKey, abi::Flow>(maps::HALF_OPEN).is_empty());
    // What she is told is a connection of ALICE's own, which an ACK does not start.
    let answer = tcp(ALICE, CAROL, (80, 1000), flags::ACK);
    assert_eq!(run(&mut world, Side::Own, &answer), Err(DropReason::NoConnection.name()));
    world.firewall(ALICE_SLOT, LETS_OUT);
    assert_eq!(run(&mut world, Side::Peer, &segment(flags::ACK)), Err(DropReason::PolicyDenied.name()));
}

/// In: a connection that a rule let in, which is then a rule without connections. Out: her segments pass by it one by one, and
/// answers, which belonged to the connection, need a rule of their own from then on.
#[test]
fn that_become_stateless_end_their_connections() {
    let Some(mut world) = world_with(rule(Peer::Any, false)) else { return };
    let segment = |flags| tcp(CAROL, ALICE, (1000, 80), flags);
    let answer = |flags| tcp(ALICE, CAROL, (80, 1000), flags);
    run(&mut world, Side::Peer, &segment(flags::SYN)).unwrap();
    run(&mut world, Side::Own, &answer(flags::SYN | flags::ACK)).unwrap();
    run(&mut world, Side::Peer, &segment(flags::ACK)).unwrap();
    let tables = Tables::compile(
        &Policy::new(Direction::Ingress, [rule(Peer::Any, true)]),
        &BTreeMap::new(),
        &NO_LIMIT,
    );
    tables.unwrap().entries().for_each(|entry| write(&mut world, POLICY, entry));
    world.set_generation(1);
    assert_eq!(run(&mut world, Side::Peer, &segment(flags::ACK)), Ok(()));
    assert_eq!(run(&mut world, Side::Own, &answer(flags::ACK)), Err(DropReason::NoConnection.name()));
}

/// In: hits are counted by rule, and by default where none matches. Out: once for a connection, and for each packet denied.
#[test]
fn are_counted_by_rule() {
    let Some(mut world) = world_with(rule(Peer::Any, false)) else { return };
    for flags in [flags::SYN, flags::SYN] {
        run(&mut world, Side::Peer, &tcp(CAROL, ALICE, (1000, 80), flags)).unwrap();
    }
    for _ in 0..3 {
        run(&mut world, Side::Peer, &udp(CAROL, ALICE, (1000, 80))).unwrap_err();
    }
    let hits: BTreeMap<abi::RuleKey, u64> = world.entries(maps::HITS).into_iter().collect();
    let key = |rule| abi::RuleKey { policy: POLICY, rule };
    assert_eq!(hits, [(key(0), 1), (key(abi::Ruling::DEFAULT), 3)].into());
}
