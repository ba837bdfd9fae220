//! Queues in PostgreSQL: tables of job libraries, and queries of one's own.
//!
//! Every look is a transaction that only reads, with a statement timeout. Libraries that NOTIFY of new jobs are
//! listened to on a connection of its own; the tables of the others are glanced at.

mod libraries;
mod own;
mod pgmq;
mod session;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use guv_model::{QueueName, QueueSample, RoleConfig};
use tokio::sync::Mutex;
use url::Url;

pub use own::sql;
pub use pgmq::pgmq;

use self::libraries::Library;
use self::session::{Row, Session};
use super::failure::Failure;
use super::queues::{ByPlace, Looks, Queues, Signs};
use crate::Source;

/// delayed_job with its ActiveRecord backend.
pub fn delayed_job() -> impl Source {
    source(&libraries::DELAYED_JOB)
}

/// Solid Queue.
pub fn solid_queue() -> impl Source {
    source(&libraries::SOLID_QUEUE)
}

/// GoodJob 3 and later.
pub fn good_job() -> impl Source {
    source(&libraries::GOOD_JOB)
}

/// River.
pub fn river() -> impl Source {
    source(&libraries::RIVER)
}

/// Oban.
pub fn oban() -> impl Source {
    source(&libraries::OBAN)
}

fn source(library: &'static Library) -> impl Source {
    ByPlace::new(Tables { library, sessions: Sessions::default() })
}

/// A database, and the schema of the library's tables in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    url: Url,
    schema: Option<String>,
    timeout: Duration,
}

impl Place {
    /// Where a role with a source of this kind has its tables.
    fn of(role: &RoleConfig, kind: &str) -> Result<Self, String> {
        let part = role.source.as_ref().filter(|part| part.kind() == kind);
        let part = part.ok_or_else(|| format!("the role does not ask for it; say `source: {kind}`"))?;
        let url = part.url("url").or(role.broker.as_ref());
        let url = url.ok_or("it has no address; set `url:` in `source:`, or `broker:`")?.reveal();
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(format!("its address is not PostgreSQL ({}:, not postgres:)", url.scheme()));
        }
        // A little less than the whole look may take: so the server itself says that it was the statement.
        let timeout = part.seconds("timeout").copied().unwrap_or(session::TIMEOUT).mul_f64(0.9);
        Ok(Self { url: url.clone(), schema: part.text("schema").map(str::to_owned), timeout })
    }

    /// The name of a table, quoted, with the schema where one is given.
    fn table(&self, name: &str) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(name)),
            None => quoted(name),
        }
    }
}

/// A name as an identifier of SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The sessions that are open, one a database.
#[derive(Default)]
struct Sessions(Mutex<HashMap<Url, std::sync::Arc<Session>>>);

impl Sessions {
    /// The session with this database; a new one where there is none, or where the last one has ended.
    async fn get(&self, url: &Url) -> Result<std::sync::Arc<Session>, Failure> {
        let known = self.0.lock().await.get(url).filter(|session| !session.has_ended()).cloned();
        if let Some(session) = known {
            return Ok(session);
        }
        let session = std::sync::Arc::new(Session::open(url).await?);
        self.0.lock().await.insert(url.clone(), session.clone());
        Ok(session)
    }
}

/// The tables of a library.
struct Tables {
    library: &'static Library,
    sessions: Sessions,
}

#[async_trait]
impl Queues for Tables {
    type Place = Place;

    /// Without NOTIFY each glance counts rows.
    const GLANCE: Duration = Duration::from_secs(1);

    fn place(&self, role: &RoleConfig) -> Result<Place, String> {
        Place::of(role, self.library.kind)
    }

    async fn look(&self, place: &Place, queues: &[QueueName]) -> Result<Looks, Failure> {
        let session = self.sessions.get(&place.url).await?;
        let statement = self.library.statement(|table| place.table(table));
        let names: Vec<&str> = queues.iter().map(QueueName::as_str).collect();
        let rows = session.read(place.timeout, &statement, &names).await?;
        let rows = rows.into_iter().map(|row| (QueueName::new(row.queue.clone()), Ok(row.sample())));
        Ok(rows.collect())
    }

    async fn signs(&self, place: &Place, _: &[QueueName]) -> Result<Signs, Failure> {
        match self.library.channel {
            None => Ok(Signs::None),
            Some(channel) => {
                let schema = place.schema.as_deref().unwrap_or("public");
                let signs = session::listen(&place.url, &channel.replace("SCHEMA", schema)).await?;
                Ok(Signs::Stream(signs))
            }
        }
    }
}

impl Row {
    fn sample(self) -> QueueSample {
        let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        QueueSample {
            ready: count(self.ready),
            unacknowledged: count(self.in_flight),
            oldest: self.oldest.and_then(|age| Duration::try_from_secs_f64(age.max(0.0)).ok()),
            ..QueueSample::default()
        }
    }
}
