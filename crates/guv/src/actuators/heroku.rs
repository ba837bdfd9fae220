//! Heroku: the formation of an app, by the Platform API.
//!
//! `GET` and `PATCH /apps/{app}/formation`, version 3. All changes of an app go out in one request, which Heroku
//! accepts or refuses as a whole. Counting costs one of the 4,500 requests per hour of an account, too; each answer
//! says how many are left.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use guv_model::{AppName, RoleConfig, WorkerCount};
use reqwest::header::ACCEPT;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::failure::{Failure, Refusal, retry_after};
use crate::redirect::firm_client;
use crate::{Actuator, ActuatorError, Answers, Change, Quota};

const KIND: &str = "heroku";

/// The public address of the API.
const ADDRESS: &str = "https://api.heroku.com/";

const VERSION: &str = "application/vnd.heroku+json; version=3";

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// How long it takes until an account is given back one of its 4,500 requests per hour.
const PER_REQUEST: Duration = Duration::from_millis(800);

/// What to do about credentials, and about an app that is not there.
const HINTS: [&str; 2] =
    ["check `apikey:` or HEROKU_API_KEY, and that it may change the app", "check `app:` or GUV_APP"];

/// Changes the formation of Heroku apps.
pub struct Heroku {
    http: reqwest::Client,
    address: Url,
    /// Whether a role may name another address, where its key then goes.
    is_fixed: bool,
    /// Requests that an app's account has left, as the last answer said.
    remaining: Mutex<HashMap<AppName, u32>>,
}

/// A process type of a formation.
#[derive(Deserialize)]
struct Process {
    #[serde(rename = "type")]
    name: String,
    quantity: u32,
}

impl Heroku {
    /// An actuator for all roles that have an app and a key.
    ///
    /// # Errors
    /// When there is no TLS provider, or no root certificates can be found.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::at(Url::parse(ADDRESS).expect("the address is a URL"))
    }

    /// The same with the API at another address; a role's own (`url:` in `actuator:`) wins.
    ///
    /// # Errors
    /// As for [`Heroku::new`].
    pub fn at(address: Url) -> Result<Self, reqwest::Error> {
        let http = firm_client().timeout(REQUEST_TIMEOUT).build()?;
        Ok(Self { http, address, is_fixed: false, remaining: Mutex::default() })
    }

    /// The same, for configurations that others send: none may say where the key goes.
    pub fn with_fixed_address(self) -> Self {
        Self { is_fixed: true, ..self }
    }

    /// A request about the formation of the app of these roles, which all have one and a key.
    fn request(
        &self,
        method: Method,
        app: Option<&AppName>,
        role: Option<&RoleConfig>,
    ) -> Option<RequestBuilder> {
        let role = role?;
        let key = role.api_key.as_ref()?;
        let own = role.actuator.as_ref().and_then(|part| part.url("url")).map(|url| url.reveal());
        let mut url = own.unwrap_or(&self.address).clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(["apps", app?.as_str(), "formation"]);
        Some(self.http.request(method, url).bearer_auth(key.reveal()).header(ACCEPT, VERSION))
    }

    /// Sends a request; a refusal becomes what it means.
    async fn send(
        &self,
        app: Option<&AppName>,
        request: Option<RequestBuilder>,
    ) -> Result<Response, Failure> {
        let request = request.ok_or_else(|| Failure::Fatal("the role has no app or no key".to_owned()))?;
        let response = request.send().await.map_err(away)?;
        if let (Some(app), Some(remaining)) = (app, remaining(&response)) {
            self.quotas().insert(app.clone(), remaining);
        }
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if let Some(moved) = Failure::moved("Heroku", &response) {
            return Err(moved);
        }
        let after = retry_after(response.headers());
        // Not every refusal has a body in Heroku's format; what is missing stays empty.
        let Refusal { id, message, limit } = response.json().await.unwrap_or_default();
        let what = format!("Heroku answers {status}: {message}");
        Err(match (status, limit) {
            (StatusCode::UNPROCESSABLE_ENTITY, Some(limit)) if id == "cannot_run_above_limit" => {
                Failure::Limit { limit, what }
            }
            _ => Failure::by_status(status, after, what, HINTS),
        })
    }

    fn quotas(&self) -> std::sync::MutexGuard<'_, HashMap<AppName, u32>> {
        self.remaining.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn away(error: reqwest::Error) -> Failure {
    Failure::away("Heroku", error)
}

/// The requests that the account has left.
fn remaining(response: &Response) -> Option<u32> {
    response.headers().get("ratelimit-remaining")?.to_str().ok()?.parse().ok()
}

#[async_trait]
impl Actuator for Heroku {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        if let Some(other) = role.actuator.as_ref().filter(|part| part.kind() != KIND) {
            return Err(format!("the role asks for `actuator: {}`", other.kind()));
        }
        if self.is_fixed && role.actuator.as_ref().is_some_and(|part| part.url("url").is_some()) {
            return Err("the address of Heroku's API cannot be set here; leave `url:` out".to_owned());
        }
        match (&role.app, &role.api_key) {
            (None, _) => Err("it has no app; set `app:` or GUV_APP".to_owned()),
            (_, None) => Err("it has no key; set `apikey:` or HEROKU_API_KEY".to_owned()),
            (Some(_), Some(_)) => Ok(()),
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
        let request = self.request(Method::GET, app, roles.first().copied());
        let formation = match self.send(app, request).await {
            Ok(response) => response.json::<Vec<Process>>().await.map_err(away),
            Err(failure) => Err(failure),
        };
        let formation =
            formation.map(|list| list.into_iter().map(|p| (p.name, p.quantity)).collect::<HashMap<_, _>>());
        let answer = |role: &RoleConfig| match &formation {
            Err(failure) => Err(failure.clone().into()),
            Ok(formation) => match formation.get(role.worker.as_str()) {
                Some(quantity) => Ok(Some(WorkerCount::running(*quantity))),
                None => Err(ActuatorError::fatal(format!(
                    "the app has no process type `{}`; add it to the Procfile or set `worker:`",
                    role.worker
                ))),
            },
        };
        roles.iter().map(|role| (role.role.clone(), answer(role))).collect()
    }

    async fn apply(&self, app: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError> {
        let updates: Vec<_> = changes
            .iter()
            .map(|change| json!({"type": change.role.worker.as_str(), "quantity": change.target}))
            .collect();
        let request = self.request(Method::PATCH, app, changes.first().map(|change| change.role));
        let request = request.map(|request| request.json(&json!({ "updates": updates })));
        let outcome = self.send(app, request).await.map(drop);
        let over = |limit: u32| changes.iter().any(|change| change.target > limit);
        let answer = |change: &Change<'_>| match &outcome {
            Ok(()) => Ok(()),
            // The limit is that of the roles above it, if any is; the others were only in the same request.
            Err(Failure::Limit { limit, .. }) if over(*limit) && change.target <= *limit => {
                Err(ActuatorError::Bystander)
            }
            Err(failure) => Err(failure.clone().into()),
        };
        changes.iter().map(|change| (change.role.role.clone(), answer(change))).collect()
    }

    fn quota(&self, app: Option<&AppName>) -> Option<Quota> {
        let remaining = self.quotas().get(app?).copied()?;
        Some(Quota { remaining, per_request: PER_REQUEST })
    }
}
