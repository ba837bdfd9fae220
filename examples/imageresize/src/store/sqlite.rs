//! Jobs in a file of SQLite.
//!
//! One thread owns the connection. It takes what waits in its channel, up to [`BATCH`] at once, and commits it together: so a
//! result is safe on disk before it is acknowledged, and one wait for the disk serves many. When the channel is full, callers
//! wait. Times are stored as whole milliseconds since the Unix epoch, which sort.

use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::{Error, Jobs, Totals};
use crate::job::{Job, Merged};
use crate::message::{Ended, JobId};

/// Commands that are committed together.
const BATCH: usize = 64;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS jobs (
        id TEXT PRIMARY KEY,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        completed_at INTEGER,
        failed_at INTEGER,
        data TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS jobs_created_at ON jobs (created_at);
";

const COLUMNS: &str = "id, created_at, updated_at, completed_at, failed_at, data";

type Reply<T> = oneshot::Sender<Result<T, Error>>;

enum Command {
    Insert(Box<Job>, Reply<Job>),
    Get(JobId, Reply<Option<Job>>),
    Merge(Ended, Timestamp, Reply<Merged>),
    Newest(u32, Reply<Vec<Job>>),
    Totals(Reply<Totals>),
}

/// Jobs in a file of SQLite. The thread ends with the last handle.
#[derive(Clone)]
pub(super) struct Sqlite {
    commands: mpsc::Sender<Command>,
}

impl Sqlite {
    pub(super) async fn open(path: PathBuf) -> Result<Self, Error> {
        let (commands, receiver) = mpsc::channel(BATCH);
        let (opened, is_open) = oneshot::channel();
        let serve = move || match connect(&path) {
            Ok(connection) => {
                if opened.send(Ok(())).is_ok() {
                    serve(connection, receiver);
                }
            }
            // When nobody waits for it any more, nobody wants to know.
            Err(error) => drop(opened.send(Err(error))),
        };
        std::thread::Builder::new()
            .name("sqlite".into())
            .spawn(serve)
            .map_err(|error| Error::database("starting its thread", error))?;
        is_open.await.map_err(|_| Error::Closed)??;
        Ok(Self { commands })
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

#[async_trait]
impl Jobs for Sqlite {
    async fn insert(&self, job: Job) -> Result<Job, Error> {
        self.ask(|reply| Command::Insert(Box::new(job), reply)).await
    }

    async fn get(&self, id: JobId) -> Result<Option<Job>, Error> {
        self.ask(|reply| Command::Get(id, reply)).await
    }

    async fn merge(&self, ended: Ended, now: Timestamp) -> Result<Merged, Error> {
        self.ask(|reply| Command::Merge(ended, now, reply)).await
    }

    async fn newest(&self, limit: u32) -> Result<Vec<Job>, Error> {
        self.ask(|reply| Command::Newest(limit, reply)).await
    }

    async fn totals(&self) -> Result<Totals, Error> {
        self.ask(Command::Totals).await
    }
}

fn connect(path: &std::path::Path) -> Result<Connection, Error> {
    let doing = |error| Error::database("being opened", error);
    let connection = Connection::open(path).map_err(doing)?;
    // With a write-ahead log, FULL waits for the disk once a commit.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(doing)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(doing)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(doing)?;
    connection.execute_batch(SCHEMA).map_err(doing)?;
    Ok(connection)
}

fn serve(mut connection: Connection, mut commands: mpsc::Receiver<Command>) {
    let mut batch = Vec::with_capacity(BATCH);
    while commands.blocking_recv_many(&mut batch, BATCH) > 0 {
        transact(&mut connection, batch.drain(..));
    }
}

/// An answer that waits for the end of the transaction.
type Answer = Box<dyn FnOnce(Result<(), Error>)>;

/// Runs a batch in one transaction and answers. Each command sees those before it; one that fails has written nothing, since
/// writing is the last thing that each does. If the commit fails, every command has failed.
fn transact(connection: &mut Connection, batch: impl Iterator<Item = Command>) {
    let doing = |error| Error::database("writing", error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(doing);
    let begun = transaction.as_ref().map(|transaction| &**transaction);
    let answers: Vec<Answer> = batch.map(|command| run(begun.map_err(Clone::clone), command)).collect();
    let committed = transaction.and_then(|transaction| transaction.commit().map_err(doing));
    for answer in answers {
        answer(committed.clone());
    }
}

fn run(connection: Result<&Connection, Error>, command: Command) -> Answer {
    fn answer<T: 'static>(reply: Reply<T>, result: Result<T, Error>) -> Answer {
        // Whoever asked may have gone.
        Box::new(move |committed| drop(reply.send(committed.and(result))))
    }
    match command {
        Command::Insert(job, reply) => answer(reply, connection.and_then(|begun| insert(begun, *job))),
        Command::Get(id, reply) => answer(reply, connection.and_then(|begun| get(begun, id))),
        Command::Merge(ended, now, reply) => {
            answer(reply, connection.and_then(|begun| merge(begun, &ended, now)))
        }
        Command::Newest(limit, reply) => answer(reply, connection.and_then(|begun| newest(begun, limit))),
        Command::Totals(reply) => answer(reply, connection.and_then(totals)),
    }
}

fn insert(connection: &Connection, job: Job) -> Result<Job, Error> {
    let doing = |error| Error::database("inserting a job", error);
    let data = serde_json::to_string(&job.data).map_err(|error| Error::database("writing JSON", error))?;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO jobs (id, created_at, updated_at, completed_at, failed_at, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                job.id.to_string(),
                job.created_at.as_millisecond(),
                job.updated_at.as_millisecond(),
                job.completed_at.map(Timestamp::as_millisecond),
                job.failed_at.map(Timestamp::as_millisecond),
                data,
            ])
        })
        .map_err(doing)?;
    if inserted == 1 {
        return Ok(job);
    }
    get(connection, job.id)?.ok_or(Error::UnknownJob(job.id))
}

