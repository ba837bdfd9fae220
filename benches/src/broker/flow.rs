//! Messages through a broker: how many a second, and how long one takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::client::{self, Client};

/// Publishes that may wait for their confirm, and the consumers' prefetch.
const WINDOW: u64 = 1_000;
/// Messages a write.
const BATCH: u64 = 50;
/// The body of every message (bytes).
const BODY: usize = 256;
/// Before anything counts.
const WARM: Duration = Duration::from_secs(1);

/// Messages a second from `pairs` publishers that wait for confirms to as many consumers that acknowledge each message.
pub(super) async fn throughput(address: &str, pairs: usize, durable: bool, time: Duration) -> Result<f64> {
    let done = Arc::new(AtomicU64::new(0));
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    let mut declarer = Client::open(address).await?;
    let names: Vec<_> = (0..pairs).map(|index| format!("bench-{index}")).collect();
    for queue in &names {
        declarer.declare(queue, durable).await?;
        tasks.spawn(work(address.to_owned(), queue.clone(), done.clone()));
        tasks.spawn(produce(address.to_owned(), queue.clone(), durable));
    }
    let measured = async {
        tokio::time::sleep(WARM).await;
        let (before, start) = (done.load(Ordering::Relaxed), Instant::now());
        tokio::time::sleep(time).await;
        (done.load(Ordering::Relaxed) - before) as f64 / start.elapsed().as_secs_f64()
    };
    let rate = tokio::select! {
        rate = measured => rate,
        Some(ended) = tasks.join_next() => return Err(ended?.err().unwrap_or_else(|| anyhow::anyhow!("a client ended"))),
    };
    tasks.shutdown().await;
    for queue in &names {
        declarer.delete(queue).await?;
    }
    Ok(rate)
}

async fn produce(address: String, queue: String, durable: bool) -> Result<()> {
    let mut client = Client::open(&address).await?;
    client.confirms().await?;
    let batch = client::message(&queue, &[b'x'; BODY], durable)?.repeat(usize::try_from(BATCH)?);
    let (mut published, mut confirmed) = (0, 0);
    loop {
        while published + BATCH <= confirmed + WINDOW {
            client.stream.write_all(&batch).await?;
            published += BATCH;
        }
        client.fill().await?;
        client.frames(|_, payload| confirmed = client::confirmed(payload).unwrap_or(0).max(confirmed));
    }
}

async fn work(address: String, queue: String, done: Arc<AtomicU64>) -> Result<()> {
    let mut client = Client::open(&address).await?;
    client.consume(&queue, u16::try_from(WINDOW)?).await?;
    let mut acks = Vec::new();
    loop {
        client.fill().await?;
        let mut count = 0;
        client.frames(|_, payload| {
            if let Some(tag) = client::delivered(payload) {
                client::append_ack(tag, &mut acks);
                count += 1;
            }
        });
        client.stream.write_all(&acks).await?;
        acks.clear();
        done.fetch_add(count, Ordering::Relaxed);
    }
}

/// How long messages take from publisher to consumer at a steady rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latency {
    pub(super) median: Duration,
    pub(super) p99: Duration,
}

/// Publishes `rate` messages a second, evenly, and notes when each arrives.
pub(super) async fn latency(address: &str, rate: u32, time: Duration) -> Result<Latency> {
    const QUEUE: &str = "bench-latency";
    let mut publisher = Client::open(address).await?;
    publisher.declare(QUEUE, false).await?;
    let start = Instant::now();
    let total = usize::try_from(u64::from(rate) * time.as_secs())?;
    let mut consumer = Client::open(address).await?;
    consumer.consume(QUEUE, 10_000).await?;
    let receiving = tokio::spawn(async move {
        let mut times = Vec::with_capacity(total);
        let mut acks = Vec::new();
        while times.len() < total {
            consumer.fill().await?;
            let now = start.elapsed();
            consumer.frames(|kind, payload| {
                if let Some(tag) = client::delivered(payload) {
                    client::append_ack(tag, &mut acks);
                } else if kind == 3
                    && let Some(sent) = payload.first_chunk()
                {
                    times.push(now.saturating_sub(Duration::from_nanos(u64::from_be_bytes(*sent))));
                }
            });
            consumer.stream.write_all(&acks).await?;
            acks.clear();
        }
        anyhow::Ok(times)
    });
    // Every millisecond what is due by then.
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let (begin, mut sent) = (Instant::now(), 0);
    let mut bytes = Vec::new();
    while sent < total {
        ticks.tick().await;
        let due = ((begin.elapsed().as_secs_f64() * f64::from(rate)) as usize).min(total);
        let mut body = [b'x'; BODY];
        body[..8].copy_from_slice(&u64::try_from(start.elapsed().as_nanos())?.to_be_bytes());
        let message = client::message(QUEUE, &body, false)?;
        for _ in sent..due {
            bytes.extend_from_slice(&message);
        }
        sent = due;
        publisher.stream.write_all(&bytes).await?;
        bytes.clear();
    }
    let mut times = receiving.await??;
    publisher.delete(QUEUE).await?;
    times.sort_unstable();
    Ok(Latency { median: times[times.len() / 2], p99: times[times.len() * 99 / 100] })
}
