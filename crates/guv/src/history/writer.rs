//! The thread that writes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use guv_model::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::{mpsc, oneshot};

use super::pack::{Packed, pack};
use super::{Error, Retention, schema};
use crate::Record;

/// Time between two prunings.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Shapes that are remembered; more are looked up.
const SHAPES: usize = 20_000;

/// One round.
pub(super) struct Batch {
    pub(super) records: Vec<Arc<Record>>,
    pub(super) reply: oneshot::Sender<Result<(), Error>>,
}

pub(super) struct Writer {
    connection: Connection,
    retention: Retention,
    roles: HashMap<String, i64>,
    shapes: HashMap<String, i64>,
    pruned: Option<Timestamp>,
}

impl Writer {
    pub(super) fn open(path: &Path, retention: Retention) -> Result<Self, Error> {
        let connection = schema::create(path)?;
        Ok(Self { connection, retention, roles: HashMap::new(), shapes: HashMap::new(), pruned: None })
    }

    /// Writes until nobody can send any more.
    pub(super) fn run(mut self, mut batches: mpsc::Receiver<Batch>) {
        while let Some(Batch { records, reply }) = batches.blocking_recv() {
            let outcome = self.write(&records);
            if outcome.is_err() {
                // What was remembered may have been rolled back.
                self.roles.clear();
                self.shapes.clear();
            }
            // The governor may have lost its patience.
            let _ = reply.send(outcome);
        }
    }

    fn write(&mut self, records: &[Arc<Record>]) -> Result<(), Error> {
        if self.shapes.len() > SHAPES {
            self.shapes.clear();
        }
        let transaction = self.connection.transaction()?;
        for record in records {
            let role = id(&transaction, &mut self.roles, "roles", "name", record.role.as_str())?;
            let packed = pack(record)?;
            let shape = id(&transaction, &mut self.shapes, "shapes", "json", &packed.shape)?;
            insert(&transaction, role, shape, record.at, &packed)?;
        }
        let now = records.iter().map(|record| record.at).max();
        let due = now
            .is_some_and(|now| self.pruned.is_none_or(|pruned| now.saturating_since(pruned) >= PRUNE_EVERY));
        if let (Some(now), true) = (now, due) {
            prune(&transaction, self.retention, now)?;
            self.pruned = Some(now);
        }
        transaction.commit()?;
        Ok(())
    }
}

fn milliseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_duration().as_millis()).unwrap_or(i64::MAX)
}

/// The id of a text in a table, which it gets if it has none.
fn id(
    transaction: &Transaction<'_>,
    known: &mut HashMap<String, i64>,
    table: &str,
    column: &str,
    text: &str,
) -> Result<i64, Error> {
    if let Some(id) = known.get(text) {
        return Ok(*id);
    }
    let select = format!("SELECT id FROM {table} WHERE {column} = ?1");
    let found = transaction.prepare_cached(&select)?.query_row([text], |row| row.get(0)).optional()?;
    let id = match found {
        Some(id) => id,
        None => {
            let insert = format!("INSERT INTO {table} ({column}) VALUES (?1)");
            transaction.prepare_cached(&insert)?.execute([text])?;
            transaction.last_insert_rowid()
        }
    };
    known.insert(text.to_owned(), id);
    Ok(id)
}

fn insert(
    transaction: &Transaction<'_>,
    role: i64,
    shape: i64,
    at: Timestamp,
    packed: &Packed,
) -> Result<(), Error> {
    let at = milliseconds(at);
    let [ready, in_flight, workers, target, needed] = packed.columns;
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO decisions (role, at, shape, ready, in_flight, workers, target, needed, numbers)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    statement.execute(params![role, at, shape, ready, in_flight, workers, target, needed, packed.numbers])?;
    let (Some(ready), Some(workers)) = (ready, workers) else { return Ok(()) };
    let mut statement = transaction.prepare_cached(
        "INSERT INTO rollups (role, at, samples, ready, ready_max, in_flight, workers, workers_max)
         VALUES (?1, ?2, 1, ?3, ?3, ?4, ?5, ?5)
         ON CONFLICT (role, at) DO UPDATE SET samples = samples + 1, ready = ready + excluded.ready,
             ready_max = max(ready_max, excluded.ready_max), in_flight = in_flight + excluded.in_flight,
             workers = workers + excluded.workers, workers_max = max(workers_max, excluded.workers_max)",
    )?;
    statement.execute(params![role, at - at % schema::ROLLUP, ready, in_flight.unwrap_or(0), workers])?;
    Ok(())
}

fn prune(transaction: &Transaction<'_>, retention: Retention, now: Timestamp) -> Result<(), Error> {
    let before = |age: Duration| milliseconds(Timestamp::since_epoch(now.as_duration().saturating_sub(age)));
    transaction.execute("DELETE FROM decisions WHERE at < ?1", [before(retention.decisions)])?;
    transaction.execute("DELETE FROM rollups WHERE at < ?1", [before(retention.rollups)])?;
    transaction.execute("DELETE FROM shapes WHERE id NOT IN (SELECT DISTINCT shape FROM decisions)", [])?;
    Ok(())
}
