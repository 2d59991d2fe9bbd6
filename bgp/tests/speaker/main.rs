//! Whole speakers: ports of one host become forwarding at another, by a reflector.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod fabric;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use weft_bgp::rib::Key;
use weft_bgp::session::State;
use weft_bgp::speaker::Event;
use weft_bgp::wire::RouteTargetMembership;

use fabric::{Fabric, clients, reflector};

const RR: u8 = 100;

/// A reflector (100) and three hosts (1, 2, 3).
fn fabric() -> Fabric {
    let mut fabric = Fabric::new();
    fabric.start(RR, clients(RR), None);
    for host in 1..=3 {
        fabric.start(host, reflector(host, RR), None);
    }
    fabric.pass(Duration::from_secs(10));
    fabric
}

fn is_up(fabric: &Fabric) -> bool {
    fabric.hosts.values().all(|host| {
        !host.speaker.peers().is_empty()
            && host.speaker.peers().values().all(|peer| peer.session().state() == State::Established)
    })
}

#[test]
fn ports_are_found_where_they_are() {
    let mut fabric = fabric();
    assert!(is_up(&fabric));
    fabric.add_port(1, 11);
    fabric.add_port(2, 12);
    for (host, number, at) in
        [(1, 12, Some(2)), (2, 11, Some(1)), (3, 11, Some(1)), (3, 12, Some(2)), (1, 11, None)]
    {
        assert_eq!(fabric.hosts[&host].finds(number), at, "{number} from {host}");
    }
    assert_eq!(fabric.hosts[&1].floods.len(), 1, "only who has a port takes part");
    fabric.remove_port(1, 11);
    assert_eq!(fabric.hosts[&2].finds(11), None);
    assert_eq!(fabric.hosts[&2].floods.len(), 0);
}

#[test]
fn a_port_that_moves_is_followed_back_and_forth() {
    let mut fabric = fabric();
    fabric.add_port(1, 11);
    for round in 0..4 {
        let (from, to) = if round % 2 == 0 { (1, 2) } else { (2, 1) };
        fabric.add_port(to, 11);
        assert_eq!(fabric.hosts[&3].finds(11), Some(to), "round {round}");
        assert_eq!(fabric.hosts[&from].finds(11), Some(to), "round {round}");
        fabric.remove_port(from, 11);
        assert_eq!(fabric.hosts[&3].finds(11), Some(to), "round {round}");
        fabric.pass(Duration::from_secs(200));
    }
}

#[test]
fn a_host_that_restarts_is_missed_by_nobody() {
    let mut fabric = fabric();
    fabric.add_port(1, 11);
    fabric.add_port(2, 12);
    fabric.kill(1);
    assert_eq!(fabric.hosts[&2].finds(11), Some(1), "the reflector keeps its routes");
    fabric.pass(Duration::from_secs(60));
    assert_eq!(fabric.hosts[&2].finds(11), Some(1));
    fabric.start(1, reflector(1, RR), Some(Duration::from_secs(30)));
    fabric.add_port(1, 11);
    fabric.pass(Duration::from_secs(5));
    assert!(fabric.hosts[&1].events.iter().any(|event| matches!(event, Event::Converged)));
    assert_eq!(fabric.hosts[&1].finds(12), Some(2));
    assert_eq!(fabric.hosts[&2].finds(11), Some(1));
    fabric.pass(Duration::from_secs(600));
    assert_eq!(fabric.hosts[&2].finds(11), Some(1));
}

#[test]
fn a_host_that_does_not_come_back_is_forgotten_after_its_time() {
    let mut fabric = fabric();
    fabric.add_port(1, 11);
    fabric.kill(1);
    fabric.pass(Duration::from_secs(119));
    assert_eq!(fabric.hosts[&2].finds(11), Some(1));
    fabric.pass(Duration::from_secs(2));
    assert_eq!(fabric.hosts[&2].finds(11), None);
    assert_eq!(fabric.hosts[&RR].speaker.peers().len(), 2, "a member of a group goes with its routes");
}

#[test]
fn what_went_during_a_restart_is_forgotten_at_its_end() {
    let mut fabric = fabric();
    fabric.add_port(1, 11);
    fabric.add_port(1, 12);
    fabric.kill(1);
    fabric.start(1, reflector(1, RR), Some(Duration::from_secs(30)));
    fabric.add_port(1, 12);
    fabric.pass(Duration::from_secs(5));
    assert_eq!(fabric.hosts[&2].finds(11), None);
    assert_eq!(fabric.hosts[&2].finds(12), Some(1));
}

#[test]
fn the_reflector_restarts_and_nobody_forgets() {
    let mut fabric = fabric();
    fabric.add_port(1, 11);
    fabric.kill(RR);
    fabric.pass(Duration::from_secs(10));
    assert_eq!(fabric.hosts[&2].finds(11), Some(1));
    fabric.start(RR, clients(RR), Some(Duration::from_secs(10)));
    fabric.pass(Duration::from_secs(60));
    assert!(is_up(&fabric));
    assert_eq!(fabric.hosts[&2].finds(11), Some(1));
    fabric.add_port(2, 12);
    assert_eq!(fabric.hosts[&1].finds(12), Some(2));
}

#[test]
fn a_neighbour_that_is_taken_out_of_the_configuration_is_gone_at_once() {
    let mut fabric = fabric();
    fabric.add_port(1, 11);
    let now = fabric.now;
    fabric.speaker(1).set_neighbours(weft_bgp::speaker::Neighbours::default(), now);
    fabric.settle();
    fabric.pass(Duration::from_secs(1));
    assert_eq!(fabric.hosts[&2].finds(11), None);
    assert_eq!(fabric.hosts[&1].speaker.peers().len(), 0);
}

