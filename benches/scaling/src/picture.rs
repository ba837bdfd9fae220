//! Late jobs against cost, each contender a point: the lower and the further left, the better.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::report::{Line, Table};

const SIZE: (u32, u32) = (900, 520);
/// Shares of late jobs that are shown; what lies outside is drawn at the edge.
const LATE: (f64, f64) = (0.000_1, 1.0);
/// The highest cost that is shown.
const MOST: f64 = 4.0;

pub(crate) fn draw(path: &Path, table: &Table) -> Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    draw_on(&area, table).map_err(|error| anyhow!("{}: {error}", path.display()))
}

type Failed = Box<dyn std::error::Error>;

fn draw_on(area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, table: &Table) -> Result<(), Failed> {
    area.fill(&WHITE)?;
    let place = |line: &Line| ((1.0 - line.hit_rate()).clamp(LATE.0, LATE.1), line.cost().min(MOST));
    let highest = table.lines.iter().map(|line| place(line).1).fold(1.2, f64::max) + 0.6;
    let mut chart = ChartBuilder::on(area)
        .caption(&table.scenario, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.9..highest, (LATE.0..LATE.1).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("paid ÷ what a clairvoyant would pay")
        .y_desc("jobs after their deadline")
        .y_label_formatter(&|late| format!("{} %", (late * 100_000.0).round() / 1000.0))
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 13))
        .draw()?;
    // The promise.
    chart.draw_series(LineSeries::new([(0.9, 0.01), (highest, 0.01)], BLACK.mix(0.3)))?;
    for line in &table.lines {
        let (late, cost) = place(line);
        let (colour, radius) = match line.name.as_str() {
            name if name.contains("guv, deadline") => (RGBColor(0, 110, 90), 6),
            _ => (RGBColor(150, 90, 40), 4),
        };
        chart.draw_series([Circle::new((cost, late), radius, colour.filled())])?;
        let name = line.name.replace("**", "").replace(", chosen on other days", "");
        let style = ("sans-serif", 11).into_font().color(&colour);
        chart.draw_series([EmptyElement::at((cost, late)) + Text::new(name, (9, -6), style)])?;
    }
    area.present()?;
    Ok(())
}