fn get(connection: &Connection, id: JobId) -> Result<Option<Job>, Error> {
    let doing = |error| Error::database("reading a job", error);
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1")).map_err(doing)?;
    statement.query_row([id.to_string()], job).optional().map_err(doing)
}

fn merge(connection: &Connection, ended: &Ended, now: Timestamp) -> Result<Merged, Error> {
    let mut job = get(connection, ended.job)?.ok_or(Error::UnknownJob(ended.job))?;
    let unknown = Error::UnknownImage { job: ended.job, image: ended.image };
    let merged = job.merge(ended, now).ok_or(unknown)?;
    if merged == Merged::AlreadyEnded {
        return Ok(merged);
    }
    let data = serde_json::to_string(&job.data).map_err(|error| Error::database("writing JSON", error))?;
    connection
        .prepare_cached(
            "UPDATE jobs SET updated_at = ?2, completed_at = ?3, failed_at = ?4, data = ?5 WHERE id = ?1",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                job.id.to_string(),
                job.updated_at.as_millisecond(),
                job.completed_at.map(Timestamp::as_millisecond),
                job.failed_at.map(Timestamp::as_millisecond),
                data,
            ])
        })
        .map_err(|error| Error::database("merging a result", error))?;
    Ok(merged)
}

fn newest(connection: &Connection, limit: u32) -> Result<Vec<Job>, Error> {
    let doing = |error| Error::database("listing jobs", error);
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM jobs ORDER BY created_at DESC, id LIMIT ?1"))
        .map_err(doing)?;
    let rows = statement.query_map([limit], job).map_err(doing)?;
    rows.collect::<Result<_, _>>().map_err(doing)
}

fn totals(connection: &Connection) -> Result<Totals, Error> {
    connection
        .prepare_cached("SELECT count(*), count(completed_at), count(failed_at) FROM jobs")
        .and_then(|mut statement| {
            statement.query_row([], |row| {
                Ok(Totals { jobs: row.get(0)?, completed: row.get(1)?, failed: row.get(2)? })
            })
        })
        .map_err(|error| Error::database("counting jobs", error))
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let unreadable =
        |column, kind, error: super::BoxError| rusqlite::Error::FromSqlConversionFailure(column, kind, error);
    let text = rusqlite::types::Type::Text;
    let time = |column, milliseconds| {
        Timestamp::from_millisecond(milliseconds)
            .map_err(|error| unreadable(column, rusqlite::types::Type::Integer, error.into()))
    };
    let maybe = |column| row.get::<_, Option<i64>>(column)?.map(|value| time(column, value)).transpose();
    let id: String = row.get(0)?;
    let data: String = row.get(5)?;
    Ok(Job {
        id: JobId(id.parse().map_err(|error: uuid::Error| unreadable(0, text, error.into()))?),
        created_at: time(1, row.get(1)?)?,
        updated_at: time(2, row.get(2)?)?,
        completed_at: maybe(3)?,
        failed_at: maybe(4)?,
        data: serde_json::from_str(&data).map_err(|error| unreadable(5, text, error.into()))?,
    })
}
