//! Messages that workers have refused, over HTTP: what `msgflo dlq` does, for the queues that the network's graph names.
//!
//! No message is taken from a worker: a queue that somebody takes from is shown, but not looked into.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use msgflo_coordinator::PortRef;
use msgflo_coordinator::deadletters::{self, Limit, Taken};
use msgflo_core::{Delivery, QueueName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Refusal, Shown};
use crate::payload;
use crate::protocol::Capability;

/// The most messages that are shown at once, and held meanwhile.
const MOST_SHOWN: Limit = Limit { messages: 200, bytes: 16 << 20 };
/// The most messages that one request looks at to move or remove them, and holds meanwhile.
const MOST_MOVED: Limit = Limit { messages: 10_000, bytes: 64 << 20 };

/// A queue where refused messages go.
#[derive(Serialize)]
struct Parked {
    node: String,
    port: String,
    queue: QueueName,
    ready: u64,
    consumers: u32,
    /// The inports whose workers refuse them.
    refused_by: Vec<String>,
}

/// `GET /api/deadletters`
pub(crate) async fn list(
    State(shown): State<Arc<Shown>>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    shown.admit(&headers, &[Capability::NetworkData, Capability::NetworkStatus])?;
    Ok(Json(json!(parked(&shown).await?)))
}

async fn parked(shown: &Shown) -> Result<Vec<Parked>, Refusal> {
    let status = shown.coordinator.status().await?;
    let mut refusing: HashMap<&PortRef, Vec<String>> = HashMap::new();
    for edge in &status.edges {
        if let Some(deadletter) = &edge.deadletter {
            refusing.entry(deadletter).or_default().push(edge.target.to_string());
        }
    }
    let mut found = Vec::new();
    for node in &status.nodes {
        for queue in &node.queues {
            let by =
                refusing.iter().find(|(port, _)| port.role == node.role && port.port.matches(&queue.port));
            let (Some((_, by)), Some(depth)) = (by, &queue.depth) else { continue };
            found.push(Parked {
                node: node.role.to_string(),
                port: queue.port.to_string(),
                queue: queue.queue.clone(),
                ready: depth.ready,
                consumers: depth.consumers,
                refused_by: by.clone(),
            });
        }
    }
    Ok(found)
}

/// The queue, if refused messages are parked there and nobody else takes them.
async fn queue(shown: &Shown, name: &str) -> Result<QueueName, Refusal> {
    let found = parked(shown).await?.into_iter().find(|parked| parked.queue.as_str() == name);
    let found = found.ok_or_else(|| {
        let message =
            format!("`{name}` is no queue where the graph sends refused messages: see /api/deadletters");
        Refusal::new(StatusCode::NOT_FOUND, message)
    })?;
    if found.consumers > 0 {
        let message = format!(
            "{} takes from `{name}`: its messages are its own. Stop it to look at them here",
            found.node
        );
        return Err(Refusal::new(StatusCode::CONFLICT, message));
    }
    Ok(found.queue)
}

#[derive(Deserialize)]
pub(crate) struct Amount {
    limit: Option<usize>,
}

/// `GET /api/deadletters/{queue}`
pub(crate) async fn peek(
    State(shown): State<Arc<Shown>>,
    Path(name): Path<String>,
    Query(Amount { limit }): Query<Amount>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    shown.admit(&headers, &[Capability::NetworkData])?;
    let queue = queue(&shown, &name).await?;
    let _alone = shown.taking.lock().await;
    let messages = limit.unwrap_or(usize::MAX).min(MOST_SHOWN.messages);
    let most = Limit { messages, ..MOST_SHOWN };
    let taken = deadletters::take(&*shown.broker, &queue, Some(most)).await?;
    let messages = taken.messages.iter().map(|Delivery { message, .. }| {
        json!({
            "id": deadletters::fingerprint(message),
            "data": payload::shown(message),
            "death": deadletters::death(&message.headers),
            "headers": message.headers,
            "contentType": message.content_type,
            "timestamp": message.timestamp,
            "bytes": message.payload.len(),
        })
    });
    let messages: Vec<_> = messages.collect();
    let Taken { ready, messages: taken, unseen } = taken;
    drop(taken);
    deadletters::are_back(&*shown.broker, &queue, ready).await;
    Ok(Json(json!({"queue": queue, "messages": messages, "unseen": unseen})))
}

