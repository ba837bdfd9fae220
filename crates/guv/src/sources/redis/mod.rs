//! Queues in Redis: one file for each library that keeps them there.
//!
//! Only reading commands are used, all of a place in one pipeline. Redis tells of changes by keyspace notifications
//! where they are enabled (`notify-keyspace-events` with `K` and `A`, or with `K`, `l` and `z`); else the queues are
//! glanced at.

mod bullmq;
mod celery;
pub(super) mod json;
mod resque;
mod rq;
mod session;
mod sidekiq;

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use guv_model::{QueueName, QueueSample, RoleConfig};
use tokio::sync::Mutex;
use url::Url;

use self::session::Session;
use super::failure::Failure;
use super::queues::{ByPlace, Looks, Queues, Signs};
use crate::Source;

/// Sidekiq 6 and later: what waits, what is due in its schedule, and what its processes work on.
pub fn sidekiq() -> impl Source {
    source(sidekiq::Sidekiq::default())
}

/// Resque, with resque-scheduler where it is used.
pub fn resque() -> impl Source {
    source(resque::Resque)
}

/// BullMQ 4 and later.
pub fn bullmq() -> impl Source {
    source(bullmq::BullMq)
}

/// Celery with Redis as its broker.
pub fn celery() -> impl Source {
    source(celery::Celery)
}

/// RQ.
pub fn rq() -> impl Source {
    source(rq::Rq)
}

fn source<L: Library>(library: L) -> impl Source {
    ByPlace::new(RedisQueues { library, sessions: Mutex::default() })
}

/// How a library keeps its queues.
#[async_trait]
trait Library: Send + Sync + 'static {
    /// The name of the source.
    const KIND: &'static str;
    /// What its keys begin with unless the application says otherwise.
    const PREFIX: &'static str;

    /// Looks at queues; the answers are in their order. `now` is the time since the Unix epoch.
    async fn look(
        &self,
        session: &mut Session,
        prefix: &str,
        queues: &[QueueName],
        now: Duration,
    ) -> Result<Vec<Result<QueueSample, Failure>>, Failure>;

    /// The keys that change when a queue's first job comes and its last one goes.
    fn keys(&self, prefix: &str, queue: &str) -> Vec<String>;
}

struct RedisQueues<L> {
    library: L,
    sessions: Mutex<HashMap<Url, Session>>,
}

/// A server and a database of it, and what the library's keys begin with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    url: Url,
    prefix: String,
}

impl<L> RedisQueues<L> {
    /// The session with this server; a new one where there is none, or where the last one has failed.
    async fn session(&self, url: &Url) -> Result<Session, Failure> {
        if let Some(session) = self.sessions.lock().await.get(url) {
            return Ok(session.clone());
        }
        let session = Session::open(url).await?;
        self.sessions.lock().await.insert(url.clone(), session.clone());
        Ok(session)
    }
}

#[async_trait]
impl<L: Library> Queues for RedisQueues<L> {
    type Place = Place;

    fn place(&self, role: &RoleConfig) -> Result<Place, String> {
        let part = role.source.as_ref().filter(|part| part.kind() == L::KIND);
        let part = part.ok_or_else(|| format!("the role does not ask for it; say `source: {}`", L::KIND))?;
        let url = part.url("url").or(role.broker.as_ref());
        let url = url.ok_or("it has no address; set `url:` in `source:`, or `broker:`")?.reveal();
        if !matches!(url.scheme(), "redis" | "rediss") {
            return Err(format!("its address is not Redis ({}:, not redis: or rediss:)", url.scheme()));
        }
        Ok(Place { url: url.clone(), prefix: part.text("prefix").unwrap_or(L::PREFIX).to_owned() })
    }

    async fn look(&self, place: &Place, queues: &[QueueName]) -> Result<Looks, Failure> {
        let mut session = self.session(&place.url).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let doubtful = Doubtful { sessions: &self.sessions, url: &place.url };
        let looks = self.library.look(&mut session, &place.prefix, queues, now).await?;
        doubtful.answered();
        Ok(queues.iter().cloned().zip(looks).collect())
    }

    async fn signs(&self, place: &Place, queues: &[QueueName]) -> Result<Signs, Failure> {
        let mut session = self.session(&place.url).await?;
        let doubtful = Doubtful { sessions: &self.sessions, url: &place.url };
        let notifies = session.notifies().await?;
        doubtful.answered();
        if !notifies {
            return Ok(Signs::None);
        }
        let keys = queues.iter().flat_map(|queue| self.library.keys(&place.prefix, queue.as_str()));
        Ok(Signs::Stream(session.signs(keys).await?))
    }
}

/// A session that is being asked something. Unless it answers, it is not used again: also where nobody waits any more.
struct Doubtful<'a> {
    sessions: &'a Mutex<HashMap<Url, Session>>,
    url: &'a Url,
}

impl Doubtful<'_> {
    fn answered(self) {
        std::mem::forget(self);
    }
}

impl Drop for Doubtful<'_> {
    fn drop(&mut self) {
        // Whoever holds it is making another one.
        if let Ok(mut sessions) = self.sessions.try_lock() {
            sessions.remove(self.url);
        }
    }
}

/// A key below a prefix that names an application: `prefix:key`.
fn below(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{}:{key}", prefix.trim_end_matches(':')) }
}
