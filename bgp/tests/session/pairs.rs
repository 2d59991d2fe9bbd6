//! Two peers end up with one session, whatever the link does before.

use std::time::Duration;

use proptest::prelude::*;
use weft_bgp::session::{Config, State};
use weft_bgp::wire::{Asn, cease};

use crate::link::{Link, config, restart};

#[test]
fn two_that_connect_to_each_other_have_one_session() {
    let mut link = Link::new([config(0), config(1)], 1);
    link.settle();
    link.pass(Duration::from_secs(20));
    assert!(link.is_up(), "{:?}", link.ends.each_ref().map(|end| end.peer.state()));
    let [a, b] = link.ends.each_ref().map(|end| end.peer.established().unwrap());
    assert_eq!((a.hold_time, b.hold_time), (Duration::from_secs(9), Duration::from_secs(9)));
    assert_eq!(a.families, b.families);
    assert!(a.dialect.four_octet_as && a.dialect.send_extended && a.route_refresh);
}

#[test]
fn signs_of_life_keep_it_up_and_silence_ends_it() {
    let mut link = Link::new([config(0), Config { passive: true, ..config(1) }], 1);
    link.settle();
    link.pass(Duration::from_secs(3600));
    assert!(link.is_up());
    assert_eq!(link.ends.each_ref().map(|end| end.up.len()), [1, 1]);
    let keepalives = link.ends[0].peer.messages().0.keepalive;
    assert!((1200..=1600).contains(&keepalives), "{keepalives} in an hour, one in 2.25 to 3 s");
}

#[test]
fn both_passive_is_no_session() {
    let passive = |end| Config { passive: true, ..config(end) };
    let mut link = Link::new([passive(0), passive(1)], 1);
    link.pass(Duration::from_secs(60));
    assert_eq!(link.ends[0].peer.state(), State::Active);
}

#[test]
fn a_wrong_as_is_told_and_tried_again_ever_more_seldom() {
    let mut link = Link::new([config(0), Config { asn: Asn::new(65001), ..config(1) }], 1);
    link.settle();
    let ended = link.ends[0].peer.last_end().unwrap().clone();
    let sent = ended.sent.or(ended.received).unwrap();
    assert_eq!((sent.code.0, sent.subcode), (2, 2));
    link.pass(Duration::from_secs(300));
    let opens = link.ends[0].peer.messages().1.open;
    assert!((10..40).contains(&opens), "{opens} attempts in 5 minutes");
}

#[test]
fn an_operators_words_are_told_and_it_stays_down() {
    let mut link = Link::new([config(0), config(1)], 1);
    link.settle();
    let now = link.now;
    link.ends[0].peer.handle_stop(&weft_bgp::session::Stop::Shutdown("back at noon".to_owned()), now);
    link.act();
    link.settle();
    let told = link.ends[1].peer.last_end().unwrap().received.clone().unwrap();
    assert_eq!(
        (told.subcode, told.shutdown_text()),
        (cease::ADMINISTRATIVE_SHUTDOWN, Some("back at noon".to_owned()))
    );
    link.pass(Duration::from_secs(600));
    assert_eq!(link.ends[0].peer.state(), State::Idle);
    let now = link.now;
    link.ends[0].peer.handle_start(now);
    link.act();
    link.pass(Duration::from_secs(60));
    assert!(link.is_up());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Bytes arrive in any pieces and any order of connections, connections break, attempts fail, time passes: at the
    /// end, on a good link, there is one session that both have.
    #[test]
    fn whatever_happens_they_find_each_other(
        seed in any::<u64>(),
        passive in any::<bool>(),
        graceful in any::<bool>(),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 1..64_usize, 0..20_u8, 0..3000_u64), 0..200),
    ) {
        let restart = graceful.then(restart);
        let configs = [
            Config { restart, ..config(0) },
            Config { restart, passive, ..config(1) },
        ];
        let mut link = Link::new(configs, seed);
        for (choice, size, what, time) in steps {
            match what {
                0 => link.break_all(),
                1 => link.cut = !link.cut,
                2..6 => link.wait(Duration::from_millis(time)),
                _ if link.choices() > 0 => {
                    let choice = choice.index(link.choices());
                    link.happen(choice, size);
                }
                _ => {}
            }
        }
        link.cut = false;
        link.settle();
        link.pass(Duration::from_secs(600));
        prop_assert!(link.is_up(), "{:?}", link.ends.each_ref().map(|end| end.peer.state()));
        let ups = link.ends.each_ref().map(|end| end.up.len());
        link.pass(Duration::from_secs(600));
        prop_assert!(link.is_up());
        prop_assert_eq!(ups, link.ends.each_ref().map(|end| end.up.len()), "it does not flap");
        for end in &link.ends {
            prop_assert_eq!(end.up.len(), end.down.len() + 1, "ups and downs alternate");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    /// Both connect at once over a good link. In whatever order attempts succeed, connections are accepted and bytes
    /// arrive, there is one session, and it is the first. Between peers that keep routes over a restart, as long as all is
    /// there within five seconds: a connection that comes later says that the other side has restarted.
    #[test]
    fn connections_that_cross_cost_no_session(
        seed in any::<u64>(),
        restarts in any::<[bool; 2]>(),
        higher in any::<bool>(),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 1..128_usize, 0..12_u8, 0..1500_u64), 0..150),
    ) {
        let ids = if higher { [0, 1] } else { [1, 0] };
        // Silence is no reason to end a session here: bytes may wait for minutes.
        let configs = ids.map(|id| Config { restart: restarts[id].then(restart), hold_time: 0, ..config(id) });
        let mut link = Link::new(configs, seed);
        let mut patience = if restarts == [true; 2] { Duration::from_secs(5) } else { Duration::MAX };
        for (choice, size, what, time) in steps {
            let time = Duration::from_millis(time);
            if what == 0 && time <= patience {
                patience -= time;
                link.wait(time);
            } else if link.choices() > 0 {
                link.happen(choice.index(link.choices()), size);
            }
        }
        link.settle();
        link.pass(Duration::from_secs(600));
        prop_assert!(link.is_up());
        let counts = link.ends.each_ref().map(|end| (end.up.len(), end.down.len()));
        prop_assert_eq!(counts, [(1, 0), (1, 0)], "{:?}", link.ends.each_ref().map(|end| &end.down));
    }
}