#[test]
fn who_only_connects_keeps_nobody_out() {
    let mut fabric = Fabric::new();
    fabric.start(RR, clients(RR), None);
    fabric.start(1, reflector(1, RR), None);
    fabric.add_port(1, 11);
    let (now, own) = (fabric.now, SocketAddr::new(fabric::address(RR), 179));
    for other in 101..=255 {
        let accepted =
            fabric.speaker(RR).handle_accepted(own, SocketAddr::new(fabric::address(other), 40_000), now);
        assert!(accepted.is_some(), "{other}");
        fabric.settle();
        assert!(fabric.hosts[&RR].speaker.peers().len() <= 100, "{other}");
    }
    fabric.start(2, reflector(2, RR), None);
    fabric.pass(Duration::from_secs(1));
    assert_eq!(fabric.hosts[&2].finds(11), Some(1));
    // What is kept of one that restarts is worth more than a connection.
    fabric.kill(1);
    let now = fabric.now;
    for other in 101..=255 {
        fabric.speaker(RR).handle_accepted(own, SocketAddr::new(fabric::address(other), 40_001), now);
        fabric.settle();
    }
    assert_eq!(fabric.hosts[&2].finds(11), Some(1));
}

/// Whoever is watched because it is a member of a group is not watched for ever after it is gone.
#[test]
fn a_member_that_is_gone_is_not_watched_any_more() {
    let mut fabric = Fabric::new();
    let mut group = clients(RR);
    group.groups.values_mut().for_each(|group| group.template.bfd = Some(weft_bgp::bfd::Config::default()));
    fabric.start(RR, group, None);
    fabric.start(1, reflector(1, RR), None);
    assert_eq!(fabric.hosts[&RR].watched, BTreeSet::from([fabric::address(1)]));
    fabric.kill(1);
    fabric.pass(Duration::from_secs(130));
    assert_eq!(fabric.hosts[&RR].speaker.peers().len(), 0);
    assert_eq!(fabric.hosts[&RR].watched, BTreeSet::new());
}

/// After failures the pauses are long; BFD knows better when there is somebody again.
#[test]
fn who_is_watched_and_comes_back_is_not_waited_for() {
    let mut fabric = Fabric::new();
    fabric.start(1, reflector(1, RR), None);
    fabric.pass(Duration::from_secs(300));
    fabric.start(RR, clients(RR), None);
    assert!(!is_up(&fabric));
    let now = fabric.now;
    fabric.speaker(1).handle_bfd(fabric::address(RR), weft_bgp::bfd::Event::Up, now);
    fabric.settle();
    assert!(is_up(&fabric));
    // One that stands goes on.
    fabric.speaker(1).handle_bfd(fabric::address(RR), weft_bgp::bfd::Event::Up, now);
    fabric.settle();
    assert!(is_up(&fabric));
    assert_eq!(fabric.hosts[&1].events.iter().filter(|event| matches!(event, Event::Up { .. })).count(), 1);
}

/// Another hold time ends sessions, at either end. Out: routes stay meanwhile, and are those of the session that follows.
#[test]
fn a_neighbour_that_is_configured_anew_is_the_same() {
    for at_the_reflector in [false, true] {
        let mut fabric = fabric();
        fabric.add_port(1, 11);
        fabric.add_port(1, 12);
        let now = fabric.now;
        if at_the_reflector {
            let mut neighbours = clients(RR);
            neighbours.groups.values_mut().for_each(|group| group.template.session.hold_time = 30);
            fabric.speaker(RR).set_neighbours(neighbours, now);
        } else {
            let mut neighbours = reflector(2, RR);
            neighbours.peers.values_mut().for_each(|peer| peer.session.hold_time = 30);
            fabric.speaker(2).set_neighbours(neighbours, now);
        }
        assert_eq!(fabric.hosts[&2].finds(11), Some(1));
        fabric.settle();
        fabric.pass(Duration::from_secs(60));
        assert!(is_up(&fabric));
        assert_eq!(fabric.hosts[&2].finds(11), Some(1));
        fabric.remove_port(1, 11);
        fabric.pass(Duration::from_secs(1));
        assert_eq!((fabric.hosts[&2].finds(11), fabric.hosts[&2].finds(12)), (None, Some(1)));
    }
}

/// A reflector that knows members only by their prefix is silent for a while, and so is a host that restarts beside it. Out:
/// the host does not take for gone what the reflector has not told yet.
#[test]
fn who_restarts_beside_its_reflector_waits_for_its_routes() {
    let mut fabric = fabric();
    fabric.add_port(2, 12);
    fabric.kill(RR);
    fabric.kill(1);
    fabric.start(RR, clients(RR), Some(Duration::from_secs(120)));
    fabric.start(1, reflector(1, RR), Some(Duration::from_secs(120)));
    let mut passed = 0;
    while !fabric.hosts[&1].events.iter().any(|event| matches!(event, Event::Converged)) {
        assert!(passed < 200, "it waits for ever");
        fabric.pass(Duration::from_secs(1));
        passed += 1;
    }
    assert!(passed < 30, "{passed} s");
    assert_eq!(fabric.hosts[&1].finds(12), Some(2));
}

/// Nobody is there yet who wants routes.
#[test]
fn a_reflector_asks_for_all_routes_from_the_start() {
    let mut fabric = fabric();
    fabric.add_port(2, 12);
    fabric.kill(RR);
    fabric.start(RR, clients(RR), None);
    fabric.pass(Duration::from_secs(5));
    let asked: Vec<_> = fabric.hosts[&RR].speaker.rib().routes().map(|(key, _)| key.clone()).collect();
    assert!(asked.contains(&Key::RouteTargets(RouteTargetMembership::Default)), "{asked:?}");
}
