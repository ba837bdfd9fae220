//! The routes; their handlers are in a file for each matter.

mod apps;
mod config;
mod past;
mod roles;
mod tokens;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};

use super::access::{Access, Api, May};
use super::answers::Me;
use super::body::in_json;
use super::error::Refusal;
use super::{metrics, openapi};

type Answer<T> = Result<Json<T>, Refusal>;

/// Everything below `/v1`, and `/config`.
pub(super) fn api(api: Api) -> Router {
    Router::new()
        .route("/config/{id}", get(config::read).post(config::take))
        .route("/v1/openapi.json", get(|| async { Json(openapi::document()) }))
        .route("/v1/schema", get(|| async { Json(guv_model::json_schema()) }))
        .route("/v1/me", get(me))
        .route("/v1/tokens", get(tokens::list_of_all).post(tokens::add_for_all))
        .route("/v1/tokens/{token}", delete(tokens::remove_for_all))
        .route("/v1/apps", get(apps::list).post(apps::put))
        .route("/v1/apps/{id}", delete(apps::remove))
        .route("/v1/apps/{id}/platform", put(apps::set_platform))
        .route("/v1/apps/{id}/tokens", get(tokens::list).post(tokens::add))
        .route("/v1/apps/{id}/tokens/{token}", delete(tokens::remove))
        .route("/v1/apps/{id}/versions", get(config::versions))
        .route("/v1/apps/{id}/versions/{version}", get(config::version))
        .route("/v1/apps/{id}/versions/{version}/restore", post(config::restore))
        .route("/v1/apps/{id}/check", post(config::check))
        .route("/v1/apps/{id}/preview", post(past::preview))
        .route("/v1/apps/{id}/scaling", get(roles::scaling))
        .route("/v1/apps/{id}/charts", get(past::charts))
        .route("/v1/apps/{id}/operations", get(past::operations))
        .route("/v1/apps/{id}/decisions", get(past::decisions))
        .route("/v1/apps/{id}/roles", get(roles::snapshot))
        .route("/v1/apps/{id}/roles/{role}", get(roles::explain))
        .route("/v1/apps/{id}/roles/{role}/chart", get(past::chart))
        .route("/v1/apps/{id}/roles/{role}/manual", put(roles::set_manual).delete(roles::clear_manual))
        .route("/v1/apps/{id}/roles/{role}/pause", put(roles::pause).delete(roles::resume))
        .route("/v1/apps/{id}/roles/{role}/notify", post(roles::notify_of))
        .route("/v1/roles/{role}/notify", post(roles::notify))
        .layer(map_response(in_json))
        .with_state(api)
}

/// The whole interface, with the page.
pub(super) fn router(state: Api) -> Router {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { web_ui::page(&headers) }))
        .route("/healthz", get(health))
        .route("/openapi.json", get(|| async { Json(openapi::document()) }))
        .route("/metrics", get(get_metrics))
        .with_state(state.clone())
        .merge(api(state))
        .fallback(web_ui::file)
}

/// Who is governed is nobody's business here: whoever asks need not have a token.
async fn health(State(api): State<Api>) -> (StatusCode, String) {
    match api.apps.all().iter().filter(|(_, app)| app.handle.has_crashed()).count() {
        0 => (StatusCode::OK, "ok\n".to_owned()),
        crashed => {
            let what =
                format!("governors that have ended by an internal fault: {crashed}; the log tells more\n");
            (StatusCode::SERVICE_UNAVAILABLE, what)
        }
    }
}

async fn get_metrics(State(api): State<Api>, headers: HeaderMap) -> Result<impl IntoResponse, Refusal> {
    let apps = api.theirs(&headers)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::render(&apps)))
}

async fn me(State(api): State<Api>, headers: HeaderMap) -> Answer<Me> {
    let identity = api.identify(&headers)?;
    let (keeps_apps, configures) = match &api.access {
        Access::Store(_) => (true, true),
        Access::Local { file, .. } => (false, file.is_some()),
    };
    Ok(Json(Me {
        administers: keeps_apps && identity.app.is_none() && identity.may == May::Write,
        configures: configures && identity.may == May::Write,
        keeps_apps,
        name: identity.name,
        app: identity.app,
        may: identity.may,
        version: env!("CARGO_PKG_VERSION"),
    }))
}
