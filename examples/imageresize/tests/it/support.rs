//! What several tests need.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use imageresize::http::{self, Gallery, Publish};
use imageresize::message::ResizeMessage;
use imageresize::store::{self, BoxError, Jobs};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A store in a folder of its own, which must outlive it.
pub(crate) async fn sqlite() -> (TempDir, Arc<dyn Jobs>) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("jobs.sqlite3").display());
    let jobs = store::open(&url).await.expect("it opens");
    (folder, jobs)
}

/// Takes what is sent to the workers, or refuses it.
pub(crate) enum Workers {
    Listening(mpsc::UnboundedSender<ResizeMessage>),
    Away,
}

#[async_trait]
impl Publish for Workers {
    async fn publish(&self, message: &ResizeMessage) -> Result<(), BoxError> {
        match self {
            Self::Listening(sent) => Ok(sent.send(message.clone())?),
            Self::Away => Err("the broker is away".into()),
        }
    }
}

/// An HTTP interface that runs, until this is dropped.
pub(crate) struct Api {
    client: reqwest::Client,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Api {
    pub(crate) async fn start(jobs: Arc<dyn Jobs>, publish: Arc<dyn Publish>, gallery: Gallery) -> Self {
        // Another test may have installed it already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        tokio::spawn(http::serve(listener, http::Service { jobs, publish, gallery }, stop.clone()));
        Self { client: reqwest::Client::new(), address, stop }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(self.url(path))
    }

    /// Asks for `inputs` in 100 × 100, and returns where the job is.
    pub(crate) async fn resize(&self, inputs: &[String]) -> String {
        let images: Vec<_> = inputs
            .iter()
            .map(|input| json!({"input": input, "width": 100, "height": 100, "operation": "max"}))
            .collect();
        let answer = self.post("/resize").json(&json!({"images": images})).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        answer.headers()["location"].to_str().expect("text").to_owned()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The status and the JSON of an answer.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    (status, answer.json().await.expect("JSON"))
}
