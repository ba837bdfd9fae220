//! The commands that read the history.

use clap::{Args, ValueEnum};
use guv::Timestamp;

use super::{ConfigArguments, HistoryArguments};
use crate::when::moment;

/// Which part of the past.
#[derive(Clone, Debug, Args)]
pub(crate) struct Past {
    /// Only this role.
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// Not before: a time, Unix seconds, or so long ago (6h, 7d).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Timestamp>,
    /// Not after.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv history --since 6h
  guv history --role resize --all --json | jq .decision.inputs")]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) history: HistoryArguments,
    #[command(flatten)]
    pub(crate) past: Past,
    /// Those that changed nothing, too.
    #[arg(long)]
    pub(crate) all: bool,
    /// At most so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: usize,
    /// Write each decision with all its inputs, as a line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv explain resize
  guv explain resize --at 2026-03-02T08:00:00Z --json")]
pub(crate) struct Explain {
    /// The role.
    pub(crate) role: String,
    #[command(flatten)]
    pub(crate) history: HistoryArguments,
    /// When: a time, Unix seconds, or so long ago (6h) [default: now].
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<Timestamp>,
    /// Write it as JSON, with the whole record.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv replay other.guv.yaml --since 7d
  guv replay other.guv.yaml --role resize --decisions > decisions.ndjson

The queue is as it was recorded, whatever the replayed configuration does; only the number of workers is its own.")]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    #[command(flatten)]
    pub(crate) history: HistoryArguments,
    #[command(flatten)]
    pub(crate) past: Past,
    /// Write each decision that would have been made, as a line of JSON.
    #[arg(long)]
    pub(crate) decisions: bool,
    /// Write the comparison as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv cost autoscale.guv.yaml --since 30d

Sizes and prices are those of the configuration (`dynosize`, `prices`).")]
pub(crate) struct Cost {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    #[command(flatten)]
    pub(crate) history: HistoryArguments,
    #[command(flatten)]
    pub(crate) past: Past,
    /// Write it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The form of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line of JSON each.
    Ndjson,
    /// A line of comma-separated values each.
    Csv,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv export --since 7d --format csv > week.csv")]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) history: HistoryArguments,
    #[command(flatten)]
    pub(crate) past: Past,
    /// The form.
    #[arg(long, default_value = "ndjson")]
    pub(crate) format: Format,
}
