//! Applications, their configurations in every version, and tokens: one SQLite file.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use schemars::JsonSchema;
use serde::Serialize;

use super::access::May;
use super::answers::TokenInfo;
use super::apps::now;
use super::secrets::{self, SealingKey, Token, TokenHash};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS apps (id TEXT PRIMARY KEY, platform_app TEXT NOT NULL, platform_token BLOB) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
    hash BLOB PRIMARY KEY, app TEXT, name TEXT NOT NULL,
    may TEXT NOT NULL DEFAULT 'write', at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS versions (
    app TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, text BLOB NOT NULL,
    PRIMARY KEY (app, version)
) STRICT;
";

/// What the store keeps cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The file.
    #[error("the service's store cannot be read or written")]
    Access(#[from] rusqlite::Error),
    /// What is sealed in it.
    #[error("a secret of the service's store cannot be used")]
    Secret(#[from] secrets::Error),
}

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// `None` is the administrator's.
    pub(super) app: Option<String>,
    /// Who, for the versions.
    pub(super) name: String,
    pub(super) may: May,
}

/// An application.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) id: String,
    /// Its name on the platform.
    pub(super) platform_app: String,
    pub(super) platform_token: Option<String>,
}

/// A version of a configuration.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Version {
    pub(super) version: i64,
    /// Unix seconds.
    pub(super) at: i64,
    /// The name of the token that it came with; `file` where it was written by hand.
    pub(super) who: String,
}

pub(super) struct Store {
    connection: Mutex<Connection>,
    key: SealingKey,
}

impl Store {
    pub(super) fn open(path: &Path, key: SealingKey) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(TABLES)?;
        add_columns(&connection)?;
        Ok(Self { connection: Mutex::new(connection), key })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Every change is one statement or one transaction: a panic in between leaves nothing half done.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody can administrate yet.
    pub(super) fn is_new(&self) -> Result<bool, Error> {
        let admins: i64 = self.lock().query_row(
            "SELECT count(*) FROM tokens WHERE app IS NULL AND may = 'write'",
            [],
            |row| row.get(0),
        )?;
        Ok(admins == 0)
    }

    /// Makes a token for an application, or for the administrator.
    pub(super) fn add_token(&self, app: Option<&str>, name: &str, may: May) -> Result<Token, Error> {
        let token = Token::new()?;
        self.keep_token(&TokenHash::of(token.reveal()), app, name, may)?;
        Ok(token)
    }

    /// Keeps the hash of a token that somebody else has made.
    pub(super) fn keep_token(
        &self,
        hash: &TokenHash,
        app: Option<&str>,
        name: &str,
        may: May,
    ) -> Result<(), Error> {
        let sql = "INSERT OR REPLACE INTO tokens (hash, app, name, may, at) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.lock().execute(sql, params![hash.bytes(), app, name, word(may), now()])?;
        Ok(())
    }

    /// The tokens of an application, or those that open all.
    pub(super) fn tokens(&self, app: Option<&str>) -> Result<Vec<TokenInfo>, Error> {
        let connection = self.lock();
        let sql = "SELECT lower(substr(hex(hash), 1, 16)), name, may, at FROM tokens WHERE app IS ?1 ORDER BY at, 1";
        let mut statement = connection.prepare(sql)?;
        let tokens = statement.query_map([app], |row| {
            let may = level(&row.get::<_, String>(2)?);
            Ok(TokenInfo { id: row.get(0)?, name: row.get(1)?, may, at: row.get(3)?, is_yours: false })
        })?;
        Ok(tokens.collect::<Result<_, _>>()?)
    }

    /// Forgets a token of an application, or one that opens all. Whether there was such.
    pub(super) fn remove_token(&self, app: Option<&str>, id: &str) -> Result<bool, Error> {
        let sql = "DELETE FROM tokens WHERE app IS ?1 AND lower(substr(hex(hash), 1, 16)) = ?2";
        Ok(self.lock().execute(sql, params![app, id])? > 0)
    }

    pub(super) fn identify(&self, token: &str) -> Result<Option<Identity>, Error> {
        let hash = TokenHash::of(token);
        let sql = "SELECT app, name, may FROM tokens WHERE hash = ?1";
        let identity = self.lock().query_row(sql, [hash.bytes()], |row| {
            let may = level(&row.get::<_, String>(2)?);
            Ok(Identity { app: row.get(0)?, name: row.get(1)?, may })
        });
        Ok(identity.optional()?)
    }

