//! Requests that are sent one after the other, by a task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::record::with_causes;

/// Requests that may wait; a further one is dropped.
const BACKLOG: usize = 256;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How long is waited before it is tried again, where that is worth it.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];

struct Parcel {
    request: RequestBuilder,
    /// Before each further attempt.
    pauses: &'static [Duration],
}

pub(super) struct Outbox {
    name: &'static str,
    client: Client,
    requests: mpsc::Sender<Parcel>,
    full: AtomicBool,
}

impl Outbox {
    /// Begins to send.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) fn new(name: &'static str) -> Result<Self, reqwest::Error> {
        let client = Client::builder().timeout(TIMEOUT).user_agent("guv").build()?;
        let (requests, queue) = mpsc::channel(BACKLOG);
        tokio::spawn(send(name, queue));
        Ok(Self { name, client, requests, full: AtomicBool::new(false) })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends it once: the next one says more.
    pub(super) fn put(&self, request: RequestBuilder) {
        self.send(Parcel { request, pauses: &[] });
    }

    /// Sends it, and again if nobody was there to take it: it is said only once.
    pub(super) fn put_surely(&self, request: RequestBuilder) {
        self.send(Parcel { request, pauses: &PAUSES });
    }

    fn send(&self, parcel: Parcel) {
        let full = self.requests.try_send(parcel).is_err();
        if full && !self.full.swap(full, Ordering::Relaxed) {
            tracing::warn!(reporter = self.name, "it does not keep up; reports are dropped");
        } else if !full {
            self.full.store(false, Ordering::Relaxed);
        }
    }
}

/// Sends until nobody can put anything any more. The first failure of a row is logged.
async fn send(name: &'static str, mut requests: mpsc::Receiver<Parcel>) {
    let mut failing = false;
    while let Some(Parcel { request, pauses }) = requests.recv().await {
        let mut pauses = pauses.iter();
        let outcome = loop {
            let Some(attempt) = request.try_clone() else { break request.send().await.map(drop) };
            let outcome = attempt.send().await.and_then(|response| response.error_for_status().map(drop));
            match (&outcome, pauses.next()) {
                (Err(error), Some(pause)) if is_passing(error) => sleep(*pause).await,
                _ => break outcome,
            }
        };
        match outcome {
            Err(error) if !failing => {
                let error = with_causes(&error.without_url());
                tracing::warn!(reporter = name, error, "it could not be told");
                failing = true;
            }
            Err(_) => {}
            Ok(()) => failing = false,
        }
    }
}

/// Whether it may go well the next time.
fn is_passing(error: &reqwest::Error) -> bool {
    error.status().is_none_or(|status| status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS)
}
