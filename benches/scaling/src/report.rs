//! What came out, as Markdown.

use std::fmt;

use guv_model::simulation::{Outcome, Score};

/// One scenario.
pub(crate) struct Table<'a> {
    pub(crate) cell: &'a str,
    pub(crate) runs: usize,
    pub(crate) lines: Vec<Line>,
}

/// One contender's results.
pub(crate) struct Line {
    name: String,
    /// Share of hits among the jobs that any worker could have finished in time, of each run.
    hits: Vec<f64>,
    /// Paid ÷ bound, of each run.
    costs: Vec<f64>,
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
        self.worst = self.worst.min(score.worst);
        self.used.push(score.utilisation(1));
        self.killed += outcome.killed;
        self.operations += outcome.operations as f64;
        self.hours += seconds / 3600.0;
    }

    pub(crate) fn hit_rate(&self) -> f64 {
        mean(&self.hits)
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {} ({} runs)\n", self.cell, self.runs)?;
        writeln!(f, "| | in time, % | paid ÷ bound | worst 10 min, % | used, % | changes/h | killed |")?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|")?;
        for line in &self.lines {
            writeln!(
                f,
                "| {} | {:.2} ± {:.2} | {:.3} ± {:.3} | {:.1} | {:.0} | {:.1} | {} |",
                line.name,
                100.0 * line.hit_rate(),
                100.0 * deviation(&line.hits),
                mean(&line.costs),
                deviation(&line.costs),
                100.0 * line.worst,
                100.0 * mean(&line.used),
                line.operations / line.hours,
                line.killed
            )?;
        }
        Ok(())
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation of the runs.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len().max(2) - 1) as f64).sqrt()
}
