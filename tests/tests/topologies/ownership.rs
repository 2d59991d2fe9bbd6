//! Who may change what the kernel does: one weftd for a network namespace, and only with the store that it follows.
//!
//! ```text
//! red-1 10.0.0.11 ─ h1 ─────── h2 ─ red-2 10.0.0.12
//! ```
//! red-1 pings red-2 all the time.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::probe::Steady;
use weft_tests::{Lab, Settings, Weftd, Wire, underlay};

/// Enough to see that a flow goes on.
const SOME: u64 = 50;

fn start(lab: &Lab) -> Result<(Cloud<'_>, Steady)> {
    let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
    cloud.deploy(
        &Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)?,
    )?;
    let (a, b) = (cloud.pod("red-1"), cloud.pod("red-2"));
    a.pings(b)?;
    let ping = Steady::ping(&a.namespace, b.v4.into(), 100)?;
    ping.wait_for_more(SOME)?;
    Ok((cloud, ping))
}

/// The daemon ends by itself, with an error that has these words.
fn ends_saying(daemon: &mut Weftd, words: &[&str]) -> Result<()> {
    daemon.launch()?;
    let status = daemon.wait_until_ended()?;
    let log = daemon.log_end(5);
    ensure!(!status.success(), "it ended with {status}: {log}");
    for word in words {
        ensure!(log.contains(word), "no {word:?} in {log}");
    }
    Ok(())
}

/// Nothing was lost up to now, and nothing is lost now.
fn goes_on(ping: Steady) -> Result<()> {
    ping.wait_for_more(SOME)?;
    let tally = ping.stop()?;
    ensure!(tally.lost() == 0, "{tally:?}");
    Ok(())
}

/// In: a second weftd on h1, with a pin folder, a state folder and a socket of its own. Out: it ends, says that another
/// one is there, and has pinned nothing; the first one and the traffic never notice.
#[test]
fn a_second_weftd_is_refused() -> Result<()> {
    Lab::test(|lab| {
        let (cloud, ping) = start(lab)?;
        let machine = cloud.machine(0);
        let before = cloud.daemon(0).weft().must(&["routes", "-o", "json"])?;
        let settings = Settings::new(lab, "second", underlay::UPLINK, machine.vtep);
        let mut second = Weftd::new(lab, settings, &machine.namespace)?;
        ends_saying(&mut second, &["another weftd manages this network namespace"])?;
        let pins = &second.settings().pin_folder;
        let left = fs::read_dir(pins).map_or(0, Iterator::count);
        ensure!(left == 0, "{left} pins in {}", pins.display());
        ensure!(cloud.daemon(0).weft().must(&["routes", "-o", "json"])? == before);
        cloud.wait_until_up()?;
        goes_on(ping)
    })
}

/// In: weftd of h1 stops, its state folder is moved away, and it starts again; then the folder is moved back. Out: with
/// an empty folder it ends, says whose store the kernel follows, and removes nothing; with its own it goes on.
#[test]
fn an_empty_state_folder_is_refused() -> Result<()> {
    Lab::test(|lab| {
        let (mut cloud, ping) = start(lab)?;
        let daemon = cloud.daemon_mut(0);
        let state = daemon.settings().folder.join("state");
        let away = daemon.settings().folder.join("state-away");
        daemon.terminate()?;
        fs::rename(&state, &away).context("the state folder")?;
        ends_saying(daemon, &["the kernel follows the store", "--take-over"])?;
        ping.wait_for_more(SOME)?;
        fs::remove_dir_all(&state)?;
        fs::rename(&away, &state)?;
        cloud.daemon_mut(0).start()?;
        cloud.wait_until_up()?;
        goes_on(ping)
    })
}
