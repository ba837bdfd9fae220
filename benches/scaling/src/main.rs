//! Scaling policies side by side, simulated on real traffic, against what a clairvoyant would pay.

mod cells;
mod contenders;
mod peers;
mod prototype;
mod report;
mod traces;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use guv_model::simulation::simulate;

use cells::{Cell, UNSCORED};
use contenders::Contender;
use report::{Line, Table};

/// Scaling policies side by side, simulated on real traffic
#[derive(Parser)]
struct Arguments {
    /// Where the traces are
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../data"))]
    data: PathBuf,
    /// How often each scenario is drawn anew
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Write the tables to this file, as Markdown
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let begun = Instant::now();
    let mut text = String::new();
    for cell in cells::standard(&arguments.data, arguments.seeds)? {
        let mut lines = Vec::new();
        for contender in Contender::STANDARD {
            lines.push(line(&cell, contender)?);
        }
        lines.push(best_constant(&cell)?);
        let table = Table { cell: &cell.name, runs: cell.runs.len(), lines }.to_string();
        println!("{table}");
        text.push_str(&table);
        text.push('\n');
    }
    eprintln!("{:.0} s", begun.elapsed().as_secs_f64());
    match arguments.out {
        Some(path) => std::fs::write(&path, text).with_context(|| format!("writing {}", path.display())),
        None => Ok(()),
    }
}

/// A contender's results over all runs of a scenario.
fn line(cell: &Cell, contender: Contender) -> Result<Line> {
    let watch = contender.watch(cell);
    let initial = if let Contender::Constant { workers } = contender { workers } else { cell.initial };
    let mut line = Line::new(contender.name());
    for run in &cell.runs {
        let mut scaler = contender.scaler(cell)?;
        let outcome = simulate(&run.workload, &cell.platform, &watch, scaler.as_mut(), initial, run.seed);
        let score = outcome.score(&run.workload, cell.deadline, UNSCORED);
        line.add(&score, run.bound, &outcome, run.workload.length);
    }
    Ok(line)
}

/// The smallest constant number of workers that keeps the promise: nobody can know it before.
fn best_constant(cell: &Cell) -> Result<Line> {
    let mut workers = 1;
    loop {
        let line = line(cell, Contender::Constant { workers })?;
        if line.hit_rate() >= 0.99 || workers >= 500 {
            return Ok(line);
        }
        workers += 1;
    }
}
