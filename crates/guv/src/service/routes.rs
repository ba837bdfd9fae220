//! The routes, each with its handler.

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use guv_model::{Manual, Role, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Api;
use super::apps::now;
use super::error::Refusal;
use super::store::App;
use super::{metrics, openapi};
use crate::explain::explain;
use crate::history::{self, Reader};

/// The most decisions in one answer.
const MOST_DECISIONS: usize = 10_000;

/// Points of a chart where none are asked for.
const POINTS: u32 = 300;

type Answer = Result<Json<Value>, Refusal>;

pub(super) fn router(api: Api) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/openapi.json", get(|| async { Json(openapi::document()) }))
        .route("/metrics", get(get_metrics))
        .route("/config/{id}", get(get_config).post(post_config))
        .route("/v1/apps", get(list_apps).post(put_app))
        .route("/v1/apps/{id}", axum::routing::delete(delete_app))
        .route("/v1/apps/{id}/tokens", post(add_token))
        .route("/v1/apps/{id}/versions", get(versions))
        .route("/v1/apps/{id}/versions/{version}", get(version))
        .route("/v1/apps/{id}/versions/{version}/restore", post(restore))
        .route("/v1/apps/{id}/roles", get(roles))
        .route("/v1/apps/{id}/roles/{role}", get(explain_role))
        .route("/v1/apps/{id}/roles/{role}/manual", put(set_manual).delete(clear_manual))
        .route("/v1/apps/{id}/roles/{role}/notify", post(notify_of))
        .route("/v1/apps/{id}/roles/{role}/chart", get(chart))
        .route("/v1/apps/{id}/decisions", get(decisions))
        .route("/v1/roles/{role}/notify", post(notify))
        .with_state(api)
}

async fn get_metrics(State(api): State<Api>, headers: HeaderMap) -> Result<impl IntoResponse, Refusal> {
    let apps = api.theirs(&headers)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::render(&apps)))
}

/// As the heroku-guvscale plug-in asks for it.
async fn get_config(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    api.kept(&headers, &id)?;
    let (version, text) = api.fleet()?.store.text(&id, None)?.unwrap_or((0, String::new()));
    Ok(Json(json!({ "configYaml": text, "version": version })))
}

#[derive(Deserialize)]
struct NewConfig {
    config: String,
}

/// As the heroku-guvscale plug-in sends it.
async fn post_config(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<NewConfig>,
) -> Answer {
    let (app, identity) = api.kept(&headers, &id)?;
    let version = take(&api, &app, &identity.name, &body.config).await?;
    Ok(Json(json!({ "configYaml": body.config, "version": version })))
}

/// Takes a configuration into force, and keeps it as a version.
async fn take(api: &Api, app: &App, who: &str, text: &str) -> Result<i64, Refusal> {
    let fleet = api.fleet()?;
    let config = fleet.read(app, text)?;
    fleet.govern(&api.apps, app, config).await?;
    Ok(fleet.store.add_version(&app.id, who, now(), text)?)
}

