//! Routes come, change and go: reflection, loops, late joiners, sessions that end.
//!
//! ```text
//! client 1 ---+
//!             +--- RIB (AS 65000, 10.0.0.250) --- external 101 (AS 65101)
//! client 2 ---+               |
//!                        internal 3
//! ```

use std::time::{Duration, Instant};

use weft_bgp::peer::PeerKind::{Client, External, Internal};
use weft_bgp::rib::{Kept, Match, Policy, Retain, RetainFamily, Rule, Step, Tally, Verdict};
use weft_bgp::wire::{AsPath, Asn, Community, ExtendedCommunity, Family, NextHop, Route, RouteRefreshKind};

use super::support::*;

#[test]
fn a_route_goes_through_and_away_again() {
    let (mut rib, now) = (rib(), Instant::now());
    let (one, two, far) =
        (up(&mut rib, Client, 1, now), up(&mut rib, Client, 2, now), up(&mut rib, External, 101, now));
    let outcome = rib.handle_update(one, announce(0..3, attributes(&[]), 1));
    assert!(outcome.held.contains(&(Family::EVPN, 3)) && outcome.rejected == 0);
    let (mut told_two, mut told_far, mut told_one) = (Told::default(), Told::default(), Told::default());
    told_two.hear(&mut rib, two);
    let (got, hop) = told_two.has(1).expect("reflected").clone();
    assert_eq!((got.originator_id, got.cluster_list), (Some(id(1)), vec![id(250).get()]));
    assert_eq!((got.local_pref, hop), (Some(100), NextHop::V4(id(1).get())));
    let (got, hop) = told_far.hear(&mut rib, far).has(2).expect("announced").clone();
    assert_eq!(got.as_path, Some(AsPath::sequence([Asn::new(OWN_AS)])));
    assert_eq!((got.local_pref, got.originator_id, got.cluster_list), (None, None, vec![]));
    assert_eq!(hop, NextHop::V4(id(1).get()), "the tunnel end stays");
    assert!(told_one.hear(&mut rib, one).evpn.is_empty(), "not back to where it came from");
    for told in [&told_one, &told_two, &told_far] {
        assert_eq!(told.complete, [Family::EVPN, Family::IPV4_UNICAST]);
    }
    assert_eq!(told_two.messages, 3, "all routes in one");

    rib.handle_update(one, withdraw([1]));
    assert!(told_two.hear(&mut rib, two).has(1).is_none() && told_two.withdrawn == 1);
    rib.handle_down(one, &Retain::default(), now);
    rib.handle_timeout(now);
    assert!(told_two.hear(&mut rib, two).evpn.is_empty());
    assert!(told_far.hear(&mut rib, far).evpn.is_empty());
    while rib.next_deadline().is_some() {
        rib.handle_timeout(now);
    }
    assert_eq!(rib.sizes(), (0, 0, 0), "nothing is left behind");
}

#[test]
fn between_internal_peers_only_clients_are_reflected() {
    let (mut rib, now) = (rib(), Instant::now());
    let (client, three, four) =
        (up(&mut rib, Client, 1, now), up(&mut rib, Internal, 3, now), up(&mut rib, Internal, 4, now));
    rib.handle_update(three, announce([7], attributes(&[]), 3));
    rib.handle_update(client, announce([8], attributes(&[]), 1));
    assert!(Told::default().hear(&mut rib, client).has(7).is_some());
    let mut told = Told::default();
    told.hear(&mut rib, four);
    assert!(told.has(7).is_none() && told.has(8).is_some());
}

#[test]
fn loops_are_kept_but_not_used() {
    let (mut rib, now) = (rib(), Instant::now());
    let (one, two, far) =
        (up(&mut rib, Client, 1, now), up(&mut rib, Client, 2, now), up(&mut rib, External, 101, now));
    rib.handle_update(far, announce([1], attributes(&[65101, OWN_AS]), 101));
    let mut looped = attributes(&[]);
    looped.cluster_list = vec![id(250).get()];
    rib.handle_update(one, announce([2], looped, 1));
    let mut own = attributes(&[]);
    own.originator_id = Some(id(250));
    assert_eq!(rib.handle_update(one, announce([3], own, 1)).rejected, 1);
    assert!(Told::default().hear(&mut rib, two).evpn.is_empty());
    assert_eq!((rib.received(one).count(), rib.received(far).count(), rib.routes().count()), (2, 1, 0));
    assert_eq!(rib.explain(&key(1))[0].lost, Some(Step::Unusable));
}

