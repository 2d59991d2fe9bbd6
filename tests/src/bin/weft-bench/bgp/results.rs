//! What the rounds yielded, as rows of the report, and what is aimed at.

use super::reflect::Figures;
use crate::load::Better;
use crate::report::Row;
use crate::table;

/// The figures of each subject, by round.
pub(super) type Rounds = Vec<(&'static str, Vec<Figures>)>;

/// A row for each measure and pair of subjects that have it.
pub(super) fn rows(name: &str, rounds: &Rounds) -> Vec<Row> {
    type Get = fn(&Figures) -> Option<f64>;
    let measures: [(&str, &'static str, Get); 8] = [
        ("announce", "s", |figures| Some(figures.announce)),
        ("announce-cpu", "s", |figures| Some(figures.announce_cpu)),
        ("resident", "bytes/route", |figures| Some(figures.resident)),
        ("late-joiner", "s", |figures| figures.late),
        ("session-lost", "s", |figures| Some(figures.lost)),
        ("session-back", "s", |figures| Some(figures.back)),
        ("withdraw", "s", |figures| Some(figures.withdraw)),
        ("withdraw-cpu", "s", |figures| Some(figures.withdraw_cpu)),
    ];
    let of = |(measure, unit, get): (&str, &'static str, Get)| {
        let figures: Vec<(&'static str, Vec<f64>)> = rounds
            .iter()
            .map(|(subject, all)| (*subject, all.iter().filter_map(get).collect::<Vec<_>>()))
            .filter(|(_, all)| !all.is_empty())
            .collect();
        let subjects: Vec<_> = figures.iter().map(|(subject, all)| (*subject, all.as_slice())).collect();
        Row::compare(&format!("{name}/{measure}"), unit, Better::Lower, &subjects)
    };
    measures.into_iter().flat_map(of).collect()
}

/// What weft is to reach: a measure, whether a ratio to FRR or a figure of its own is meant, and the most that it may be.
const AIMS: [(&str, bool, f64); 5] = [
    ("bgp/type-2/1000000/announce", true, 0.5),
    ("bgp/type-2/1000000/withdraw", true, 1.0),
    ("bgp/type-2/1000000/resident", false, 450.0),
    ("bgp/type-2/100000/late-joiner", false, 0.3),
    ("bgp/forward/type-2/10000", true, 0.25),
];

/// Says which of the aims are reached, of those that were measured.
pub(super) fn say_aims(rows: &[Row]) {
    for (test, relative, most) in AIMS {
        let ours = |row: &&Row| {
            let pair = if relative { row.against == Some("frr") } else { row.against != Some("gobgp") };
            row.test == test && row.subject == "weft" && pair
        };
        let Some(row) = rows.iter().find(ours) else { continue };
        let (what, reached) = if relative {
            ("of frr's", row.ratio.map_or(f64::NAN, |ratio| ratio.median))
        } else {
            (row.unit, row.value.median)
        };
        table::aim(test, what, reached, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_measured_has_no_row() {
        let figures = |announce, late| Figures { announce, late, ..Figures::default() };
        let rounds = vec![
            ("weft", vec![figures(1.0, Some(0.5)), figures(2.0, Some(0.5))]),
            ("frr", vec![figures(4.0, None), figures(4.0, None)]),
        ];
        let rows = rows("bgp/type-2/7", &rounds);
        let row =
            rows.iter().find(|row| row.test == "bgp/type-2/7/announce" && row.against.is_some()).unwrap();
        assert_eq!((row.subject, row.ratio.unwrap().median, row.rounds), ("weft", 0.375, 2));
        let late: Vec<_> = rows.iter().filter(|row| row.test.ends_with("late-joiner")).collect();
        assert!(late.len() == 1 && late[0].subject == "weft" && late[0].against.is_none());
    }
}
