//! The simulation.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::ConfigArguments;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("jobs").args(["load", "trace"]).required(true).multiple(true)))]
#[command(after_help = "\
Examples:
  guv simulate autoscale.guv.yaml --load 8                        a day with eight jobs in work on average
  guv simulate autoscale.guv.yaml --load 8 --shape spikes         the same, in bursts
  guv simulate autoscale.guv.yaml --trace arrivals.csv            what has been counted
  guv simulate autoscale.guv.yaml --load 8 --picture day.svg      backlog, workers and late jobs over time
  guv simulate a.guv.yaml --compare b.guv.yaml --load 8 --json    two configurations on the very same jobs
  guv simulate a.guv.yaml --load 8 --history trial.sqlite         keeps the decisions, for `guv explain --history`

A trace is a CSV file with a line of headings and then `seconds,arrivals` for each of equally long times; or, where the second
heading begins with `service`, `seconds,service` for each job.
Workers are asked for, start, stop and are paid for as on a real platform; the decisions are those of `guv run`, at its polls
and, where the source sees changes as they happen, a quarter of a second after them.")]
pub(crate) struct Simulate {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Only this role [default: all, each for itself].
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// Another configuration, on the same jobs. Repeatable.
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Vec<String>,
    /// Arrivals that have been counted.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shape", "hours"])]
    pub(crate) trace: Option<PathBuf>,
    /// Jobs in work on average; a trace is scaled to it [default: the trace as it is].
    #[arg(long, value_name = "JOBS", value_parser = positive)]
    pub(crate) load: Option<f64>,
    /// How the load changes over time.
    #[arg(long, value_enum, default_value_t = Shape::Constant)]
    pub(crate) shape: Shape,
    /// How long it goes on.
    #[arg(long, value_name = "HOURS", default_value = "24", value_parser = positive)]
    pub(crate) hours: f64,
    /// Decide at the polls only, as if no source could see changes as they happen.
    #[arg(long)]
    pub(crate) polls_only: bool,
    /// What chance does: the same seed, the same jobs.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Draw what happened, as SVG.
    #[arg(long, value_name = "FILE.svg", value_parser = svg)]
    pub(crate) picture: Option<PathBuf>,
    /// Keep the decisions in this history, as if the run ended now: `guv explain`, `cost` and the page then show them.
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    pub(crate) history: Option<PathBuf>,
    /// Write it as JSON, with the workers over time.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A load over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// Always the same: jobs come independently of each other.
    Constant,
    /// Half of the mean for the first half, then half as much again as the mean.
    Step,
    /// A day: at its height nine times what it is at night.
    Sine,
    /// Half an hour of a half, half an hour of one and a half.
    Square,
    /// Five minutes of seven times as much every hour, and a half between.
    Spikes,
    /// Every ten minutes as many as come in ten minutes, at once.
    Batch,
}

fn svg(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("svg") => Ok(path),
        _ => Err("the picture is SVG: name a file that ends with .svg".to_owned()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("a number above 0 is needed".to_owned()),
    }
}
