//! The msgflo program: flags, the registries, and what each command does.

mod announced;
mod arguments;
mod broker;
mod broker_embedded;
mod broker_embedded_mqtt;
mod broker_serve;
mod dlq;
mod doctor;
mod governor;
mod graphs;
mod interface;
mod jobstats;
mod located;
mod messages;
mod outcome;
mod participants;
mod procfile;
mod register;
mod remarks;
mod run;
mod save;
mod scale;
mod setup;
mod signals;
mod status;
mod tail;
mod test;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command};
use outcome::{Outcome, Stop};

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(arguments::modern(std::env::args_os()));
    if let Command::Guard = arguments.command {
        msgflo_coordinator::guard::watch(std::io::stdin());
        return ExitCode::SUCCESS;
    }
    log();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was already there");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Stop::internal(error).report(),
    };
    let outcome = runtime.block_on(execute(arguments.command));
    // A reader of our standard input may be blocked for ever: it is not waited for.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(stop) => stop.report(),
    }
}

async fn execute(command: Command) -> Outcome {
    match command {
        Command::Run(options) => run::run(*options).await,
        Command::Broker(options) => broker_serve::broker(options).await,
        Command::Setup(options) => setup::setup(options).await,
        Command::Graph(command) => graphs::graph(command),
        Command::Status(options) => status::status(options).await,
        Command::Participants(options) => participants::participants(options).await,
        Command::Send(options) => messages::send(options).await,
        Command::Dump(options) => messages::dump(options).await,
        Command::Tail(options) => tail::tail(options).await,
        Command::Dlq(command) => dlq::dlq(command).await,
        Command::Jobstats(options) => jobstats::jobstats(options).await,
        Command::Doctor(options) => doctor::doctor(options).await,
        Command::Test(options) => test::test(*options).await,
        Command::Register(options) => register::register(options).await,
        Command::Procfile(options) => procfile::procfile(&options),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "msgflo", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            outcome::write_out(|out| clap_mangen::Man::new(Arguments::command()).render(out))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Guard => Ok(ExitCode::SUCCESS),
    }
}

/// Logs go to standard error. What a client library says of a connection that we report on ourselves is left out. `MSGFLO_LOG` says how much, as in `MSGFLO_LOG=debug` or `MSGFLO_LOG=msgflo_transports=debug`.
fn log() {
    let filter = EnvFilter::try_from_env("MSGFLO_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,msgflo=info,guv=info,lapin=off"));
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
}
