//! Watches the network's status, four times a second.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::sync::watch;

use crate::load::{Endpoint, Progress};

/// The pause between two looks.
const PERIOD: Duration = Duration::from_millis(250);
/// How long an answer is waited for.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the demo wants to know of `GET /api/status`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) broker: String,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

#[derive(Clone, Debug, Deserialize)]
struct Node {
    role: String,
    process: Option<Process>,
    #[serde(default)]
    queues: Vec<Queue>,
}

#[derive(Clone, Debug, Deserialize)]
struct Process {
    wanted: u32,
    running: u32,
    stopping: u32,
    #[serde(default)]
    pids: Vec<u32>,
}

#[derive(Clone, Debug, Deserialize)]
struct Queue {
    ready: Option<u64>,
    consumers: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
struct Edge {
    source: String,
    target: String,
    state: String,
    reason: Option<String>,
}

/// The workers at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// Worker processes, also those that finish what they have in hand.
    pub(crate) up: u32,
    /// Workers that take messages, as the broker says.
    pub(crate) consuming: Option<u32>,
    /// Messages that wait.
    pub(crate) ready: Option<u64>,
}

impl Status {
    /// Whether all connections of the graph are in the broker.
    pub(crate) fn is_connected(&self) -> bool {
        !self.edges.is_empty() && self.edges.iter().all(|edge| edge.state == "bound")
    }

    /// Whether no worker of `role` runs or should run.
    pub(crate) fn has_no_workers(&self, role: &str) -> bool {
        let process = self.node(role).and_then(|node| node.process.as_ref());
        process.is_some_and(|process| process.wanted + process.running + process.stopping == 0)
    }

    /// The processes of everything, each once: roles may share one.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<_> = self.nodes.iter().flat_map(Node::pids).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// The processes of `role`.
    pub(crate) fn pids_of(&self, role: &str) -> Vec<u32> {
        self.node(role).into_iter().flat_map(Node::pids).collect()
    }

    fn node(&self, role: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.role == role)
    }

    fn sample(&self, role: &str, at: Instant) -> Option<Sample> {
        let node = self.node(role)?;
        let process = node.process.as_ref()?;
        let queue = node.queues.first();
        Some(Sample {
            at,
            up: process.running + process.stopping,
            consuming: queue.and_then(|queue| queue.consumers),
            ready: queue.and_then(|queue| queue.ready),
        })
    }

    /// For an error: what is not as it should be.
    fn describe(&self) -> String {
        let edges = self.edges.iter().filter(|edge| edge.state != "bound").map(|edge| {
            let reason = edge.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{} -> {} is {}{reason}", edge.source, edge.target, edge.state)
        });
        let nodes = self.nodes.iter().filter_map(|node| {
            let Process { wanted, running, stopping, .. } = node.process.as_ref()?;
            Some(format!("{}: {wanted} wanted, {running} running, {stopping} stopping", node.role))
        });
        edges.chain(nodes).collect::<Vec<_>>().join("; ")
    }
}

impl Node {
    fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.process.iter().flat_map(|process| process.pids.iter().copied())
    }
}

/// The status as it is, and the workers as they were. Clones see the same.
#[derive(Clone)]
pub(crate) struct Observer {
    latest: watch::Receiver<Option<Status>>,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl Observer {
    /// Watches the network whose URL is in `url_file`, until the last clone is gone.
    pub(crate) fn start(url_file: PathBuf, role: &'static str) -> Self {
        let (sender, latest) = watch::channel(None);
        let samples = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&samples);
        tokio::spawn(async move {
            let client = reqwest::Client::new();
            let endpoint = Endpoint::File(url_file);
            let mut ticks = tokio::time::interval(PERIOD);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while !sender.is_closed() {
                ticks.tick().await;
                // A network that is being started, or was killed, does not answer: it has no workers that we know of.
                let status = look(&client, &endpoint).await.ok();
                if let Some(sample) = status.as_ref().and_then(|status| status.sample(role, Instant::now())) {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
                }
                sender.send_replace(status);
            }
        });
        Self { latest, samples }
    }

    /// The first status, from the present one on, that is as `test` wants it.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        patience: Duration,
        test: impl Fn(&Status) -> bool,
    ) -> Result<Status> {
        let wanted = self.latest.wait_for(|status| status.as_ref().is_some_and(&test));
        if let Ok(status) = tokio::time::timeout(patience, wanted).await {
            let status = status.context("the network is not watched any more")?;
            return status.clone().context("there is no status");
        }
        match self.latest.borrow().as_ref() {
            Some(status) => {
                bail!("the network is not {what} after {} s: {}", patience.as_secs(), status.describe())
            }
            None => bail!("the network does not answer for {} s", patience.as_secs()),
        }
    }

    /// The status now, if the network answers.
    pub(crate) fn latest(&self) -> Option<Status> {
        self.latest.borrow().clone()
    }

    /// The workers since `begin`.
    pub(crate) fn samples_since(&self, begin: Instant) -> Vec<Sample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.iter().filter(|sample| sample.at >= begin).copied().collect()
    }

    /// Shows how many workers there are beside the progress, for as long as it is polled.
    pub(crate) fn show(
        &self,
        progress: &Progress,
        role: &'static str,
    ) -> impl Future<Output = Infallible> + use<> {
        let (mut latest, progress) = (self.latest.clone(), progress.clone());
        async move {
            loop {
                let sample = latest
                    .borrow_and_update()
                    .as_ref()
                    .and_then(|status| status.sample(role, Instant::now()));
                progress.say(match sample {
                    Some(sample) => format!("{} workers", sample.up),
                    None => "msgflo does not answer".into(),
                });
                if latest.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

async fn look(client: &reqwest::Client, endpoint: &Endpoint) -> Result<Status> {
    let answer = client.get(endpoint.url("/api/status")?).timeout(DEADLINE).send().await?;
    Ok(answer.error_for_status()?.json().await?)
}
