//! The tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Error;
use super::rollup::COLUMNS;

/// What the file says it is: "guvh".
const APPLICATION: i32 = 0x6775_7668;
const VERSION: i32 = 2;

/// The length of a roll-up, milliseconds.
pub(super) const ROLLUP: i64 = 300_000;

const TABLES: &str = "
CREATE TABLE roles (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
-- What decisions have in common, as JSON: all of a record but its numbers.
CREATE TABLE shapes (id INTEGER PRIMARY KEY, json TEXT NOT NULL UNIQUE) STRICT;
-- `at` in milliseconds. `numbers` are those that no query needs, as JSON in the order of pack.rs.
CREATE TABLE decisions (
    role INTEGER NOT NULL, at INTEGER NOT NULL, shape INTEGER NOT NULL,
    ready INTEGER, in_flight INTEGER, workers INTEGER, target INTEGER, needed INTEGER,
    numbers TEXT NOT NULL,
    PRIMARY KEY (role, at)
) STRICT, WITHOUT ROWID;
";

/// The table of roll-ups: the columns of [`super::rollup`].
fn rollups() -> String {
    let columns: String =
        COLUMNS.iter().map(|(_, name, _)| format!(", {name} REAL NOT NULL DEFAULT 0")).collect();
    format!(
        "CREATE TABLE rollups (role INTEGER NOT NULL, at INTEGER NOT NULL{columns}, PRIMARY KEY (role, at)) STRICT, WITHOUT ROWID;"
    )
}

/// Opens the file for writing, and makes it what it must be.
pub(super) fn create(path: &Path) -> Result<Connection, Error> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A power cut may cost the last rounds, never the file.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            connection.execute_batch(&format!(
                "BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; {TABLES} {} COMMIT;",
                rollups()
            ))?;
        }
        check(&connection)?;
        Ok(connection)
    };
    open().map_err(|source| Error::Open { path: path.to_owned(), source })
}

/// Opens the file for reading.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let open = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        check(&connection)?;
        Ok(connection)
    };
    open().map_err(|source| Error::Open { path: path.to_owned(), source })
}

fn check(connection: &Connection) -> rusqlite::Result<()> {
    let value = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if (value("application_id")?, value("user_version")?) == (APPLICATION, VERSION) {
        return Ok(());
    }
    let text = "it is not a history of this version of guv".to_owned();
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB), Some(text)))
}
