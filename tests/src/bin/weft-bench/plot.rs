//! The ratios as a picture: a line of text and a bar for each pair, in SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::load::Better;
use crate::report::Row;
use crate::statistics::Spread;

const WIDTH: u32 = 1100;
const LINE: u32 = 22;
const AROUND: u32 = 110;
const LABELS: u32 = 520;

/// A pair: what it is called, and how many times better the first of it is.
struct Pair {
    label: String,
    times: Spread,
}

/// Draws all rows that compare.
pub(crate) fn svg(rows: &[Row]) -> Result<String> {
    let pairs: Vec<_> = rows.iter().filter_map(Pair::of).collect();
    let mut text = String::new();
    let height = LINE * u32::try_from(pairs.len())? + AROUND;
    // The library's errors borrow what is drawn on.
    draw(&mut text, height, &pairs).map_err(|error| anyhow!("drawing: {error}"))?;
    Ok(text)
}

fn draw(text: &mut String, height: u32, pairs: &[Pair]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(text, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let least = pairs.iter().map(|pair| pair.times.min).fold(0.5, f64::min);
    let most = pairs.iter().map(|pair| pair.times.max).fold(2.0, f64::max);
    let count = i32::try_from(pairs.len())?;
    let mut chart = ChartBuilder::on(&area)
        .caption("How many times better: median and range of the rounds", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(LABELS)
        .build_cartesian_2d((least..most).log_scale(), (0..count).into_segmented())?;
    let label = |segment: &SegmentValue<i32>| {
        // The first pair at the top.
        let (SegmentValue::Exact(line) | SegmentValue::CenterOf(line)) = segment else {
            return String::new();
        };
        let pair = usize::try_from(count - 1 - line).ok().and_then(|line| pairs.get(line));
        pair.map(|pair| pair.label.clone()).unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(pairs.len())
        .y_label_formatter(&label)
        .x_label_formatter(&|times| format!("{times:.1}"))
        .draw()?;
    let even =
        (0..count).flat_map(|line| [(1.0, SegmentValue::Exact(line)), (1.0, SegmentValue::Exact(line + 1))]);
    chart.draw_series(LineSeries::new(even, BLACK.stroke_width(1)))?;
    let bars = (0..count).rev().zip(pairs).map(|(line, Pair { times, .. })| {
        let colour = if times.median >= 1.0 { GREEN } else { RED };
        let style = colour.mix(0.8).filled();
        let Spread { median, min, max } = *times;
        ErrorBar::new_horizontal(SegmentValue::CenterOf(line), min, median, max, style, 8)
    });
    chart.draw_series(bars)?;
    area.present()?;
    Ok(())
}

impl Pair {
    fn of(row: &Row) -> Option<Self> {
        let (against, ratio) = row.against.zip(row.ratio)?;
        let times = match row.better {
            Better::Higher => ratio,
            Better::Lower => {
                Spread { median: 1.0 / ratio.median, min: 1.0 / ratio.max, max: 1.0 / ratio.min }
            }
        };
        Some(Self { label: format!("{}: {} / {against}", row.test, row.subject), times })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(better: Better) -> Row {
        let ratio = Spread { median: 2.0, min: 1.0, max: 4.0 };
        Row {
            test: "udp".to_owned(),
            unit: "ns",
            better,
            subject: "weft",
            against: Some("other"),
            value: ratio,
            rounds: 3,
            ratio: Some(ratio),
        }
    }

    #[test]
    fn less_is_better_where_it_is() {
        let pair = Pair::of(&row(Better::Lower)).unwrap();
        assert_eq!(pair.times, Spread { median: 0.5, min: 0.25, max: 1.0 });
        assert_eq!(Pair::of(&row(Better::Higher)).unwrap().times.median, 2.0);
        assert!(Pair::of(&Row { against: None, ratio: None, ..row(Better::Lower) }).is_none());
    }

    #[test]
    fn every_pair_is_named_in_the_picture() {
        let text = svg(&[row(Better::Lower), Row { test: "tcp".to_owned(), ..row(Better::Higher) }]).unwrap();
        assert!(text.starts_with("<svg"), "{text}");
        assert!(text.contains("udp: weft / other") && text.contains("tcp: weft / other"), "{text}");
    }
}
