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
const ALICE_IFINDEX: u32 = 1;
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

/// In: a connection of a member on another host, the rules' number raised, and ALICE the first to send then. Out: it goes on: whose
/// it is, is known by its address, wherever the packet at hand comes from.
#[test]
fn keep_their_connections_whoever_sends_first() {
    let Some(mut world) = world_with(rule(Peer::Group(GROUP), false)) else { return };
    place_carol(&mut world, MEMBER.0);
    run(&mut world, Side::Peer, &tcp(CAROL, ALICE, (1000, 80), flags::SYN)).unwrap();
    run(&mut world, Side::Own, &tcp(ALICE, CAROL, (80, 1000), flags::SYN | flags::ACK)).unwrap();
    run(&mut world, Side::Peer, &tcp(CAROL, ALICE, (1000, 80), flags::ACK)).unwrap();
    world.set_generation(1);
    assert_eq!(run(&mut world, Side::Own, &tcp(ALICE, CAROL, (80, 1000), flags::ACK)), Ok(()));
    place_carol(&mut world, 0);
    world.set_generation(2);
    let denied = Err(DropReason::PolicyDenied.name());
    assert_eq!(run(&mut world, Side::Own, &tcp(ALICE, CAROL, (80, 1000), flags::ACK)), denied);
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

/// In: a connection that a rule let in, which is then gone, and other ones on its ports. Out: neither side of it passes, and what
/// the rules allow by itself does: SYN of her own, which answers pass by; when it is forgotten, her datagrams.
#[test]
fn that_go_end_their_connections_and_no_others() {
    let Some(mut world) = world_with(rule(Peer::Any, false)) else { return };
    let denied = Err(DropReason::PolicyDenied.name());
    let theirs = |flags| tcp(CAROL, ALICE, (1000, 80), flags);
    let ours = |flags| tcp(ALICE, CAROL, (80, 1000), flags);
    run(&mut world, Side::Peer, &theirs(flags::SYN)).unwrap();
    run(&mut world, Side::Own, &ours(flags::SYN | flags::ACK)).unwrap();
    run(&mut world, Side::Peer, &theirs(flags::ACK)).unwrap();
    world.firewall(ALICE_SLOT, LETS_OUT);
    world.set_generation(1);
    assert_eq!(run(&mut world, Side::Own, &ours(flags::ACK)), denied);
    let [(_, flow)] = world.entries::<abi::FlowKey, abi::Flow>(maps::FLOWS)[..] else { panic!("one") };
    assert_eq!(flow.phase(), abi::Phase::Revoked);
    assert_eq!(run(&mut world, Side::Peer, &theirs(flags::ACK)), denied);
    assert_eq!(run(&mut world, Side::Peer, &theirs(flags::SYN)), denied);
    assert_eq!(run(&mut world, Side::Own, &ours(flags::SYN)), Ok(()));
    assert_eq!(run(&mut world, Side::Peer, &theirs(flags::SYN | flags::ACK)), Ok(()));
    let counts: abi::FlowCounts = world.array(maps::FLOW_COUNTS, ALICE_SLOT);
    assert_eq!(counts.opened, 2, "one took the place of the other");
}

/// In: an ICMP error about a packet of nobody's connection, where a rule without connections allows ICMP, and where one with
/// connections does. Out: the first lets it in.
#[test]
fn without_connections_let_errors_in() {
    let icmp = |stateless| {
        let spec = RuleSpec {
            direction: Direction::Ingress,
            action: Action::Allow,
            priority: 1000,
            protocol: Protocol::Icmp,
            ports: None,
            icmp: None,
            peer: Peer::Prefix(format!("{}/32", CAROL.ipv4).parse().unwrap()),
            stateless,
        };
        Rule::new(spec).unwrap()
    };
    let about = udp(ALICE, BOB, (4000, 53));
    for (stateless, expected) in [(true, Ok(())), (false, Err(DropReason::UnrelatedError.name()))] {
        let Some(mut world) = world_with(icmp(stateless)) else { return };
        assert_eq!(run(&mut world, Side::Peer, &unreachable(CAROL, ALICE, &about[14..])), expected);
    }
}

/// In: packets for another address than ALICE's in frames to her MAC: a stranger's, a group's; then with a pair, and as a router.
/// Out: only what is for her, or for the pair, comes in, whatever the rules say.
#[test]
fn are_not_passed_by_an_address_that_is_not_the_port_s() {
    let Some(mut world) = world_with(rule(Peer::Any, false)) else { return };
    let wrong = Err(DropReason::WrongDestination.name());
    let asks = |address: [u8; 4]| {
        let to = Station { ipv4: address.into(), ..ALICE };
        tcp(CAROL, to, (1000, 80), flags::SYN)
    };
    let pair = [10, 0, 0, 200];
    for address in [[10, 0, 0, 77], [224, 0, 0, 251], [255; 4], pair] {
        assert_eq!(run(&mut world, Side::Peer, &asks(address)), wrong, "{address:?}");
    }
    let flags = port_flags::FIREWALL | port_flags::EGRESS_ALLOWED | port_flags::PAIRS;
    let security = abi::PortSecurity { ingress: POLICY, egress: 0, tenant: TENANT, flags };
    world.secure(ALICE_SLOT, security);
    let key = IpKey::ipv4(ALICE_IFINDEX, pair);
    let pair_of_alice = abi::AllowedPair::new(ALICE_IFINDEX, ALICE.mac);
    world.put_lpm(maps::PAIRS, IpKey::SCOPE_BITS + 32, key, pair_of_alice);
    assert_eq!(run(&mut world, Side::Peer, &asks(pair)), Ok(()));
    assert_eq!(run(&mut world, Side::Peer, &asks([10, 0, 0, 77])), wrong);
    let flags = flags | port_flags::ANY_SOURCE;
    world.secure(ALICE_SLOT, abi::PortSecurity { flags, ..security });
    assert_eq!(run(&mut world, Side::Peer, &asks([10, 0, 0, 77])), Ok(()));
}

/// In: SYN from CAROL's link-local address, while her MAC is of a member, of none, and of a member on another host. Out: it comes
/// in from the member's own host alone, as from her other addresses.
#[test]
fn have_their_groups_by_link_local_addresses_too() {
    let Some(mut world) = world_with(rule(Peer::Group(GROUP), false)) else { return };
    let denied = Err(DropReason::PolicyDenied.name());
    let scope = Scope::of(vni(101));
    let mut port = 1000;
    let mut asks = |world: &mut World, at, identity| {
        let hop = NextHop::remote(scope, vtep(at), vni(101), weft_vxlan::MacAddr::new([0; 6]));
        world.put(maps::FDB, abi::MacKey::new(vni(101), CAROL.mac), hop.of_member(scope, identity));
        port += 1;
        let before = world.drops(0);
        // It is judged before its outer headers go, which kernels before 6.3 leave to their vxlan device.
        world.run(abi::programs::FROM_UNDERLAY, &through_tunnel(2, 101, &link_local_syn(CAROL, ALICE, port)));
        if world.drops(0) == before { Ok(()) } else { Err(DropReason::PolicyDenied.name()) }
    };
    assert_eq!(asks(&mut world, 2, MEMBER.0), Ok(()));
    assert_eq!(asks(&mut world, 2, 0), denied);
    assert_eq!(asks(&mut world, 3, MEMBER.0), denied);
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
