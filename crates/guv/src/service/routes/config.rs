//! The configuration: reading, trying, changing, and taking back.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;

use super::Answer;
use crate::service::access::Api;
use crate::service::answers::{ConfigText, NewConfig, Verdict, Versions};
use crate::service::body::Body;

/// As the heroku-guvscale plug-in asks for it.
pub(super) async fn read(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<ConfigText> {
    let (desk, _) = api.desk(&headers, &id)?;
    let (version, config_yaml) = desk.text()?;
    Ok(Json(ConfigText { config_yaml, version }))
}

/// As the heroku-guvscale plug-in sends it.
pub(super) async fn take(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<NewConfig>,
) -> Answer<ConfigText> {
    let (desk, identity) = api.desk(&headers, &id)?;
    let version = desk.take(&api.apps, &identity.name, &body.config).await?;
    Ok(Json(ConfigText { config_yaml: body.config, version }))
}

pub(super) async fn check(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<NewConfig>,
) -> Answer<Verdict> {
    let (desk, _) = api.desk(&headers, &id)?;
    let (is_usable, diagnostics) = match desk.check(&body.config)? {
        Ok(remarks) => (true, remarks),
        Err(diagnostics) => (false, diagnostics),
    };
    Ok(Json(Verdict { is_usable, diagnostics: diagnostics.iter().map(Into::into).collect() }))
}

pub(super) async fn versions(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<Versions> {
    let (desk, _) = api.desk(&headers, &id)?;
    Ok(Json(Versions { versions: desk.versions()? }))
}

pub(super) async fn version(
    State(api): State<Api>,
    Path((id, version)): Path<(String, i64)>,
    headers: HeaderMap,
) -> Answer<ConfigText> {
    let (desk, _) = api.desk(&headers, &id)?;
    Ok(Json(ConfigText { config_yaml: desk.version(version)?, version }))
}

pub(super) async fn restore(
    State(api): State<Api>,
    Path((id, version)): Path<(String, i64)>,
    headers: HeaderMap,
) -> Answer<ConfigText> {
    let (desk, identity) = api.desk(&headers, &id)?;
    let config_yaml = desk.version(version)?;
    let version = desk.take(&api.apps, &identity.name, &config_yaml).await?;
    Ok(Json(ConfigText { config_yaml, version }))
}
