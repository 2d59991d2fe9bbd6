//! Routes told again (RFC 2918, RFC 7313): a client refreshes what it announced, or asks for what it was told.

use std::time::{Duration, Instant};

use weft_bgp::peer::PeerKind::Client;
use weft_bgp::wire::{Family, RouteRefreshKind::*};

use super::support::*;

#[test]
fn an_answer_stands_between_marks_and_the_first_telling_before_them() {
    let (mut rib, now) = (rib(), Instant::now());
    let (one, two) = (up(&mut rib, Client, 1, now), up(&mut rib, Client, 2, now));
    rib.handle_update(one, announce(0..5000, attributes(&[]), 1));
    let (mut told, mut bytes) = (Told::default(), Vec::new());
    // In the middle of the first telling.
    assert!(rib.poll_transmit(two, 10_000, &mut bytes));
    rib.handle_refresh(two, refresh(Request), now);
    told.hear(&mut rib, two);
    let first = told.announced - 5000;
    assert!((1..5000).contains(&first), "{first}");
    assert_eq!(told.complete, [Family::EVPN, Family::IPV4_UNICAST]);
    assert_eq!(told.marks, [(refresh(Begin), first), (refresh(End), first + 5000)]);
    // Asked again in the middle of the answer, it begins once more and ends once.
    told = Told::default();
    rib.handle_refresh(two, refresh(Request), now);
    assert!(rib.poll_transmit(two, 10_000, &mut bytes));
    rib.handle_refresh(two, refresh(Request), now);
    told.hear(&mut rib, two);
    assert_eq!(told.marks, [(refresh(Begin), 0), (refresh(End), 5000)]);
    assert_eq!(told.complete, []);
}

#[test]
fn without_the_capability_there_are_no_marks() {
    let (mut rib, now) = (rib(), Instant::now());
    let one = up(&mut rib, Client, 1, now);
    rib.handle_update(one, announce(0..10, attributes(&[]), 1));
    let two = weft_bgp::peer::PeerId(2);
    rib.handle_up(two, weft_bgp::rib::Facts { enhanced_refresh: false, ..facts(Client, 2) }, now);
    let mut told = Told::default();
    told.hear(&mut rib, two);
    rib.handle_refresh(two, refresh(Request), now);
    told.hear(&mut rib, two);
    assert_eq!((told.announced, told.marks.len()), (20, 0));
}

#[test]
fn what_is_not_told_again_is_gone_and_what_is_told_again_is_no_news() {
    let (mut rib, now) = (rib(), Instant::now());
    let (one, two) = (up(&mut rib, Client, 1, now), up(&mut rib, Client, 2, now));
    rib.handle_update(one, announce(0..100, attributes(&[]), 1));
    rib.handle_update(two, announce(50..60, attributes(&[]), 2));
    let three = up(&mut rib, Client, 3, now);
    let mut told = Told::default();
    told.hear(&mut rib, three);
    let before = told.announced;
    rib.handle_refresh(one, refresh(Begin), now);
    rib.handle_update(one, announce(0..40, attributes(&[]), 1));
    told.hear(&mut rib, three);
    assert_eq!((rib.held(one, Family::EVPN), told.announced, told.withdrawn), (100, before, 0));
    rib.handle_refresh(one, refresh(End), now);
    rib.handle_timeout(now);
    told.hear(&mut rib, three);
    assert_eq!((rib.held(one, Family::EVPN), rib.held(two, Family::EVPN)), (40, 10));
    assert_eq!((told.evpn.len(), told.withdrawn), (50, 50));
    assert!(told.has(39).is_some() && told.has(40).is_none() && told.has(50).is_some());
    assert_eq!(rib.next_deadline(), None);
}

#[test]
fn a_second_beginning_counts_and_an_end_alone_does_not() {
    let (mut rib, now) = (rib(), Instant::now());
    let one = up(&mut rib, Client, 1, now);
    rib.handle_update(one, announce(0..4, attributes(&[]), 1));
    rib.handle_refresh(one, refresh(End), now);
    rib.handle_timeout(now);
    assert_eq!(rib.held(one, Family::EVPN), 4);
    rib.handle_refresh(one, refresh(Begin), now);
    rib.handle_update(one, announce(0..2, attributes(&[]), 1));
    rib.handle_refresh(one, refresh(Begin), now);
    rib.handle_update(one, announce(1..3, attributes(&[]), 1));
    rib.handle_refresh(one, refresh(End), now);
    // The next one begins while the routes of this one are still looked for.
    rib.handle_refresh(one, refresh(Begin), now);
    rib.handle_update(one, announce([1], attributes(&[]), 1));
    rib.handle_timeout(now);
    assert_eq!(rib.held(one, Family::EVPN), 2);
}

#[test]
fn an_end_that_never_comes_is_not_waited_for_and_a_new_session_is_no_refresh() {
    let (mut rib, now) = (rib(), Instant::now());
    let one = up(&mut rib, Client, 1, now);
    rib.handle_update(one, announce(0..4, attributes(&[]), 1));
    rib.handle_refresh(one, refresh(Begin), now);
    rib.handle_update(one, announce([3], attributes(&[]), 1));
    let late = rib.next_deadline().expect("it is waited for");
    assert_eq!(late, now + Duration::from_secs(600));
    rib.handle_timeout(late);
    rib.handle_timeout(late);
    assert_eq!((rib.held(one, Family::EVPN), rib.next_deadline()), (1, None));
    rib.handle_refresh(one, refresh(Begin), late);
    rib.handle_down(one, &weft_bgp::rib::Retain::default(), late);
    let one = up(&mut rib, Client, 1, late);
    rib.handle_update(one, announce(0..4, attributes(&[]), 1));
    assert_eq!(rib.next_deadline(), None);
    rib.handle_refresh(one, refresh(End), late);
    rib.handle_timeout(late);
    assert_eq!(rib.held(one, Family::EVPN), 4);
}
