//! Timers that change while sessions are up.

use std::time::Duration;

use anyhow::{Result, ensure};
use weft_bgp::bfd::Peer;
use weft_tests::Lab;
use weft_tests::peers::{self, Program};

use super::{DETECTION, INTERVAL, Watch, bfdd, is_up, session, timers};
use crate::{A, B, hosts};

/// In: weft gets slower, and as fast as before; then bfdd does. Out: both sides run at the slower one's pace each time,
/// and the session is up throughout.
#[test]
fn change_under_way() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [a, b] = hosts(lab)?;
        let frr = bfdd(lab, &b.namespace, &session(A, ""))?;
        let peer = Peer::on_link(B);
        let mut weft = Watch::of(&a.namespace, peer)?;
        weft.expect_up(peer)?;
        weft.wait_for_times(peer, INTERVAL, DETECTION)?;
        let slow = Duration::from_millis(250);
        weft.add(peer, timers(250)?)?;
        weft.wait_for_times(peer, slow, slow * 3)?;
        frr.wait_for_bfd(A, "bfdd's knowledge of slow timers", |session| {
            session.status == "up" && session.remote_intervals == [250, 250]
        })?;
        weft.add(peer, timers(100)?)?;
        weft.wait_for_times(peer, INTERVAL, DETECTION)?;
        frr.wait_for_bfd(A, "bfdd's knowledge of fast timers", is_up)?;

        let change = |transmit: &str, receive: &str| {
            frr.vtysh(&["configure", "bfd", &format!("peer {A}"), transmit, receive])
        };
        change("transmit-interval 250", "receive-interval 250")?;
        weft.wait_for_times(peer, slow, slow * 3)?;
        change("transmit-interval 100", "receive-interval 100")?;
        weft.wait_for_times(peer, INTERVAL, DETECTION)?;
        ensure!(is_up(&frr.bfd_peer(A)?));
        weft.expect_quiet()
    })
}

/// In: two drivers of weft's with different wishes, and a change of one. Out: each direction runs at the slower of the
/// two wishes for it.
#[test]
fn each_direction_has_its_own() -> Result<()> {
    Lab::test(|lab| {
        let [a, b] = hosts(lab)?;
        let (peer, back) = (Peer::on_link(B), Peer::on_link(A));
        let (mut weft, mut other) = (Watch::start(&a.namespace)?, Watch::start(&b.namespace)?);
        let milliseconds = Duration::from_millis;
        let wish = |transmit, receive, multiplier| {
            weft_bgp::bfd::Config::new(milliseconds(transmit), milliseconds(receive), multiplier)
        };
        weft.add(peer, wish(100, 150, 4)?)?;
        other.add(back, wish(200, 120, 5)?)?;
        weft.expect_up(peer)?;
        other.expect_up(back)?;
        weft.wait_for_times(peer, milliseconds(120), milliseconds(5 * 200))?;
        other.wait_for_times(back, milliseconds(200), milliseconds(4 * 120))?;
        other.add(back, wish(140, 80, 3)?)?;
        weft.wait_for_times(peer, milliseconds(100), milliseconds(3 * 150))?;
        other.wait_for_times(back, milliseconds(150), milliseconds(4 * 100))?;
        weft.expect_quiet()?;
        other.expect_quiet()
    })
}
