//! The coordinator's HTTP interface: what the network is doing, for people and for programs.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/status` | the network: nodes, processes, queues, edges; with scaling, the last decision of each role |
//! | `GET /metrics` | the same in numbers, in Prometheus' text format |
//! | `GET /healthz` | 200 while the coordinator runs, else 503 |
//!
//! It reads only. It listens on loopback; whoever can connect can read.

mod metrics;

use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use msgflo_coordinator::{Handle, Status};
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What is served.
pub struct Options {
    /// The network's name.
    pub network: String,
    /// The broker's URL, without its password.
    pub broker: String,
    /// The coordinator.
    pub coordinator: Handle,
    /// What the scaler last decided, if there is one: a JSON object to be shown as it is.
    pub scaling: Option<Arc<dyn Fn() -> Value + Send + Sync>>,
}

/// The answer of `GET /api/status`.
#[derive(Serialize)]
struct Answer<'a> {
    network: &'a str,
    broker: &'a str,
    #[serde(flatten)]
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    scaling: Option<Value>,
}

/// Serves until `token` is cancelled and the answers under way are given.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, options: Options, token: CancellationToken) -> io::Result<()> {
    let router = Router::new()
        .route("/api/status", get(status))
        .route("/metrics", get(prometheus))
        .route("/healthz", get(health))
        .with_state(Arc::new(options));
    axum::serve(listener, router).with_graceful_shutdown(token.cancelled_owned()).await
}

type Shared = State<Arc<Options>>;

async fn status(State(options): Shared) -> Response {
    match options.coordinator.status().await {
        Ok(status) => {
            let scaling = options.scaling.as_ref().map(|scaling| scaling());
            let (network, broker) = (options.network.as_str(), options.broker.as_str());
            Json(Answer { network, broker, status, scaling }).into_response()
        }
        Err(error) => unavailable(&error),
    }
}

async fn prometheus(State(options): Shared) -> Response {
    match options.coordinator.status().await {
        Ok(status) => {
            let text = metrics::render(&status);
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(error) => unavailable(&error),
    }
}

async fn health(State(options): Shared) -> Response {
    match options.coordinator.state().await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &msgflo_coordinator::Error) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
}
