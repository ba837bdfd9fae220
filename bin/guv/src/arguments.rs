//! What can be said on the command line.

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, Parser, Subcommand};
use url::Url;

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

Exit status: 0 done, 1 a role could not be governed, 2 usage, 78 the configuration cannot be used, 130 interrupted";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Govern: look at the queues, decide, and change the number of workers, again and again.
    Run(Run),
    /// Check a configuration. Everything that is wrong is told at once, with its place.
    Validate(Validate),
    /// Decide once, from numbers given here, and explain it.
    Decide(Decide),
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
    #[arg(short, long = "file", value_name = "FILE", hide = true, conflicts_with_all = ["file", "config"])]
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
SIGHUP reads the configuration again; one that cannot be used leaves the old one in force.")]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Decide, and say what would be changed, but change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// End after one decision for each role; fail if one of them could not be governed.
    #[arg(long)]
    pub(crate) oneshot: bool,
    /// Write every decision with all its inputs to standard output, as a line of JSON each.
    #[arg(long)]
    pub(crate) json: bool,
    /// The address of RabbitMQ's management API, where it does not follow from that of the broker.
    #[arg(long, value_name = "URL", env = "RABBITMQ_MANAGEMENT_URL", hide_env_values = true)]
    pub(crate) management_url: Option<Url>,
    /// The address of Heroku's Platform API.
    #[arg(long, value_name = "URL", env = "HEROKU_API_URL", hide_env_values = true, hide = true)]
    pub(crate) heroku_url: Option<Url>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  guv validate autoscale.guv.yaml
  guv validate autoscale.guv.yaml --json
  guv validate -c 'resize: {queue: resize.IN, deadline: 60}'")]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Write what was found to standard output as JSON.
    #[arg(long)]
    pub(crate) json: bool,
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

/// The arguments with the old names and forms turned into those of today: the program called as `guv-validate`,
/// and flags without a command, which mean `run`.
pub(crate) fn modern(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let name = arguments.first().and_then(|path| Path::new(path).file_stem()?.to_str().map(str::to_owned));
    let command = match (name.as_deref(), arguments.get(1).and_then(|first| first.to_str())) {
        (Some("guv-validate"), _) => Some("validate"),
        (_, Some("-h" | "--help" | "-V" | "--version")) => None,
        (_, Some(first)) if first.starts_with('-') => Some("run"),
        _ => None,
    };
    if let Some(command) = command {
        arguments.insert(1, command.into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn modernised(line: &str) -> String {
        let words = modern(line.split(' ').map(OsString::from));
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn old_names_and_forms_still_work() {
        assert_eq!(modernised("/usr/bin/guv-validate -f a.yaml"), "/usr/bin/guv-validate validate -f a.yaml");
        assert_eq!(modernised("guv --config a.yaml --dry-run"), "guv run --config a.yaml --dry-run");
        assert_eq!(modernised("guv --help"), "guv --help");
        assert_eq!(modernised("guv validate a.yaml"), "guv validate a.yaml");
        assert_eq!(modernised("guv"), "guv");
    }
}
