//! The tools.

use std::path::PathBuf;

use clap::Args;
use guv::Timestamp;
use url::Url;

use super::ConfigArguments;
use crate::when::moment;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv capacity autoscale.guv.yaml")]
pub(crate) struct Capacity {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Write it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv workerstats heroku.log --started 'my-worker started' --role worker")]
pub(crate) struct WorkerStats {
    /// The log; `-` reads standard input.
    pub(crate) file: PathBuf,
    /// A regular expression for the application's line that says that it is ready [default: Heroku's own line].
    #[arg(long, value_name = "REGEXP")]
    pub(crate) started: Option<regex_lite::Regex>,
    /// The role (process type).
    #[arg(long)]
    pub(crate) role: String,
    /// Write it as JSON, with every run.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  NEW_RELIC_QUERY_KEY=… guv newrelic-events --account 1234 --since 2d > events.ndjson")]
pub(crate) struct NewRelicEvents {
    /// The account.
    #[arg(long, env = "NEW_RELIC_ACCOUNT_ID")]
    pub(crate) account: String,
    /// The query key.
    #[arg(long, env = "NEW_RELIC_QUERY_KEY", hide_env_values = true)]
    pub(crate) key: String,
    /// Not before: a time, Unix seconds, or so long ago.
    #[arg(long, value_name = "TIME", value_parser = moment, default_value = "1d")]
    pub(crate) since: Timestamp,
    /// Not after [default: now].
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,
    /// The address of the query API.
    #[arg(long, value_name = "URL", default_value = "https://insights-api.newrelic.com/", hide = true)]
    pub(crate) address: Url,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv update-jobstats autoscale.guv.yaml < stats.json
  echo '{\"resize\": {\"average\": 2.5, \"stddev\": 1.2}}' | guv update-jobstats autoscale.guv.yaml --stdout

Comments and the order of the file stay as they are.")]
pub(crate) struct UpdateJobStats {
    /// The configuration to be changed.
    pub(crate) file: PathBuf,
    /// Write the result to standard output, and leave the file alone.
    #[arg(long)]
    pub(crate) stdout: bool,
}
