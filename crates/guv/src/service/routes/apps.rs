//! Applications.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};

use super::Answer;
use crate::service::access::{Access, Api, May};
use crate::service::answers::{AddedApp, AppInfo, AppList, Condition, NewApp, Platform, Removed, RoleNow};
use crate::service::apps::Governed;
use crate::service::body::Body;
use crate::service::error::Refusal;
use crate::service::store::App;

pub(super) async fn list(State(api): State<Api>, headers: HeaderMap) -> Answer<AppList> {
    let identity = api.identify(&headers)?;
    let theirs = |id: &str| identity.app.as_deref().is_none_or(|own| own == id);
    let apps: Vec<_> = match &api.access {
        Access::Local { .. } => {
            let all = api.apps.all();
            all.iter().map(|(id, governed)| info(id, None, Some(governed))).collect()
        }
        Access::Store(fleet) => {
            let kept = fleet.store.apps()?;
            let kept = kept.iter().filter(|app| theirs(&app.id));
            kept.map(|app| info(&app.id, Some(app), api.apps.get(&app.id).as_ref())).collect()
        }
    };
    Ok(Json(AppList { apps }))
}

fn info(id: &str, kept: Option<&App>, governed: Option<&Governed>) -> AppInfo {
    let troubled = governed.map_or(0, |governed| {
        let config = governed.handle.config();
        let snapshot = governed.handle.snapshot();
        let condition = |record: &crate::Record| {
            config.role(&record.role).map(|role| RoleNow::of(record, role).condition)
        };
        let troubled = |condition: &Condition| {
            !matches!(condition, Condition::Well | Condition::Paused | Condition::Manual)
        };
        snapshot.roles.iter().filter_map(|record| condition(record)).filter(troubled).count()
    });
    AppInfo {
        id: id.to_owned(),
        platform_app: kept.map(|app| app.platform_app.clone()),
        has_platform_token: kept.is_some_and(|app| app.platform_token.is_some()),
        is_governed: governed.is_some(),
        roles: governed.map_or(0, |governed| governed.handle.config().roles.len()),
        cycle: governed.map_or(0, |governed| governed.handle.snapshot().cycle),
        troubled,
    }
}

pub(super) async fn put(
    State(api): State<Api>,
    headers: HeaderMap,
    Body(body): Body<NewApp>,
) -> Result<(StatusCode, Json<AddedApp>), Refusal> {
    let identity = api.admin(&headers)?;
    let fleet = api.fleet()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if body.id.is_empty() || body.id.len() > 64 || !body.id.chars().all(plain) {
        let message = "`id` must be 1 to 64 letters, digits, - and _";
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    // Of one that is there already, what is left out stays.
    let kept = fleet.store.apps()?.into_iter().find(|app| app.id == body.id).map(|app| app.platform_app);
    let app = App {
        platform_app: body.platform_app.or(kept).unwrap_or_else(|| body.id.clone()),
        id: body.id,
        platform_token: body.platform_token,
    };
    let version = match &body.config {
        Some(text) => {
            fleet.store.put_app(&app)?;
            Some(fleet.take(&api.apps, &app.id, &identity.name, text).await?)
        }
        None => fleet.set(&api.apps, &app).await?,
    };
    let token = fleet.store.add_token(Some(&app.id), "owner", May::Write)?;
    let added = AddedApp { id: app.id, token: token.reveal().to_owned(), version };
    Ok((StatusCode::CREATED, Json(added)))
}

pub(super) async fn set_platform(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<Platform>,
) -> Answer<AppInfo> {
    let identity = api.writer(&headers, &id)?;
    let kept = api.kept(&id)?;
    let is_another = body.platform_app.as_ref().is_some_and(|app| *app != kept.platform_app);
    if is_another && body.platform_token.is_none() && kept.platform_token.is_some() && identity.app.is_some()
    {
        let message = format!(
            "the key that is kept is for the app `{}`; another one needs its own `platform_token`",
            kept.platform_app
        );
        return Err(Refusal::new(StatusCode::FORBIDDEN, message));
    }
    let app = App {
        platform_app: body.platform_app.unwrap_or(kept.platform_app),
        platform_token: body.platform_token,
        id: kept.id,
    };
    api.fleet()?.set(&api.apps, &app).await?;
    Ok(Json(info(&id, Some(&api.kept(&id)?), api.apps.get(&id).as_ref())))
}

pub(super) async fn remove(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<Removed> {
    api.admin(&headers)?;
    api.kept(&id)?;
    api.fleet()?.remove(&api.apps, &id).await?;
    Ok(Json(Removed { removed: id }))
}
