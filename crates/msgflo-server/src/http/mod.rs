//! What is asked over plain HTTP.

pub(crate) mod deadletters;
pub(crate) mod packets;
mod refusal;
pub(crate) mod text;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use msgflo_coordinator::{Handle, Status};
use msgflo_core::{Broker, Participant};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::access::bearer;
use crate::metrics;
use crate::protocol::Capability;
use crate::socket::Door;

pub(crate) use refusal::Refusal;

/// What is shown.
pub(crate) struct Shown {
    pub(crate) network: String,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) coordinator: Handle,
    pub(crate) scaling: Option<Arc<dyn Fn() -> Value + Send + Sync>>,
    pub(crate) door: Arc<Door>,
    /// Held by whoever has taken messages from a queue, so that two do not share them.
    pub(crate) taking: Mutex<()>,
}

impl Shown {
    /// Whether the one who sends these headers may do what one of these permissions allows.
    ///
    /// # Errors
    /// What to say to one who may not.
    pub(crate) fn admit(&self, headers: &HeaderMap, any_of: &[Capability]) -> Result<(), Refusal> {
        if self.door.permissions.admit(headers, &self.door.origins, any_of) {
            return Ok(());
        }
        let message =
            format!("say a secret that has the permission {}, as `Authorization: Bearer SECRET`", any_of[0]);
        let status = if bearer(headers).is_some() { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        Err(Refusal::new(status, message))
    }
}

/// The answer of `GET /api/status`.
#[derive(Serialize)]
struct Answer<'a> {
    network: &'a str,
    broker: String,
    /// Whether the broker is there now: while it is away, the rest is what was known of it last.
    broker_connected: bool,
    #[serde(flatten)]
    status: Status,
    /// Who has announced itself and is not in the graph.
    strangers: Vec<Participant>,
    /// How many clients of the FBP runtime protocol are connected.
    editors: usize,
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
    match answer(&shown, question.queues).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn answer(shown: &Shown, with_queues: bool) -> Result<Answer<'_>, msgflo_coordinator::Error> {
    let status = match with_queues {
        true => shown.coordinator.status().await?,
        false => shown.coordinator.state().await?,
    };
    let mut strangers = shown.coordinator.participants().await?;
    strangers.retain(|participant| !status.nodes.iter().any(|node| node.role == participant.role));
    Ok(Answer {
        network: &shown.network,
        broker: shown.broker.address(),
        broker_connected: shown.broker.is_connected(),
        status,
        strangers,
        editors: shown.door.present.load(Ordering::Relaxed),
        scaling: shown.scaling.as_ref().map(|scaling| scaling()),
    })
}

pub(crate) async fn prometheus(State(shown): Shared, headers: HeaderMap) -> Response {
    if !may_read(&shown, &headers) {
        return unauthorized();
    }
    match shown.coordinator.status().await {
        Ok(status) => {
            let text = metrics::render(&status, shown.broker.is_connected());
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

/// For whoever looks without a browser.
pub(crate) fn welcome(shown: &Shown) -> Response {
    let text = format!(
        "msgflo runs the network `{}`.\n\nOpen this address with a browser to see it. It also speaks the FBP runtime protocol over \
         WebSocket; the state of the network is at /api/status.\n",
        shown.network
    );
    text.into_response()
}

fn may_read(shown: &Shown, headers: &HeaderMap) -> bool {
    shown.admit(headers, &[Capability::NetworkStatus, Capability::NetworkControl]).is_ok()
}

fn unauthorized() -> Response {
    let text = "say a secret that has the permission network:status, as `Authorization: Bearer SECRET`\n";
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], text).into_response()
}

fn unavailable(error: &msgflo_coordinator::Error) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
}
