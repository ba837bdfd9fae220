//! The load: one client that sends as fast as it may, and one that listens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use msgflo::core::{Assurance, Client, Deliveries, InportOptions, Message, QueueName, Sharing, Transport};
use msgflo_transports::Mqtt;
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, timeout};

/// How many messages are on their way at most: no broker and no router drops any.
const ON_THE_WAY: usize = 500;
/// How long the next message is waited for before those on their way count as lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the latency is measured.
const SPAN: Duration = Duration::from_secs(5);

/// What was measured of one contender.
#[derive(Clone, Copy)]
pub(super) struct Figures {
    /// Messages a second.
    pub(super) rate: f64,
    /// What the router computes for a message.
    pub(super) cpu: Duration,
    pub(super) p99: Duration,
    /// Bytes.
    pub(super) memory: u64,
}

impl Figures {
    /// The better of two in each respect: what disturbs a measurement only makes it worse.
    pub(super) fn better(self, other: Self) -> Self {
        Self {
            rate: self.rate.max(other.rate),
            cpu: self.cpu.min(other.cpu),
            p99: self.p99.min(other.p99),
            memory: self.memory.min(other.memory),
        }
    }
}

/// What became of a burst.
pub(super) struct Carried {
    pub(super) rate: f64,
    pub(super) arrived: usize,
}

pub(super) struct Load {
    sender: Arc<dyn Client>,
    source: QueueName,
    message: Message,
    arriving: Mutex<Deliveries>,
    _listener: Arc<dyn Client>,
}

impl Load {
    pub(super) async fn connect(
        url: &str,
        source: &str,
        target: &str,
        size: usize,
        assured: bool,
    ) -> Result<Self> {
        let url = url.parse()?;
        let (sender, listener) = (Mqtt.client(&url).await?, Mqtt.client(&url).await?);
        let target = QueueName::from(target);
        let assurance = if assured { Assurance::AtLeastOnce } else { Assurance::AtMostOnce };
        listener.create_inport(&target, InportOptions { sharing: Sharing::Each, assurance }).await?;
        let arriving = Mutex::new(listener.subscribe(&target, 0).await?);
        // JSON, since the contender in Node reads it.
        let payload = format!("\"{}\"", "x".repeat(size.saturating_sub(2)));
        let message = Message { persistent: assured, ..Message::new(payload) };
        Ok(Self { sender, source: source.into(), message, arriving, _listener: listener })
    }

    /// Sends `count` messages as fast as they arrive.
    pub(super) async fn run(&self, count: usize) -> Result<Carried> {
        let mut arriving = self.arriving.lock().await;
        let (begin, mut sent, mut arrived) = (Instant::now(), 0, 0);
        let mut confirming = FuturesUnordered::new();
        while arrived < count {
            while sent < count && sent - arrived < ON_THE_WAY {
                confirming.push(self.sender.send(&self.source, self.message.clone()));
                sent += 1;
            }
            tokio::select! {
                Some(confirmed) = confirming.next() => confirmed?,
                delivery = timeout(PATIENCE, arriving.next()) => {
                    delivery.context("messages were lost")?.context("the listener goes on")?.ack();
                    arrived += 1;
                }
            }
        }
        while let Some(confirmed) = confirming.next().await {
            confirmed?;
        }
        Ok(Carried { rate: count as f64 / begin.elapsed().as_secs_f64(), arrived })
    }

    /// The time within which 99 of 100 messages arrive, at `rate` a second.
    pub(super) async fn latency(&self, rate: u32) -> Result<Duration> {
        let mut arriving = self.arriving.lock().await;
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut times = Vec::new();
        let begin = Instant::now();
        while begin.elapsed() < SPAN {
            ticks.tick().await;
            let sent = Instant::now();
            let sending = self.sender.send(&self.source, self.message.clone());
            let (confirmed, delivery) = tokio::join!(sending, timeout(PATIENCE, arriving.next()));
            confirmed?;
            delivery.context("a message was lost")?.context("the listener goes on")?.ack();
            times.push(sent.elapsed());
        }
        times.sort_unstable();
        Ok(times[times.len() * 99 / 100])
    }
}
