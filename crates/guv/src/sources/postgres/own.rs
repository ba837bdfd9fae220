//! A query of one's own.
//!
//! It yields one row with a column `ready`, and `in_flight`, `oldest` (seconds), `consumers`, `fill_rate` and
//! `drain_rate` (jobs per second) where it knows them; what it leaves out, or is NULL, is unknown. `$1` is the queue.
//! It runs once for each of the role's queues.

use std::time::Duration;

use async_trait::async_trait;
use guv_model::{QueueName, RoleConfig};

use super::{Place, Sessions, session};
use crate::Source;
use crate::sources::failure::Failure;
use crate::sources::numbers::Numbers;
use crate::sources::queues::{ByPlace, Looks, Queues, Signs};

const KIND: &str = "sql";

/// A query of one's own.
pub fn sql() -> impl Source {
    ByPlace::new(Own { sessions: Sessions::default() })
}

struct Own {
    sessions: Sessions,
}

/// A database, and the query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Query {
    place: Place,
    query: String,
    channel: Option<String>,
}

#[async_trait]
impl Queues for Own {
    type Place = Query;

    const GLANCE: Duration = Duration::from_secs(1);

    fn place(&self, role: &RoleConfig) -> Result<Query, String> {
        let place = Place::of(role, KIND)?;
        let part = role.source.as_ref();
        let query =
            part.and_then(|part| part.text("query")).ok_or("it has no query; set `query:` in `source:`")?;
        let query = query.trim().trim_end_matches(';').to_owned();
        let channel = part.and_then(|part| part.text("channel")).map(str::to_owned);
        Ok(Query { place, query, channel })
    }

    async fn look(&self, place: &Query, queues: &[QueueName]) -> Result<Looks, Failure> {
        let Query { place, query, .. } = place;
        let session = self.sessions.get(&place.url).await?;
        // As JSON, so that numbers of every type can be read, and columns that may be left out.
        let statement = format!("SELECT to_json(q)::text FROM ({query}) AS q LIMIT 1");
        let mut looks = Looks::new();
        for queue in queues {
            let parameter = query.contains("$1").then_some(queue.as_str());
            let look = match session.text(place.timeout, &statement, parameter).await? {
                None => Err(Failure::Missing),
                Some(row) => Numbers::parse(row.as_bytes()).map(Numbers::into_sample).map_err(|problem| {
                    Failure::Malformed(format!("the query for `{queue}` yields {problem}"))
                }),
            };
            looks.insert(queue.clone(), look);
        }
        Ok(looks)
    }

    async fn signs(&self, place: &Query, _: &[QueueName]) -> Result<Signs, Failure> {
        match &place.channel {
            None => Ok(Signs::None),
            Some(channel) => Ok(Signs::Stream(session::listen(&place.place.url, channel).await?)),
        }
    }
}
