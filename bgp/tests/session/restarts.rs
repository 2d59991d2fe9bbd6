//! What stays of a neighbour's routes when its session ends (RFC 4724, RFC 8538).

use std::time::Duration;

use weft_bgp::session::{Config, Stop};
use weft_bgp::wire::{Family, Notification, NotificationCode, cease};

use crate::link::{Link, config, restart};

fn established(graceful: bool) -> Link {
    let restart = graceful.then(restart);
    let config = |end| Config { restart, hold_time: 9, ..config(end) };
    let mut link = Link::new([config(0), config(1)], 1);
    link.settle();
    link.pass(Duration::from_secs(60));
    assert!(link.is_up());
    link
}

fn kept(link: &Link, end: usize) -> Vec<Family> {
    let down = link.ends[end].down.last().expect("it is down");
    down.retain.families.iter().map(|kept| kept.family).collect()
}

#[test]
fn a_broken_connection_keeps_routes_if_both_agreed() {
    let mut link = established(true);
    link.break_all();
    assert_eq!(kept(&link, 0), [Family::EVPN]);
    let retain = &link.ends[0].down[0].retain.families[0];
    assert_eq!((retain.restart, retain.long_lived), (Duration::from_secs(120), Duration::ZERO));
    let mut link = established(false);
    link.break_all();
    assert_eq!(kept(&link, 0), []);
}

#[test]
fn a_reset_keeps_routes_and_a_shutdown_does_not() {
    for (stop, stays) in [
        (Stop::Reset("".to_owned()), true),
        (Stop::Reconfigured, true),
        (Stop::Crowded, true),
        (Stop::Shutdown("".to_owned()), false),
        (Stop::Deconfigured, false),
        (Stop::BfdDown, false),
        (Stop::TooManyRoutes { family: Family::EVPN, limit: 7, again: None }, false),
    ] {
        let mut link = established(true);
        let now = link.now;
        link.ends[0].peer.handle_stop(&stop, now);
        link.act();
        link.settle();
        for end in 0..2 {
            assert_eq!(!kept(&link, end).is_empty(), stays, "{stop:?} at {end}");
        }
    }
}

#[test]
fn a_neighbour_that_restarts_unnoticed_takes_its_session_over() {
    let mut link = established(true);
    link.crash(1, Config { restart: Some(restart()), ..config(1) });
    link.settle();
    assert!(link.is_up());
    assert_eq!(kept(&link, 0), [Family::EVPN]);
    assert_eq!(link.ends[0].up.len(), 2);
}

#[test]
fn without_graceful_restart_it_has_to_wait_for_the_hold_time() {
    let mut link = established(false);
    link.crash(1, config(1));
    link.settle();
    assert!(!link.is_up());
    assert_eq!(link.ends[0].down.len(), 0);
    link.pass(Duration::from_secs(30));
    assert!(link.is_up());
    assert_eq!(link.ends[0].down.len(), 1);
}

#[test]
fn silence_right_behind_the_first_keepalive_is_noticed() {
    let mut link = established(true);
    let before = link.ends[0].down.len();
    link.cut = true;
    link.crash(1, Config { restart: Some(restart()), passive: true, ..config(1) });
    link.pass(Duration::from_secs(10));
    assert_eq!(link.ends[0].down.len(), before + 1);
    assert_eq!(link.ends[0].down.last().unwrap().reason, "nothing was heard for the hold time");
    assert_eq!(kept(&link, 0), [Family::EVPN], "RFC 8538: a hold timer that expires keeps routes");
}

#[test]
fn a_dead_path_is_a_hard_reset_and_a_restart_before_it_is_not_undone() {
    let mut link = established(true);
    let now = link.now;
    link.ends[0].peer.handle_stop(&Stop::BfdDown, now);
    let sent = link.ends[0].peer.last_end().unwrap().sent.clone().unwrap();
    assert_eq!((sent.code, sent.subcode), (NotificationCode::CEASE, cease::HARD_RESET));
    assert_eq!(sent.hard_reset_reason(), Some(Notification::new(NotificationCode::CEASE, cease::BFD_DOWN)));
    let mut link = established(true);
    link.break_all();
    let now = link.now;
    link.ends[0].peer.handle_stop(&Stop::BfdDown, now);
    link.act();
    assert_eq!(link.ends[0].down.len(), 1);
    assert_eq!(kept(&link, 0), [Family::EVPN]);
}
