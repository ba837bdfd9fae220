//! RabbitMQ, by its management API.
//!
//! `GET /api/queues/{vhost}/{queue}` for a few queues, `GET /api/queues/{vhost}` for many. The messages ready and
//! unacknowledged, the consumers and the rates come from there. The management plugin collects them every five
//! seconds; until it has, a new queue has no counts, and they are reported as unknown.
//!
//! Format: the HTTP API reference of RabbitMQ 3.10 to 4.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream;
use guv_model::{QueueName, QueueSample, Role, RoleConfig};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use url::Url;

use crate::record::with_causes;
use crate::{Answers, Source, SourceError};

/// Above so many queues of one virtual host the whole list is asked for instead of each queue.
const LIST_ABOVE: usize = 20;

/// Requests under way at once.
const REQUESTS: usize = 8;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest answer that is read: a list of 10,000 queues takes about 4 MB with the columns asked for.
const LONGEST_ANSWER: usize = 64 << 20;

/// What a list tells of each queue.
const COLUMNS: &str = "name,messages_ready,messages_unacknowledged,consumers,head_message_timestamp,\
                       message_stats.publish_details.rate,message_stats.ack_details.rate";

/// Reads queues by the management API of RabbitMQ.
pub struct RabbitMq {
    http: reqwest::Client,
    management: Option<Url>,
}

/// Where the queues of a virtual host are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Endpoint {
    /// Ends with a slash; without credentials.
    base: Url,
    user: String,
    password: String,
    /// Percent-encoded.
    virtual_host: String,
}

/// Why a request came to nothing; a list fails for all of its roles, so it can be cloned.
#[derive(Clone, Debug)]
enum Failure {
    Missing,
    Unreachable(String),
    Refused(String),
    Malformed(String),
}

impl RabbitMq {
    /// A source for all roles that have a broker with one of the schemes amqp, amqps, http and https.
    ///
    /// `management` is the address of the management API for every broker. Without it the address follows from
    /// that of the broker: port 15672 over http for amqp, 15671 over https for amqps; CloudAMQP serves it on the
    /// https port; http and https URLs are that address themselves.
    ///
    /// # Errors
    /// When there is no TLS provider, or no root certificates can be found.
    pub fn new(management: Option<Url>) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).user_agent("guv").build()?;
        Ok(Self { http, management })
    }

    async fn get(&self, endpoint: &Endpoint, queue: Option<&str>) -> Result<Value, Failure> {
        let mut path = format!("api/queues/{}", endpoint.virtual_host);
        if let Some(queue) = queue {
            path.push('/');
            path.push_str(&encode(queue));
        }
        let mut url = endpoint.base.join(&path).map_err(|error| Failure::Malformed(error.to_string()))?;
        if queue.is_none() {
            url.set_query(Some(&format!("columns={COLUMNS}")));
        }
        let place = format!("RabbitMQ's management API at {}", endpoint.base);
        let unreachable = |error: reqwest::Error| {
            Failure::Unreachable(format!("{place}: {}", with_causes(&error.without_url())))
        };
        let request = self.http.get(url).basic_auth(&endpoint.user, Some(&endpoint.password));
        let response = request.send().await.map_err(unreachable)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND if queue.is_some() => return Err(Failure::Missing),
            StatusCode::NOT_FOUND => {
                return Err(Failure::Refused(format!(
                    "{place} knows no such virtual host; check the broker's URL"
                )));
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let user = &endpoint.user;
                let what =
                    format!("{place} refuses user `{user}`; it needs the tag `monitoring` or `management`");
                return Err(Failure::Refused(what));
            }
            status if status.is_server_error() => {
                return Err(Failure::Unreachable(format!("{place} answers {status}")));
            }
            status => return Err(Failure::Refused(format!("{place} answers {status}"))),
        }
        let body = read(response).await.map_err(unreachable)?;
        let body = body.ok_or_else(|| Failure::Malformed(format!("{place}: the answer is too long")))?;
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Malformed(format!("{place} answers no JSON: {error}")))
    }

    /// Each queue by a request of its own.
    async fn each(&self, endpoint: &Endpoint, roles: &[&RoleConfig]) -> Answers<QueueSample, SourceError> {
        let requests: Vec<_> = roles.iter().map(|role| self.one(endpoint, role)).collect();
        stream::iter(requests).buffer_unordered(REQUESTS).collect().await
    }

    async fn one(&self, endpoint: &Endpoint, role: &RoleConfig) -> (Role, Result<QueueSample, SourceError>) {
        let mut samples = Vec::new();
        for queue in &role.queues {
            match self.get(endpoint, Some(queue.as_str())).await {
                Ok(answer) => samples.push(sample(&answer)),
                Err(failure) => return (role.role.clone(), Err(failure.of(queue))),
            }
        }
        (role.role.clone(), QueueSample::sum(samples).ok_or(SourceError::NoAnswer))
    }

    /// All queues by one request.
    async fn list(&self, endpoint: &Endpoint, roles: &[&RoleConfig]) -> Answers<QueueSample, SourceError> {
        let list = self.get(endpoint, None).await;
        let queues = list.map(|list| match list {
            Value::Array(queues) => queues,
            _ => Vec::new(),
        });
        let by_name = queues.as_ref().map(|queues| {
            let named = |queue: &'_ Value| Some((queue.get("name")?.as_str()?.to_owned(), sample(queue)));
            queues.iter().filter_map(named).collect::<HashMap<_, _>>()
        });
        let answer = |role: &RoleConfig| match &by_name {
            Ok(by_name) => {
                let sample = |queue: &QueueName| {
                    by_name.get(queue.as_str()).cloned().ok_or_else(|| Failure::Missing.of(queue))
                };
                let samples: Result<Vec<_>, _> = role.queues.iter().map(sample).collect();
                samples.and_then(|samples| QueueSample::sum(samples).ok_or(SourceError::NoAnswer))
            }
            Err(failure) => Err((*failure).clone().of(role.queues.first())),
        };
        roles.iter().map(|role| (role.role.clone(), answer(role))).collect()
    }
}

