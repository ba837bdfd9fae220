//! What came out, as Markdown.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use guv_model::simulation::{Outcome, Score};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use crate::picture;

/// Behind this line a report is written anew.
const TABLES: &str = "<!-- tables -->";
/// So many runs are shown one by one, too.
const MANY: usize = 10;
/// How often runs are drawn anew for an interval of confidence.
const RESAMPLED: usize = 2000;

/// One scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) scenario: String,
    /// Where each run is from.
    pub(crate) runs: Vec<String>,
    /// What must be paid at least to be in time as often as promised, as a part of what all in time cost.
    #[serde(default)]
    pub(crate) promise: Option<f64>,
    pub(crate) lines: Vec<Line>,
}

/// One contender's results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Share of hits among the jobs that any worker could have finished in time, of each run.
    hits: Vec<f64>,
    /// Paid ÷ bound, of each run.
    costs: Vec<f64>,
    /// Worker-seconds paid, all runs.
    pub(crate) paid: f64,
    worst: f64,
    used: Vec<f64>,
    killed: u64,
    operations: f64,
    hours: f64,
}

impl Line {
    pub(crate) fn new(name: String) -> Self {
        let none = Vec::new;
        Self {
            name,
            hits: none(),
            costs: none(),
            paid: 0.0,
            worst: 1.0,
            used: none(),
            killed: 0,
            operations: 0.0,
            hours: 0.0,
        }
    }

    pub(crate) fn add(&mut self, score: &Score, bound: f64, outcome: &Outcome, seconds: f64) {
        let feasible = score.jobs - score.hopeless;
        self.hits.push(score.hits as f64 / feasible.max(1) as f64);
        self.costs.push(score.paid / bound);
        self.paid += score.paid;
        self.worst = self.worst.min(score.worst);
        self.used.push(score.utilisation(1));
        self.killed += outcome.killed;
        self.operations += outcome.operations as f64;
        self.hours += seconds / 3600.0;
    }

    pub(crate) fn hit_rate(&self) -> f64 {
        mean(&self.hits)
    }

    pub(crate) fn cost(&self) -> f64 {
        mean(&self.costs)
    }
}

/// Writes the tables of a report, and a picture of each.
pub(crate) fn write(path: &Path, tables: &[Table]) -> Result<()> {
    let before = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let (kept, _) =
        before.split_once(TABLES).with_context(|| format!("{} has no line {TABLES}", path.display()))?;
    let folder = path.with_extension("");
    fs::create_dir_all(&folder)?;
    let name = folder.file_name().context("a file has a name")?.to_string_lossy().into_owned();
    let mut text = format!("{kept}{TABLES}\n");
    for table in tables {
        let slug: String = table
            .scenario
            .chars()
            .filter(|c| !",×%".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let file = format!("{}.svg", slug.to_lowercase().replace("--", "-"));
        picture::draw(&folder.join(&file), table)?;
        text.push_str(&format!("\n{table}\n![late jobs and cost, {}]({name}/{file})\n", table.scenario));
    }
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {} ({} runs)\n", self.scenario, self.runs.len())?;
        writeln!(f, "| | in time, % | paid ÷ bound | worst 10 min, % | used, % | changes/h | killed |")?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|")?;
        for line in &self.lines {
            let (hits, costs) = (interval(&line.hits), interval(&line.costs));
            writeln!(
                f,
                "| {} | {:.2} ({:.2}–{:.2}) | {:.3} ({:.3}–{:.3}) | {:.1} | {:.0} | {:.1} | {} |",
                line.name,
                100.0 * line.hit_rate(),
                100.0 * hits.0,
                100.0 * hits.1,
                line.cost(),
                costs.0,
                costs.1,
                100.0 * line.worst,
                100.0 * mean(&line.used),
                line.operations / line.hours,
                line.killed
            )?;
        }
        if let Some(promise) = self.promise {
            writeln!(
                f,
                "\nTo keep the promise only, {promise:.3} of the bound must be paid at least (first run)."
            )?;
        }
        self.each_run(f)
    }
}

impl Table {
    /// The first contender's results of each run, where there are many.
    fn each_run(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(line) = self.lines.first().filter(|_| self.runs.len() >= MANY) else { return Ok(()) };
        writeln!(f, "\n<details><summary>each run, {}</summary>\n", line.name.replace("**", ""))?;
        writeln!(f, "| | in time, % | paid ÷ bound |\n|---|---:|---:|")?;
        for ((run, hits), cost) in self.runs.iter().zip(&line.hits).zip(&line.costs) {
            writeln!(f, "| {run} | {:.2} | {cost:.3} |", 100.0 * hits)?;
        }
        writeln!(f, "\n</details>")
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Between which the mean lies with 95 % confidence: a bootstrap over the runs. All lines draw the same runs, so that their
/// intervals can be compared.
fn interval(values: &[f64]) -> (f64, f64) {
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let mut means: Vec<f64> = (0..RESAMPLED)
        .map(|_| {
            let drawn = (0..values.len()).map(|_| values[random.random_range(0..values.len())]);
            drawn.fold(0.0, |sum, value| sum + value) / values.len() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    (means[RESAMPLED / 40], means[RESAMPLED - 1 - RESAMPLED / 40])
}
