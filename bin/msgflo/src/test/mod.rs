//! `msgflo test`: whether a program is a participant, and whether components do what their tests say.

mod expectation;
mod participant;
mod runtime;
mod suite;
mod suites;

use clap::{Args, Subcommand};

use crate::outcome::Outcome;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
Examples:
  msgflo test spec/resize.yaml
  msgflo test participant 'python3 repeat.py repeat' --send '{\"a\": 1}' --expect '{\"a\": 1}'")]
pub(crate) struct Test {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    suites: Option<suites::Suites>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a participant on a broker of its own, and look at what it does.
    Participant(participant::TestParticipant),
}

pub(crate) async fn test(arguments: Test) -> Outcome {
    match (arguments.command, arguments.suites) {
        (Some(Command::Participant(arguments)), _) => participant::run(arguments).await,
        (None, Some(suites)) => suites::run(suites).await,
        // Suites are required where there is no command.
        (None, None) => Ok(std::process::ExitCode::from(2)),
    }
}
