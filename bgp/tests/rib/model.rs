//! Whatever happened, in whatever order and however slowly a peer reads: it knows what a new peer would be told.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use weft_bgp::peer::{PeerId, PeerKind};
use weft_bgp::rib::{Retain, RetainFamily};
use weft_bgp::wire::{Attributes, Family};

use super::support::*;

#[derive(Debug, Clone)]
enum Step {
    Announce { peer: u8, first: u32, med: u32 },
    Withdraw { peer: u8, first: u32 },
    Down { peer: u8, retain: bool },
    Up { peer: u8 },
    EndOfRib { peer: u8 },
    Wait { seconds: u64 },
    Hear,
    Import,
}

fn step() -> impl Strategy<Value = Step> {
    let peer = || 1..4_u8;
    prop_oneof![
        6 => (peer(), 0..12_u32, 0..3_u32).prop_map(|(peer, first, med)| Step::Announce { peer, first, med }),
        3 => (peer(), 0..12_u32).prop_map(|(peer, first)| Step::Withdraw { peer, first }),
        1 => (peer(), any::<bool>()).prop_map(|(peer, retain)| Step::Down { peer, retain }),
        2 => peer().prop_map(|peer| Step::Up { peer }),
        1 => peer().prop_map(|peer| Step::EndOfRib { peer }),
        2 => (0..80_u64).prop_map(|seconds| Step::Wait { seconds }),
        3 => Just(Step::Hear),
        1 => Just(Step::Import),
    ]
}

proptest! {
    #[test]
    fn an_old_peer_knows_what_a_new_one_is_told(steps in prop::collection::vec(step(), 1..60)) {
        let (mut rib, mut now) = (rib(), Instant::now());
        let watcher = up(&mut rib, PeerKind::Client, 9, now);
        let mut told = Told::default();
        let mut is_up = [false; 4];
        for step in steps {
            match step {
                Step::Announce { peer, first, med } => {
                    let attributes = Attributes { med: Some(med), ..attributes(&[]) };
                    rib.handle_update(PeerId(peer.into()), announce(first..first + 3, attributes, peer));
                }
                Step::Withdraw { peer, first } => {
                    rib.handle_update(PeerId(peer.into()), withdraw(first..first + 2));
                }
                Step::Down { peer, retain } => {
                    let (restart, long_lived) = (Duration::from_secs(50), Duration::from_secs(50));
                    let kept = RetainFamily { family: Family::EVPN, restart, long_lived };
                    let families = if retain { vec![kept] } else { vec![] };
                    rib.handle_down(PeerId(peer.into()), &Retain { families }, now);
                    is_up[usize::from(peer)] = false;
                }
                Step::Up { peer } if !is_up[usize::from(peer)] => {
                    up(&mut rib, PeerKind::Client, peer, now);
                    is_up[usize::from(peer)] = true;
                }
                Step::Up { .. } => {}
                Step::EndOfRib { peer } => rib.handle_end_of_rib(PeerId(peer.into()), Family::EVPN),
                Step::Wait { seconds } => {
                    now += Duration::from_secs(seconds);
                    rib.handle_timeout(now);
                }
                Step::Hear => { told.hear(&mut rib, watcher); }
                Step::Import => while rib.poll_change().is_some() {},
            }
        }
        told.hear(&mut rib, watcher);
        let late = up(&mut rib, PeerKind::Client, 10, now);
        let mut new = Told::default();
        new.hear(&mut rib, late);
        prop_assert_eq!(&told.evpn, &new.evpn);
        prop_assert_eq!(rib.routes().count(), new.evpn.len());
        prop_assert_eq!(rib.told(watcher).count(), new.evpn.len());
        for peer in 1..4 {
            let held = rib.received(PeerId(peer)).count();
            prop_assert_eq!(rib.held(PeerId(peer), Family::EVPN), held);
        }
        // All gone: nothing is left in memory.
        while rib.poll_change().is_some() {}
        for peer in 1..4 {
            rib.handle_down(PeerId(peer), &Retain::default(), now);
        }
        while rib.next_deadline().is_some() {
            rib.handle_timeout(now);
        }
        prop_assert!(told.hear(&mut rib, watcher).evpn.is_empty());
        prop_assert!(new.hear(&mut rib, late).evpn.is_empty());
        while rib.poll_change().is_some() {}
        prop_assert_eq!(rib.sizes(), (0, 0, 0));
    }
}
