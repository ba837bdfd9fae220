//! What happened, drawn: for each role the jobs that wait, the workers, and the jobs that were late, over time.

use std::error::Error;
use std::path::Path;

use guv::model::simulation::{Outcome as Run, Workload};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::Trial;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 1000;
/// Heights of a panel's title and of each of its charts.
const TITLE: u32 = 34;
const CHART: u32 = 150;
/// Into so many parts the time is cut: as many as can be told apart.
const PARTS: usize = 400;

const WAITING: RGBColor = RGBColor(60, 90, 160);
const ASKED: RGBColor = RGBColor(170, 205, 190);
const UP: RGBColor = RGBColor(0, 110, 90);
const LATE: RGBColor = RGBColor(190, 60, 40);

/// One role's charts.
pub(super) struct Panel {
    title: String,
    /// Hours.
    length: f64,
    /// The most jobs that waited in each part of the time.
    waiting: Vec<f64>,
    /// The most workers asked for, and the most that were up.
    asked: Vec<f64>,
    up: Vec<f64>,
    /// The share of the jobs arriving then that were late, percent.
    late: Vec<f64>,
}

impl Panel {
    pub(super) fn of(trial: &Trial, run: &Run, jobs: &Workload) -> Self {
        let part = |at: f64| ((at / jobs.length * PARTS as f64) as usize).min(PARTS - 1);
        let none = || vec![0.0; PARTS];
        let (mut waiting, mut asked, mut up) = (none(), none(), none());
        let mut last = 0;
        for point in &run.points {
            // A part without a look is as the one before.
            for between in last + 1..part(point.at) {
                (waiting[between], asked[between], up[between]) = (waiting[last], asked[last], up[last]);
            }
            last = part(point.at);
            waiting[last] = f64::max(waiting[last], point.waiting.into());
            asked[last] = f64::max(asked[last], point.workers.into());
            up[last] = f64::max(up[last], point.up.into());
        }
        let (mut late, mut all) = (none(), none());
        for (&arrival, &finished) in jobs.arrivals.iter().zip(&run.finished) {
            all[part(arrival)] += 1.0;
            let due = arrival + trial.deadline;
            late[part(arrival)] += f64::from(u8::from(finished > due && due <= jobs.length));
        }
        late.iter_mut().zip(&all).for_each(|(late, all)| *late *= 100.0 / f64::max(*all, 1.0));
        let title = format!(
            "{}, {} ({}): {:.2} % of {} jobs within {} s, {:.1} worker-hours",
            trial.role,
            trial.policy,
            trial.config,
            100.0 * trial.in_time,
            trial.jobs,
            trial.deadline,
            trial.worker_hours
        );
        Self { title, length: jobs.length / 3600.0, waiting, asked, up, late }
    }
}

/// Draws all panels below each other.
pub(super) fn draw(path: &Path, panels: &[Panel]) -> Result<(), Box<dyn Error>> {
    let height = panels.len() as u32 * (TITLE + 3 * CHART);
    let all = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    all.fill(&WHITE)?;
    // The same scale for all, so that they can be compared.
    let highest =
        |values: fn(&Panel) -> &Vec<f64>| panels.iter().flat_map(values).copied().fold(1.0, f64::max) * 1.05;
    let scales =
        [highest(|panel| &panel.waiting), highest(|panel| &panel.asked), highest(|panel| &panel.late)];
    for (panel, area) in panels.iter().zip(all.split_evenly((panels.len(), 1))) {
        let charts = area.titled(&panel.title, ("sans-serif", 17))?.split_evenly((3, 1));
        chart(&charts[0], "jobs waiting", panel.length, scales[0], &[(&panel.waiting, WAITING)])?;
        chart(&charts[1], "workers", panel.length, scales[1], &[(&panel.asked, ASKED), (&panel.up, UP)])?;
        chart(&charts[2], "late, %", panel.length, scales[2].min(105.0), &[(&panel.late, LATE)])?;
    }
    all.present()?;
    Ok(())
}

fn chart(
    area: &Area<'_>,
    name: &str,
    hours: f64,
    highest: f64,
    series: &[(&Vec<f64>, RGBColor)],
) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin_right(16)
        .x_label_area_size(22)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..hours, 0.0..highest)?;
    chart
        .configure_mesh()
        .y_desc(name)
        .y_labels(4)
        .x_labels(12)
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|at| format!("{at} h"))
        .label_style(("sans-serif", 12))
        .draw()?;
    for (values, colour) in series {
        let points = values.iter().enumerate().flat_map(|(part, &value)| {
            // Steps: each part is a level.
            let at = |part: usize| hours * part as f64 / PARTS as f64;
            [(at(part), value), (at(part + 1), value)]
        });
        chart.draw_series(AreaSeries::new(points, 0.0, colour.mix(0.5)).border_style(colour))?;
    }
    Ok(())
}
