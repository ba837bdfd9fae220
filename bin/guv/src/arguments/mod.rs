//! What can be said on the command line.

mod old;
mod past;
mod service;
mod simulate;
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use url::Url;

pub(crate) use old::modern;
pub(crate) use past::{Cost, Explain, Export, Format, History, Past, ReplayArguments};
pub(crate) use service::{ConfigCommand, ConfigGet, ConfigSet, Remote, Serve};
pub(crate) use simulate::{Shape, Simulate};
pub(crate) use tools::{Capacity, NewRelicEvents, UpdateJobStats, WorkerStats};

/// The number of workers follows the work: everything done within its deadline, for the least money.
#[derive(Debug, Parser)]
#[command(name = "guv", version, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  guv validate autoscale.guv.yaml                      check a configuration
  guv run autoscale.guv.yaml --dry-run --oneshot       show what would be done now, and do nothing
  guv run autoscale.guv.yaml                           govern, until stopped
  guv decide autoscale.guv.yaml --ready 3000           how many workers would that need, and why
  guv explain resize --at 2h                           why there were as many workers two hours ago
  guv replay other.guv.yaml --since 7d                 what another configuration would have done
  guv simulate autoscale.guv.yaml --load 8             what it would do on a day of traffic

Exit status: 0 done, 1 a role could not be governed, 2 usage, 78 the configuration cannot be used, 130 interrupted";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Govern: look at the queues, decide, and change the number of workers, again and again.
    Run(Box<Run>),
    /// Check a configuration. Everything that is wrong is told at once, with its place.
    Validate(Validate),
    /// Decide once, from numbers given here, and explain it.
    Decide(Decide),
    /// Show past decisions, those that changed something.
    History(History),
    /// Say why a role had as many workers as it had: inputs, formula, limits, and what was to be expected.
    Explain(Explain),
    /// Put what was recorded through another configuration.
    Replay(ReplayArguments),
    /// Try a configuration on traffic: deadlines kept, workers, cost.
    Simulate(Simulate),
    /// Add up worker-hours, and what they cost.
    Cost(Cost),
    /// Write decisions as `GuvScaled` events.
    Export(Export),
    /// Serve many applications over HTTP: configurations, decisions, metrics.
    Serve(Serve),
    /// Read or change the configuration that a service keeps; write the schema of configurations.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Show how many jobs a configuration can sustain, and what it costs.
    Capacity(Capacity),
    /// Put measured processing times into a configuration, from `{role: {average, stddev}}` on standard input.
    UpdateJobstats(UpdateJobStats),
    /// Show how workers boot, work and stop, out of a Heroku log.
    Workerstats(WorkerStats),
    /// Download `GuvScaled` events from New Relic.
    NewrelicEvents(NewRelicEvents),
    /// Write completions for a shell, to be sourced.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual page.
    Man,
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArguments {
    /// The configuration, a YAML file; `-` reads standard input [default: $GUV_CONFIG].
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<String>,
    /// The configuration: a file, or the text itself where no file has that name.
    #[arg(short, long, value_name = "FILE|TEXT", conflicts_with = "file")]
    pub(crate) config: Option<String>,
    /// The same as FILE.
    #[arg(short, long = "file", value_name = "FILE", conflicts_with_all = ["file", "config"])]
    pub(crate) file_flag: Option<String>,
    /// Let a key pass though guv does not know it. Repeatable.
    #[arg(long, value_name = "KEY")]
    pub(crate) allow_key: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv run autoscale.guv.yaml --dry-run --oneshot
  GUV_BROKER=amqp://me:secret@rabbit/team HEROKU_API_KEY=… guv run autoscale.guv.yaml
  guv run autoscale.guv.yaml --json | tee -a decisions.ndjson

GUV_BROKER (else CLOUDAMQP_URL), GUV_APP and HEROKU_API_KEY give what the configuration leaves open.
STATUSPAGE_API_TOKEN, NEW_RELIC_ACCOUNT_ID with NEW_RELIC_INSERT_KEY, and OTEL_EXPORTER_OTLP_ENDPOINT turn on reports to
these services.
SIGHUP, or a change of its file, reads the configuration again; one that cannot be used leaves the old one in force.")]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Decide, and say what would be changed, but change nothing. A history is kept only where --history names one.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// End after one decision for each role; fail if one of them could not be governed.
    #[arg(long)]
    pub(crate) oneshot: bool,
    /// Write every decision with all its inputs to standard output, as a line of JSON each.
    #[arg(long)]
    pub(crate) json: bool,
    /// Run the workers that this Procfile names as processes of our own, in its folder, and end them with us.
    #[arg(long, value_name = "FILE")]
    pub(crate) procfile: Option<PathBuf>,
    /// Be KEDA's external scaler at this address, for roles with `actuator: keda`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) keda_listen: Option<SocketAddr>,
    /// The address of RabbitMQ's management API, where it does not follow from that of the broker.
    #[arg(long, value_name = "URL", env = "RABBITMQ_MANAGEMENT_URL", hide_env_values = true)]
    pub(crate) management_url: Option<Url>,
    /// The address of Heroku's Platform API.
    #[arg(long, value_name = "URL", env = "HEROKU_API_URL", hide_env_values = true, hide = true)]
    pub(crate) heroku_url: Option<Url>,
    #[command(flatten)]
    pub(crate) history: HistoryArguments,
    /// Keep no history.
    #[arg(long, conflicts_with = "history")]
    pub(crate) no_history: bool,
    /// Serve roles, decisions and metrics over HTTP, and let applications notify of jobs.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// The token that requests must carry; needed beyond loopback.
    #[arg(long, value_name = "TOKEN", env = "GUV_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Post what somebody should know (deadline missed, maximum reached, source blind, …) to this URL.
    #[arg(long, value_name = "URL", env = "GUV_WEBHOOK", hide_env_values = true)]
    pub(crate) webhook: Option<Url>,
    /// Govern only while holding this file's lock, so that of several guv one governs and the others wait.
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,
}

