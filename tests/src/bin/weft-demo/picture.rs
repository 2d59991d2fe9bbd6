//! The topology as text, with the counters of every weftd.

use std::fmt::Write as _;

use anyhow::Result;
use weft_api::view::Counters;
use weft_tests::cloud::{Cloud, Pod};

/// Inside of a host's box: two of them, and the routers, fit into 80 columns.
const WIDTH: usize = 33;
/// Workloads of the fullest host, and the line of drops.
const ROWS: usize = 5;
const HEIGHT: usize = ROWS + 2;

/// h1 over h2 on the left, h3 over h4 on the right, the routers between them.
pub(crate) fn draw(cloud: &Cloud<'_>) -> Result<String> {
    let boxes = (0..4).map(|host| host_box(cloud, host)).collect::<Result<Vec<_>>>()?;
    let left = boxes[0].iter().chain(&boxes[1]);
    let right = boxes[2].iter().chain(&boxes[3]);
    let mut picture = String::new();
    let inside = WIDTH + 2;
    writeln!(picture, " {:<inside$}{:9}data centre b", "data centre a", "")?;
    for (row, (left, right)) in left.zip(right).enumerate() {
        writeln!(picture, " {left}{}{right}", between(row))?;
    }
    Ok(picture.trim_end().to_owned())
}

/// What is between the boxes in this row: 9 characters.
fn between(row: usize) -> &'static str {
    let (upper, middle, lower) = (HEIGHT / 2, HEIGHT, HEIGHT + HEIGHT / 2);
    if row == upper {
        "─┐     ┌─"
    } else if row == middle {
        " ├r1═r2┤ "
    } else if row == lower {
        "─┘     └─"
    } else if row > upper && row < lower {
        " │     │ "
    } else {
        "         "
    }
}

fn host_box(cloud: &Cloud<'_>, host: usize) -> Result<Vec<String>> {
    let counters = cloud.daemon(host).weft().counters()?;
    let machine = cloud.machine(host);
    let title = format!("─ {} ─ VTEP {} ", machine.name, machine.vtep);
    let mut lines = vec![format!("┌{title:─<WIDTH$}┐")];
    for pod in cloud.pods().filter(|pod| pod.host == host) {
        lines.push(format!("│{:<WIDTH$}│", workload(pod, &counters)));
    }
    while lines.len() < HEIGHT - 2 {
        lines.push(format!("│{:WIDTH$}│", ""));
    }
    let mut dropped = format!(" dropped {}", drops(&counters));
    if dropped.chars().count() > WIDTH {
        dropped = dropped.chars().take(WIDTH - 1).chain(['…']).collect();
    }
    lines.push(format!("│{dropped:<WIDTH$}│"));
    lines.push(format!("└{:─<WIDTH$}┘", ""));
    Ok(lines)
}

fn workload(pod: &Pod, counters: &[Counters]) -> String {
    let own = counters.iter().find(|line| line.port == pod.name);
    let (sent, got) = own.map_or((0, 0), |line| (line.from_port.packets, line.to_port.packets));
    format!(" {:<7}{:<10}{sent:>6}↑{got:>6}↓", pod.name, pod.v4.to_string())
}

/// The reasons with most drops; noise that every workload makes is left out.
fn drops(counters: &[Counters]) -> String {
    let mut reasons = std::collections::BTreeMap::new();
    for (reason, count) in counters.iter().flat_map(|line| &line.drops) {
        if reason != "neighbour_noise" && reason != "multicast" {
            *reasons.entry(reason.as_str()).or_insert(0) += count;
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    if reasons.is_empty() {
        return "nothing".to_owned();
    }
    reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
}
