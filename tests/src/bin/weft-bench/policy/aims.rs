//! What is to be reached with the most rules. Nothing fails if it is not.

use super::subjects::{LINEAR, TEN};
use crate::report::Row;
use crate::subject::VXLAN;

/// Beside whom, and the least that the ratio is to be.
const AIMS: [(&str, f64); 3] = [(LINEAR, 1.3), (VXLAN, 1.0), (TEN, 0.95)];
const TESTS: [&str; 2] = ["policy/tcp-request-response/rate", "policy/tcp-connections/rate"];

/// The aims of those that were measured: what, the ratio that is reached, and the least.
pub(super) fn of(rows: &[Row]) -> Vec<(String, f64, f64)> {
    let all = TESTS.iter().flat_map(|test| AIMS.iter().map(move |aim| (test, aim)));
    all.filter_map(|(test, (against, least))| {
        let row = rows.iter().find(|row| row.test == *test && row.against == Some(against))?;
        Some((format!("{test}: {} / {against}", row.subject), row.ratio?.median, *least))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Better;

    #[test]
    fn aims_are_of_the_first_subject_beside_others() {
        let figures: [(&'static str, &[f64]); 2] = [("weft-100000", &[3.0]), (LINEAR, &[2.0])];
        let rows = Row::compare(TESTS[0], "1/s", Better::Higher, &figures);
        let aims = of(&rows);
        assert_eq!(aims.len(), 1);
        assert_eq!((aims[0].1, aims[0].2), (1.5, 1.3));
    }
}
