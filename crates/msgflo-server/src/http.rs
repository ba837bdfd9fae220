//! What is read over plain HTTP.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use msgflo_coordinator::{Handle, Status};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::Permissions;
use crate::metrics;

/// What is shown.
pub(crate) struct Shown {
    pub(crate) network: String,
    pub(crate) broker: String,
    pub(crate) coordinator: Handle,
    pub(crate) scaling: Option<Arc<dyn Fn() -> Value + Send + Sync>>,
    pub(crate) permissions: Permissions,
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

/// What is asked of `GET /api/status`.
#[derive(Deserialize)]
pub(crate) struct Question {
    /// Whether the broker is asked for the depth of every queue, which takes a while in a large network.
    #[serde(default = "yes")]
    queues: bool,
}

fn yes() -> bool {
    true
}

type Shared = State<Arc<Shown>>;

pub(crate) async fn status(
    State(shown): Shared,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Response {
    if !may_read(&shown, &headers) {
        return unauthorized();
    }
    let status = match question.queues {
        true => shown.coordinator.status().await,
        false => shown.coordinator.state().await,
    };
    match status {
        Ok(status) => {
            let scaling = shown.scaling.as_ref().map(|scaling| scaling());
            let (network, broker) = (shown.network.as_str(), shown.broker.as_str());
            Json(Answer { network, broker, status, scaling }).into_response()
        }
        Err(error) => unavailable(&error),
    }
}

pub(crate) async fn prometheus(State(shown): Shared, headers: HeaderMap) -> Response {
    if !may_read(&shown, &headers) {
        return unauthorized();
    }
    match shown.coordinator.status().await {
        Ok(status) => {
            let text = metrics::render(&status);
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(error) => unavailable(&error),
    }
}

pub(crate) async fn health(State(shown): Shared) -> Response {
    match shown.coordinator.state().await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => unavailable(&error),
    }
}

/// For whoever looks with a browser.
pub(crate) fn welcome(shown: &Shown) -> Response {
    let text = format!(
        "msgflo runs the network `{}`.\n\nThis address speaks the FBP runtime protocol over WebSocket; the state of the network \
         is at /api/status.\n",
        shown.network
    );
    text.into_response()
}

fn may_read(shown: &Shown, headers: &HeaderMap) -> bool {
    let bearer =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    shown.permissions.allow_status(bearer)
}

fn unauthorized() -> Response {
    let text = "say a secret that has the permission network:status, as `Authorization: Bearer SECRET`\n";
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], text).into_response()
}

fn unavailable(error: &msgflo_coordinator::Error) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
}
