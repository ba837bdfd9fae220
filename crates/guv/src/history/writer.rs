//! The thread that writes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use guv_model::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::{mpsc, oneshot};

use super::facts::{Facts, Shape};
use super::pack::{Packed, pack};
use super::rollup::{COLUMNS, Fold, Rollup};
use super::{Error, Retention, schema};
use crate::Record;

/// Time between two prunings.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Time between two looks for shapes that nothing has any more: all decisions are looked at.
const TIDY_EVERY: Duration = Duration::from_secs(24 * 3600);

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
    /// The record before, by role.
    before: HashMap<i64, Facts>,
    pruned: Option<Timestamp>,
    tidied: Option<Timestamp>,
    /// What SQLite calls the file's state: another one when somebody else has written.
    version: Option<i64>,
}

impl Writer {
    pub(super) fn open(path: &Path, retention: Retention) -> Result<Self, Error> {
        let connection = schema::create(path)?;
        Ok(Self {
            connection,
            retention,
            roles: HashMap::new(),
            shapes: HashMap::new(),
            before: HashMap::new(),
            pruned: None,
            tidied: None,
            version: None,
        })
    }

    /// Writes until nobody can send any more.
    pub(super) fn run(mut self, mut batches: mpsc::Receiver<Batch>) {
        while let Some(Batch { records, reply }) = batches.blocking_recv() {
            let outcome = self.write(&records);
            if outcome.is_err() {
                // What was remembered may have been rolled back.
                self.roles.clear();
                self.shapes.clear();
                self.before.clear();
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
        let version = transaction.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if self.version.replace(version) != Some(version) {
            // Another guv may have taken shapes away.
            self.shapes.clear();
        }
        for record in records {
            let role = id(&transaction, &mut self.roles, "roles", "name", record.role.as_str())?;
            let packed = pack(record)?;
            let shape = id(&transaction, &mut self.shapes, "shapes", "json", &packed.shape)?;
            let at = milliseconds(record.at);
            insert(&transaction, role, shape, at, &packed)?;
            let facts = Facts::read(at, &Shape::parse(&packed.shape)?, packed.columns, &packed.numbers)?;
            let rollup = Rollup::of(self.before.get(&role), &facts);
            roll_up(&transaction, role, at, &rollup)?;
            self.before.insert(role, facts);
        }
        if let Some(now) = records.iter().map(|record| record.at).max() {
            let is_due =
                |last: Option<Timestamp>, every| last.is_none_or(|last| now.saturating_since(last) >= every);
            if is_due(self.pruned, PRUNE_EVERY) {
                prune(&transaction, self.retention, self.pruned, now)?;
                self.pruned = Some(now);
            }
            if is_due(self.tidied, TIDY_EVERY) {
                tidy(&transaction)?;
                // Some of them may be gone, and their ids are used again.
                self.shapes.clear();
                self.tidied = Some(now);
            }
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
    at: i64,
    packed: &Packed,
) -> Result<(), Error> {
    let [ready, in_flight, workers, target, needed] = packed.columns;
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO decisions (role, at, shape, ready, in_flight, workers, target, needed, numbers)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    statement.execute(params![role, at, shape, ready, in_flight, workers, target, needed, packed.numbers])?;
    Ok(())
}

fn roll_up(transaction: &Transaction<'_>, role: i64, at: i64, rollup: &Rollup) -> Result<(), Error> {
    let mut statement = transaction.prepare_cached(&UPSERT)?;
    statement.raw_bind_parameter(1, role)?;
    statement.raw_bind_parameter(2, at - at % schema::ROLLUP)?;
    for (index, value) in rollup.0.iter().enumerate() {
        statement.raw_bind_parameter(index + 3, value)?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// Adds to a roll-up.
static UPSERT: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<_> = COLUMNS.iter().map(|(_, name, _)| *name).collect();
    let places: Vec<_> = (3..COLUMNS.len() + 3).map(|place| format!("?{place}")).collect();
    let fold = |(_, name, fold): &(_, &str, Fold)| match fold {
        Fold::Sum => format!("{name} = {name} + excluded.{name}"),
        Fold::Max => format!("{name} = max({name}, excluded.{name})"),
    };
    let folds: Vec<_> = COLUMNS.iter().map(fold).collect();
    format!(
        "INSERT INTO rollups (role, at, {}) VALUES (?1, ?2, {}) ON CONFLICT (role, at) DO UPDATE SET {}",
        names.join(", "),
        places.join(", "),
        folds.join(", ")
    )
});

/// Takes away what is too old, and thins out what is getting old. Both tables are ordered by role.
fn prune(
    transaction: &Transaction<'_>,
    retention: Retention,
    last: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Error> {
    let before =
        |now: Timestamp, age| milliseconds(Timestamp::since_epoch(now.as_duration().saturating_sub(age)));
    for (table, age) in [("decisions", retention.decisions), ("rollups", retention.rollups)] {
        let delete = format!("DELETE FROM {table} WHERE role IN (SELECT id FROM roles) AND at < ?1");
        transaction.prepare_cached(&delete)?.execute([before(now, age)])?;
    }
    // Of five minutes that were only begun at the last pruning, the first is still there.
    let thinned = last.map_or(0, |last| before(last, retention.every_decision));
    transaction
        .prepare_cached(
            "DELETE FROM decisions WHERE role IN (SELECT id FROM roles) AND at >= ?1 AND at < ?2 AND target IS NULL
             AND EXISTS (SELECT 1 FROM decisions AS first WHERE first.role = decisions.role
                         AND first.at >= decisions.at - decisions.at % ?3 AND first.at < decisions.at)
             AND (SELECT before.target FROM decisions AS before WHERE before.role = decisions.role
                  AND before.at < decisions.at ORDER BY before.at DESC LIMIT 1) IS NULL",
        )?
        .execute([thinned, before(now, retention.every_decision), schema::ROLLUP])?;
    Ok(())
}

fn tidy(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction.execute("DELETE FROM shapes WHERE id NOT IN (SELECT DISTINCT shape FROM decisions)", [])?;
    Ok(())
}
