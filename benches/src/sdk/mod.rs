//! The participant SDK beside a plain lapin loop and msgflo-nodejs, doing nothing as fast as they can.
//!
//! The job is empty: take a message of 100 bytes, send it on, acknowledge it. The plain loop does by hand what the SDK does:
//! it works on as many messages at once as the prefetch allows, sends persistent ones, and acknowledges each when the broker has
//! confirmed its result. msgflo-nodejs sends transient ones without confirmations; that is how it is.
//!
//! Each contender is a process of its own and finds its queue full, so that no producer takes part in the race. Results go to a
//! durable queue that nobody takes from; how fast it grows is the measure. Contenders take turns, so that whatever the
//! machine does besides meets them all alike, and the median of the rounds counts.

mod contender;
mod greeting;
mod queues;
mod report;
mod worker;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use contender::Contender;
use queues::Queues;
use report::Report;
use tokio::process::Child;
pub(crate) use worker::Worker;

use crate::Sdk;

/// How many jobs each contender finds. More than are done in the longest measurement, or the rest of it is cut.
const JOBS: u32 = 60_000;
/// Results before the measurement starts: by then everything is warm.
const WARM: u32 = 20;
/// How often the results are counted.
const TICK: Duration = Duration::from_millis(5);
/// How long a contender may take to its first results.
const PATIENCE: Duration = Duration::from_secs(60);

/// One contender's jobs a second in one round.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Measurement {
    contender: Contender,
    prefetch: u16,
    jobs_per_second: f64,
}

/// Measures every contender and reports.
pub(crate) async fn compare(arguments: Sdk) -> Result<()> {
    let mut measurements = Vec::new();
    let longest = Duration::from_secs_f64(arguments.seconds);
    for &prefetch in &arguments.prefetch {
        for round in 1..=arguments.rounds {
            for contender in Contender::ALL {
                let jobs_per_second = measure(&arguments.broker, contender, prefetch, longest).await?;
                eprintln!("prefetch {prefetch}, round {round}: {contender} {jobs_per_second:.0} jobs/s");
                measurements.push(Measurement { contender, prefetch, jobs_per_second });
            }
        }
    }
    let broker = greeting::product(&arguments.broker).await?;
    let report = Report::new(broker, measurements);
    print!("{report}");
    if let Some(path) = arguments.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

async fn measure(broker: &str, contender: Contender, prefetch: u16, longest: Duration) -> Result<f64> {
    let queues = Queues::make(broker, contender.role()).await?;
    queues.fill(JOBS).await?;
    let mut process = contender.start(broker, prefetch)?;
    let (warm, start) = wait_for(&queues, &mut process, PATIENCE, WARM).await?;
    ensure!(warm >= WARM, "{contender} gave {warm} results in {PATIENCE:?}");
    let (count, end) = wait_for(&queues, &mut process, longest, JOBS).await?;
    contender::stop(process).await?;
    queues.remove().await?;
    Ok(f64::from(count - warm) / (end - start).as_secs_f64())
}

/// Counts the results until there are `enough` or the time is over; how many there were, and when.
async fn wait_for(
    queues: &Queues,
    process: &mut Child,
    longest: Duration,
    enough: u32,
) -> Result<(u32, Instant)> {
    let deadline = Instant::now() + longest;
    loop {
        let counted = (queues.results().await?, Instant::now());
        if counted.0 >= enough || counted.1 >= deadline {
            return Ok(counted);
        }
        if let Some(status) = process.try_wait()? {
            bail!("a contender ended ({status}) before its work was done");
        }
        tokio::time::sleep(TICK).await;
    }
}
