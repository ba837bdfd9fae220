//! Requests that are sent one after the other, by a task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use tokio::sync::mpsc;

use crate::record::with_causes;

/// Requests that may wait; a further one is dropped.
const BACKLOG: usize = 256;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) struct Outbox {
    name: &'static str,
    client: Client,
    requests: mpsc::Sender<RequestBuilder>,
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

    pub(super) fn put(&self, request: RequestBuilder) {
        let full = self.requests.try_send(request).is_err();
        if full && !self.full.swap(full, Ordering::Relaxed) {
            tracing::warn!(reporter = self.name, "it does not keep up; reports are dropped");
        } else if !full {
            self.full.store(false, Ordering::Relaxed);
        }
    }
}

/// Sends until nobody can put anything any more. The first failure of a row is logged.
async fn send(name: &'static str, mut requests: mpsc::Receiver<RequestBuilder>) {
    let mut failing = false;
    while let Some(request) = requests.recv().await {
        let outcome = match request.send().await {
            Ok(response) => response.error_for_status().map(|_| ()),
            Err(error) => Err(error),
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
