//! A query to Prometheus, or whatever speaks its HTTP API.
//!
//! `GET /api/v1/query`, format of the stable API v1. The query must yield a number: a scalar, or a vector of one. An
//! empty vector is not zero: it is what Prometheus answers when nobody is measured any more.

use std::borrow::Cow;

use async_trait::async_trait;
use guv_model::{Part, QueueSample, RoleConfig};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::each::{self, Ask, Each};
use super::fetch;
use super::numbers::Numbers;
use crate::{Source, SourceError};

const KIND: &str = "prometheus";

/// Queries to Prometheus.
///
/// # Errors
/// When there is no TLS provider, or no root certificates can be found.
pub fn prometheus() -> Result<impl Source, reqwest::Error> {
    Ok(Each(Prometheus { http: fetch::client()? }))
}

struct Prometheus {
    http: reqwest::Client,
}

/// The answer to a query.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data<'a> {
    #[serde(borrow)]
    Scalar(Value<'a>),
    Vector(Vec<Element<'a>>),
    Matrix(IgnoredAny),
    String(IgnoredAny),
}

#[derive(Deserialize)]
struct Element<'a> {
    #[serde(borrow)]
    value: Value<'a>,
}

/// A time, and a number as text.
#[derive(Deserialize)]
struct Value<'a>(IgnoredAny, #[serde(borrow)] Cow<'a, str>);

#[async_trait]
impl Ask for Prometheus {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        each::accepts(role, KIND, &["query"], true)
    }

    async fn ask(&self, role: &RoleConfig) -> Result<QueueSample, SourceError> {
        let part = role.source.as_ref().ok_or(SourceError::NoAnswer)?;
        let ready = self.query(part, "query").await?;
        let in_flight = self.query(part, "in_flight").await?;
        let numbers = Numbers::of(ready, in_flight);
        let malformed =
            |problem| SourceError::Malformed { what: format!("the query yields {problem}"), source: None };
        numbers.map(Numbers::into_sample).map_err(malformed)
    }
}

impl Prometheus {
    /// What the query in this option yields; `None` when there is none.
    async fn query(&self, part: &Part, option: &str) -> Result<Option<f64>, SourceError> {
        let (Some(query), Some(base)) = (part.text(option), part.url("url")) else { return Ok(None) };
        let place = format!("Prometheus at {}", fetch::place(base.reveal()));
        let mut url = base.reveal().clone();
        url.path_segments_mut()
            .map_err(|()| SourceError::Refused { what: format!("{place}: `url:` cannot have a path") })?
            .pop_if_empty()
            .extend(["api", "v1", "query"]);
        url.query_pairs_mut().append_pair("query", query);
        let body = fetch::body(fetch::request(&self.http, url, part), &place).await?;
        let malformed = |problem: String| SourceError::Malformed {
            what: format!("{place}: `{option}` yields {problem}"),
            source: None,
        };
        number(&body).map(Some).map_err(malformed)
    }
}

/// The number in an answer.
pub(super) fn number(body: &[u8]) -> Result<f64, String> {
    let answer: Answer<'_> =
        serde_json::from_slice(body).map_err(|error| format!("something else: {error}"))?;
    let text = match answer.data {
        Data::Scalar(Value(_, text)) => text,
        Data::Vector(mut elements) => match (elements.pop(), elements.len()) {
            (None, _) => return Err("nothing: no series matches, or nobody is measured".to_owned()),
            (Some(element), 0) => element.value.1,
            (Some(_), more) => return Err(format!("{} series; add them up, as in `sum(…)`", more + 1)),
        },
        Data::Matrix(_) => return Err("a range; leave out the `[…]`".to_owned()),
        Data::String(_) => return Err("a string, not a number".to_owned()),
    };
    text.parse().map_err(|_| format!("`{text}`, not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yields(data: &str) -> Result<f64, String> {
        number(format!(r#"{{"status":"success","data":{data}}}"#).as_bytes())
    }

    #[test]
    fn one_number_and_nothing_else() {
        assert_eq!(yields(r#"{"resultType":"scalar","result":[1700000000.1,"12.5"]}"#), Ok(12.5));
        let one = r#"{"metric":{"queue":"q"},"value":[1700000000.1,"3"]}"#;
        assert_eq!(yields(&format!(r#"{{"resultType":"vector","result":[{one}]}}"#)), Ok(3.0));
        let problem = |data: &str| yields(data).unwrap_err();
        assert!(problem(r#"{"resultType":"vector","result":[]}"#).contains("nothing"));
        assert!(
            problem(&format!(r#"{{"resultType":"vector","result":[{one},{one}]}}"#)).contains("2 series")
        );
        assert!(problem(r#"{"resultType":"matrix","result":[{"values":[]}]}"#).contains("range"));
        assert!(problem(r#"{"resultType":"scalar","result":[1,"many"]}"#).contains("`many`"));
        assert!(yields(r#"{"resultType":"scalar","result":[1,"NaN"]}"#).unwrap().is_nan());
    }
}