    pub(super) fn apps(&self) -> Result<Vec<App>, Error> {
        let rows: Vec<(String, String, Option<Vec<u8>>)> = {
            let connection = self.lock();
            let mut statement = connection.prepare("SELECT id, platform_app, platform_token FROM apps")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        let open = |(id, platform_app, sealed): (String, _, Option<Vec<u8>>)| {
            let platform_token =
                sealed.map(|sealed| self.key.open(&format!("token {id}"), &sealed)).transpose()?;
            Ok(App { id, platform_app, platform_token })
        };
        rows.into_iter().map(open).collect()
    }

    /// Adds an application, or changes its platform's token.
    pub(super) fn put_app(&self, app: &App) -> Result<(), Error> {
        let seal = |token: &String| self.key.seal(&format!("token {}", app.id), token);
        let sealed = app.platform_token.as_ref().map(seal).transpose()?;
        self.lock().execute(
            "INSERT INTO apps (id, platform_app, platform_token) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET platform_app = excluded.platform_app,
                 platform_token = coalesce(excluded.platform_token, platform_token)",
            params![app.id, app.platform_app, sealed],
        )?;
        Ok(())
    }

    /// Removes an application and all that belongs to it.
    pub(super) fn remove_app(&self, id: &str) -> Result<(), Error> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for sql in [
            "DELETE FROM apps WHERE id = ?1",
            "DELETE FROM tokens WHERE app = ?1",
            "DELETE FROM versions WHERE app = ?1",
        ] {
            transaction.execute(sql, [id])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Keeps a configuration as the newest version.
    pub(super) fn add_version(&self, app: &str, who: &str, at: i64, text: &str) -> Result<i64, Error> {
        let sealed = self.key.seal(&format!("config {app}"), text)?;
        let version = self.lock().query_row(
            "INSERT INTO versions (app, version, at, who, text)
             VALUES (?1, 1 + (SELECT coalesce(max(version), 0) FROM versions WHERE app = ?1), ?2, ?3, ?4)
             RETURNING version",
            params![app, at, who, sealed],
            |row| row.get(0),
        )?;
        Ok(version)
    }

    /// Forgets a version: it was never in force.
    pub(super) fn remove_version(&self, app: &str, version: i64) -> Result<(), Error> {
        self.lock().execute("DELETE FROM versions WHERE app = ?1 AND version = ?2", params![app, version])?;
        Ok(())
    }

    /// The text of a version, the newest if none is named.
    pub(super) fn text(&self, app: &str, version: Option<i64>) -> Result<Option<(i64, String)>, Error> {
        let sql = "SELECT version, text FROM versions WHERE app = ?1 AND (?2 IS NULL OR version = ?2)
                   ORDER BY version DESC LIMIT 1";
        let found: Option<(i64, Vec<u8>)> = self
            .lock()
            .query_row(sql, params![app, version], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let open = |(version, sealed): (i64, Vec<u8>)| {
            Ok((version, self.key.open(&format!("config {app}"), &sealed)?))
        };
        found.map(open).transpose()
    }

    /// Every version, newest first.
    pub(super) fn versions(&self, app: &str) -> Result<Vec<Version>, Error> {
        let connection = self.lock();
        let sql = "SELECT version, at, who FROM versions WHERE app = ?1 ORDER BY version DESC";
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([app], |row| {
            Ok(Version { version: row.get(0)?, at: row.get(1)?, who: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn word(may: May) -> &'static str {
    match may {
        May::Read => "read",
        May::Write => "write",
    }
}

/// What is not understood allows the least.
fn level(word: &str) -> May {
    if word == "write" { May::Write } else { May::Read }
}

/// A store that is older than some columns gets them.
fn add_columns(connection: &Connection) -> Result<(), Error> {
    for (name, kind) in [("may", "TEXT NOT NULL DEFAULT 'write'"), ("at", "INTEGER NOT NULL DEFAULT 0")] {
        let sql = "SELECT count(*) FROM pragma_table_info('tokens') WHERE name = ?1";
        let there: i64 = connection.query_row(sql, [name], |row| row.get(0))?;
        if there == 0 {
            connection.execute_batch(&format!("ALTER TABLE tokens ADD COLUMN {name} {kind}"))?;
        }
    }
    Ok(())
}
