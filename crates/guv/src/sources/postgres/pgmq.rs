//! pgmq: a table `pgmq.q_NAME` for each queue.
//!
//! A message is visible from `vt` on; reading it moves that into the future and raises `read_ct`. So one that is not
//! visible and was read is in flight, and one that was never read is delayed. `NOTIFY` comes on `pgmq.q_NAME.INSERT`
//! where `pgmq.enable_notify_insert` was called for the queue; whether it was is not known, so that the tables are
//! glanced at.

use std::time::Duration;

use async_trait::async_trait;
use guv_model::{QueueName, RoleConfig};

use super::session::Session;
use super::{Place, Sessions};
use crate::Source;
use crate::sources::failure::Failure;
use crate::sources::queues::{ByPlace, Looks, Queues};

const KIND: &str = "pgmq";
/// The schema of the extension.
const SCHEMA: &str = "pgmq";

/// pgmq.
pub fn pgmq() -> impl Source {
    ByPlace::new(Pgmq { sessions: Sessions::default() })
}

struct Pgmq {
    sessions: Sessions,
}

#[async_trait]
impl Queues for Pgmq {
    type Place = Place;

    const GLANCE: Duration = Duration::from_secs(1);

    fn place(&self, role: &RoleConfig) -> Result<Place, String> {
        let place = Place::of(role, KIND)?;
        Ok(Place { schema: place.schema.or_else(|| Some(SCHEMA.to_owned())), ..place })
    }

    async fn look(&self, place: &Place, queues: &[QueueName]) -> Result<Looks, Failure> {
        let session = self.sessions.get(&place.url).await?;
        let names: Vec<_> = queues.iter().map(|queue| table(queue.as_str())).collect();
        let there = there(&session, place, &names).await?;
        // One statement for all: a table that is not there would spoil it.
        let parts: Vec<_> = queues
            .iter()
            .zip(&names)
            .filter(|(_, name)| there.contains(name))
            .map(|(queue, name)| {
                format!(
                    "SELECT '{}'::text,
                            count(*) FILTER (WHERE vt <= now()),
                            count(*) FILTER (WHERE vt > now() AND read_ct > 0),
                            extract(epoch FROM now() - min(enqueued_at) FILTER (WHERE vt <= now()))::float8
                     FROM {}",
                    queue.as_str().replace('\'', "''"),
                    place.table(name)
                )
            })
            .collect();
        let mut looks: Looks = queues.iter().map(|queue| (queue.clone(), Err(Failure::Missing))).collect();
        if !parts.is_empty() {
            let statement =
                format!("SELECT * FROM ({}) AS q WHERE $1::text[] IS NOT NULL", parts.join(" UNION ALL "));
            for row in session.read(place.timeout, &statement, &[]).await? {
                looks.insert(QueueName::new(row.queue.clone()), Ok(row.sample()));
            }
        }
        Ok(looks)
    }
}

/// The table of a queue.
fn table(queue: &str) -> String {
    format!("q_{}", queue.to_lowercase())
}

/// Which of these tables there are.
async fn there(session: &Session, place: &Place, names: &[String]) -> Result<Vec<String>, Failure> {
    let schema = place.schema.as_deref().unwrap_or(SCHEMA).replace('\'', "''");
    let statement = format!(
        "SELECT tablename::text, 0::bigint, 0::bigint, 0::float8 FROM pg_catalog.pg_tables
         WHERE schemaname = '{schema}' AND tablename = ANY($1::text[])"
    );
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = session.read(place.timeout, &statement, &names).await?;
    Ok(rows.into_iter().map(|row| row.queue).collect())
}