#[test]
fn communities_hold_routes_back() {
    let (mut rib, now) = (rib(), Instant::now());
    let (one, two, far) =
        (up(&mut rib, Client, 1, now), up(&mut rib, Client, 2, now), up(&mut rib, External, 101, now));
    for (index, community) in [(1, Community::NO_EXPORT), (2, Community::NO_ADVERTISE), (3, Community(1))] {
        let attributes = weft_bgp::wire::Attributes { communities: vec![community], ..attributes(&[]) };
        rib.handle_update(one, announce([index], attributes, 1));
    }
    let (mut near, mut out) = (Told::default(), Told::default());
    near.hear(&mut rib, two);
    out.hear(&mut rib, far);
    assert_eq!([1, 2, 3].map(|index| near.has(index).is_some()), [true, false, true]);
    assert_eq!([1, 2, 3].map(|index| out.has(index).is_some()), [false, false, true]);
}

#[test]
fn the_better_path_takes_over_and_gives_back() {
    let (mut rib, now) = (rib(), Instant::now());
    let peers: Vec<_> = [1, 2, 5].map(|last| up(&mut rib, Client, last, now)).into();
    let mut told = Told::default();
    rib.handle_update(peers[0], announce([1], attributes(&[]), 1));
    assert_eq!(told.hear(&mut rib, peers[2]).has(1).unwrap().1, NextHop::V4(id(1).get()));
    let mut moved = attributes(&[]);
    moved.extended_communities = vec![ExtendedCommunity::from_bytes([6, 0, 0, 0, 0, 0, 0, 1])];
    rib.handle_update(peers[1], announce([1], moved, 2));
    assert_eq!(told.hear(&mut rib, peers[2]).has(1).unwrap().1, NextHop::V4(id(2).get()), "the host moved");
    let why: Vec<_> = rib.explain(&key(1)).iter().map(|path| path.lost).collect();
    assert_eq!(why, [None, Some(Step::Mobility)]);
    rib.handle_update(peers[1], withdraw([1]));
    assert_eq!(told.hear(&mut rib, peers[2]).has(1).unwrap().1, NextHop::V4(id(1).get()));
    // The same VTEP by another peer is one more way, but no news for peers beyond the best one.
    rib.handle_update(peers[1], announce([1], attributes(&[]), 1));
    assert_eq!(rib.routes().next().unwrap().1.len(), 2);
    while rib.poll_change().is_some() {}
    rib.handle_update(peers[1], announce([1], attributes(&[]), 1));
    assert!(rib.poll_change().is_none(), "the same once more is no change");
    rib.handle_update(peers[1], withdraw([1]));
    let (changed, paths) = rib.poll_change().expect("one way less");
    assert_eq!((changed, paths.len()), (key(1), 1));
}

/// RFC 7432 section 15: of two hosts with the same sequence, both have to choose the same one.
#[test]
fn of_two_hosts_that_had_an_address_as_often_the_lower_vtep_has_it() {
    let (mut rib, now) = (rib(), Instant::now());
    let one = up(&mut rib, Client, 1, now);
    let own = Route::Evpn(mac_ip(1));
    for (hop, own_is_best) in [(249, false), (251, true)] {
        let preferred = weft_bgp::wire::Attributes { local_pref: Some(500), ..attributes(&[]) };
        rib.handle_update(one, announce([1], preferred, hop));
        rib.originate(own.clone(), attributes(&[]), Some(NextHop::V4(id(250).get())));
        let explained = rib.explain(&key(1));
        let best = explained.iter().find(|path| path.lost.is_none()).expect("one is the best");
        assert_eq!(best.path.peer.is_none(), own_is_best, "{hop}");
        assert!(explained.iter().any(|path| path.lost == Some(Step::Vtep)));
    }
}

#[test]
fn a_late_joiner_and_a_refresh_get_all_and_changes_coalesce() {
    let (mut rib, now) = (rib(), Instant::now());
    let (one, two) = (up(&mut rib, Client, 1, now), up(&mut rib, Client, 2, now));
    let mut told = Told::default();
    told.hear(&mut rib, two);
    for med in 0..50 {
        let attributes = weft_bgp::wire::Attributes { med: Some(med), ..attributes(&[]) };
        rib.handle_update(one, announce(0..5000, attributes, 1));
    }
    assert!(rib.sizes().2 <= 20_000, "{} items of the log for 5000 routes", rib.sizes().2);
    told.hear(&mut rib, two);
    assert_eq!((told.announced, told.evpn.len()), (5000, 5000));
    assert!(told.evpn.values().all(|(attributes, _)| attributes.med == Some(49)));
    let least = 5000 * 39 / 4096;
    assert!(told.messages <= least + 20, "{} messages, {least} are full", told.messages);
    let late = up(&mut rib, Client, 5, now);
    assert_eq!(Told::default().hear(&mut rib, late).evpn.len(), 5000);
    rib.handle_refresh(two, refresh(RouteRefreshKind::Request), now);
    told.hear(&mut rib, two);
    assert_eq!((told.announced, told.complete.len()), (10_000, 2));
    assert_eq!(rib.told(two).count(), 5000);
}

