//! Requests that are sent one after the other, by a task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::record::with_causes;
use crate::redirect::{self, firm_client};

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
        let client = firm_client().timeout(TIMEOUT).build()?;
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
            let Some(attempt) = request.try_clone() else { break taken(request.send().await) };
            let outcome = taken(attempt.send().await);
            match (&outcome, pauses.next()) {
                (Err(refusal), Some(pause)) if refusal.is_passing => sleep(*pause).await,
                _ => break outcome,
            }
        };
        match outcome {
            Err(Refusal { error, .. }) if !failing => {
                tracing::warn!(reporter = name, error, "it could not be told");
                failing = true;
            }
            Err(_) => {}
            Ok(()) => failing = false,
        }
    }
}

/// Why it was not taken.
struct Refusal {
    error: String,
    /// It may go well the next time.
    is_passing: bool,
}

fn taken(answer: reqwest::Result<Response>) -> Result<(), Refusal> {
    let outcome = answer.and_then(Response::error_for_status);
    match outcome {
        Err(error) => {
            let is_passing = error
                .status()
                .is_none_or(|status| status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS);
            Err(Refusal { error: with_causes(&error.without_url()), is_passing })
        }
        Ok(response) => match redirect::target(&response) {
            Some(elsewhere) => {
                let status = response.status();
                let error = format!("{status}, which is not followed: {elsewhere}; correct the URL");
                Err(Refusal { error, is_passing: false })
            }
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_elsewhere_has_not_been_taken() {
        let answer = |status: u16| {
            let answer =
                axum::http::Response::builder().status(status).header("location", "/hook/?key=secret");
            Ok(Response::from(answer.body("").unwrap()))
        };
        assert!(taken(answer(202)).is_ok());
        let refusal = taken(answer(302)).unwrap_err();
        assert!(!refusal.is_passing);
        assert!(
            refusal.error.contains("302 Found") && refusal.error.contains("/hook/;"),
            "{}",
            refusal.error
        );
        assert!(taken(answer(503)).unwrap_err().is_passing);
    }
}
