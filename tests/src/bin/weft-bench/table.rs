//! What is shown while it runs: a line for each test and measure.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark is there to be read")]

use std::path::Path;

use crate::plan::Plan;
use crate::report::Row;
use crate::subject::Subject;

/// Says what is compared, and how.
pub(crate) fn head(plan: &Plan, subjects: &[Subject<'_>]) {
    for subject in subjects {
        println!("{:<14} {}", subject.name, subject.what);
    }
    println!(
        "{} rounds of {} ms; medians, and medians of each round's ratios\n",
        plan.rounds,
        plan.slice.as_millis()
    );
}

/// Heads columns: of each subject's figures, then of the first one's ratios to the others.
pub(crate) fn columns(subjects: &[&str]) {
    print!("{:<55} {:>14}", "", "unit");
    for subject in subjects {
        print!(" {subject:>13}");
    }
    for rival in subjects.iter().skip(1) {
        print!("  {:<22}", format!("/ {rival}"));
    }
    println!();
}

/// Shows rows of a test: those of one measure share a line.
pub(crate) fn rows(rows: &[Row]) {
    for measure in rows.chunk_by(|one, other| one.test == other.test) {
        let Some(first) = measure.first() else { continue };
        print!("{:<55} {:>14}", first.test, first.unit);
        for subject in measure.chunk_by(|one, other| one.subject == other.subject) {
            print!(" {:>13}", figure(subject[0].value.median));
        }
        let of_first = measure.iter().filter(|row| row.subject == first.subject);
        for ratio in of_first.filter_map(|row| row.ratio) {
            let range = format!("({:.2}-{:.2})", ratio.min, ratio.max);
            print!("  {:<8.2}{range:<14}", ratio.median);
        }
        println!();
    }
}

/// Says how BGP is measured.
pub(crate) fn bgp_head(rounds: u32) {
    println!(
        "weft, FRR and, with up to 100,000 routes of type 5, GoBGP: for type 2 it takes nearly quadratic time.\n\
         {rounds} rounds; medians, and medians of each round's ratios\n"
    );
}

/// Says what the peers take by themselves.
pub(crate) fn alone(name: &str, announce: f64, withdraw: f64) {
    println!(
        "{name}: the peers alone announce in {} s, withdraw in {} s",
        figure(announce),
        figure(withdraw)
    );
}

/// Says how far an aim is reached.
pub(crate) fn aim(test: &str, what: &str, reached: f64, most: f64) {
    let verdict = if reached <= most { "reached" } else { "missed" };
    println!("aim {verdict}: {test}: {} {what}, at most {} is aimed at", figure(reached), figure(most));
}

/// Says whether a ratio is large enough.
pub(crate) fn least(what: &str, reached: f64, least: f64) {
    let verdict = if reached >= least { "met" } else { "missed" };
    println!("aim {verdict}: {what}: {reached:.2}, at least {least:.2} is aimed at");
}

/// Says how many packets met an old rule behind the answer to a change.
pub(crate) fn late(packets: usize) {
    let verdict = if packets == 0 { "met" } else { "missed" };
    println!(
        "aim {verdict}: {packets} packets were judged by an old rule after the answer, 0 are aimed at\n"
    );
}

/// Shows rows of several tests, a line for each subject: its figure, and the first one's over it.
pub(crate) fn beside(rows: &[Row]) {
    for test in rows.chunk_by(|one, other| one.test == other.test) {
        let Some(first) = test.first() else { continue };
        println!("{} ({})", first.test, first.unit);
        println!("  {:<20} {:>13}", first.subject, figure(first.value.median));
        for row in test.iter().filter(|row| row.subject != first.subject) {
            print!("  {:<20} {:>13}", row.subject, figure(row.value.median));
            let pair = test.iter().find(|pair| pair.against == Some(row.subject));
            if let Some(ratio) = pair.and_then(|pair| pair.ratio) {
                print!("  {:>6.2} ({:.2}-{:.2})", ratio.median, ratio.min, ratio.max);
            }
            println!();
        }
    }
    println!();
}

/// Says where the report is.
pub(crate) fn end(path: &Path) {
    println!("\nwritten to {}", path.display());
}

/// Says what went wrong.
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// Three digits that matter, at least.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}
