//! The results as JSON: one row for each test and pair of subjects, and the machine that they are of. And as a picture.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::load::Better;
use crate::machine;
use crate::plot;
use crate::statistics::{Spread, ratios};

/// A result.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Place, load and measure.
    pub(crate) test: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) subject: &'static str,
    /// What it is compared with, if with anything.
    pub(crate) against: Option<&'static str>,
    /// The subject's own figures.
    pub(crate) value: Spread,
    pub(crate) rounds: usize,
    /// Of the figures of each round: the subject's over the other's.
    pub(crate) ratio: Option<Spread>,
}

impl Row {
    /// Rows of one test: each subject's figures, by round, against those of all that follow it, and the last alone.
    pub(crate) fn compare(
        test: &str,
        unit: &'static str,
        better: Better,
        subjects: &[(&'static str, &[f64])],
    ) -> Vec<Self> {
        let mut rows = Vec::new();
        for (position, &(subject, figures)) in subjects.iter().enumerate() {
            let row = |against: Option<(&'static str, Spread)>| Self {
                test: test.to_owned(),
                unit,
                better,
                subject,
                against: against.map(|(against, _)| against),
                value: Spread::of(figures),
                rounds: figures.len(),
                ratio: against.map(|(_, ratio)| ratio),
            };
            let others = &subjects[position + 1..];
            rows.extend(
                others.iter().map(|(other, theirs)| row(Some((other, Spread::of(&ratios(figures, theirs)))))),
            );
            if others.is_empty() {
                rows.push(row(None));
            }
        }
        rows
    }

    fn json(&self) -> Value {
        json!({
            "test": self.test,
            "unit": self.unit,
            "better": match self.better { Better::Higher => "higher", Better::Lower => "lower" },
            "subject": self.subject,
            "against": self.against,
            "median": self.value.median,
            "min": self.value.min,
            "max": self.value.max,
            "rounds": self.rounds,
            "ratio_median": self.ratio.map(|ratio| ratio.median),
            "ratio_min": self.ratio.map(|ratio| ratio.min),
            "ratio_max": self.ratio.map(|ratio| ratio.max),
        })
    }
}

/// All results of a run.
pub(crate) struct Report {
    name: String,
    start: Value,
    slice: Option<Duration>,
    rows: Vec<Row>,
}

impl Report {
    /// An empty one. The name becomes a file's, so it is made of letters, digits, `-` and `_`.
    /// `slice`: how long each run is, if that is the same for all.
    pub(crate) fn new(name: &str, slice: Option<Duration>) -> Result<Self> {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        anyhow::ensure!(
            !name.is_empty() && name.chars().all(fits),
            "{name:?} cannot be the name of a report"
        );
        Ok(Self { name: name.to_owned(), start: machine::load()?, slice, rows: Vec::new() })
    }

    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    /// Writes it to `folder`; where.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf> {
        let report = json!({
            "name": self.name,
            "machine": machine::describe()?,
            "load_average": { "start": self.start, "end": machine::load()? },
            "slice_ms": self.slice.map(|slice| u64::try_from(slice.as_millis())).transpose()?,
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        });
        let path = folder.join(&self.name).with_extension("json");
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let text = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        let picture = path.with_extension("svg");
        fs::write(&picture, plot::svg(&self.rows)?).with_context(|| picture.display().to_string())?;
        Ok(path)
    }
}