#[test]
fn stale_routes_stay_until_end_of_rib_or_too_late() {
    let (mut rib, now) = (rib(), Instant::now());
    let (one, two) = (up(&mut rib, Client, 1, now), up(&mut rib, Client, 2, now));
    rib.handle_update(one, announce(0..2, attributes(&[]), 1));
    let mut told = Told::default();
    told.hear(&mut rib, two);
    let (restart, long_lived) = (Duration::from_secs(120), Duration::from_secs(3600));
    let retain = Retain { families: vec![RetainFamily { family: Family::EVPN, restart, long_lived }] };
    rib.handle_down(one, &retain, now);
    rib.handle_timeout(now);
    rib.handle_timeout(now);
    rib.handle_timeout(now);
    assert_eq!(rib.next_deadline(), Some(now + restart));
    assert_eq!(told.hear(&mut rib, two).evpn.len(), 2);
    // Back, with one of the two routes.
    let one = up(&mut rib, Client, 1, now);
    rib.handle_update(one, announce([1], attributes(&[]), 1));
    rib.handle_end_of_rib(one, Family::EVPN);
    rib.handle_timeout(now);
    told.hear(&mut rib, two);
    assert!(told.has(0).is_none() && told.has(1).is_some());
    assert_eq!((rib.held(one, Family::EVPN), rib.next_deadline()), (1, None));
    // Gone for good.
    rib.handle_down(one, &retain, now);
    let mut late = now + restart;
    rib.handle_timeout(late);
    while rib.next_deadline() == Some(late) {
        rib.handle_timeout(late);
    }
    let stale = &told.hear(&mut rib, two).has(1).expect("kept for long").0;
    assert_eq!(stale.communities, [Community::LLGR_STALE]);
    late += long_lived;
    rib.handle_timeout(late);
    assert!(told.hear(&mut rib, two).evpn.is_empty());
    assert_eq!(rib.next_deadline(), None);
}

#[test]
fn a_new_export_policy_takes_back_what_it_rejects() {
    let (mut rib, now) = (rib(), Instant::now());
    let (one, two) = (up(&mut rib, Client, 1, now), up(&mut rib, Client, 2, now));
    rib.handle_update(one, announce(0..2, attributes(&[]), 1));
    let mut told = Told::default();
    assert_eq!(told.hear(&mut rib, two).evpn.len(), 2);
    let rule = |matches| Rule { matches, changes: vec![], verdict: Verdict::Reject };
    rib.set_export(two, Policy { rules: vec![rule(vec![Match::EvpnType(2)])] });
    assert!(told.hear(&mut rib, two).evpn.is_empty());
    rib.set_export(two, Policy::default());
    assert_eq!(told.hear(&mut rib, two).evpn.len(), 2);
    // On the way in, it is judged anew when it comes again.
    rib.set_import(one, Policy { rules: vec![rule(vec![])] });
    assert_eq!(told.hear(&mut rib, two).evpn.len(), 2);
    rib.handle_update(one, announce(0..2, attributes(&[]), 1));
    assert!(told.hear(&mut rib, two).evpn.is_empty());
    assert_eq!(rib.handle_update(one, announce(0..2, attributes(&[]), 1)).rejected, 2, "the policy stays");
}

#[test]
fn routes_are_counted_by_peer_and_family() {
    let (mut rib, now) = (rib(), Instant::now());
    let reject =
        Rule { matches: vec![Match::OriginAs(Asn::new(9))], changes: vec![], verdict: Verdict::Reject };
    let (one, two) = (up(&mut rib, Client, 1, now), up(&mut rib, Client, 2, now));
    rib.set_import(one, Policy { rules: vec![reject] });
    rib.handle_update(one, announce(0..3, attributes(&[]), 1));
    rib.handle_update(one, announce(3..5, attributes(&[9]), 1));
    Told::default().hear(&mut rib, two);
    let evpn =
        |received, accepted, stale, told| [(Family::EVPN, Tally { received, accepted, stale, told })].into();
    assert_eq!(rib.tally(), [(one, evpn(5, 3, 0, 0)), (two, evpn(0, 0, 0, 3))].into());
    assert_eq!(rib.kept(one), None);
    // The peer is away, then for long.
    let (restart, long_lived) = (Duration::from_secs(9), Duration::from_secs(90));
    let families = vec![RetainFamily { family: Family::EVPN, restart, long_lived }];
    rib.handle_down(one, &Retain { families }, now);
    while rib.next_deadline().is_some_and(|at| at <= now) {
        rib.handle_timeout(now);
    }
    assert_eq!(rib.tally()[&one], evpn(5, 3, 5, 0));
    assert_eq!(rib.kept(one), Some(Kept { until: now + restart, long_lived: false }));
    rib.handle_timeout(now + restart);
    assert_eq!(rib.kept(one), Some(Kept { until: now + restart + long_lived, long_lived: true }));
}
