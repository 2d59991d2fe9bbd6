//! weft's BGP-EVPN beside FRR's and GoBGP's, fed with the same bytes: as route reflector, and as VTEP.
//!
//! A round starts each subject anew, one after the other, in namespaces of its own, and who goes first changes from
//! round to round. Peers of our own send what was encoded before, and count what comes.
//!
//! ```text
//! routes   the bytes, and how a route is known again     lab      subjects, configured alike
//! peer     sends and counts                              growth   the picture of times by number
//! reflect  one run as reflector                          forward  one run as VTEP
//! results  rows of the report, and the aims
//! ```

mod forward;
mod growth;
mod lab;
mod peer;
mod reflect;
mod results;
mod routes;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::load::Better;
use crate::report::{Report, Row};
use crate::table;
use growth::Line;
use lab::Subject;
use reflect::Figures;
use routes::{Kind, Stream};

/// How long a subject may take for one step.
const PATIENCE: Duration = Duration::from_secs(120);

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often every subject is run
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// At most 10,000 routes
    #[arg(long)]
    quick: bool,

    /// Name of the report: FOLDER/NAME.json
    #[arg(long, default_value = "bgp")]
    name: String,
}

/// What is done with a number of routes.
struct Case {
    kind: Kind,
    count: usize,
    subjects: &'static [Subject],
}

const BOTH: &[Subject] = &[Subject::Weft, Subject::Frr];
/// GoBGP takes nearly quadratic time for type 2, and minutes for a million routes of type 5.
const ALL: &[Subject] = &[Subject::Weft, Subject::Frr, Subject::GoBgp];

/// Those of a quick run, and of a whole one. GoBGP takes part up to 100,000 routes of type 5.
fn cases(quick: bool) -> Vec<Case> {
    let (mac_ip, prefix): (&[usize], &[usize]) = if quick {
        (&[1_000, 10_000], &[10_000])
    } else {
        (&[10_000, 30_000, 100_000, 300_000, 1_000_000], &[100_000, 1_000_000])
    };
    let prefix_subjects = |count| if count <= 100_000 { ALL } else { BOTH };
    let mac_ip = mac_ip.iter().map(|&count| Case { kind: Kind::MacIp, count, subjects: BOTH });
    let prefix =
        prefix.iter().map(|&count| Case { kind: Kind::Prefix, count, subjects: prefix_subjects(count) });
    mac_ip.chain(prefix).collect()
}

/// Measures, and writes the report.
pub(crate) fn run(args: &Args, folder: &Path) -> Result<()> {
    let mut report = Report::new(&args.name, None)?;
    table::bgp_head(args.rounds);
    let mut lines: Vec<Line> =
        BOTH.iter().map(|subject| Line { name: subject.name(), points: Vec::new() }).collect();
    let mut all = Vec::new();
    for case in cases(args.quick) {
        let (rows, rounds) = measure(&case, args.rounds)?;
        if case.kind == Kind::MacIp {
            for line in &mut lines {
                line.points.extend(point(&case, line.name, &rounds));
            }
        }
        all.extend(rows);
    }
    let count = if args.quick { 1_000 } else { 10_000 };
    all.extend(forward(count, args.rounds).context("as VTEP")?);
    results::say_aims(&all);
    report.add(all);
    let path = report.write(folder)?;
    table::end(&path);
    table::end(&growth::write(folder, &args.name, &lines)?);
    Ok(())
}

/// Runs all rounds of a case, and shows its rows.
fn measure(case: &Case, rounds: u32) -> Result<(Vec<Row>, results::Rounds)> {
    let name = format!("bgp/{}/{}", case.kind.name(), case.count);
    let stream = Stream::new(case.kind, case.count)?;
    let (announce, withdraw) = reflect::alone(&stream).context("the peers alone")?;
    table::alone(&name, announce, withdraw);
    let mut figures: Vec<(&'static str, Vec<Figures>)> =
        case.subjects.iter().map(|subject| (subject.name(), Vec::new())).collect();
    for round in 0..rounds {
        for turn in 0..case.subjects.len() {
            let number = (turn + round as usize) % case.subjects.len();
            let subject = case.subjects[number];
            let measured = reflect::run(subject, &stream, PATIENCE);
            figures[number].1.push(measured.with_context(|| format!("{name}, {}", subject.name()))?);
        }
    }
    let rows = results::rows(&name, &figures);
    table::columns(&case.subjects.iter().map(|subject| subject.name()).collect::<Vec<_>>());
    table::rows(&rows);
    Ok((rows, figures))
}

/// The median of a subject's times to announce, beside the number of routes.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn point(case: &Case, name: &str, rounds: &results::Rounds) -> Option<(f64, f64)> {
    let (_, figures) = rounds.iter().find(|(subject, _)| *subject == name)?;
    let times: Vec<f64> = figures.iter().map(|figures| figures.announce).collect();
    Some((case.count as f64, crate::statistics::Spread::of(&times).median))
}

/// Runs all rounds of routes into the kernel, and shows their row.
fn forward(count: usize, rounds: u32) -> Result<Vec<Row>> {
    let stream = Stream::new(Kind::MacIp, count)?;
    let mut figures = vec![Vec::new(); BOTH.len()];
    for round in 0..rounds {
        for turn in 0..BOTH.len() {
            let number = (turn + round as usize) % BOTH.len();
            let measured = forward::run(BOTH[number], &stream, PATIENCE);
            figures[number].push(measured.with_context(|| BOTH[number].name())?);
        }
    }
    let subjects: Vec<_> =
        BOTH.iter().zip(&figures).map(|(subject, figures)| (subject.name(), figures.as_slice())).collect();
    let rows = Row::compare(&format!("bgp/forward/type-2/{count}"), "s", Better::Lower, &subjects);
    table::columns(&BOTH.iter().map(|subject| subject.name()).collect::<Vec<_>>());
    table::rows(&rows);
    Ok(rows)
}
