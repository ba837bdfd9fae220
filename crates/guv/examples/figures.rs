//! The figures of docs/guv.md: what a cycle over very many roles costs, and how large a history becomes.
//!
//! ```sh
//! cargo run --release -p guv --example figures -- history            # 100 roles, 30 days, every 30 s
//! RABBITMQ_URL=… RABBITMQ_MANAGEMENT_URL=… \
//!     cargo run --release -p guv --example figures -- cycle 10000    # that many queues in RabbitMQ
//! ```
//! The second declares the queues, exclusive to its connection, so that they are gone when it ends.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guv::governor::{Governor, Options};
use guv::history::{History, Retention};
use guv::model::{Observation, RoleState};
use guv::sources::RabbitMq;
use guv::{Config, Environment, Outcome, Record, Recorder, Registry, Role, Sample, Timestamp, WorkerCount};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| arguments.get(at).map_or(Ok(default), |text| text.parse::<u32>());
    match arguments.first().map(String::as_str) {
        Some("history") => history(number(1, 100)?, number(2, 30)?).await,
        Some("cycle") => cycle(number(1, 10_000)?).await,
        _ => Err("say `history [ROLES] [DAYS]` or `cycle [ROLES]`".into()),
    }
}

fn config(roles: u32) -> Result<Config, Box<dyn Error>> {
    let mut text = "'*': {min: 0, max: 50}\n".to_owned();
    for role in 0..roles {
        text += &format!("role-{role}: {{queue: figures.{role}}}\n");
    }
    let environment = Environment::from_variables(std::env::vars())?;
    Ok(guv::config::load("figures", &text, &environment, &[])?.config)
}

/// Fills a history as a governor would, over a day's rise and fall with noise, and asks it for charts.
async fn history(roles: u32, days: u32) -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("guv-figures-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("history.sqlite");
    let outcome = fill(&path, roles, days).await;
    std::fs::remove_dir_all(&folder)?;
    outcome
}

async fn fill(path: &Path, roles: u32, days: u32) -> Result<(), Box<dyn Error>> {
    let config = config(roles)?;
    let history = History::open(path, Retention::default())?;
    let mut states: Vec<_> = config.roles.iter().map(|_| (RoleState::new(config.window()), 0u32)).collect();
    let begin = Timestamp::from_unix_seconds(1_770_000_000);
    let started = Instant::now();
    let mut noise = 1u64;
    for poll in 0..u64::from(days) * 2880 {
        let now = begin + Duration::from_secs(poll * 30);
        let mut records = Vec::with_capacity(config.roles.len());
        for (index, (role, (state, workers))) in config.roles.iter().zip(&mut states).enumerate() {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let day = (poll % 2880) as f64 / 2880.0 * std::f64::consts::TAU;
            let load = (20.0 * (1.0 - day.cos()) * f64::from(index as u32 % 7)).max(0.0) as u64;
            let ready = load + (noise >> 33) % (load + 3);
            let queue = Sample {
                ready: Some(ready),
                unacknowledged: Some(u64::from(*workers)),
                consumers: Some(*workers),
                fill_rate: Some((noise >> 40) as f64 / 1e5),
                drain_rate: Some(load as f64 / 10.0),
                ..Sample::default()
            };
            let observation = Observation {
                queue,
                workers: Some(WorkerCount::running(*workers)),
                ..Observation::default()
            };
            let decision = state.step(role, &observation, now);
            let outcome = match decision.target {
                Some(target) => {
                    state.accepted(target, now);
                    *workers = target;
                    Outcome::Applied { workers: target }
                }
                None => Outcome::Unchanged,
            };
            records.push(Arc::new(Record {
                cycle: poll + 1,
                at: now,
                role: role.role.clone(),
                app: None,
                decision,
                outcome,
            }));
        }
        history.record(&records).await?;
    }
    let records = u64::from(days) * 2880 * u64::from(roles);
    println!("{records} decisions recorded in {:.1} s", started.elapsed().as_secs_f64());
    let size = std::fs::metadata(path)?.len();
    println!("{:.0} MB, {:.1} bytes each", size as f64 / 1e6, size as f64 / records as f64);
    let reader = history.reader()?;
    let end = begin + Duration::from_secs(u64::from(days) * 86_400);
    for (what, from, points) in [
        ("the whole time", begin, 300),
        (
            "the last day",
            Timestamp::since_epoch(end.as_duration().saturating_sub(Duration::from_secs(86_400))),
            288,
        ),
    ] {
        let started = Instant::now();
        let points = reader.chart(&Role::new("role-3"), from, end, points)?.series.at.len();
        println!("chart of {what}: {points} points in {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    }
    let started = Instant::now();
    let found = reader.at(&Role::new("role-3"), begin + Duration::from_secs(86_400 / 2))?;
    println!(
        "one explained decision: {} in {:.1} ms",
        found.is_some(),
        started.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}

/// One cycle over very many queues of one RabbitMQ, as a dry run that keeps a history.
async fn cycle(roles: u32) -> Result<(), Box<dyn Error>> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("a TLS provider was already there");
    }
    let address = std::env::var("RABBITMQ_URL")?;
    let management = std::env::var("RABBITMQ_MANAGEMENT_URL")?;
    let connection = Connection::connect(&address, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    for role in 0..roles {
        channel.queue_declare(format!("figures.{role}").into(), options, FieldTable::default()).await?;
    }
    println!("{roles} queues declared; waiting until the management plugin knows them");
    tokio::time::sleep(Duration::from_secs(15)).await;

    let mut config = config(roles)?;
    let broker = guv::BrokerUrl::parse(&address)?;
    config.roles.iter_mut().for_each(|role| role.broker = Some(broker.clone()));
    let source = RabbitMq::new(Some(management.parse()?))?;
    let folder = std::env::temp_dir().join(format!("guv-figures-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let history = History::open(&folder.join("history.sqlite"), Retention::default())?;
    let options = Options {
        dry_run: true,
        oneshot: true,
        patience: Duration::from_secs(300),
        recorders: vec![Arc::new(history)],
    };
    let (before, started) = (cpu()?, Instant::now());
    let registry = Registry::new().with_source("rabbitmq", Arc::new(source));
    let handle = Governor::start(config, registry, options, CancellationToken::new())?;
    handle.finished().await?;
    let (whole, used) = (started.elapsed(), cpu()? - before);
    let snapshot = handle.snapshot();
    let seen = snapshot.roles.iter().filter(|record| record.outcome.error().is_none()).count();
    println!("{seen} of {} roles decided and recorded", snapshot.roles.len());
    println!(
        "{:.2} s in all, of which {used:.2} s of our own processor time; the rest is RabbitMQ's answer",
        whole.as_secs_f64()
    );
    println!("{} MB resident", resident()?);
    std::fs::remove_dir_all(&folder)?;
    connection.close(200, "done".into()).await?;
    Ok(())
}

/// Processor time of this process, seconds. Linux counts in hundredths.
fn cpu() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / 100.0)
}

fn resident() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    Ok(line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) / 1024)
}
