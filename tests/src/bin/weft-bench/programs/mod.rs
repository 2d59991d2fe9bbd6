//! What each of weft's programs costs a packet, in nanoseconds: the programs that weftd attached, with its maps.
//!
//! Measured in two ways. One packet at a time by the kernel's test run, beside an empty program: nothing is sent, and
//! the packet has all the room in front that it could want. And under traffic by the kernel's own account of run times,
//! which itself costs a look or two at the clock.

pub(crate) mod attached;
pub(crate) mod kernel;
pub(crate) mod packets;
mod test_runs;
mod under_load;

use anyhow::Result;
use weft_tests::cloud::Cloud;

use crate::load::Better;
use crate::plan::Plan;
use crate::report::Row;
use crate::statistics::{Spread, ratios};
use crate::subject::Subject;

pub(crate) use test_runs::to_any;

/// Name of the program that does nothing.
pub(crate) const EMPTY: &str = "empty-program";

/// Both ways, one after the other.
pub(crate) fn measure(weft: &Subject<'_>, cloud: &Cloud<'_>, plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = test_runs::measure(cloud, plan)?;
    rows.extend(under_load::measure(weft, cloud, plan)?);
    Ok(rows)
}

/// A row of figures in nanoseconds.
pub(crate) fn row(test: &str, subject: &'static str, figures: &[f64], empty: Option<&[f64]>) -> Row {
    Row {
        test: test.to_owned(),
        unit: "ns",
        better: Better::Lower,
        subject,
        against: empty.map(|_| EMPTY),
        value: Spread::of(figures),
        rounds: figures.len(),
        ratio: empty.map(|empty| Spread::of(&ratios(figures, empty))),
    }
}
