//! The guv program: flags, the registry of sources and actuators, and what each command does.

mod arguments;
mod configuration;
mod decide;
mod lock;
mod newrelic;
mod outcome;
mod past;
mod printer;
mod registry;
mod remote;
mod run;
mod serve;
mod signals;
mod simulate;
mod simulated;
mod tools;
mod validate;
mod when;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command, ConfigCommand};
use outcome::{Outcome, Stop};

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(arguments::modern(std::env::args_os()));
    match execute(arguments.command) {
        Ok(code) => code,
        Err(stop) => stop.report(),
    }
}

fn execute(command: Command) -> Outcome {
    match command {
        Command::Run(options) => running(run::run(*options)),
        Command::Serve(options) => running(serve::serve(options)),
        Command::Config { command: ConfigCommand::Get(options) } => running(remote::get(options)),
        Command::Config { command: ConfigCommand::Set(options) } => running(remote::set(options)),
        Command::Config { command: ConfigCommand::Schema } => tools::schema(),
        Command::History(options) => past::history(&options),
        Command::Explain(options) => past::explain(&options),
        Command::Replay(options) => past::replay(&options),
        Command::Simulate(options) => running(simulate::simulate(options)),
        Command::Cost(options) => past::cost(&options),
        Command::Export(options) => past::export(&options),
        Command::Capacity(options) => tools::capacity(&options),
        Command::Workerstats(options) => tools::workerstats(&options),
        Command::NewrelicEvents(options) => running(newrelic::events(options)),
        Command::UpdateJobstats(options) => tools::update_jobstats(&options),
        Command::Validate(options) => validate::validate(&options),
        Command::Decide(options) => decide::decide(&options),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "guv", &mut script);
            outcome::write_out(|out| out.write_all(&script))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            outcome::write_out(|out| clap_mangen::Man::new(Arguments::command()).render(out))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs what needs the network: with a log, TLS and a runtime.
fn running(command: impl Future<Output = Outcome>) -> Outcome {
    log();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was already there");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Stop::internal)?;
    runtime.block_on(command)
}

/// What is logged unless `GUV_LOG` says otherwise. What the AMQP library says of its own, also where an exchange that need not be
/// there is missing, we say ourselves where it matters.
const LOGGED: &str = "warn,guv=info,lapin=off";

/// Logs go to standard error. `GUV_LOG` says how much, as in `GUV_LOG=debug` or `GUV_LOG=guv=debug`.
fn log() {
    let filter = EnvFilter::try_from_env("GUV_LOG").unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
}
