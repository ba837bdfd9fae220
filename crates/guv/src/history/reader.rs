//! Reading the history.

use std::path::Path;
use std::time::Duration;

use guv_model::{Role, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::pack::unpack;
use super::rollup::LONGEST_GAP;
use super::{Error, schema};
use crate::Record;

const SELECT: &str = "SELECT roles.name, at, shapes.json, ready, in_flight, workers, target, needed, numbers
     FROM decisions JOIN roles ON roles.id = decisions.role JOIN shapes ON shapes.id = decisions.shape";

/// Which decisions.
#[derive(Clone, Debug)]
pub struct Query {
    /// Of this role; `None` means of all.
    pub role: Option<Role>,
    /// Not before.
    pub from: Timestamp,
    /// Not after.
    pub to: Timestamp,
    /// Only those that changed something, or should have.
    pub changes: bool,
    /// The newest so many.
    pub limit: usize,
}

/// How much a role has used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleUse {
    /// The role.
    pub role: Role,
    /// Workers times hours.
    pub worker_hours: f64,
    /// Hours observed.
    pub hours: f64,
    /// The most workers.
    pub most: u32,
    /// How often the number of workers was changed by a decision.
    pub changes: u32,
}

/// A connection for reading.
pub struct Reader {
    pub(super) connection: Connection,
}

impl Reader {
    /// Opens a history that is there.
    ///
    /// # Errors
    /// [`Error::Open`] when it is not there, or no history.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { connection: schema::open(path)? })
    }

    /// The roles that decisions are kept of, by name.
    ///
    /// # Errors
    /// [`Error::Access`] when the file cannot be read.
    pub fn roles(&self) -> Result<Vec<Role>, Error> {
        let mut statement = self.connection.prepare("SELECT name FROM roles ORDER BY name")?;
        let roles = statement.query_map([], |row| Ok(Role::new(row.get::<_, String>(0)?)))?;
        Ok(roles.collect::<Result<_, _>>()?)
    }

    /// The decision in force at a time: the last one made until then.
    ///
    /// # Errors
    /// [`Error::Access`] when the file cannot be read.
    pub fn at(&self, role: &Role, at: Timestamp) -> Result<Option<Record>, Error> {
        let select = format!("{SELECT} WHERE roles.name = ?1 AND at <= ?2 ORDER BY at DESC LIMIT 1");
        let mut statement = self.connection.prepare_cached(&select)?;
        let row = statement.query_row(params![role.as_str(), milliseconds(at)], raw).optional()?;
        row.map(Raw::record).transpose()
    }

    /// Calls `each` with every decision asked for, oldest first, without holding them all.
    ///
    /// # Errors
    /// [`Error::Access`] when the file cannot be read, and what `each` fails with.
    pub fn for_each<E: From<Error>>(
        &self,
        query: &Query,
        mut each: impl FnMut(Record) -> Result<(), E>,
    ) -> Result<(), E> {
        // The newest of them, but in the order of time.
        let changes = if query.changes { "AND target IS NOT NULL AND target IS NOT workers" } else { "" };
        let role = if query.role.is_some() { "AND roles.name = ?4" } else { "AND ?4 IS NULL" };
        let select = format!(
            "SELECT * FROM ({SELECT} WHERE at BETWEEN ?1 AND ?2 {changes} {role} ORDER BY at DESC LIMIT ?3)
             ORDER BY at, 1"
        );
        let mut statement = self.connection.prepare_cached(&select).map_err(Error::from)?;
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let name = query.role.as_ref().map(Role::as_str);
        let parameters = params![milliseconds(query.from), milliseconds(query.to), limit, name];
        let mut rows = statement.query(parameters).map_err(Error::from)?;
        while let Some(row) = rows.next().map_err(Error::from)? {
            each(raw(row).map_err(Error::from)?.record()?)?;
        }
        Ok(())
    }

    /// What each role has used between two times.
    ///
    /// # Errors
    /// [`Error::Access`] when the file cannot be read.
    pub fn usage(&self, from: Timestamp, to: Timestamp) -> Result<Vec<RoleUse>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, sum(workers * lasts) / 3600000.0, sum(lasts) / 3600000.0, max(workers),
                    count(*) FILTER (WHERE target IS NOT NULL AND target IS NOT workers)
             FROM (SELECT role, workers, target,
                          min(?3, coalesce(lead(at) OVER (PARTITION BY role ORDER BY at) - at, 0)) AS lasts
                   FROM decisions WHERE at BETWEEN ?1 AND ?2 AND workers IS NOT NULL)
             JOIN roles ON roles.id = role GROUP BY role ORDER BY name",
        )?;
        let uses =
            statement.query_map(params![milliseconds(from), milliseconds(to), LONGEST_GAP], |row| {
                Ok(RoleUse {
                    role: Role::new(row.get::<_, String>(0)?),
                    worker_hours: row.get(1)?,
                    hours: row.get(2)?,
                    most: row.get(3)?,
                    changes: row.get(4)?,
                })
            })?;
        Ok(uses.collect::<Result<_, _>>()?)
    }
}

struct Raw {
    role: String,
    at: i64,
    shape: String,
    columns: [Option<i64>; 5],
    numbers: String,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let columns = [row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?];
    Ok(Raw { role: row.get(0)?, at: row.get(1)?, shape: row.get(2)?, columns, numbers: row.get(8)? })
}

impl Raw {
    fn record(self) -> Result<Record, Error> {
        unpack(&self.role, self.at, &self.shape, self.columns, &self.numbers)
    }
}

pub(super) fn milliseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_duration().as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp::since_epoch(Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)))
}
