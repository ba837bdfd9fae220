//! The management API: a few queues by a request each, many from the list, page by page.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt, TryStreamExt, stream};
use guv_model::{QueueName, QueueSample};
use reqwest::{Response, StatusCode};
use url::Url;

use super::decode::{COLUMNS, Queue, Queues};
use super::endpoint::{Endpoint, encode};
use crate::record::with_causes;
use crate::sources::failure::Failure;
use crate::sources::queues::Looks;

/// Above so many queues of one virtual host its list is asked for instead of each queue.
const LIST_ABOVE: usize = 20;

/// Queues on a page of the list: the most that RabbitMQ gives.
const PAGE: usize = 500;

/// Pages of one list: with more queues than these the rest is not looked at.
const MOST_PAGES: u32 = 200;

/// Requests under way at once.
const REQUESTS: usize = 8;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest answer that is read: a list of 10,000 queues takes about 4 MB with the columns asked for.
const LONGEST_ANSWER: usize = 64 << 20;

pub(super) struct Management {
    http: reqwest::Client,
}

impl Management {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).user_agent("guv").build()?;
        Ok(Self { http })
    }

    /// The queues with these names.
    pub(super) async fn named(&self, endpoint: &Endpoint, queues: &[QueueName]) -> Result<Looks, Failure> {
        if queues.len() <= LIST_ABOVE {
            return self.each(endpoint, queues).await;
        }
        let mut looks: HashMap<_, _> =
            queues.iter().map(|queue| (queue.as_str(), Err(Failure::Missing))).collect();
        self.list(endpoint, None, |name, sample| {
            if let Some(look) = looks.get_mut(name) {
                *look = Ok(sample);
            }
        })
        .await?;
        Ok(looks.into_iter().map(|(name, look)| (QueueName::new(name), look)).collect())
    }

    /// Queues whose names match regular expressions, each expression's together.
    pub(super) async fn matching(
        &self,
        endpoint: &Endpoint,
        patterns: &[QueueName],
    ) -> Result<Looks, Failure> {
        let sum = |pattern: QueueName| async move {
            let mut samples = Vec::new();
            // Queues come and go, and with each its sum: they tell nothing together.
            let without_sums = |sample| QueueSample { published: None, acknowledged: None, ..sample };
            let listed = self
                .list(endpoint, Some(pattern.as_str()), |_, sample| samples.push(without_sums(sample)))
                .await;
            let look = listed.and_then(|()| QueueSample::sum(samples).ok_or(Failure::Missing));
            (pattern, look)
        };
        Ok(stream::iter(patterns.iter().cloned().map(sum)).buffer_unordered(REQUESTS).collect().await)
    }

    /// Each queue by a request of its own.
    async fn each(&self, endpoint: &Endpoint, queues: &[QueueName]) -> Result<Looks, Failure> {
        let one = |queue: QueueName| async move {
            let body = self.get(endpoint, &format!("/{}", encode(queue.as_str())), "").await;
            let look = body.and_then(|body| {
                let queue: Queue<'_> =
                    serde_json::from_slice(&body).map_err(|error| malformed(endpoint, &error))?;
                Ok(queue.sample(now()))
            });
            (queue, look)
        };
        let looks: Vec<_> =
            stream::iter(queues.iter().cloned().map(one)).buffer_unordered(REQUESTS).collect().await;
        if looks.iter().any(|(_, look)| *look == Err(Failure::Missing)) {
            // So it answers for a virtual host that is not there, too.
            self.get(endpoint, "", "page=1&page_size=1&columns=name").await?;
        }
        // What concerns all of them is told once, as the failure of the place.
        match looks
            .iter()
            .find_map(|(_, look)| look.as_ref().err().filter(|failure| **failure != Failure::Missing))
        {
            Some(failure) if looks.iter().all(|(_, look)| look.is_err()) => Err(failure.clone()),
            _ => Ok(looks.into_iter().collect()),
        }
    }

    /// All queues, or those that match, page by page.
    async fn list(
        &self,
        endpoint: &Endpoint,
        pattern: Option<&str>,
        mut take: impl FnMut(&str, QueueSample),
    ) -> Result<(), Failure> {
        let filter = match pattern {
            Some(pattern) => format!("&name={}&use_regex=true", encode(pattern)),
            None => String::new(),
        };
        let query = |page: u32| format!("page={page}&page_size={PAGE}{filter}&columns={COLUMNS}");
        let now = now();
        let mut read = |body: &[u8]| {
            let queues: Queues<'_> =
                serde_json::from_slice(body).map_err(|error| malformed(endpoint, &error))?;
            let (pages, queues) = match queues {
                // What has no pages has no filter either.
                Queues::List(_) if pattern.is_some() => {
                    return Err(Failure::Refused(
                        "this broker does not select queues by regular expressions".to_owned(),
                    ));
                }
                Queues::List(queues) => (1, queues),
                Queues::Page { page_count, items } => (page_count, items),
            };
            queues.iter().for_each(|queue| take(&queue.name, queue.sample(now)));
            Ok(pages)
        };
        let pages = read(&self.get(endpoint, "", &query(1)).await?)?.min(MOST_PAGES);
        let rest = (2..=pages).map(|page| {
            let query = query(page);
            async move { self.get(endpoint, "", &query).await }
        });
        let mut bodies = stream::iter(rest.collect::<Vec<_>>()).buffer_unordered(REQUESTS);
        while let Some(body) = bodies.try_next().await? {
            read(&body)?;
        }
        Ok(())
    }

    async fn get(&self, endpoint: &Endpoint, path: &str, query: &str) -> Result<Vec<u8>, Failure> {
        let place = place(endpoint);
        let mut url: Url = endpoint
            .base
            .join(&format!("api/queues/{}{path}", endpoint.virtual_host))
            .map_err(|error| Failure::Malformed(format!("{place}: {error}")))?;
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let unreachable = |error: reqwest::Error| {
            Failure::Unreachable(format!("{place}: {}", with_causes(&error.without_url())))
        };
        let request = self.http.get(url).basic_auth(&endpoint.user, Some(&endpoint.password));
        let response = request.send().await.map_err(unreachable)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND if !path.is_empty() => return Err(Failure::Missing),
            StatusCode::NOT_FOUND => {
                return Err(Failure::Refused(format!(
                    "{place} knows no such virtual host; check the broker's URL"
                )));
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let user = &endpoint.user;
                let body = read(response).await.ok().flatten().unwrap_or_default();
                // "Login failed", or, of somebody who is known, "Not management user".
                let remedy = if String::from_utf8_lossy(&body).contains("Login failed") {
                    "check the user and the password in the broker's URL"
                } else {
                    "it needs the tag `monitoring` or `management`"
                };
                return Err(Failure::Refused(format!("{place} refuses user `{user}`; {remedy}")));
            }
            StatusCode::BAD_REQUEST => {
                let what =
                    format!("{place} cannot be asked like that; check that `queue:` is a regular expression");
                return Err(Failure::Refused(what));
            }
            status if status.is_server_error() => {
                return Err(Failure::Unreachable(format!("{place} answers {status}")));
            }
            status => return Err(Failure::Refused(format!("{place} answers {status}"))),
        }
        let body = read(response).await.map_err(unreachable)?;
        body.ok_or_else(|| Failure::Malformed(format!("{place}: the answer is too long")))
    }
}

fn place(endpoint: &Endpoint) -> String {
    format!("RabbitMQ's management API at {}", endpoint.base)
}

fn malformed(endpoint: &Endpoint, error: &serde_json::Error) -> Failure {
    Failure::Malformed(format!("{} answers something else than queues: {error}", place(endpoint)))
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
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
