//! How the time to announce grows with the number of routes, as a picture.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use plotters::prelude::*;

const SIZE: (u32, u32) = (800, 500);
const COLOURS: [RGBColor; 3] = [GREEN, RED, BLUE];

/// A subject's median seconds, by number of routes.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// Writes it beside the report.
pub(super) fn write(folder: &Path, name: &str, lines: &[Line]) -> Result<PathBuf> {
    let path = folder.join(format!("{name}-growth.svg"));
    fs::write(&path, svg(lines)?).with_context(|| path.display().to_string())?;
    Ok(path)
}

fn svg(lines: &[Line]) -> Result<String> {
    let mut text = String::new();
    // The library's errors borrow what is drawn on.
    draw(&mut text, lines).map_err(|error| anyhow!("drawing: {error}"))?;
    Ok(text)
}

fn draw(text: &mut String, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|line| &line.points);
    let range = |of: fn(&(f64, f64)) -> f64| {
        let least = points().map(of).fold(f64::INFINITY, f64::min);
        let most = points().map(of).fold(0.0, f64::max);
        least * 0.8..most * 1.25
    };
    let mut chart = ChartBuilder::on(&area)
        .caption("Type 2 routes from one client of a reflector to another", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(range(|point| point.0).log_scale(), range(|point| point.1).log_scale())?;
    chart.configure_mesh().x_desc("routes").y_desc("seconds").draw()?;
    for (line, colour) in lines.iter().zip(COLOURS.into_iter().cycle()) {
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)).point_size(4))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_is_named_in_the_picture() {
        let line = |name, factor| Line { name, points: vec![(10.0, factor), (1000.0, 100.0 * factor)] };
        let text = svg(&[line("weft", 1.0), line("frr", 2.0)]).unwrap();
        assert!(text.starts_with("<svg") && text.contains("weft") && text.contains("frr"), "{text}");
    }
}