async fn list_apps(State(api): State<Api>, headers: HeaderMap) -> Answer {
    let apps = api.theirs(&headers)?;
    let apps: Vec<_> = apps
        .iter()
        .map(|(id, app)| json!({ "id": id, "roles": app.handle.config().roles.len(), "cycle": app.handle.snapshot().cycle }))
        .collect();
    Ok(Json(json!({ "apps": apps })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewApp {
    id: String,
    /// Its name on the platform; the id if it is left out.
    platform_app: Option<String>,
    /// The platform's key.
    platform_token: Option<String>,
    config: Option<String>,
}

async fn put_app(
    State(api): State<Api>,
    headers: HeaderMap,
    Json(body): Json<NewApp>,
) -> Result<impl IntoResponse, Refusal> {
    let identity = api.admin(&headers)?;
    let fleet = api.fleet()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if body.id.is_empty() || body.id.len() > 64 || !body.id.chars().all(plain) {
        let message = "`id` must be 1 to 64 letters, digits, - and _";
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    let app = App {
        platform_app: body.platform_app.unwrap_or_else(|| body.id.clone()),
        id: body.id,
        platform_token: body.platform_token,
    };
    fleet.store.put_app(&app)?;
    // What is kept counts: a token that was left out may be there already.
    let (app, _) = api.kept(&headers, &app.id)?;
    let version = match (&body.config, fleet.store.text(&app.id, None)?) {
        (Some(text), _) => Some(take(&api, &app, &identity.name, text).await?),
        (None, Some((version, text))) => {
            fleet.govern(&api.apps, &app, fleet.read(&app, &text)?).await?;
            Some(version)
        }
        (None, None) => None,
    };
    let token = fleet.store.add_token(Some(&app.id), "owner")?;
    let body = json!({ "id": app.id, "token": token.reveal(), "version": version });
    Ok((StatusCode::CREATED, Json(body)))
}

async fn delete_app(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    api.admin(&headers)?;
    api.kept(&headers, &id)?;
    api.fleet()?.remove(&api.apps, &id).await?;
    Ok(Json(json!({ "removed": id })))
}

#[derive(Deserialize)]
struct NewToken {
    name: String,
}

async fn add_token(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<NewToken>,
) -> Result<impl IntoResponse, Refusal> {
    api.kept(&headers, &id)?;
    let token = api.fleet()?.store.add_token(Some(&id), &body.name)?;
    Ok((StatusCode::CREATED, Json(json!({ "name": body.name, "token": token.reveal() }))))
}

async fn versions(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    api.kept(&headers, &id)?;
    Ok(Json(json!({ "versions": api.fleet()?.store.versions(&id)? })))
}

async fn version(
    State(api): State<Api>,
    Path((id, version)): Path<(String, i64)>,
    headers: HeaderMap,
) -> Answer {
    api.kept(&headers, &id)?;
    let (version, text) = text_of(&api, &id, version)?;
    Ok(Json(json!({ "configYaml": text, "version": version })))
}

async fn restore(
    State(api): State<Api>,
    Path((id, version)): Path<(String, i64)>,
    headers: HeaderMap,
) -> Answer {
    let (app, identity) = api.kept(&headers, &id)?;
    let (_, text) = text_of(&api, &id, version)?;
    let version = take(&api, &app, &identity.name, &text).await?;
    Ok(Json(json!({ "configYaml": text, "version": version })))
}

fn text_of(api: &Api, id: &str, version: i64) -> Result<(i64, String), Refusal> {
    let found = api.fleet()?.store.text(id, Some(version))?;
    found.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("there is no version {version}")))
}

async fn roles(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let governed = api.governed(&headers, &id)?;
    Ok(Json(json!(*governed.handle.snapshot())))
}

#[derive(Deserialize)]
struct At {
    /// Unix seconds.
    at: Option<Timestamp>,
}

/// The latest decision of a role, or that of a time, explained.
async fn explain_role(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    Query(At { at }): Query<At>,
    headers: HeaderMap,
) -> Answer {
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
    let explanation = explain(&record);
    let mut answer = json!(explanation);
    answer["text"] = explanation.to_string().into();
    Ok(Json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewManual {
    workers: u32,
    /// Seconds.
    seconds: u32,
}

async fn set_manual(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<NewManual>,
) -> Answer {
    let governed = api.governed(&headers, &id)?;
    let now = Timestamp::from_unix_seconds(now().unsigned_abs());
    let until = now + Duration::from_secs(body.seconds.into());
    let manual = Manual { workers: body.workers, until };
    governed.handle.set_manual(&Role::new(role), Some(manual)).await?;
    Ok(Json(json!(manual)))
}

async fn clear_manual(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let governed = api.governed(&headers, &id)?;
    governed.handle.set_manual(&Role::new(role), None).await?;
    Ok(Json(json!({})))
}

async fn notify_of(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let governed = api.governed(&headers, &id)?;
    let role = Role::new(role);
    governed.handle.config().role(&role).ok_or_else(|| Refusal::no_role(role.as_str()))?;
    governed.handle.notify(&role);
    Ok(StatusCode::ACCEPTED)
}

/// For every application of whoever asks that has such a role.
async fn notify(
    State(api): State<Api>,
    Path(role): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let role = Role::new(role);
    let mut theirs = api.theirs(&headers)?;
    theirs.retain(|(_, governed)| governed.handle.config().role(&role).is_some());
    if theirs.is_empty() {
        return Err(Refusal::no_role(role.as_str()));
    }
    theirs.iter().for_each(|(_, governed)| governed.handle.notify(&role));
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize)]
struct Span {
    role: Option<String>,
    /// Unix seconds.
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    #[serde(default)]
    changes: bool,
    limit: Option<usize>,
    points: Option<u32>,
}

impl Span {
    fn bounds(&self) -> (Timestamp, Timestamp) {
        let far = Timestamp::from_unix_seconds(u64::from(u32::MAX) * 2);
        (self.from.unwrap_or(Timestamp::from_unix_seconds(0)), self.to.unwrap_or(far))
    }
}

async fn decisions(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(span): Query<Span>,
    headers: HeaderMap,
) -> Answer {
    let governed = api.governed(&headers, &id)?;
    let (from, to) = span.bounds();
    let query = history::Query {
        role: span.role.map(Role::new),
        from,
        to,
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

async fn chart(
    State(api): State<Api>,
    Path((id, role)): Path<(String, String)>,
    Query(span): Query<Span>,
    headers: HeaderMap,
) -> Answer {
    let governed = api.governed(&headers, &id)?;
    let to = span.to.unwrap_or(Timestamp::from_unix_seconds(now().unsigned_abs()));
    let day = Duration::from_secs(24 * 3600);
    let from = span.from.unwrap_or(Timestamp::since_epoch(to.as_duration().saturating_sub(day)));
    let points = span.points.unwrap_or(POINTS);
    let chart = read(&governed.history, move |reader| reader.chart(&Role::new(role), from, to, points));
    Ok(Json(json!({ "points": chart.await? })))
}

/// Reads the history where blocking is allowed.
async fn read<T: Send + 'static>(
    history: &Option<crate::history::History>,
    read: impl FnOnce(&Reader) -> Result<T, history::Error> + Send + 'static,
) -> Result<T, Refusal> {
    let missing = || Refusal::new(StatusCode::NOT_FOUND, "no history is kept");
    let history = history.clone().ok_or_else(missing)?;
    let task = tokio::task::spawn_blocking(move || read(&history.reader()?));
    Ok(task.await.map_err(|error| Refusal::internal(&error))??)
}
