//! Why a request to a platform came to nothing.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::ActuatorError;
use crate::record::with_causes;
use crate::redirect;

/// How long to leave a platform alone that has had enough requests and tells no time.
const EXHAUSTED: Duration = Duration::from_secs(60);

/// A platform is never left alone for longer, whatever it says.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Like [`ActuatorError`], but it can be cloned: one request may fail for several roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may work later.
    Retry { what: String, after: Option<Duration> },
    /// The platform does not run so many.
    Limit { limit: u32, what: String },
    /// It will not work until somebody changes something.
    Fatal(String),
}

/// What many platforms put into the body of a refusal.
#[derive(Default, Deserialize)]
pub(super) struct Refusal {
    /// Which refusal, for programs.
    #[serde(default)]
    pub(super) id: String,
    /// For people.
    #[serde(default)]
    pub(super) message: String,
    /// The most workers that the platform runs.
    pub(super) limit: Option<u32>,
}

impl Failure {
    pub(super) fn retry(what: impl Into<String>) -> Self {
        Self::Retry { what: what.into(), after: None }
    }

    /// There was no answer.
    pub(super) fn away(platform: &str, error: reqwest::Error) -> Self {
        let what = if error.is_decode() {
            "answers what cannot be understood"
        } else if error.is_body() {
            "breaks off its answer"
        } else {
            "cannot be reached"
        };
        // The URL may hold a secret.
        Self::retry(format!("{platform} {what}: {}", with_causes(&error.without_url())))
    }

    /// What an answer that refuses means. `hints` says what to do about credentials, and about what is not there.
    pub(super) async fn of(platform: &str, response: Response, hints: [&str; 2]) -> Self {
        if let Some(moved) = Self::moved(platform, &response) {
            return moved;
        }
        let status = response.status();
        let after = retry_after(response.headers());
        // Not every refusal has a body in this format; what is missing stays empty.
        let Refusal { message, limit, .. } = response.json().await.unwrap_or_default();
        let what = if message.is_empty() {
            format!("{platform} answers {status}")
        } else {
            format!("{platform} answers {status}: {message}")
        };
        match (status, limit) {
            (StatusCode::UNPROCESSABLE_ENTITY, Some(limit)) => Self::Limit { limit, what },
            (status, _) => Self::by_status(status, after, what, hints),
        }
    }

    /// An answer that points elsewhere, which is not followed.
    pub(super) fn moved(platform: &str, response: &Response) -> Option<Self> {
        let elsewhere = redirect::target(response)?;
        let status = response.status();
        let what = format!("{platform} answers {status}, which is not followed: {elsewhere}");
        Some(Self::Fatal(format!("{what}; correct its `url:`")))
    }

    /// What a status that is not a success means.
    pub(super) fn by_status(
        status: StatusCode,
        after: Option<Duration>,
        what: String,
        [credentials, missing]: [&str; 2],
    ) -> Self {
        match status {
            StatusCode::TOO_MANY_REQUESTS => Self::Retry { what, after: Some(after.unwrap_or(EXHAUSTED)) },
            StatusCode::CONFLICT | StatusCode::REQUEST_TIMEOUT => Self::Retry { what, after },
            status if status.is_server_error() => Self::Retry { what, after },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Fatal(format!("{what}; {credentials}")),
            StatusCode::NOT_FOUND => Self::Fatal(format!("{what}; {missing}")),
            _ => Self::Fatal(what),
        }
    }
}

/// For how long a platform wants to be left alone, where it says so in seconds.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST))
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
