//! The topology as text, with the counters of every weftd.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use weft_api::view::Counters;
use weft_tests::cloud::{Cloud, Pod};

/// Inside of a host's box: two of them, and the routers, fit into 80 columns.
const WIDTH: usize = 33;
/// Workloads of the fullest host.
const WORKLOADS: usize = 4;

/// h1 over h2 on the left, h3 over h4 on the right, the routers between them.
pub(crate) fn draw(cloud: &Cloud<'_>) -> Result<String> {
    let hosts = (0..4).map(|host| cloud.daemon(host).weft().counters()).collect::<Result<Vec<_>>>()?;
    // As high as the one with most reasons, so that the two columns stay side by side.
    let reasons = hosts.iter().map(|counters| drops(counters).len()).max().unwrap_or_default();
    let boxes: Vec<_> =
        hosts.iter().enumerate().map(|(host, counters)| host_box(cloud, host, counters, reasons)).collect();
    let height = boxes[0].len();
    let left = boxes[0].iter().chain(&boxes[1]);
    let right = boxes[2].iter().chain(&boxes[3]);
    let mut picture = String::new();
    let inside = WIDTH + 2;
    writeln!(picture, " {:<inside$}{:9}data centre b", "data centre a", "")?;
    for (row, (left, right)) in left.zip(right).enumerate() {
        writeln!(picture, " {left}{}{right}", between(row, height))?;
    }
    Ok(picture.trim_end().to_owned())
}

/// What is between the boxes of this height in this row: 9 characters.
fn between(row: usize, height: usize) -> &'static str {
    let (upper, middle, lower) = (height / 2, height, height + height / 2);
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

fn host_box(cloud: &Cloud<'_>, host: usize, counters: &[Counters], reasons: usize) -> Vec<String> {
    let machine = cloud.machine(host);
    let title = format!("─ {} ─ VTEP {} ", machine.name, machine.vtep);
    let pods = cloud.pods().filter(|pod| pod.host == host).map(|pod| workload(pod, counters));
    let mut rows: Vec<String> = pods.collect();
    rows.resize(WORKLOADS, String::new());
    rows.extend(drops(counters));
    rows.resize(WORKLOADS + reasons, String::new());
    let rows = rows.into_iter().map(|row| format!("│{row:<WIDTH$}│"));
    let (top, bottom) = (format!("┌{title:─<WIDTH$}┐"), format!("└{:─<WIDTH$}┘", ""));
    std::iter::once(top).chain(rows).chain([bottom]).collect()
}

fn workload(pod: &Pod, counters: &[Counters]) -> String {
    let own = counters.iter().find(|line| line.port == pod.name);
    let (sent, got) = own.map_or((0, 0), |line| (line.from_port.packets, line.to_port.packets));
    format!(" {:<7}{:<10}{sent:>6}↑{got:>6}↓", pod.name, pod.v4.to_string())
}

/// A line for each reason, those with most drops first; noise that every workload makes is left out.
fn drops(counters: &[Counters]) -> Vec<String> {
    let mut reasons = BTreeMap::new();
    for (reason, count) in counters.iter().flat_map(|line| &line.drops) {
        if reason != "neighbour_noise" && reason != "multicast" {
            *reasons.entry(reason.as_str()).or_insert(0) += count;
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    if reasons.is_empty() {
        return vec![" ✗ nothing".to_owned()];
    }
    reasons.iter().map(|(reason, count)| format!(" ✗ {count} {reason}")).collect()
}

#[cfg(test)]
mod tests {
    use weft_api::view::Traffic;
    use weft_dataplane_abi::DropReason;

    use super::*;

    fn dropped(reasons: impl IntoIterator<Item = (&'static str, u64)>) -> Counters {
        let drops = reasons.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect();
        let none = Traffic { packets: 0, bytes: 0 };
        Counters { port: String::new(), from_port: none, to_port: none, drops }
    }

    #[test]
    fn every_reason_fits_into_a_box() {
        let all = dropped(DropReason::ALL.map(|reason| (reason.name(), 999_999)));
        let lines = drops(&[all]);
        assert_eq!(lines.len(), DropReason::ALL.len() - 2, "noise and multicast are left out");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
    }

    #[test]
    fn ports_are_added_up_and_the_most_frequent_comes_first() {
        let counters = [dropped([("no_route", 1), ("spoofed_ip", 2)]), dropped([("no_route", 3)])];
        assert_eq!(drops(&counters), [" ✗ 4 no_route", " ✗ 2 spoofed_ip"]);
    }
}
