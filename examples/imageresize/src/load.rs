//! Sends a workload to a service and waits for what comes of it.
//!
//! The service may go away and come back meanwhile, even elsewhere: each request is repeated under its own key until it
//! was accepted.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use backon::{ExponentialBuilder, Retryable};
use futures_util::{StreamExt, TryStreamExt, stream};
use imageresize::http::IDEMPOTENCY_KEY;
use imageresize::job::Job;
use imageresize::store::Totals;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::StatusCode;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use url::Url;
use uuid::Uuid;

use crate::workload::{Request, Workload};

/// Requests that are sent at once.
const SENDING: usize = 16;
/// Jobs that are asked for at once: the oldest, since they end first.
const ASKING: usize = 16;
/// The pause after a round in which not all of them had ended.
const PAUSE: Duration = Duration::from_millis(250);
/// How long an answer is waited for.
const DEADLINE: Duration = Duration::from_secs(10);

/// Where the service is.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    /// Always there.
    Fixed(Url),
    /// Where this file says, which the service writes when it is up.
    File(PathBuf),
}

impl Endpoint {
    /// The URL of `path` at this moment.
    pub(crate) fn url(&self, path: &str) -> Result<Url> {
        let base = match self {
            Self::Fixed(url) => url.clone(),
            Self::File(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("{} does not say where the service is", file.display()))?;
                text.trim().parse().with_context(|| format!("{} has no URL", file.display()))?
            }
        };
        base.join(path).with_context(|| format!("{base} has nothing beneath it"))
    }
}

/// Shows on stderr how many images have ended, where that is a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(images: usize) -> Self {
        let bar = ProgressBar::new(images as u64);
        let style = ProgressStyle::with_template("{elapsed:>4} {wide_bar} {pos}/{len} images  {msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// How many have ended so far.
    pub(crate) fn ended(&self) -> u64 {
        self.0.position()
    }

    pub(crate) fn say(&self, message: String) {
        self.0.set_message(message);
    }

    /// Writes a line above the bar, also where there is no bar.
    pub(crate) fn note(&self, line: &str) {
        self.0.suspend(|| eprintln!("{line}"));
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// Sends requests and waits for jobs.
pub(crate) struct Generator {
    client: reqwest::Client,
    endpoint: Endpoint,
    patience: Duration,
}

impl Generator {
    /// A generator that gives up when nothing happens for `patience`.
    pub(crate) fn new(endpoint: Endpoint, patience: Duration) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(DEADLINE).build()?;
        Ok(Self { client, endpoint, patience })
    }

    /// Sends `workload`, and returns its jobs when all have ended.
    pub(crate) async fn run(&self, workload: &Workload, progress: &Progress) -> Result<Vec<Job>> {
        let (accepted, ids) = mpsc::unbounded_channel();
        let send = async {
            let begin = tokio::time::Instant::now();
            // Dropped at the end, which tells that there will be no more.
            let accepted = accepted;
            stream::iter(&workload.requests)
                .then(async |request| {
                    tokio::time::sleep_until(begin + request.after).await;
                    request
                })
                .map(|request| self.send(request))
                .buffered(SENDING)
                .try_for_each(async |key| accepted.send(key).context("nobody waits for the jobs any more"))
                .await
        };
        let ((), jobs) = tokio::try_join!(send, self.wait(ids, progress))?;
        Ok(jobs)
    }

    /// Sends one request until it is accepted.
    async fn send(&self, request: &Request) -> Result<Uuid> {
        let backoff = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(2))
            .without_max_times()
            .with_total_delay(Some(self.patience));
        let sent = (|| self.attempt(request)).retry(backoff).when(|attempt| attempt.may_succeed_later).await;
        sent.map_err(|attempt| attempt.error.context("a job could not be sent"))?;
        Ok(request.key)
    }

    async fn attempt(&self, request: &Request) -> Result<(), FailedAttempt> {
        let later = |error: anyhow::Error| FailedAttempt { error, may_succeed_later: true };
        let url = self.endpoint.url("/resize").map_err(later)?;
        let post = self.client.post(url).header(IDEMPOTENCY_KEY, request.key.to_string()).json(&request.body);
        let answer = post.send().await.map_err(|error| later(error.into()))?;
        let status = answer.status();
        if status == StatusCode::ACCEPTED {
            return Ok(());
        }
        let said = answer.text().await.unwrap_or_default();
        let error = anyhow::anyhow!("the service answered {status}: {}", said.trim());
        Err(FailedAttempt { error, may_succeed_later: status.is_server_error() })
    }

    /// Waits for each of `ids` to end, until there are no more.
    async fn wait(&self, mut ids: UnboundedReceiver<Uuid>, progress: &Progress) -> Result<Vec<Job>> {
        let mut open = VecDeque::new();
        let mut ended = Vec::new();
        let mut ended_images = 0;
        let (mut known, mut changed) = (0, Instant::now());
        loop {
            while let Ok(id) = ids.try_recv() {
                open.push_back(id);
            }
            if open.is_empty() {
                match ids.recv().await {
                    Some(id) => open.push_back(id),
                    None => return Ok(ended),
                }
            }
            let asked: Vec<Uuid> = open.iter().take(ASKING).copied().collect();
            let answers = stream::iter(asked).map(|id| self.job(id)).buffered(ASKING);
            let answers: Vec<Result<Job>> = answers.collect().await;
            let (mut partly, mut trouble, mut waits) = (0, None, false);
            for answer in answers {
                match answer {
                    Ok(job) if job.has_ended() => {
                        open.retain(|id| *id != job.id.0);
                        ended_images += job.data.images.len();
                        ended.push(job);
                    }
                    Ok(job) => {
                        waits = true;
                        let counts = job.counts();
                        partly += usize::try_from(counts.completed + counts.failed).unwrap_or(0);
                    }
                    Err(error) => {
                        waits = true;
                        trouble = Some(error);
                    }
                }
            }
            let now_known = ended_images + partly;
            if now_known > known {
                (known, changed) = (now_known, Instant::now());
                progress.0.set_position(now_known as u64);
            } else if changed.elapsed() > self.patience {
                let open = open.len();
                let trouble =
                    trouble.unwrap_or_else(|| anyhow::anyhow!("the service answers, but nothing ends"));
                return Err(trouble.context(format!(
                    "{open} jobs have not ended, and nothing has happened for {} s",
                    self.patience.as_secs()
                )));
            }
            if waits {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn job(&self, id: Uuid) -> Result<Job> {
        let url = self.endpoint.url(&format!("/job/{id}"))?;
        let answer = self.client.get(url).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }

    /// How many jobs the service has, of whomever.
    pub(crate) async fn totals(&self) -> Result<Totals> {
        let answer = self.client.get(self.endpoint.url("/totals")?).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }
}

/// A request that was not accepted.
struct FailedAttempt {
    error: anyhow::Error,
    may_succeed_later: bool,
}
