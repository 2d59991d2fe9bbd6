//! weft's security groups beside nftables with connection tracking, and beside no rules at all.
//!
//! All subjects are up at the same time, and a round runs a test on each, one right after the other. Then the same hosts
//! show what their programs cost a packet of a connection, what a rule takes, and how soon a changed rule counts; at the
//! end others, what the number of live connections costs.
//!
//! ```text
//! subjects   who takes part                        traffic    transactions and connections
//! hosts      programs, devices and pins            frames     packets for test runs
//! handshake  the packets of a connection           flows      many live connections
//! lookup     a look-up of the next hop             memory     of rules and connections
//! changes    a rule is changed under a stream      aims       what is to be reached
//! ```

mod aims;
mod changes;
mod flows;
mod frames;
mod handshake;
mod hosts;
mod lookup;
mod memory;
mod stream;
mod subjects;
mod traffic;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::plan::Plan;
use crate::report::{Report, Row};
use crate::{programs, table};

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often every test is run on every subject
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// At most 10,000 rules and 100,000 connections, and shorter runs
    #[arg(long)]
    quick: bool,

    /// Name of the report: FOLDER/NAME.json
    #[arg(long, default_value = "policy")]
    name: String,
}

/// Milliseconds of each run.
const SLICE: u64 = 400;
const QUICK_SLICE: u64 = 100;

/// Measures, and writes the report.
pub(crate) fn run(args: &Args, folder: &Path) -> Result<()> {
    let slice = Duration::from_millis(if args.quick { QUICK_SLICE } else { SLICE });
    let plan = Plan::new(None, args.rounds, slice)?;
    let mut report = Report::new(&args.name, Some(slice))?;
    let groups = subjects::groups(args.quick);
    let mut all = Vec::new();
    subjects::with_all(groups, |clouds, rivals| {
        let subjects = subjects::of(clouds, rivals);
        table::head(&plan, &subjects);
        add(&mut all, traffic::measure(&subjects, clouds, &plan).context("traffic")?);
        add(&mut all, handshake::measure(clouds, &plan).context("the packets of a connection")?);
        add(&mut all, lookup::measure(clouds, &plan).context("look-ups")?);
        add(&mut all, memory::measure(clouds).context("memory")?);
        let (rows, late) = changes::measure(clouds, &plan).context("changes")?;
        add(&mut all, rows);
        table::late(late);
        Ok(())
    })?;
    add(&mut all, flows::measure(&plan, flows::counts(args.quick)).context("live connections")?);
    for (what, reached, least) in aims::of(&all) {
        table::least(&what, reached, least);
    }
    report.add(all);
    let path = report.write(folder)?;
    table::end(&path);
    Ok(())
}

fn add(all: &mut Vec<Row>, rows: Vec<Row>) {
    table::beside(&rows);
    all.extend(rows);
}

/// The first subject beside each of the others, and each of the others alone.
fn first_beside_all(rows: Vec<Row>) -> Vec<Row> {
    let mut kept: Vec<Row> = Vec::new();
    for mut row in rows {
        let of_first =
            kept.iter().find(|one| one.test == row.test).is_none_or(|one| one.subject == row.subject);
        let is_there = kept.iter().any(|one| one.test == row.test && one.subject == row.subject);
        if !of_first {
            if is_there {
                continue;
            }
            (row.against, row.ratio) = (None, None);
        }
        kept.push(row);
    }
    kept
}

/// Figures by subject, then by round.
type BySubject = Vec<(&'static str, Vec<f64>)>;

/// Rows of nanoseconds, by subject and round: the first subject beside each of the others.
fn nanoseconds(test: &str, figures: &[(&'static str, Vec<f64>)]) -> Vec<Row> {
    let figures: Vec<_> = figures.iter().map(|(subject, figures)| (*subject, figures.as_slice())).collect();
    first_beside_all(Row::compare(test, "ns", crate::load::Better::Lower, &figures))
}

/// A figure that is the same in each round.
fn constant(test: &str, unit: &'static str, subject: &'static str, figure: f64) -> Row {
    Row { unit, ..programs::row(test, subject, &[figure], None) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Better;

    #[test]
    fn the_first_is_compared_and_the_others_are_there() {
        let figures: [(&'static str, &[f64]); 3] = [("a", &[2.0]), ("b", &[4.0]), ("c", &[8.0])];
        let rows = first_beside_all(Row::compare("t", "ns", Better::Lower, &figures));
        let seen: Vec<_> = rows.iter().map(|row| (row.subject, row.against)).collect();
        assert_eq!(seen, [("a", Some("b")), ("a", Some("c")), ("b", None), ("c", None)]);
    }
}
