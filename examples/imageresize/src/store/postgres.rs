//! Jobs in PostgreSQL.
//!
//! One connection, made again when it was lost, with unencrypted transport: for a server on the same machine or network.
//! A merge locks its row (`FOR UPDATE`), so several stores may share the database.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio_postgres::types::Json;
use tokio_postgres::{Client, Config, NoTls, Row};

use super::{Error, Jobs, Totals};
use crate::job::{Images, Job, Merged};
use crate::message::{Ended, JobId};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS jobs (
        id uuid PRIMARY KEY,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        completed_at timestamptz,
        failed_at timestamptz,
        data json NOT NULL
    );
    CREATE INDEX IF NOT EXISTS jobs_created_at ON jobs (created_at);
";

const COLUMNS: &str = "id, created_at, updated_at, completed_at, failed_at, data";

/// Jobs in PostgreSQL.
#[derive(Clone)]
pub(super) struct Postgres {
    config: Config,
    client: Arc<Mutex<Client>>,
}

impl Postgres {
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        let doing = |error| Error::database("being opened", error);
        let config: Config = url.parse().map_err(doing)?;
        let client = connect(&config).await?;
        client.batch_execute(SCHEMA).await.map_err(doing)?;
        Ok(Self { config, client: Arc::new(Mutex::new(client)) })
    }

    /// The connection, made again if it was lost. Whoever has it has it alone.
    async fn client(&self) -> Result<tokio::sync::MutexGuard<'_, Client>, Error> {
        let mut client = self.client.lock().await;
        if client.is_closed() {
            *client = connect(&self.config).await?;
        }
        Ok(client)
    }
}

async fn connect(config: &Config) -> Result<Client, Error> {
    let (client, connection) =
        config.connect(NoTls).await.map_err(|error| Error::database("being connected to", error))?;
    // The task ends with the client, or with the connection.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the connection to the database was lost");
        }
    });
    Ok(client)
}

#[async_trait]
impl Jobs for Postgres {
    async fn insert(&self, job: Job) -> Result<Job, Error> {
        let inserted = self
            .client()
            .await?
            .execute(
                "INSERT INTO jobs (id, created_at, updated_at, completed_at, failed_at, data)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
                &[
                    &job.id.0,
                    &job.created_at,
                    &job.updated_at,
                    &job.completed_at,
                    &job.failed_at,
                    &Json(&job.data),
                ],
            )
            .await
            .map_err(|error| Error::database("inserting a job", error))?;
        if inserted == 1 {
            return Ok(job);
        }
        self.get(job.id).await?.ok_or(Error::UnknownJob(job.id))
    }

    async fn get(&self, id: JobId) -> Result<Option<Job>, Error> {
        let doing = |error| Error::database("reading a job", error);
        let select = format!("SELECT {COLUMNS} FROM jobs WHERE id = $1");
        let row = self.client().await?.query_opt(&select, &[&id.0]).await.map_err(doing)?;
        row.as_ref().map(job).transpose().map_err(doing)
    }

    async fn merge(&self, ended: Ended, now: Timestamp) -> Result<Merged, Error> {
        let doing = |error| Error::database("merging a result", error);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(doing)?;
        let select = format!("SELECT {COLUMNS} FROM jobs WHERE id = $1 FOR UPDATE");
        let row = transaction.query_opt(&select, &[&ended.job.0]).await.map_err(doing)?;
        let row = row.ok_or(Error::UnknownJob(ended.job))?;
        let mut job = job(&row).map_err(doing)?;
        let unknown = Error::UnknownImage { job: ended.job, image: ended.image };
        let merged = job.merge(&ended, now).ok_or(unknown)?;
        if merged == Merged::Changed {
            let update =
                "UPDATE jobs SET updated_at = $2, completed_at = $3, failed_at = $4, data = $5 WHERE id = $1";
            transaction
                .execute(
                    update,
                    &[&job.id.0, &job.updated_at, &job.completed_at, &job.failed_at, &Json(&job.data)],
                )
                .await
                .map_err(doing)?;
        }
        transaction.commit().await.map_err(doing)?;
        Ok(merged)
    }

    async fn newest(&self, limit: u32) -> Result<Vec<Job>, Error> {
        let doing = |error| Error::database("listing jobs", error);
        let select = format!("SELECT {COLUMNS} FROM jobs ORDER BY created_at DESC, id LIMIT $1");
        let rows = self.client().await?.query(&select, &[&i64::from(limit)]).await.map_err(doing)?;
        rows.iter().map(job).collect::<Result<_, _>>().map_err(doing)
    }

    async fn totals(&self) -> Result<Totals, Error> {
        let doing = |error| Error::database("counting jobs", error);
        let select = "SELECT count(*), count(completed_at), count(failed_at) FROM jobs";
        let row = self.client().await?.query_one(select, &[]).await.map_err(doing)?;
        let count = |column| {
            row.try_get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0)).map_err(doing)
        };
        Ok(Totals { jobs: count(0)?, completed: count(1)?, failed: count(2)? })
    }
}

fn job(row: &Row) -> Result<Job, tokio_postgres::Error> {
    let Json(data): Json<Images> = row.try_get(5)?;
    Ok(Job {
        id: JobId(row.try_get(0)?),
        created_at: row.try_get(1)?,
        updated_at: row.try_get(2)?,
        completed_at: row.try_get(3)?,
        failed_at: row.try_get(4)?,
        data,
    })
}