/// Where the history is.
#[derive(Clone, Debug, Args)]
pub(crate) struct HistoryArguments {
    /// The history's file [default: guv/history.sqlite in the folder for state, ~/.local/state].
    #[arg(long, value_name = "FILE", env = "GUV_HISTORY")]
    pub(crate) history: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv validate autoscale.guv.yaml
  guv validate autoscale.guv.yaml --json
  guv validate autoscale.guv.yaml --rate resize=12.5
  guv validate -c 'resize: {queue: resize.IN, deadline: 60}'")]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Warn when a role cannot sustain so many jobs per second. Repeatable.
    #[arg(long, value_name = "ROLE=RATE", value_parser = rate)]
    pub(crate) rate: Vec<(String, f64)>,
    /// Write what was found to standard output as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn rate(text: &str) -> Result<(String, f64), String> {
    let wrong = || format!("`{text}` is not of the form ROLE=JOBS_PER_SECOND");
    let (role, rate) = text.rsplit_once('=').ok_or_else(wrong)?;
    let rate = rate.parse().ok().filter(|rate: &f64| *rate >= 0.0).ok_or_else(wrong)?;
    Ok((role.to_owned(), rate))
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv decide autoscale.guv.yaml --role resize --ready 3000 --in-flight 20 --workers 2
  guv decide -c 'resize: {max: 40}' --ready 40 --workers 20 --window 18,12,9")]
pub(crate) struct Decide {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// The role [default: the only one].
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// Messages that wait in the queue; not known if left out.
    #[arg(long, value_name = "N")]
    pub(crate) ready: Option<u64>,
    /// Messages taken and not acknowledged yet; not known if left out.
    #[arg(long, value_name = "N")]
    pub(crate) in_flight: Option<u64>,
    /// Consumers of the queue; not known if left out.
    #[arg(long, value_name = "N")]
    pub(crate) consumers: Option<u32>,
    /// Workers now; not known if left out.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<u32>,
    /// A worker that is told to stop finishes what it has.
    #[arg(long)]
    pub(crate) drains: bool,
    /// Past estimates, oldest first.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    pub(crate) window: Vec<u32>,
    /// Write the decision with all its inputs as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
