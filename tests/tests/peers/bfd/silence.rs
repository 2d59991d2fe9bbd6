//! Peers that fall silent, and how long it takes until the owner knows.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use weft_bgp::bfd::{Diagnostic, Event, Peer};
use weft_tests::peers::{self, Program};
use weft_tests::{Lab, Wire, let_pass, underlay};

use super::{DETECTION, INTERVAL, Watch, bfdd, is_up, session};
use crate::{A, B, hosts};

const ROUNDS: u32 = 20;
/// Detection, and as much as one more packet for the owner to be told.
const DEADLINE: Duration = Duration::from_millis(400);

/// In: bfdd is stopped in its tracks and goes on, twenty times. Out: each time the owner is told that the path failed,
/// mostly within 400 ms, and that it is back.
#[test]
fn bfdd_falls_silent() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [a, b] = hosts(lab)?;
        let mut frr = bfdd(lab, &b.namespace, &session(A, ""))?;
        let peer = Peer::on_link(B);
        let mut weft = Watch::of(&a.namespace, peer)?;
        weft.expect_up(peer)?;
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            frr.wait_for_bfd(A, "bfdd's session", is_up)?;
            let_pass(since_a_packet(round));
            let stopped = Instant::now();
            frr.bfdd()?.pause()?;
            let event = weft.expect_down(peer)?;
            times.push(stopped.elapsed());
            ensure!(expired(&event), "{event:?}");
            frr.bfdd()?.resume()?;
            weft.expect_up(peer)?;
        }
        judge("bfdd stopped", times)
    })
}

/// In: a switch between two drivers of weft's loses b's port, twenty times; a's device keeps its carrier, so that
/// nothing but silence tells. Out: the same, on either side.
#[test]
fn a_link_goes_silently() -> Result<()> {
    Lab::test(|lab| {
        let underlay = underlay::three_hosts(lab, Wire::default())?;
        let [a, b] = [&underlay.machines[0].namespace, &underlay.machines[1].namespace];
        let (peer, back) = (Peer::on_link(B), Peer::on_link(A));
        let mut weft = Watch::of(a, peer)?;
        let mut other = Watch::of(b, back)?;
        weft.expect_up(peer)?;
        other.expect_up(back)?;
        let switch = &underlay.routers[0];
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            let_pass(since_a_packet(round));
            switch.set_up("port2", false)?;
            // Not before: the kernel may be busy with others' devices.
            let cut = Instant::now();
            let event = weft.expect_down(peer)?;
            times.push(cut.elapsed());
            ensure!(expired(&event), "{event:?}");
            let event = other.expect_down(back)?;
            ensure!(expired(&event), "{event:?}");
            ensure!(a.link("up0")?.running, "a's device has lost its carrier");
            switch.set_up("port2", true)?;
            weft.expect_up(peer)?;
            other.expect_up(back)?;
        }
        judge("link cut", times)
    })
}

/// In: a session that is up, and an owner that does nothing for ten detection times. Out: it is still up on both sides,
/// and was all the time.
#[test]
fn owner_is_busy() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let [a, b] = hosts(lab)?;
        let frr = bfdd(lab, &b.namespace, &session(A, ""))?;
        let peer = Peer::on_link(B);
        let mut weft = Watch::of(&a.namespace, peer)?;
        weft.expect_up(peer)?;
        frr.wait_for_bfd(A, "bfdd's session", is_up)?;
        let before = weft.report()?;
        // On the owner's one thread, so that nothing else runs there.
        weft.owner.block_on(async { let_pass(DETECTION * 10) });
        let after = weft.report()?;
        weft.expect_quiet()?;
        ensure!(is_up(&frr.bfd_peer(A)?));
        // Each interval is 100 ms at most.
        ensure!(after.sent >= before.sent + 20, "{before:?} {after:?}");
        ensure!(after.received >= before.received + 20, "{before:?} {after:?}");
        Ok(())
    })
}

/// When to let the fault happen: a session that has just come up has just sent a packet, and what that is worth differs.
fn since_a_packet(round: u32) -> Duration {
    INTERVAL + INTERVAL * round / ROUNDS
}

fn expired(event: &Event) -> bool {
    let expired = matches!(event, Event::Down { diagnostic: Diagnostic::ControlDetectionTimeExpired, .. });
    expired && event.is_failure()
}

/// Half the rounds must have met the deadline: a machine that is busy with something else may delay some.
#[expect(clippy::print_stderr, reason = "a figure to be read")]
fn judge(what: &str, mut times: Vec<Duration>) -> Result<()> {
    times.sort_unstable();
    let (first, median, last) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    eprintln!("{what}: told after {median:.0?} (median of {ROUNDS}; {first:.0?} to {last:.0?})");
    ensure!(median <= DEADLINE, "{times:?}");
    Ok(())
}
