//! Scaling policies side by side, simulated on real traffic, against what a clairvoyant would pay.

mod cells;
mod contenders;
mod peers;
mod picture;
mod prototype;
mod report;
mod traces;

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use guv_model::simulation::{Watch, simulate};

use cells::{Cell, Run, Scenario};
use contenders::{Contender, STANDARD};
use report::{Line, Table};
use traces::Traces;

/// The promise: this share of the jobs that can be done in time is.
const PROMISE: f64 = 0.99;

/// Scaling policies side by side, simulated on real traffic
#[derive(Parser)]
#[command(after_help = "\
Examples:
  cargo run --release -p guv-bench
  cargo run --release -p guv-bench -- --out docs/scaling-benchmark.md
  cargo run --release -p guv-bench -- --full --seeds 10 --results full.jsonl   # hours; goes on where it was stopped")]
struct Arguments {
    /// Where the traces are
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../data"))]
    data: PathBuf,
    /// How often each scenario is drawn anew
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Every combination of load, service time, spread and deadline
    #[arg(long)]
    full: bool,
    /// Only scenarios with this in their name
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Keep results in this file, and take those that are there for done
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Replace what stands behind the line `<!-- tables -->` of this file, and draw pictures in a folder of its name
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let begun = Instant::now();
    let traces = Traces(arguments.data.clone());
    let scenarios =
        if arguments.full { cells::full(arguments.seeds) } else { cells::standard(arguments.seeds) };
    let known = known(arguments.results.as_deref())?;
    let mut tables = Vec::new();
    for scenario in scenarios {
        let name = scenario.name();
        if arguments.only.as_ref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let table = match known.iter().find(|table| table.scenario == name) {
            Some(table) => table.clone(),
            None => {
                let table = tried(&scenario, &traces)?;
                keep(arguments.results.as_deref(), &table)?;
                table
            }
        };
        println!("{table}");
        tables.push(table);
    }
    eprintln!("{:.0} s", begun.elapsed().as_secs_f64());
    match arguments.out {
        Some(path) => report::write(&path, &tables),
        None => Ok(()),
    }
}

/// Everybody's results in a scenario.
fn tried(scenario: &Scenario, traces: &Traces) -> Result<Table> {
    let cell = scenario.cell(traces)?;
    let mut lines = Vec::new();
    let can_see = |contender: &Contender| contender.can_do_with(cell.watch.tells);
    for contender in STANDARD.into_iter().filter(can_see) {
        lines.push(line(&cell, &cell.runs, cell.watch, contender)?);
    }
    for settings in contenders::tunable().into_iter().filter(|settings| settings.iter().all(can_see)) {
        let mut line = line(&cell, &cell.runs, cell.watch, rehearsed(&cell, &settings)?)?;
        line.name.push_str(", chosen on other days");
        lines.push(line);
    }
    let promise = cell.bound_with_late(1.0 - PROMISE);
    let runs = cell.runs.into_iter().map(|run| run.name).collect();
    Ok(Table { scenario: scenario.name(), runs, promise, lines })
}

/// The setting that keeps the promise on other days, looked at every 30 s, for the least money; if none does, the one that comes nearest.
fn rehearsed(cell: &Cell, settings: &[Contender]) -> Result<Contender> {
    let mut tried = Vec::new();
    for &setting in settings {
        let line = line(cell, &cell.rehearsal, Watch::default(), setting)?;
        tried.push((line.hit_rate().min(PROMISE), -line.paid, setting));
    }
    let best =
        tried.into_iter().max_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    best.map(|(_, _, setting)| setting).context("no setting to choose from")
}

/// A contender's results over some runs.
fn line(cell: &Cell, runs: &[Run], watch: Watch, contender: Contender) -> Result<Line> {
    let watch = contender.watch(watch);
    let mut line = Line::new(contender.name());
    for run in runs {
        let mut scaler = contender.scaler(cell)?;
        let initial = contender.initial(cell);
        let outcome = simulate(&run.workload, &cell.platform, &watch, scaler.as_mut(), initial, run.seed);
        let score = outcome.score(&run.workload, cell.deadline, cell.from);
        line.add(&score, run.bound, &outcome, run.workload.length);
    }
    Ok(line)
}

/// The results that are there.
fn known(path: Option<&Path>) -> Result<Vec<Table>> {
    let Some(path) = path.filter(|path| path.exists()) else { return Ok(Vec::new()) };
    let mut tables = Vec::new();
    for (index, line) in BufReader::new(File::open(path)?).lines().enumerate() {
        let table = serde_json::from_str(&line?)
            .with_context(|| format!("{}:{}: not a result of this program", path.display(), index + 1))?;
        tables.push(table);
    }
    Ok(tables)
}

fn keep(path: Option<&Path>, table: &Table) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{}", serde_json::to_string(table)?).with_context(|| format!("writing {}", path.display()))
}
