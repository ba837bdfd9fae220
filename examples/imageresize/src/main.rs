//! The program: each participant of the service, and what it takes to try it out, as a subcommand.

mod commands;
mod demo;
mod load;
mod outcome;
mod workload;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// The image-resizing service: an HTTP API, resize workers and a store, joined by a graph.
#[derive(Parser)]
#[command(name = "imageresize", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  imageresize demo                          3,000 photographs through the whole service, and what it cost
  msgflo run examples/imageresize/service.fbp --scale examples/imageresize/autoscale.guv.yaml
  imageresize load --rate 60 --images 500   try the load generator on a service that runs

Exit status: 0 done, 1 something failed or is missing, 2 wrong usage, 78 wrong configuration, 130 interrupted.";

#[derive(Subcommand)]
enum Command {
    /// Take requests over HTTP and store results: the participants `web` and `store`.
    Serve(commands::serve::Serve),
    /// Resize pictures: the participant `resize`.
    Resize(commands::resize::Resize),
    /// Send jobs to a running service and wait for their results.
    Load(commands::load::Load),
    /// Write photograph-like pictures.
    Images(commands::images::Images),
    /// Run the whole service under load, and show how the number of workers follows it.
    Demo(demo::Demo),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr();
    // Fails only where a provider is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let ended = match arguments.command {
        Command::Serve(serve) => commands::serve::run(serve),
        Command::Resize(resize) => commands::resize::run(resize),
        Command::Load(load) => commands::load::run(load),
        Command::Images(images) => commands::images::run(&images),
        Command::Demo(demo) => demo::run(demo),
    };
    ended.unwrap_or_else(|error| match error.downcast::<msgflo::Error>() {
        Ok(error) => error.report(),
        Err(error) => {
            eprintln!("imageresize: {error:#}");
            ExitCode::FAILURE
        }
    })
}

/// What is logged unless `RUST_LOG` says otherwise. What lapin logs of a connection that ends, we report ourselves where
/// it matters.
const LOGGED: &str = "warn,lapin=off";

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !plain)
        .init();
}
