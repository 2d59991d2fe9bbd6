//! Route target constraint: who asked for nothing gets nothing, and the wish of one client reaches the others.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use weft_bgp::peer::{PeerId, PeerKind};
use weft_bgp::rib::{Rib, Wanted};
use weft_bgp::wire::{
    Asn, Attributes, Family, NextHop, Nlri, Reachable, RouteTarget, RouteTargetMembership, Routes, Update,
};

use super::support::*;

fn target(number: u32) -> RouteTarget {
    format!("65000:{number}").parse().expect("a route target")
}

fn membership(number: u32) -> RouteTargetMembership {
    RouteTargetMembership::Targets { origin: Asn::new(OWN_AS), targets: target(number).into() }
}

fn join(rib: &mut Rib, last: u8, now: Instant) -> PeerId {
    let mut facts = facts(PeerKind::Client, last);
    facts.families.push(Family::ROUTE_TARGETS);
    rib.handle_up(PeerId(last.into()), facts, now);
    PeerId(last.into())
}

fn wish(memberships: &[RouteTargetMembership], hop: u8) -> Update {
    let routes = Routes::RouteTargets(memberships.iter().map(|wanted| Nlri::from(*wanted)).collect());
    let next_hop = NextHop::V4(id(hop).get());
    let attributes = attributes(&[]);
    Update { attributes, reachable: Some(Reachable { next_hop, routes }), ..Update::default() }
}

fn with_target(number: u32) -> Attributes {
    Attributes { extended_communities: vec![target(number).into()], ..attributes(&[]) }
}

#[test]
fn a_peer_gets_what_it_asked_for() {
    let (mut rib, now) = (rib(), Instant::now());
    let (one, two) = (join(&mut rib, 1, now), join(&mut rib, 2, now));
    rib.handle_update(one, announce([1], with_target(1), 1));
    rib.handle_update(one, announce([2], with_target(2), 1));
    let mut told = Told::default();
    told.hear(&mut rib, two);
    assert!(told.evpn.is_empty() && !told.complete.contains(&Family::EVPN), "it has not said yet");
    rib.handle_update(two, wish(&[membership(1)], 2));
    assert!(told.hear(&mut rib, two).evpn.is_empty(), "it may not have said all");
    rib.handle_end_of_rib(two, Family::ROUTE_TARGETS);
    told.hear(&mut rib, two);
    assert!(told.has(1).is_some() && told.has(2).is_none() && told.complete.contains(&Family::EVPN));
    rib.handle_update(two, wish(&[RouteTargetMembership::Default], 2));
    told.hear(&mut rib, two);
    assert!(told.has(2).is_some());
    assert_eq!(told.announced, 2, "what it has is not sent again");
    let gone = Routes::RouteTargets(
        [RouteTargetMembership::Default, membership(1)].map(Nlri::from).into_iter().collect(),
    );
    rib.handle_update(two, Update { unreachable: vec![gone], ..Update::default() });
    assert!(told.hear(&mut rib, two).evpn.is_empty());
}

#[test]
fn the_wish_of_one_client_reaches_the_other_and_back() {
    let (mut rib, now) = (rib(), Instant::now());
    let (one, two) = (join(&mut rib, 1, now), join(&mut rib, 2, now));
    rib.handle_update(one, wish(&[membership(5)], 1));
    rib.handle_update(two, wish(&[membership(5)], 2));
    for peer in [one, two] {
        assert_eq!(Told::default().hear(&mut rib, peer).memberships, [membership(5)], "{peer:?}");
    }
}

#[test]
fn own_wishes_follow_what_is_wanted_and_silence_ends_at_a_deadline() {
    let (mut rib, now) = (rib(), Instant::now());
    let one = join(&mut rib, 1, now);
    rib.set_wanted(&Wanted::Targets(BTreeSet::from([target(1), target(2)])));
    let mut told = Told::default();
    assert_eq!(told.hear(&mut rib, one).memberships, [membership(1), membership(2)]);
    rib.set_wanted(&Wanted::Targets(BTreeSet::from([target(2), target(3)])));
    assert_eq!(told.hear(&mut rib, one).memberships[2..], [membership(3)]);
    assert_eq!(rib.routes().count(), 2);
    let late = now + Duration::from_secs(60);
    assert_eq!(rib.next_deadline(), Some(late));
    rib.handle_timeout(late);
    assert!(told.hear(&mut rib, one).complete.contains(&Family::EVPN));
}
