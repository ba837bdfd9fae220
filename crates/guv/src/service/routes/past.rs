//! The history: charts, operations, decisions, and what another configuration would have done.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use guv_model::{Role, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use crate::history::{self, Chart, History, Reader};
use crate::service::access::Api;
use crate::service::answers::{Charts, NewPreview, Operations, Preview};
use crate::service::apps::{Governed, Refused, moment};
use crate::service::body::Body;
use crate::service::error::Refusal;

/// The most decisions in one answer.
const MOST_DECISIONS: usize = 10_000;

/// The most operations in one answer.
const MOST_OPERATIONS: u32 = 1000;

/// Points of a chart where none are asked for, and the most.
const POINTS: u32 = 300;
const MOST_POINTS: u32 = 2000;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Deserialize)]
pub(super) struct Span {
    role: Option<String>,
    /// Unix seconds.
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// Seconds before `to`, where `from` is not given.
    span: Option<f64>,
    #[serde(default)]
    changes: bool,
    limit: Option<usize>,
    points: Option<u32>,
}

impl Span {
    /// The last day, unless something else is asked for.
    fn bounds(&self) -> (Timestamp, Timestamp) {
        let to = self.to.unwrap_or_else(moment);
        let span = self.span.and_then(|span| Duration::try_from_secs_f64(span).ok()).unwrap_or(DAY);
        let before = Timestamp::since_epoch(to.as_duration().saturating_sub(span));
        (self.from.unwrap_or(before), to)
    }

    fn points(&self) -> u32 {
        self.points.unwrap_or(POINTS).clamp(1, MOST_POINTS)
    }
}

pub(super) async fn decisions(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(span): Query<Span>,
    headers: HeaderMap,
) -> Answer<Value> {
    let governed = api.governed(&headers, &id)?;
    let far = Timestamp::from_unix_seconds(u64::from(u32::MAX) * 2);
    let query = history::Query {
        role: span.role.map(Role::new),
        from: span.from.unwrap_or(Timestamp::from_unix_seconds(0)),
        to: span.to.unwrap_or(far),
        changes: span.changes,
        limit: span.limit.unwrap_or(100).min(MOST_DECISIONS),
    };
    let records = read(&governed.history, move |reader| {
        let mut records = Vec::new();
        reader.for_each(&query, |record| {
            records.push(record);
            Ok::<_, history::Error>(())
        })?;
        Ok(records)
    });
    Ok(Json(json!({ "decisions": records.await? })))
}

pub(super) async fn operations(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(span): Query<Span>,
    headers: HeaderMap,
) -> Answer<Operations> {
    let governed = api.governed(&headers, &id)?;
    let (from, to) = span.bounds();
    let role = span.role.map(Role::new);
    let limit = span.limit.map_or(MOST_OPERATIONS, |limit| {
        u32::try_from(limit).unwrap_or(MOST_OPERATIONS).clamp(1, MOST_OPERATIONS)
    });
    let found = read(&governed.history, move |reader| reader.operations(role.as_ref(), from, to, limit + 1));
    let mut operations = found.await?;
    let has_more = operations.len() > limit as usize;
    if has_more {
        operations.remove(0);
    }
    Ok(Json(Operations { operations, has_more }))
}

pub(super) async fn chart(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    Query(span): Query<Span>,
    headers: HeaderMap,
) -> Answer<Chart> {
    let governed = api.governed(&headers, &id)?;
    let ((from, to), points, role) = (span.bounds(), span.points(), Role::new(role));
    let asked = role.clone();
    let chart = read(&governed.history, move |reader| reader.chart(&asked, from, to, points));
    Ok(Json(priced(chart.await?, &governed, &role)))
}

pub(super) async fn charts(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(span): Query<Span>,
    headers: HeaderMap,
) -> Answer<Charts> {
    let governed = api.governed(&headers, &id)?;
    let ((from, to), points) = (span.bounds(), span.points());
    let charts = read(&governed.history, move |reader| reader.charts(None, from, to, points)).await?;
    let config = governed.handle.config();
    // Roles that were governed once stay in the history.
    let charts = charts.into_iter().filter(|(role, _)| config.role(role).is_some());
    let roles = charts.map(|(role, chart)| (role.to_string(), priced(chart, &governed, &role)));
    Ok(Json(Charts { roles: roles.collect() }))
}

fn priced(mut chart: Chart, governed: &Governed, role: &Role) -> Chart {
    let price = governed.handle.config().role(role).and_then(|role| role.price);
    chart.totals = chart.totals.priced(price);
    chart
}

pub(super) async fn preview(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<NewPreview>,
) -> Answer<Preview> {
    let (desk, _) = api.desk(&headers, &id)?;
    let governed = api.apps.get(&id).ok_or_else(|| Refusal::no_app(&id))?;
    let config = desk.read(&body.config).map_err(Refused::Config)?.config;
    let hours = body.hours.unwrap_or(24.0);
    let Ok(span) = Duration::try_from_secs_f64(hours * 3600.0) else {
        let message = "`hours` must be a number above 0";
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, message));
    };
    let to = moment();
    let from = Timestamp::since_epoch(to.as_duration().saturating_sub(span));
    let preview = read(&governed.history, move |reader| {
        crate::tools::preview::preview(reader, &config, from, to, POINTS)
    });
    let (from, roles) = preview.await?;
    let seconds = |at: Timestamp| at.as_duration().as_secs_f64();
    Ok(Json(Preview { from: seconds(from), to: seconds(to), roles }))
}

/// Reads the history where blocking is allowed.
pub(super) async fn read<T: Send + 'static>(
    history: &Option<History>,
    read: impl FnOnce(&Reader) -> Result<T, history::Error> + Send + 'static,
) -> Result<T, Refusal> {
    let missing = || Refusal::new(StatusCode::NOT_FOUND, "no history is kept");
    let history = history.clone().ok_or_else(missing)?;
    let task = tokio::task::spawn_blocking(move || read(&history.reader()?));
    Ok(task.await.map_err(|error| Refusal::internal(&error))??)
}
