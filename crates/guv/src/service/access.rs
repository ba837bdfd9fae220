//! Who may do what, and what every handler starts from.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::apps::{Apps, Fleet, Governed};
use super::desk::Desk;
use super::error::Refusal;
use super::file::FileConfig;
use super::secrets::TokenHash;
use super::store::{App, Identity};

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum May {
    /// See what is governed and why, and tell of new jobs.
    Read,
    /// Also change it: pause, set by hand, and the configuration, which may hold secrets and is shown to nobody else.
    Write,
}

/// Says what whoever sends these headers may do; `None` is nothing.
pub type Gate = Arc<dyn Fn(&HeaderMap) -> Option<May> + Send + Sync>;

/// The token of a request: `Authorization: Bearer …`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    token.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim)
}

/// A gate that one token opens.
pub fn token_gate(hash: TokenHash) -> Gate {
    Arc::new(move |headers| (bearer(headers).map(TokenHash::of)? == hash).then_some(May::Write))
}

/// A gate that is open to programs of this machine, and to pages that it serves. A browser lets every page send requests to
/// this machine, and says which page it is; a page whose name was made to point here is told by the host that it asks for.
pub fn open_gate() -> Gate {
    Arc::new(|headers| {
        let ours = |name: HeaderName| {
            headers.get(name).is_none_or(|value| value.to_str().is_ok_and(is_of_this_machine))
        };
        (ours(ORIGIN) && ours(HOST)).then_some(May::Write)
    })
}

/// Whether an origin or a host is this machine's own: `localhost`, or an address of loopback.
fn is_of_this_machine(text: &str) -> bool {
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    match url.as_ref().ok().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

#[derive(Clone)]
pub(super) struct Api {
    pub(super) apps: Arc<Apps>,
    pub(super) access: Access,
}

/// What opens the interface.
#[derive(Clone)]
pub(super) enum Access {
    /// One governor, and perhaps the file that its configuration is in.
    Local { gate: Gate, file: Option<Arc<FileConfig>> },
    /// Tokens that are kept.
    Store(Arc<Fleet>),
}

impl Api {
    /// Who asks.
    pub(super) fn identify(&self, headers: &HeaderMap) -> Result<Identity, Refusal> {
        match &self.access {
            Access::Local { gate, .. } => {
                let may = gate(headers).ok_or_else(Refusal::unauthorized)?;
                Ok(Identity { app: None, name: "local".to_owned(), may })
            }
            Access::Store(fleet) => {
                let token = bearer(headers).ok_or_else(Refusal::unauthorized)?;
                fleet.store.identify(token)?.ok_or_else(Refusal::unauthorized)
            }
        }
    }

    /// Who asks, if it is the administrator.
    pub(super) fn admin(&self, headers: &HeaderMap) -> Result<Identity, Refusal> {
        let identity = self.identify(headers)?;
        if identity.app.is_some() || identity.may < May::Write {
            let status = StatusCode::FORBIDDEN;
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

    /// Who asks, if the application is theirs to change.
    pub(super) fn writer(&self, headers: &HeaderMap, app: &str) -> Result<Identity, Refusal> {
        let identity = self.member(headers, app)?;
        if identity.may < May::Write {
            let status = StatusCode::FORBIDDEN;
            return Err(Refusal::new(status, "this token may look, but change nothing"));
        }
        Ok(identity)
    }

    /// An application that is governed, for whoever may see it.
    pub(super) fn governed(&self, headers: &HeaderMap, app: &str) -> Result<Governed, Refusal> {
        self.member(headers, app)?;
        self.apps.get(app).ok_or_else(|| Refusal::no_app(app))
    }

    /// The same for whoever may change it.
    pub(super) fn controlled(&self, headers: &HeaderMap, app: &str) -> Result<Governed, Refusal> {
        self.writer(headers, app)?;
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
            Access::Local { .. } => {
                let message =
                    "this guv has one configuration; `guv serve` keeps applications and their tokens";
                Err(Refusal::new(StatusCode::NOT_FOUND, message))
            }
        }
    }

    /// An application as it is kept.
    pub(super) fn kept(&self, id: &str) -> Result<App, Refusal> {
        let apps = self.fleet()?.store.apps()?;
        apps.into_iter().find(|app| app.id == id).ok_or_else(|| Refusal::no_app(id))
    }

    /// Where the configuration of an application is read and changed, for whoever may.
    pub(super) fn desk(&self, headers: &HeaderMap, id: &str) -> Result<(Desk, Identity), Refusal> {
        let identity = self.writer(headers, id)?;
        let desk = match &self.access {
            Access::Store(fleet) => Desk::Kept(fleet.clone(), Box::new(self.kept(id)?)),
            Access::Local { file: Some(file), .. } => {
                let governed = self.apps.get(id).ok_or_else(|| Refusal::no_app(id))?;
                Desk::File(file.clone(), governed)
            }
            Access::Local { file: None, .. } => {
                let message = "the configuration did not come from a file, so it cannot be changed here";
                return Err(Refusal::new(StatusCode::NOT_FOUND, message));
            }
        };
        Ok((desk, identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_token_pages_of_others_get_nothing() {
        let gate = open_gate();
        let asked = |pairs: &[(HeaderName, &str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            gate(&headers)
        };
        assert_eq!(asked(&[(HOST, "127.0.0.1:4890")]), Some(May::Write));
        assert_eq!(asked(&[(HOST, "localhost:4890"), (ORIGIN, "http://localhost:4890")]), Some(May::Write));
        assert_eq!(asked(&[(HOST, "[::1]:4890")]), Some(May::Write));
        assert_eq!(asked(&[(HOST, "127.0.0.1:4890"), (ORIGIN, "https://elsewhere.example")]), None);
        assert_eq!(asked(&[(HOST, "127.0.0.1:4890"), (ORIGIN, "null")]), None);
        assert_eq!(asked(&[(HOST, "elsewhere.example:4890")]), None, "its name was made to point here");
    }
}
