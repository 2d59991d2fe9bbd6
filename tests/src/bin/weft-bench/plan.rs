//! Which tests are run, and how: round by round, all subjects of a round one right after the other.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::load::{Load, Measure};
use crate::report::Row;
use crate::subject::{Place, Subject};

/// What to do.
pub(crate) struct Plan {
    tests: Vec<Test>,
    /// Whether to measure what each program costs.
    pub(crate) programs: bool,
    /// Whether to measure what the number of routes costs.
    pub(crate) routes: bool,
    pub(crate) rounds: u32,
    pub(crate) slice: Duration,
}

/// A load on one of the paths.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Test {
    pub(crate) place: Place,
    pub(crate) load: Load,
}

impl Test {
    pub(crate) fn name(self) -> String {
        format!("{}/{}", self.place.name(), self.load.name())
    }
}

impl Plan {
    /// All tests whose name contains `only`.
    pub(crate) fn new(only: Option<&str>, rounds: u32, slice: Duration) -> Result<Self> {
        let all = Place::ALL.into_iter().flat_map(|place| Load::ALL.map(|load| Test { place, load }));
        let tests: Vec<_> = all.filter(|test| only.is_none_or(|only| test.name().contains(only))).collect();
        let programs = only.is_none_or(|only| "programs".contains(only));
        let routes = only.is_none_or(|only| "routes".contains(only));
        ensure!(programs || routes || !tests.is_empty(), "no test is named {}", only.unwrap_or_default());
        Ok(Self { tests, programs, routes, rounds, slice })
    }

    pub(crate) fn tests(&self) -> impl Iterator<Item = Test> {
        self.tests.iter().copied()
    }
}

/// Every figure of a test: by subject, then by measure, then by round.
pub(crate) struct Results {
    name: String,
    load: Load,
    subjects: Vec<(&'static str, Vec<Vec<f64>>)>,
}

impl Results {
    /// Runs a test. Who goes first changes from round to round; a run before the first is thrown away.
    pub(crate) fn measure(name: &str, test: Test, subjects: &[Subject<'_>], plan: &Plan) -> Result<Self> {
        let Test { place, load } = test;
        let measures = load.measures().len();
        let mut results: Vec<_> =
            subjects.iter().map(|subject| (subject.name, vec![Vec::new(); measures])).collect();
        for round in 0..=plan.rounds {
            for turn in 0..subjects.len() {
                let number = (turn + round as usize) % subjects.len();
                let subject = &subjects[number];
                let figures = load.run(subject.path(place), round, plan.slice);
                let figures = figures.with_context(|| format!("{}, round {round}", subject.name))?;
                if round > 0 {
                    for (all, figure) in results[number].1.iter_mut().zip(figures) {
                        all.push(figure);
                    }
                }
            }
        }
        Ok(Self { name: name.to_owned(), load, subjects: results })
    }

    /// A row for each measure and pair: each subject against all that follow it, and the last alone.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let measures = self.load.measures();
        let of = |(number, measure)| self.rows_of(number, measure);
        measures.iter().enumerate().flat_map(of).collect()
    }

    fn rows_of(&self, number: usize, measure: &Measure) -> Vec<Row> {
        let figures = self.subjects.iter().map(|(subject, figures)| (*subject, figures[number].as_slice()));
        let test = format!("{}/{}", self.name, measure.name);
        Row::compare(&test, measure.unit, measure.better, &figures.collect::<Vec<_>>())
    }
}
