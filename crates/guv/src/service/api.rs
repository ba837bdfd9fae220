//! Who may do what, and what every handler starts from.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::apps::{Apps, Fleet, Governed};
use super::error::Refusal;
use super::secrets::TokenHash;
use super::store::{App, Identity};

#[derive(Clone)]
pub(super) struct Api {
    pub(super) apps: Arc<Apps>,
    pub(super) access: Access,
}

/// What opens the interface.
#[derive(Clone)]
pub(super) enum Access {
    /// One governor, and one token or none.
    Local(Option<TokenHash>),
    /// Tokens that are kept.
    Store(Arc<Fleet>),
}

impl Api {
    /// Who asks.
    pub(super) fn identify(&self, headers: &HeaderMap) -> Result<Identity, Refusal> {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        match (&self.access, token) {
            (Access::Local(None), _) => Ok(Identity { app: None, name: "local".to_owned() }),
            (Access::Local(Some(hash)), Some(token)) if TokenHash::of(token) == *hash => {
                Ok(Identity { app: None, name: "local".to_owned() })
            }
            (Access::Store(fleet), Some(token)) => {
                fleet.store.identify(token)?.ok_or_else(Refusal::unauthorized)
            }
            _ => Err(Refusal::unauthorized()),
        }
    }

    /// Who asks, if it is the administrator.
    pub(super) fn admin(&self, headers: &HeaderMap) -> Result<Identity, Refusal> {
        let identity = self.identify(headers)?;
        if identity.app.is_some() {
            let status = axum::http::StatusCode::FORBIDDEN;
            return Err(Refusal::new(status, "the administrator's token is needed for this"));
        }
        Ok(identity)
    }

    /// Who asks, if the application is theirs. That of another looks like one that is not there.
    pub(super) fn member(&self, headers: &HeaderMap, app: &str) -> Result<Identity, Refusal> {
        let identity = self.identify(headers)?;
        match &identity.app {
            Some(own) if own != app => Err(Refusal::no_app(app)),
            _ => Ok(identity),
        }
    }

    /// An application that is governed, for whoever it belongs to.
    pub(super) fn governed(&self, headers: &HeaderMap, app: &str) -> Result<Governed, Refusal> {
        self.member(headers, app)?;
        self.apps.get(app).ok_or_else(|| Refusal::no_app(app))
    }

    /// The applications of whoever asks.
    pub(super) fn theirs(&self, headers: &HeaderMap) -> Result<Vec<(String, Governed)>, Refusal> {
        let identity = self.identify(headers)?;
        let mut apps = self.apps.all();
        apps.retain(|(id, _)| identity.app.as_ref().is_none_or(|own| own == id));
        Ok(apps)
    }

    /// What keeps applications, where there is such.
    pub(super) fn fleet(&self) -> Result<&Arc<Fleet>, Refusal> {
        match &self.access {
            Access::Store(fleet) => Ok(fleet),
            Access::Local(_) => {
                let status = axum::http::StatusCode::NOT_FOUND;
                Err(Refusal::new(
                    status,
                    "this guv has one configuration, in a file; `guv serve` keeps several",
                ))
            }
        }
    }

    /// An application as it is kept.
    pub(super) fn kept(&self, headers: &HeaderMap, id: &str) -> Result<(App, Identity), Refusal> {
        let identity = self.member(headers, id)?;
        let apps = self.fleet()?.store.apps()?;
        let app = apps.into_iter().find(|app| app.id == id).ok_or_else(|| Refusal::no_app(id))?;
        Ok((app, identity))
    }
}
