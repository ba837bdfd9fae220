//! The IoT example: a simulated sensor, a display, and a demonstration that wires them while they run.

mod demo;
mod display;
mod sensor;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "thermometer",
    version,
    about,
    after_help = "\
Examples:
  thermometer demo                                                     wire a network live, and end
  thermometer sensor --role inside --broker mqtt://localhost           a sensor, until Ctrl-C
  thermometer display --role display --broker mqtt://localhost"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure a temperature: the one that was last sent to the port SET.
    Sensor(sensor::Sensor),
    /// Show what comes in, a line for each change.
    Display(display::Display),
    /// Start a network, edit it while it runs, and show what the display shows.
    Demo(demo::Demo),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Sensor(sensor) => sensor.run().await,
        Command::Display(display) => display.run().await,
        Command::Demo(demo) => match demo.run().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}
