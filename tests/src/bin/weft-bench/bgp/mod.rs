//! weft as a route reflector against FRR and GoBGP: the same bytes to each, one after the other in each round.
//!
//! A subject is started for each run, and gets all routes of a size from one client; a second one counts what it is sent,
//! a third one comes late. What is measured: seconds from the first byte sent until the last route is at the second client,
//! and what the subject needs for that.

mod client;
mod stream;
mod subject;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use weft_tests::Lab;

use crate::load::Better;
use crate::report::{Report, Row};
use crate::statistics::{Spread, ratios};
use crate::table;
use client::Client;
use stream::{Kind, Stream};
use subject::{Program, Subject, addresses};

const ASN: u32 = 65000;
/// Of anything, until it is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// The largest number of routes that GoBGP gets; type 2 it gets none of: that takes minutes.
const MOST_FOR_GOBGP: u32 = 100_000;

/// `weft-bench bgp`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How often every subject is run with every number of routes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Numbers of routes
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    routes: Vec<u32>,

    /// Name of the report: FOLDER/NAME.json
    #[arg(long, default_value = "bgp")]
    name: String,

    /// Where the report goes
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
}

/// What a run measures, in the order of [`Figures`].
const MEASURES: [(&str, &str); 8] = [
    ("announce", "s"),
    ("late-joiner", "s"),
    ("withdraw", "s"),
    ("announce-again", "s"),
    ("peer-lost", "s"),
    ("peer-back", "s"),
    ("cpu", "s"),
    ("memory", "bytes/route"),
];

type Figures = [f64; MEASURES.len()];

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut report = Report::new(&options.name, 0)?;
    client::end_of_rib()?;
    table::columns(&[Program::Weft, Program::Frr, Program::GoBgp].map(Program::name));
    for kind in [Kind::Type2, Kind::Type5] {
        for &count in &options.routes {
            let stream = Stream::new(kind, count)?;
            let programs = subjects(kind, count);
            let mut figures: BTreeMap<&str, Vec<Figures>> = BTreeMap::new();
            for round in 0..options.rounds {
                for turn in 0..programs.len() {
                    let program = programs[(turn + round as usize) % programs.len()];
                    let measured = measure(program, &stream);
                    let what = || format!("{} with {count} routes of {}", program.name(), kind.name());
                    figures.entry(program.name()).or_default().push(measured.with_context(what)?);
                }
            }
            for (number, (measure, unit)) in MEASURES.into_iter().enumerate() {
                let test = format!("{}/{count}/{measure}", kind.name());
                let rows = rows(&test, unit, number, &programs, &figures);
                table::rows(&rows);
                report.add(rows);
            }
        }
    }
    let path = report.write(&options.folder)?;
    table::end(&path);
    Ok(())
}

fn subjects(kind: Kind, count: u32) -> Vec<Program> {
    let mut programs = vec![Program::Weft, Program::Frr];
    if kind == Kind::Type5 && count <= MOST_FOR_GOBGP {
        programs.push(Program::GoBgp);
    }
    programs
}

fn measure(program: Program, stream: &Stream) -> Result<Figures> {
    let lab = Lab::new()?;
    let mut subject = Subject::start(&lab, program)?;
    let connect = |subject: &Subject, client: u8| {
        let (from, to) = addresses(client);
        Client::connect(&subject.clients[usize::from(client)], from, to)
    };
    let all = usize::try_from(stream.count)?;
    let (announce, withdraw) = (Arc::new(stream.announce.clone()), Arc::new(stream.withdraw.clone()));
    let (sender, receiver) = (connect(&subject, 0)?, connect(&subject, 1)?);
    receiver.wait_for(0, PATIENCE)?;
    let (cpu, memory) = (subject.cpu()?, subject.resident()?);

    let start = sender.send(Arc::clone(&announce))?;
    let announced = receiver.wait_for(all, PATIENCE)? - start;
    let (cpu, memory) = (subject.cpu()? - cpu, subject.resident()? - memory);

    let start = std::time::Instant::now();
    let late = connect(&subject, 2)?;
    let joined = late.wait_for(all, PATIENCE)? - start;
    late.close()?;

    let start = sender.send(withdraw)?;
    let withdrawn = receiver.wait_for(0, PATIENCE)? - start;
    let start = sender.send(Arc::clone(&announce))?;
    let again = receiver.wait_for(all, PATIENCE)? - start;

    let start = sender.close()?;
    let lost = receiver.wait_for(0, PATIENCE)? - start;
    let sender = connect(&subject, 0)?;
    let start = sender.send(announce)?;
    let back = receiver.wait_for(all, PATIENCE)? - start;
    drop((sender, receiver));

    let seconds = [announced, joined, withdrawn, again, lost, back].map(|time| time.as_secs_f64());
    let [announced, joined, withdrawn, again, lost, back] = seconds;
    Ok([announced, joined, withdrawn, again, lost, back, cpu, memory / f64::from(stream.count)])
}

/// A row for weft against each of the others, and one for each of these.
fn rows(
    test: &str,
    unit: &'static str,
    number: usize,
    programs: &[Program],
    figures: &BTreeMap<&str, Vec<Figures>>,
) -> Vec<Row> {
    let of = |program: Program| -> Vec<f64> {
        figures.get(program.name()).into_iter().flatten().map(|figures| figures[number]).collect()
    };
    let row = |program: Program, against: Option<Program>| {
        let own = of(program);
        Row {
            test: test.to_owned(),
            unit,
            better: Better::Lower,
            subject: program.name(),
            against: against.map(Program::name),
            value: Spread::of(&own),
            rounds: own.len(),
            ratio: against.map(|against| Spread::of(&ratios(&own, &of(against)))),
        }
    };
    let mut rows = Vec::new();
    for other in programs.iter().skip(1) {
        rows.push(row(Program::Weft, Some(*other)));
    }
    rows.extend(programs.iter().skip(1).map(|other| row(*other, None)));
    rows
}
