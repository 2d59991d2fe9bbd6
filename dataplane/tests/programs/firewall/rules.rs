//! Random rule sets and random packets: the programs decide as the plain walk over the rules does.

use std::net::IpAddr;

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;
use weft_dataplane_abi as abi;
use weft_dataplane_abi::{IpKey, NextHop, PolicyRule, Ruling, ServiceKey, Side, maps, port_flags, trial};
use weft_policy::{Action, Candidate, Change, Direction, Policy, Reason, RuleNumber, Tables, Verdict};

use super::universe::{Case, NO_LIMIT, identities, packet, rules};
use crate::world::*;

/// So many policies, and packets of each.
const POLICIES: u32 = 400;
const PACKETS: usize = 300;
/// Of BOB.
const BOB_IFINDEX: u32 = 12;

/// In: policies of random rules, each in the tables beside those before it, as BOB's; and packets whose peer has random groups.
/// Out: for each of more than 100,000 packets the verdict and the rule that the walk over the rules finds.
#[test]
fn decide_as_the_walk_over_them() {
    let Some(mut world) = World::load() else { return };
    let mut runner = TestRunner::default();
    let (rules, packets) = (rules(), packet());
    let mut judged = 0;
    for number in 1..=POLICIES {
        let rules = rules.new_tree(&mut runner).unwrap().current();
        let direction = if number % 4 == 0 { Direction::Egress } else { Direction::Ingress };
        let default = if number % 3 == 0 { Action::Allow } else { Action::Deny };
        let policy = Policy::new(direction, rules).with_default(default);
        let tables = Tables::compile(&policy, &identities(), &NO_LIMIT).unwrap();
        tables.entries().for_each(|entry| write(&mut world, number, entry));
        let allowed = if default == Action::Allow {
            port_flags::INGRESS_ALLOWED | port_flags::EGRESS_ALLOWED
        } else {
            0
        };
        let flags = port_flags::FIREWALL | allowed;
        world.secure(BOB_SLOT, abi::PortSecurity { ingress: number, egress: number, tenant: TENANT, flags });
        for _ in 0..PACKETS {
            let case = packets.new_tree(&mut runner).unwrap().current();
            if is_never_judged(&case) {
                continue;
            }
            judge(&mut world, &tables, &case);
            judged += 1;
        }
        // Numbers are not given anew here, so what is written stays; the tables have room for it all.
    }
    println!("{judged} packets judged by {POLICIES} policies");
    assert!(judged >= 100_000, "{judged}");
}

/// ICMP errors are no matter of rules, and protocol 0 is a header of IPv6.
fn is_never_judged(case: &Case) -> bool {
    let [kind, _] = case.detail.to_be_bytes();
    match (case.peer, case.protocol) {
        (IpAddr::V4(_), 1) => matches!(kind, 3 | 4 | 11 | 12),
        (IpAddr::V6(_), 58) => kind < 128,
        (IpAddr::V6(_), 0) => true,
        _ => false,
    }
}

/// Writes an entry as the data plane does.
pub fn write(world: &mut World, policy: u32, change: Change) {
    match change {
        Change::SetService(key, Candidate { .. }) | Change::RemoveService(key) => {
            let Change::SetService(_, best) = change else { panic!("nothing is removed") };
            let service = ServiceKey::new(policy, key.class.0, key.prefix.to_bytes());
            let bits = ServiceKey::SCOPE_BITS + u32::from(key.prefix.len());
            world.put_lpm(maps::SERVICES, bits, service, PolicyRule::new(&service, best.bits()));
        }
        Change::SetPeer(prefix, class) => {
            let bits = IpKey::SCOPE_BITS + u32::from(prefix.prefix_len());
            let key = abi::peer_key(policy, prefix.network());
            world.put_lpm(maps::PEERS, bits, key, abi::PolicyClass::new(policy, class.0));
        }
        Change::SetIdentity(identity, class) => {
            let key = abi::IdentityKey { policy, identity: identity.0 };
            world.put(maps::IDENTITIES, key, abi::PolicyClass::new(policy, class.0));
        }
        // A flag of the port.
        Change::SetDefault(_) => {}
        Change::RemovePeer(_) | Change::RemoveIdentity(_) | Change::Wait => panic!("{change:?}"),
    }
}

/// Has the program and the walk judge a packet.
#[track_caller]
fn judge(world: &mut World, tables: &Tables, case: &Case) {
    let policy = tables.policy();
    let scope = abi::Scope::of(red());
    let peer = abi::HostRoute::routed(scope, NextHop::local(scope, 99, 9, BOB.mac));
    let identity = case.identity.map_or(0, |identity| identity.0);
    world.put(maps::HOSTS, IpKey::new(red(), case.peer), peer.with_identity(scope, identity));
    let side = if policy.direction() == Direction::Ingress { Side::Peer } else { Side::Own };
    let (answer, [_, rule, stateless]) = world.trial(&frame(case, side), BOB_IFINDEX, side);
    let expected = policy.evaluate(&case.packet());
    let allowed = expected.action == Action::Allow;
    let wanted = if allowed { trial::ALLOWED } else { trial::DENIED };
    let rule = (rule != Ruling::DEFAULT).then_some(RuleNumber(rule));
    let told = format!("{case:?}\nof {:?}\n{answer} by {rule:?} instead of {expected:?}", policy.rules());
    assert_eq!(answer, wanted, "{told}");
    assert_eq!(stateless != 0, expected.stateless, "{told}");
    let found = tables.explain(Verdict { action: expected.action, stateless: expected.stateless, rule });
    assert_eq!(found.reason == Reason::Default, expected.reason == Reason::Default, "{told}");
    if let Reason::Rule(index) = found.reason {
        assert!(policy.rules()[index].matches(&case.packet()), "{told}");
    }
}

/// The packet between the peer and BOB.
fn frame(case: &Case, side: Side) -> Vec<u8> {
    let mut transport = [0_u8; 20];
    match case.protocol {
        6 | 17 | 132 => transport[2..4].copy_from_slice(&case.detail.to_be_bytes()),
        _ => transport[..2].copy_from_slice(&case.detail.to_be_bytes()),
    }
    let mut frame = vec![0; 12];
    match case.peer {
        IpAddr::V4(peer) => {
            let (source, destination) = match side {
                Side::Peer => (peer, BOB.ipv4),
                Side::Own => (BOB.ipv4, peer),
            };
            frame.extend([0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, case.protocol, 0, 0]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        IpAddr::V6(peer) => {
            let (source, destination) = match side {
                Side::Peer => (peer, BOB.ipv6),
                Side::Own => (BOB.ipv6, peer),
            };
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, case.protocol, 64]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
    }
    frame.extend(transport);
    frame
}
