//! Heroku: the formation of an app, by the Platform API.
//!
//! `GET` and `PATCH /apps/{app}/formation`, version 3. All changes of an app go out in one request, which Heroku
//! accepts or refuses as a whole. Counting costs one of the 4,500 requests per hour of an account, too.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use guv_model::{AppName, RoleConfig, WorkerCount};
use reqwest::header::{ACCEPT, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::{Actuator, ActuatorError, Answers, Change};

/// The public address of the API.
const ADDRESS: &str = "https://api.heroku.com/";

const VERSION: &str = "application/vnd.heroku+json; version=3";

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// How long to leave the account alone when it has used up its requests and no time is told: one request a
/// minute is given back.
const EXHAUSTED: Duration = Duration::from_secs(60);

/// Changes the formation of Heroku apps.
pub struct Heroku {
    http: reqwest::Client,
    address: Url,
}

/// A process type of a formation.
#[derive(Deserialize)]
struct Process {
    #[serde(rename = "type")]
    name: String,
    quantity: u32,
}

/// The body of a refusal.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    id: String,
    #[serde(default)]
    message: String,
    limit: Option<u32>,
}

/// Why a request came to nothing; it fails for every role in it, so it can be cloned.
#[derive(Clone)]
enum Failure {
    Retry { what: String, after: Option<Duration> },
    Limit { limit: u32, what: String },
    Fatal(String),
}

impl Heroku {
    /// An actuator for all roles that have an app and a key.
    ///
    /// # Errors
    /// When there is no TLS provider, or no root certificates can be found.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::at(Url::parse(ADDRESS).expect("the address is a URL"))
    }

    /// The same with the API at another address, which ends with a slash.
    ///
    /// # Errors
    /// As for [`Heroku::new`].
    pub fn at(address: Url) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).user_agent("guv").build()?;
        Ok(Self { http, address })
    }

    /// A request about the formation of the app of these roles, which all have one and a key.
    fn request(
        &self,
        method: Method,
        app: Option<&AppName>,
        role: Option<&RoleConfig>,
    ) -> Option<RequestBuilder> {
        let key = role?.api_key.as_ref()?;
        let mut url = self.address.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(["apps", app?.as_str(), "formation"]);
        Some(self.http.request(method, url).bearer_auth(key.reveal()).header(ACCEPT, VERSION))
    }
}

/// Sends a request; a refusal becomes what it means.
async fn send(request: Option<RequestBuilder>) -> Result<Response, Failure> {
    let request = request.ok_or_else(|| Failure::Fatal("the role has no app or no key".to_owned()))?;
    let response = request.send().await.map_err(away)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    // Not every refusal has a body in Heroku's format; what is missing stays empty.
    let refusal: Refusal = response.json().await.unwrap_or_default();
    let Refusal { id, message, limit } = refusal;
    let what = format!("Heroku answers {status}: {message}");
    Err(match (status, limit) {
        (StatusCode::UNPROCESSABLE_ENTITY, Some(limit)) if id == "cannot_run_above_limit" => {
            Failure::Limit { limit, what }
        }
        (StatusCode::TOO_MANY_REQUESTS, _) => {
            Failure::Retry { what, after: Some(after.map_or(EXHAUSTED, Duration::from_secs)) }
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Failure::Fatal(format!(
            "{what}; check `apikey:` or HEROKU_API_KEY, and that it may change the app"
        )),
        (StatusCode::NOT_FOUND, _) => Failure::Fatal(format!("{what}; check `app:` or GUV_APP")),
        (status, _) if status.is_server_error() => {
            Failure::Retry { what, after: after.map(Duration::from_secs) }
        }
        _ => Failure::Fatal(what),
    })
}

fn away(error: reqwest::Error) -> Failure {
    let error = crate::record::with_causes(&error.without_url());
    Failure::Retry { what: format!("Heroku cannot be reached: {error}"), after: None }
}

#[async_trait]
impl Actuator for Heroku {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        match (&role.app, &role.api_key) {
            (None, _) => Err("it has no app; set `app:` or GUV_APP".to_owned()),
            (_, None) => Err("it has no key; set `apikey:` or HEROKU_API_KEY".to_owned()),
            (Some(_), Some(_)) => Ok(()),
        }
    }

    async fn count(
        &self,
        app: Option<&AppName>,
        roles: &[&RoleConfig],
    ) -> Answers<WorkerCount, ActuatorError> {
        let request = self.request(Method::GET, app, roles.first().copied());
        let formation = match send(request).await {
            Ok(response) => response.json::<Vec<Process>>().await.map_err(away),
            Err(failure) => Err(failure),
        };
        let formation =
            formation.map(|list| list.into_iter().map(|p| (p.name, p.quantity)).collect::<HashMap<_, _>>());
        let answer = |role: &RoleConfig| match &formation {
            Err(failure) => Err(failure.clone().into()),
            Ok(formation) => match formation.get(role.worker.as_str()) {
                Some(quantity) => Ok(WorkerCount::running(*quantity)),
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
        let outcome = send(request).await.map(|_| ());
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
}

impl From<Failure> for ActuatorError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry { what, after } => Self::Retry { what, after, source: None },
            Failure::Limit { limit, what } => Self::Limit { limit, what },
            Failure::Fatal(what) => Self::fatal(what),
        }
    }
}
