//! Numbers as JSON over HTTP, from an application that tells of its own queues.
//!
//! Without a pointer the queue is looked for by name: in a list `[{"name": "images", "value": 12}]` (HireFire's format),
//! or in an object `{"images": 12}` or `{"images": {"ready": 12, "in_flight": 3}}`. With `ready`, and perhaps
//! `in_flight`, JSON pointers (RFC 6901) say where the numbers of all the role's queues together are.

use async_trait::async_trait;
use guv_model::{Part, QueueSample, RoleConfig};
use serde_json::Value;

use super::each::{self, Ask, Each};
use super::failure::Failure;
use super::fetch;
use super::numbers::Numbers;
use crate::{Source, SourceError};

const KIND: &str = "http";

/// Numbers as JSON over HTTP.
///
/// # Errors
/// When there is no TLS provider, or no root certificates can be found.
pub fn http() -> Result<impl Source, reqwest::Error> {
    Ok(Each(Http { http: fetch::client()? }))
}

struct Http {
    http: reqwest::Client,
}

#[async_trait]
impl Ask for Http {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        each::accepts(role, KIND, &[], true)
    }

    async fn ask(&self, role: &RoleConfig) -> Result<QueueSample, SourceError> {
        let part = role.source.as_ref().ok_or(SourceError::NoAnswer)?;
        let url = part.url("url").ok_or(SourceError::NoAnswer)?.reveal();
        let place = fetch::place(url);
        let body = fetch::body(fetch::request(&self.http, url.clone(), part), &place).await?;
        let malformed = |problem: String| SourceError::Malformed {
            what: format!("{place} tells {problem}"),
            source: None,
        };
        let told: Value =
            serde_json::from_slice(&body).map_err(|error| malformed(format!("no JSON: {error}")))?;
        if part.text("ready").is_some() || part.text("in_flight").is_some() {
            let (ready, in_flight) = (pointed(&told, part, "ready"), pointed(&told, part, "in_flight"));
            let numbers = ready.and_then(|ready| Numbers::of(ready, in_flight?));
            return numbers.map(Numbers::into_sample).map_err(malformed);
        }
        let samples = role.queues.iter().map(|queue| match named(&told, queue.as_str()) {
            Some(numbers) => numbers.map(Numbers::into_sample).map_err(malformed),
            None => Err(Failure::Missing.of(queue)),
        });
        QueueSample::sum(samples.collect::<Result<Vec<_>, _>>()?).ok_or(SourceError::NoAnswer)
    }
}

/// The number at the pointer in this option; `None` when there is no such option.
fn pointed(told: &Value, part: &Part, option: &str) -> Result<Option<f64>, String> {
    let Some(pointer) = part.text(option) else { return Ok(None) };
    match told.pointer(pointer) {
        None => Err(format!("nothing at `{pointer}`; check `{option}:`")),
        Some(value) => number(value).map(Some).ok_or_else(|| format!("no number at `{pointer}`")),
    }
}

/// What is told of a queue, if anything is.
pub(super) fn named(told: &Value, queue: &str) -> Option<Result<Numbers, String>> {
    let value = match told {
        Value::Array(items) => {
            items.iter().find(|item| item.get("name").and_then(Value::as_str) == Some(queue))?.get("value")?
        }
        told => told.get(queue)?,
    };
    Some(match value {
        Value::Object(_) => Numbers::parse(value.to_string().as_bytes()),
        value => match number(value) {
            Some(ready) => Numbers::of(Some(ready), None),
            None => Err(format!("no number for `{queue}`")),
        },
    })
}

/// A number, also one that is written as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_by_its_name() {
        let ready = |text: &str| {
            let told = serde_json::from_str(text).unwrap();
            named(&told, "images").map(|numbers| numbers.map(|numbers| numbers.into_sample().ready))
        };
        assert_eq!(ready(r#"[{"name":"mails","value":1},{"name":"images","value":12}]"#), Some(Ok(Some(12))));
        assert_eq!(ready(r#"{"images": {"ready": 3, "in_flight": 1}}"#), Some(Ok(Some(3))));
        assert_eq!(ready(r#"{"images": "7"}"#), Some(Ok(Some(7))));
        assert_eq!(ready(r#"{"imgaes": 7}"#), None);
        assert_eq!(ready("[]"), None);
        assert!(ready(r#"{"images": null}"#).unwrap().is_err());
        assert!(ready(r#"{"images": -1}"#).unwrap().is_err());
    }
}
