//! Roles as they are now, and what people set of them.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use guv_model::{Manual, Role, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use super::past::read;
use crate::service::access::Api;
use crate::service::answers::{Explained, NewManual, NewPause, RoleNow, Scaling, Set};
use crate::service::body::Body;
use crate::service::error::Refusal;

pub(super) async fn snapshot(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<Value> {
    let governed = api.governed(&headers, &id)?;
    Ok(Json(json!(*governed.handle.snapshot())))
}

pub(super) async fn scaling(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<Scaling> {
    let governed = api.governed(&headers, &id)?;
    let (snapshot, config) = (governed.handle.snapshot(), governed.handle.config());
    let roles = snapshot.roles.iter();
    let roles = roles.filter_map(|record| Some(RoleNow::of(record, config.role(&record.role)?)));
    Ok(Json(Scaling {
        cycle: snapshot.cycle,
        at: snapshot.at.map(|at| at.as_duration().as_secs_f64()),
        dry_run: snapshot.dry_run,
        poll_interval: config.poll_interval.as_secs_f64(),
        has_history: governed.history.is_some(),
        roles: roles.collect(),
    }))
}

#[derive(Deserialize)]
pub(super) struct At {
    /// Unix seconds.
    at: Option<Timestamp>,
}

/// The latest decision of a role, or that of a time, explained.
pub(super) async fn explain(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    Query(At { at }): Query<At>,
    headers: HeaderMap,
) -> Answer<Explained> {
    let governed = api.governed(&headers, &id)?;
    let role = Role::new(role);
    let record = match at {
        None => {
            let snapshot = governed.handle.snapshot();
            snapshot.roles.iter().find(|record| record.role == role).map(|record| (**record).clone())
        }
        Some(at) => {
            let role = role.clone();
            read(&governed.history, move |reader| reader.at(&role, at)).await?
        }
    };
    let record = record.ok_or_else(|| Refusal::no_role(role.as_str()))?;
    let explanation = crate::explain::explain(&record);
    Ok(Json(Explained {
        at: record.at.as_duration().as_secs_f64(),
        summary: explanation.summary.clone(),
        lines: explanation.lines(),
        text: explanation.to_string(),
        expected: explanation.expected,
        record: json!(record),
    }))
}

pub(super) async fn set_manual(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    headers: HeaderMap,
    Body(body): Body<NewManual>,
) -> Answer<Set> {
    let governed = api.controlled(&headers, &id)?;
    let name = Role::new(&role);
    let (snapshot, config) = (governed.handle.snapshot(), governed.handle.config());
    if let Some(role) = config.role(&name) {
        // A schedule may allow another number just now.
        let last = snapshot.roles.iter().find(|record| record.role == name);
        let limits = last.map_or(role.limits, |record| record.decision.inputs.parameters.limits);
        let most = limits.maximum.max(role.limits.maximum);
        if body.workers > most {
            let message = format!(
                "role `{name}` has at most {most} workers: set no more than that, or raise its `maximum` first"
            );
            return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, message));
        }
    }
    let until = governed.handle.now() + Duration::from_secs(body.seconds.into());
    let manual = Manual { workers: body.workers, until };
    governed.handle.set_manual(&name, Some(manual)).await?;
    Ok(set(role, Some(until)))
}

pub(super) async fn clear_manual(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<Set> {
    api.controlled(&headers, &id)?.handle.set_manual(&Role::new(&role), None).await?;
    Ok(set(role, None))
}

pub(super) async fn pause(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    headers: HeaderMap,
    Body(body): Body<NewPause>,
) -> Answer<Set> {
    let governed = api.controlled(&headers, &id)?;
    let until = governed.handle.now() + Duration::from_secs(body.seconds.into());
    governed.handle.pause(&Role::new(&role), Some(until)).await?;
    Ok(set(role, Some(until)))
}

pub(super) async fn resume(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<Set> {
    api.controlled(&headers, &id)?.handle.pause(&Role::new(&role), None).await?;
    Ok(set(role, None))
}

fn set(role: String, until: Option<Timestamp>) -> Json<Set> {
    Json(Set { role, until: until.map(|until| until.as_duration().as_secs_f64()) })
}

pub(super) async fn notify_of(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let (governed, role) = (api.governed(&headers, &id)?, Role::new(role));
    if governed.handle.config().role(&role).is_none() {
        return Err(Refusal::no_role(role.as_str()));
    }
    governed.handle.notify(&role);
    Ok(StatusCode::ACCEPTED)
}

/// In every application of whoever asks that has the role.
pub(super) async fn notify(
    State(api): State<Api>,
    Path(role): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let (mut theirs, role) = (api.theirs(&headers)?, Role::new(role));
    theirs.retain(|(_, governed)| governed.handle.config().role(&role).is_some());
    if theirs.is_empty() {
        return Err(Refusal::no_role(role.as_str()));
    }
    theirs.iter().for_each(|(_, governed)| governed.handle.notify(&role));
    Ok(StatusCode::ACCEPTED)
}
