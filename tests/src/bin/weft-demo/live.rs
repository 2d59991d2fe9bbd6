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

/// Shows the picture: moving on a terminal, else once.
pub(crate) fn show(cloud: &Cloud<'_>) -> Result<()> {
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
    say(
        "\nthe whole of it, with the counters of each weftd; packets that each workload sent (↑) and got (↓)\n",
    );
    let moving = stdout().is_terminal();
    let end = Instant::now() + if moving { SHOW } else { FRAME };
    let mut lines = 0;
    loop {
        let next = Instant::now() + FRAME;
        // Each picture is drawn over the one before.
        let up = if lines > 0 { format!("\x1b[{lines}A") } else { String::new() };
        wait_until(FRAME * 2, "the next picture", || Instant::now() >= next || lines == 0 && moving)?;
        let picture = picture::draw(cloud)?;
        lines = picture.lines().count();
        say(format_args!("{up}{picture}"));
        if Instant::now() >= end {
            break;
        }
    }
    flows.into_iter().try_for_each(|flow| flow.stop().map(drop))
}
