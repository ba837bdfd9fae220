//! One message for any inport, as `runtime:packet` sends one to an inport that the graph shows.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use msgflo_coordinator::PortRef;
use serde::Deserialize;
use serde_json::Value;

use super::{Refusal, Shown};
use crate::payload;
use crate::protocol::Capability;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Packet {
    /// The role of the node.
    role: String,
    /// Its inport.
    port: String,
    /// As editors see messages: JSON, or bytes as `{"base64": …, "contentType": …}`.
    data: Value,
}

/// `POST /api/packets`: taken, to be sent as soon as the participant is there. Clients are told if it could not be.
pub(crate) async fn send(
    State(shown): State<Arc<Shown>>,
    headers: HeaderMap,
    Json(packet): Json<Packet>,
) -> Result<StatusCode, Refusal> {
    shown.admit(&headers, &[Capability::Runtime])?;
    let status = shown.coordinator.state().await?;
    if !status.nodes.iter().any(|node| node.role.as_str() == packet.role) {
        let message = format!("the network has no node `{}`", packet.role);
        return Err(Refusal::new(StatusCode::NOT_FOUND, message));
    }
    let message = payload::message(&packet.data)
        .map_err(|reason| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, reason))?;
    let target = PortRef { role: packet.role.as_str().into(), port: packet.port.as_str().into() };
    shown.coordinator.send(target, message).await?;
    Ok(StatusCode::ACCEPTED)
}