#[async_trait]
impl Source for RabbitMq {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        match &role.broker {
            None => Err("it has no broker; set `broker:`, GUV_BROKER or CLOUDAMQP_URL".to_owned()),
            Some(broker) => match broker.reveal().scheme() {
                "amqp" | "amqps" | "http" | "https" => Ok(()),
                scheme => Err(format!("its broker is not RabbitMQ ({scheme}:, not amqp: or amqps:)")),
            },
        }
    }

    async fn sample(&self, roles: &[&RoleConfig]) -> Answers<QueueSample, SourceError> {
        let mut by_endpoint: HashMap<Endpoint, Vec<&RoleConfig>> = HashMap::new();
        for role in roles {
            // Roles without a broker are not accepted.
            if let Some(broker) = &role.broker {
                let endpoint = Endpoint::of(broker.reveal(), self.management.as_ref());
                by_endpoint.entry(endpoint).or_default().push(role);
            }
        }
        let calls = by_endpoint.iter().map(|(endpoint, roles)| async move {
            if roles.len() > LIST_ABOVE {
                self.list(endpoint, roles).await
            } else {
                self.each(endpoint, roles).await
            }
        });
        futures_util::future::join_all(calls).await.into_iter().flatten().collect()
    }
}

impl Endpoint {
    fn of(broker: &Url, management: Option<&Url>) -> Self {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let amqp = broker.scheme().starts_with("amqp");
        let mut base = match management {
            Some(management) => management.clone(),
            None if amqp => derived(broker),
            None => broker.clone(),
        };
        let credentials = if base.username().is_empty() { broker } else { &base };
        let (user, password) = match (credentials.username(), credentials.password()) {
            ("", None) => ("guest".to_owned(), "guest".to_owned()),
            (user, password) => (decoded(user), decoded(password.unwrap_or_default())),
        };
        // Both only fail for URLs without a host, and this one has a host.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        base.set_query(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let virtual_host = match broker.path().trim_start_matches('/') {
            path if amqp && !path.is_empty() => encode(&decoded(path)),
            _ => encode("/"),
        };
        Self { base, user, password, virtual_host }
    }
}