/// Which of the messages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chosen {
    /// By what `peek` calls them.
    ids: Option<Vec<String>>,
    /// Every one that is there now.
    #[serde(default)]
    all: bool,
    /// Where to, instead of where they were refused.
    to: Option<String>,
}

/// `POST /api/deadletters/{queue}/requeue`
pub(crate) async fn requeue(
    State(shown): State<Arc<Shown>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(chosen): Json<Chosen>,
) -> Result<Response, Refusal> {
    let to = chosen.to.as_deref().map(QueueName::from);
    let _alone = shown.taking.lock().await;
    let (queue, Taken { ready, messages, unseen }) = take(&shown, &name, &headers, chosen).await?;
    let requeued = deadletters::requeue(&*shown.broker, messages, to.as_ref()).await?;
    let moved = usize::try_from(requeued.moved).unwrap_or(usize::MAX);
    deadletters::are_back(&*shown.broker, &queue, ready.saturating_sub(moved)).await;
    let answer = json!({"moved": requeued.moved, "homeless": requeued.homeless, "unseen": unseen});
    Ok(Json(answer).into_response())
}

/// `POST /api/deadletters/{queue}/drop`
pub(crate) async fn discard(
    State(shown): State<Arc<Shown>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(chosen): Json<Chosen>,
) -> Result<Response, Refusal> {
    let _alone = shown.taking.lock().await;
    let (queue, Taken { ready, messages, unseen }) = take(&shown, &name, &headers, chosen).await?;
    let dropped = messages.len();
    messages.into_iter().for_each(Delivery::ack);
    deadletters::are_back(&*shown.broker, &queue, ready.saturating_sub(dropped)).await;
    Ok(Json(json!({"dropped": dropped, "unseen": unseen})).into_response())
}

async fn take(
    shown: &Shown,
    name: &str,
    headers: &HeaderMap,
    chosen: Chosen,
) -> Result<(QueueName, Taken), Refusal> {
    shown.admit(headers, &[Capability::NetworkControl])?;
    let mut wanted: HashMap<String, usize> = HashMap::new();
    match (chosen.ids, chosen.all) {
        (Some(ids), false) => ids.into_iter().for_each(|id| *wanted.entry(id).or_default() += 1),
        (None, true) => {}
        _ => {
            let message = "say which messages: {\"ids\": […]} as the list has them, or {\"all\": true}";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
        }
    }
    let queue = queue(shown, name).await?;
    let mut taken = deadletters::take(&*shown.broker, &queue, Some(MOST_MOVED)).await?;
    if !chosen.all {
        // Equal messages have the same id: as many of them are meant as were named.
        let seen = taken.messages.len();
        taken.messages.retain(|delivery| {
            let left = wanted.get_mut(&deadletters::fingerprint(&delivery.message));
            left.is_some_and(|left| std::mem::replace(left, left.saturating_sub(1)) > 0)
        });
        if taken.messages.is_empty() && taken.unseen > 0 {
            deadletters::are_back(&*shown.broker, &queue, taken.ready).await;
            let message = format!(
                "none of them is among the first {seen} messages of `{name}`, and {} behind these were not looked at: {} \
                 messages or {} MB are looked at for a request. Move or remove some of the first, or use `msgflo dlq`",
                taken.unseen,
                MOST_MOVED.messages,
                MOST_MOVED.bytes >> 20
            );
            return Err(Refusal::new(StatusCode::CONFLICT, message));
        }
    }
    Ok((queue, taken))
}
