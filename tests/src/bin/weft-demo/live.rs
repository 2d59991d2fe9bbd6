//! The picture with live counters, while workloads talk.

use std::io::{IsTerminal as _, stdout};
use std::time::{Duration, Instant};

use anyhow::Result;
use weft_tests::cloud::Cloud;
use weft_tests::probe::Steady;
use weft_tests::wait_until;

use crate::picture;
use crate::report::say;

/// How long to look at it, and how often it is drawn.
const SHOW: Duration = Duration::from_secs(4);
const FRAME: Duration = Duration::from_millis(500);

/// Shows the picture: on a terminal it moves while the workloads talk; elsewhere it is drawn before and after.
pub(crate) fn show(cloud: &Cloud<'_>) -> Result<()> {
    say("\nthe whole of it, with the counters of each weftd: packets that each workload\n\
         sent (↑) and got (↓), and what was dropped (✗) for which reason");
    let moving = stdout().is_terminal();
    if moving {
        say("");
    } else {
        say("\nbefore they talk:\n");
    }
    let mut last = draw(cloud, 0)?;

    let mut flows = Vec::new();
    for (from, to, rate) in [
        ("red-1", "red-4", 400),
        ("blue-1", "blue-5", 300),
        ("red-3", "red-2", 200),
        ("blue-4", "blue-3", 100),
    ] {
        let (from, to) = (cloud.pod(from), cloud.pod(to));
        flows.push(Steady::ping(&from.namespace, to.v4.into(), rate)?);
    }
    let end = Instant::now() + SHOW;
    while Instant::now() < end {
        let next = Instant::now() + FRAME;
        wait_until(FRAME * 2, "the next picture", || Instant::now() >= next)?;
        if moving {
            last = draw(cloud, last)?;
        }
    }
    flows.into_iter().try_for_each(|flow| flow.stop().map(drop))?;
    if !moving {
        say(format_args!("\nafter they talked for {} s:\n", SHOW.as_secs()));
        draw(cloud, 0)?;
    }
    Ok(())
}

/// Draws a picture over one of so many lines, and returns how many it has itself.
fn draw(cloud: &Cloud<'_>, over: usize) -> Result<usize> {
    let up = if over > 0 { format!("\x1b[{over}A") } else { String::new() };
    let picture = picture::draw(cloud)?;
    say(format_args!("{up}{picture}"));
    Ok(picture.lines().count())
}
