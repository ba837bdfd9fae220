//! Benchmarks, side by side with the peers. `cargo xtask bench` runs them, with a RabbitMQ of their own.
//!
//! Figures go to standard output as a Markdown table, progress to standard error. Not measured here: anything that a
//! unit benchmark of a single function would tell.

mod broker;
mod coordinator;
mod machine;
mod process;
mod router;
mod sdk;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "msgflo-bench", about = "Benchmarks, side by side with the peers")]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Jobs a second of the participant SDK, beside a plain lapin loop and msgflo-nodejs
    Sdk(Sdk),
    /// Messages through the embedded broker, beside RabbitMQ; its memory, its start, its recovery
    Broker(broker::Broker),
    /// The embedded broker that `broker` measures
    #[command(hide = true)]
    BrokerServe(broker::Serve),
    /// Messages from topic to topic on MQTT: our router, beside that of msgflo-nodejs and the broker alone
    Router(router::Router),
    /// The coordinator of a large network: how soon everything is bound, what it costs to hear of everybody, and its memory
    Coordinator(coordinator::Coordinator),
    /// One of the routers that `router` measures
    #[command(hide = true)]
    RouterProcess(router::RouterProcess),
    /// One of the programs that `sdk` measures
    #[command(hide = true)]
    Worker(sdk::Worker),
}

#[derive(clap::Args)]
struct Sdk {
    /// The broker
    #[arg(long, env = "RABBITMQ_URL")]
    broker: String,
    /// How many messages a participant takes at once; repeatable
    #[arg(long, default_values_t = [2, 10, 100])]
    prefetch: Vec<u16>,
    /// How often each contender is measured, in turns
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The most seconds that one measurement takes
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Write every single measurement to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().benchmark {
        Benchmark::Sdk(arguments) => sdk::compare(arguments).await,
        Benchmark::Broker(arguments) => arguments.run().await,
        Benchmark::BrokerServe(arguments) => arguments.run().await,
        Benchmark::Router(arguments) => arguments.run().await,
        Benchmark::Coordinator(arguments) => arguments.run().await,
        Benchmark::RouterProcess(arguments) => arguments.run().await,
        Benchmark::Worker(worker) => worker.run().await,
    }
}