/// The address of the management API that belongs to a broker.
fn derived(broker: &Url) -> Url {
    let host = broker.host_str().unwrap_or("localhost");
    let address = match broker.scheme() {
        _ if host.ends_with(".cloudamqp.com") => format!("https://{host}/"),
        "amqps" => format!("https://{host}:15671/"),
        _ => format!("http://{host}:15672/"),
    };
    let mut url = Url::parse(&address).expect("a host out of a URL makes a URL again");
    if !broker.username().is_empty() {
        let _ = url.set_username(broker.username());
        let _ = url.set_password(broker.password());
    }
    url
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The body, `None` when it is too long.
async fn read(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// What a queue's object says; what it leaves out is unknown.
fn sample(queue: &Value) -> QueueSample {
    let count = |key: &str| queue.get(key).and_then(Value::as_u64);
    let rate = |key: &str| queue.pointer(&format!("/message_stats/{key}/rate")).and_then(Value::as_f64);
    QueueSample {
        ready: count("messages_ready"),
        unacknowledged: count("messages_unacknowledged"),
        reports: None,
        consumers: count("consumers").and_then(|n| u32::try_from(n).ok()),
        fill_rate: rate("publish_details"),
        drain_rate: rate("ack_details"),
        oldest: count("head_message_timestamp").map(age),
        times: None,
    }
}

/// How long ago a publisher's timestamp was, as far as the two clocks agree.
fn age(unix_seconds: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_secs(unix_seconds))
}

impl Failure {
    fn of(self, queue: &QueueName) -> SourceError {
        match self {
            Self::Missing => SourceError::Missing { queue: queue.clone() },
            Self::Unreachable(what) => SourceError::Unreachable { what, source: None },
            Self::Refused(what) => SourceError::Refused { what },
            Self::Malformed(what) => SourceError::Malformed { what, source: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(broker: &str, management: Option<&str>) -> String {
        let management = management.map(|url| Url::parse(url).unwrap());
        let Endpoint { base, user, password, virtual_host } =
            Endpoint::of(&Url::parse(broker).unwrap(), management.as_ref());
        format!("{user}:{password} {base} {virtual_host}")
    }

    #[test]
    fn the_management_api_is_found_from_the_brokers_url() {
        assert_eq!(endpoint("amqp://localhost", None), "guest:guest http://localhost:15672/ %2F");
        assert_eq!(endpoint("amqp://u:p%40@h:5673/v%2Fw", None), "u:p@ http://h:15672/ v%2Fw");
        assert_eq!(endpoint("amqps://u:p@h/v", None), "u:p https://h:15671/ v");
        assert_eq!(
            endpoint("amqp://u:p@rat.rmq.cloudamqp.com/u", None),
            "u:p https://rat.rmq.cloudamqp.com/ u"
        );
        assert_eq!(endpoint("http://u:p@h:1/rabbit", None), "u:p http://h:1/rabbit/ %2F");
        assert_eq!(endpoint("amqp://u:p@h/v", Some("https://m/x")), "u:p https://m/x/ v");
        assert_eq!(endpoint("amqp://u:p@h/v", Some("https://a:b@m")), "a:b https://m/ v");
    }

    #[test]
    fn what_the_answer_leaves_out_is_unknown() {
        let young = serde_json::json!({"name": "q", "head_message_timestamp": "", "message_stats": []});
        assert_eq!(sample(&young), QueueSample::default());
        let full = serde_json::json!({
            "messages_ready": 3, "messages_unacknowledged": 2, "consumers": 1,
            "message_stats": {"publish_details": {"rate": 0.5}, "ack_details": {"rate": 4.0}},
        });
        let expected = QueueSample {
            ready: Some(3),
            unacknowledged: Some(2),
            consumers: Some(1),
            fill_rate: Some(0.5),
            drain_rate: Some(4.0),
            ..QueueSample::default()
        };
        assert_eq!(sample(&full), expected);
    }
}
