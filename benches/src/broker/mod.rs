//! The embedded broker beside RabbitMQ, on one machine and by the same client.
//!
//! Contenders take turns, and the median of the rounds counts. What concerns the process itself (its start, its memory,
//! a million messages) is measured for the embedded broker only.

mod client;
mod embedded;
mod flow;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use client::Client;
use embedded::Embedded;
pub(crate) use embedded::Serve;

use crate::machine::Machine;

/// Measure the embedded broker beside RabbitMQ.
#[derive(Debug, clap::Args)]
pub(crate) struct Broker {
    /// RabbitMQ
    #[arg(long, env = "RABBITMQ_URL")]
    broker: url::Url,
    /// How often each contender is measured, in turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Messages of the long queue
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
}

/// What is measured of both.
const FLOWS: [(&str, usize, bool); 4] = [
    ("transient, 1 publisher, 1 consumer", 1, false),
    ("transient, 4 publishers, 4 consumers", 4, false),
    ("persistent and confirmed, 1 publisher, 1 consumer", 1, true),
    ("persistent and confirmed, 4 publishers, 4 consumers", 4, true),
];
/// Messages a second while times are measured.
const RATE: u32 = 10_000;

impl Broker {
    pub(crate) async fn run(self) -> Result<()> {
        let host = self.broker.host_str().context("a host")?;
        let rabbitmq = format!("{host}:{}", self.broker.port().unwrap_or(5672));
        let folder = TempDir::new()?;
        let ours = Embedded::start(Some(&folder)).await?;
        let time = Duration::from_secs(self.seconds);
        println!("{}\n", Machine::this());
        println!("| messages/s, 256 bytes | msgflo | RabbitMQ | times |\n|---|---|---|---|");
        for (name, pairs, durable) in FLOWS {
            let (mut own, mut other) = (Vec::new(), Vec::new());
            for _ in 0..self.rounds {
                own.push(flow::throughput(&ours.address, pairs, durable, time).await?);
                other.push(flow::throughput(&rabbitmq, pairs, durable, time).await?);
                eprintln!("{name}: {:.0} and {:.0}", own[own.len() - 1], other[other.len() - 1]);
            }
            let (own, other) = (median(own), median(other));
            println!("| {name} | {own:.0} | {other:.0} | {:.1} |", own / other);
        }
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            own.push(flow::latency(&ours.address, RATE, time).await?);
            other.push(flow::latency(&rabbitmq, RATE, time).await?);
        }
        type Part = fn(&flow::Latency) -> Duration;
        let parts: [(&str, Part); 2] =
            [("median", |times| times.median), ("99th percentile", |times| times.p99)];
        println!(
            "\n| from publisher to consumer, {RATE} messages/s | msgflo | RabbitMQ | times |\n|---|---|---|---|"
        );
        for (name, part) in parts {
            let middle =
                |times: &[flow::Latency]| median(times.iter().map(|time| millis(part(time))).collect());
            let (own, other) = (middle(&own), middle(&other));
            println!("| {name} | {own:.2} ms | {other:.2} ms | {:.2} |", own / other);
        }
        ours.stop().await?;
        self.process().await
    }

    /// What concerns the process.
    async fn process(&self) -> Result<()> {
        println!("\n| the embedded broker | |\n|---|---|");
        let broker = Embedded::start(None).await?;
        println!("| from its start to the first open connection | {:.0} ms |", millis(broker.start));
        println!("| memory, idle | {} |", megabytes(broker.memory()?.0));
        let mut connections = Vec::new();
        for _ in 0..1_000 {
            connections.push(Client::open(&broker.address).await?);
        }
        println!("| memory, with 1,000 connections | {} |", megabytes(broker.memory()?.0));
        let begin = Instant::now();
        for index in 0..10_000 {
            connections[index % 1_000].declare(&format!("queue-{index}"), false).await?;
        }
        println!("| 10,000 queues declared, one after the other | {:.1} s |", begin.elapsed().as_secs_f64());
        println!("| memory, with these, too | {} |", megabytes(broker.memory()?.0));
        drop(connections);
        broker.stop().await?;
        self.long_queue().await
    }

    /// A queue that is longer than memory, and the broker's recovery from a kill.
    async fn long_queue(&self) -> Result<()> {
        let folder = TempDir::new()?;
        let broker = Embedded::start(Some(&folder)).await?;
        let begin = Instant::now();
        fill(&broker.address, self.messages).await?;
        let count = self.messages;
        println!(
            "| {count} persistent messages of 1 KB confirmed | {:.1} s |",
            begin.elapsed().as_secs_f64()
        );
        println!(
            "| memory at most, of a limit of {} for messages | {} |",
            megabytes(embedded::LIMIT as u64),
            megabytes(broker.memory()?.1)
        );
        broker.kill().await?;
        let broker = Embedded::start(Some(&folder)).await?;
        println!(
            "| recovery after a kill, to the first open connection | {:.2} s |",
            broker.start.as_secs_f64()
        );
        println!("| memory after that | {} |", megabytes(broker.memory()?.0));
        let begin = Instant::now();
        drain(&broker.address, count).await?;
        println!("| all consumed and acknowledged | {:.1} s |", begin.elapsed().as_secs_f64());
        broker.stop().await
    }
}

const LONG: &str = "bench-long";

async fn fill(address: &str, count: u64) -> Result<()> {
    const WINDOW: u64 = 5_000;
    let mut client = Client::open(address).await?;
    client.declare(LONG, true).await?;
    client.confirms().await?;
    let message = client::message(LONG, &[b'x'; 1_024], true)?;
    let batch = message.repeat(100);
    let (mut published, mut confirmed) = (0, 0);
    while confirmed < count {
        while published < count && published + 100 <= confirmed + WINDOW {
            client.stream.write_all(&batch).await?;
            published += 100;
        }
        client.fill().await?;
        client.frames(|_, payload| confirmed = client::confirmed(payload).unwrap_or(0).max(confirmed));
    }
    Ok(())
}

async fn drain(address: &str, count: u64) -> Result<()> {
    let mut client = Client::open(address).await?;
    client.consume(LONG, 1_000).await?;
    let (mut received, mut acks) = (0, Vec::new());
    while received < count {
        client.fill().await?;
        client.frames(|_, payload| {
            if let Some(tag) = client::delivered(payload) {
                client::append_ack(tag, &mut acks);
                received += 1;
            }
        });
        client.stream.write_all(&acks).await?;
        acks.clear();
    }
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / f64::from(1 << 20))
}
