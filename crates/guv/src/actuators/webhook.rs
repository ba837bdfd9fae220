//! A URL of one's own that changes the number of workers.
//!
//! `POST url` with `{"role", "worker", "app", "current", "desired"}`; any 2xx accepts it. `GET url?role=…&worker=…&app=…`
//! answers a number, or `{"workers": N}`, the workers that there are; where it answers 404, 405 or 501 it cannot tell,
//! and what was accepted last counts. A 422 with `{"limit": N}` names the most that there
//! can be; 429 and 5xx are tried again, after `Retry-After` if that is told.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use guv_model::{AppName, RoleConfig, WorkerCount};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::failure::Failure;
use crate::redirect::firm_client;
use crate::{Actuator, ActuatorError, Answers, Change};

const KIND: &str = "webhook";
/// How long one request may take, unless the role says otherwise (`timeout`).
const TIMEOUT: Duration = Duration::from_secs(10);
const HINTS: [&str; 2] = ["check `token:` or `headers:`", "check `url:`"];

/// Changes workers by requests to a URL.
pub struct Webhook {
    http: Client,
}

impl Webhook {
    /// An actuator for all roles that ask for it.
    ///
    /// # Errors
    /// When there is no TLS provider, or no root certificates can be found.
    pub fn new() -> Result<Self, reqwest::Error> {
        Ok(Self { http: firm_client().build()? })
    }

    fn request(&self, method: Method, role: &RoleConfig) -> Result<RequestBuilder, Failure> {
        let part = role.actuator.as_ref().ok_or_else(|| Failure::Fatal("it has no address".to_owned()))?;
        let url = part.url("url").ok_or_else(|| Failure::Fatal("it has no address".to_owned()))?.reveal();
        let timeout = part.seconds("timeout").copied().unwrap_or(TIMEOUT);
        let mut request = self.http.request(method, url.clone()).timeout(timeout);
        if let Some(token) = part.secret("token") {
            request = request.bearer_auth(token.reveal());
        }
        for header in part.texts("headers").unwrap_or_default() {
            if let Some((name, value)) = header.split_once(':') {
                request = request.header(name.trim(), value.trim());
            }
        }
        Ok(request)
    }

    async fn current(&self, app: Option<&AppName>, role: &RoleConfig) -> Result<Option<u32>, Failure> {
        let app = app.map(AppName::as_str).unwrap_or_default();
        let query = [("role", role.role.as_str()), ("worker", role.worker.as_str()), ("app", app)];
        let request = self.request(Method::GET, role)?.query(&query);
        let response = request.send().await.map_err(|error| Failure::away("the webhook", error))?;
        match response.status() {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Ok(None),
            status if status.is_success() => {
                let text = response.text().await.map_err(|error| Failure::away("the webhook", error))?;
                let told = serde_json::from_str(&text).ok().and_then(|told: Value| workers(&told));
                told.map(Some).ok_or_else(|| {
                    Failure::Fatal(
                        "the webhook answers neither a number of workers nor `{\"workers\": N}`".to_owned(),
                    )
                })
            }
            _ => Err(Failure::of("the webhook", response, HINTS).await),
        }
    }

    async fn set(&self, app: Option<&AppName>, change: &Change<'_>) -> Result<(), Failure> {
        let Change { role, current, target } = *change;
        let body = json!({
            "role": role.role, "worker": role.worker, "app": app, "current": current, "desired": target,
        });
        let request = self.request(Method::POST, role)?.json(&body);
        let response = request.send().await.map_err(|error| Failure::away("the webhook", error))?;
        if !response.status().is_success() {
            return Err(Failure::of("the webhook", response, HINTS).await);
        }
        Ok(())
    }
}

/// A number of workers as people write it: alone, or in an object.
pub(super) fn workers(told: &Value) -> Option<u32> {
    let number = told.as_u64().or_else(|| told.get("workers")?.as_u64())?;
    u32::try_from(number).ok()
}

#[async_trait]
impl Actuator for Webhook {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        match role.actuator.as_ref().filter(|part| part.kind() == KIND) {
            None => Err("the role does not ask for it; say `actuator: {kind: webhook, url: …}`".to_owned()),
            Some(part) if part.url("url").is_none() => {
                Err("it has no address; set `url:` in `actuator:`".to_owned())
            }
            Some(_) => Ok(()),
        }
    }

    fn place(&self, role: &RoleConfig) -> Option<Url> {
        Some(role.actuator.as_ref()?.url("url")?.reveal().clone())
    }

    async fn count(
        &self,
        app: Option<&AppName>,
        roles: &[&RoleConfig],
    ) -> Answers<Option<WorkerCount>, ActuatorError> {
        let counts = roles.iter().map(|role| async move {
            let count = self.current(app, role).await.map(|count| count.map(WorkerCount::running));
            (role.role.clone(), count.map_err(ActuatorError::from))
        });
        join_all(counts).await.into_iter().collect()
    }

    async fn apply(&self, app: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError> {
        let changes = changes.iter().map(|change| async move {
            (change.role.role.clone(), self.set(app, change).await.map_err(ActuatorError::from))
        });
        join_all(changes).await.into_iter().collect()
    }
}
