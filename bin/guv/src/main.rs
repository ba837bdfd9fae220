//! The guv program: flags, the registry of sources and actuators, and what each command does.

mod arguments;
mod configuration;
mod decide;
mod outcome;
mod printer;
mod run;
mod signals;
mod validate;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command};
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
        Command::Run(options) => {
            log();
            if rustls::crypto::ring::default_provider().install_default().is_err() {
                tracing::debug!("a TLS provider was already there");
            }
            let runtime =
                tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Stop::internal)?;
            runtime.block_on(run::run(options))
        }
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

/// Logs go to standard error. `GUV_LOG` says how much, as in `GUV_LOG=debug` or `GUV_LOG=guv=debug`.
fn log() {
    let filter = EnvFilter::try_from_env("GUV_LOG").unwrap_or_else(|_| EnvFilter::new("warn,guv=info"));
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
}
