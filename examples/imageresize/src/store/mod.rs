//! Where jobs are kept: the table `jobs(id, created_at, updated_at, completed_at, failed_at, data)`, in SQLite or PostgreSQL.
//!
//! `data` is the JSON of [`Images`](crate::job::Images). A result is merged into its job's row in one transaction, in which
//! nobody else can change that row; what a merge does is [`Job::merge`]'s alone to say.

mod postgres;
mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::job::{Job, Merged};
use crate::message::{Ended, ImageId, JobId};

/// Any error of a library underneath.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where jobs are kept.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Keeps a new job. Returns the one that is kept under its id: `job` itself, or the one that was there before.
    ///
    /// # Errors
    /// When the database fails.
    async fn insert(&self, job: Job) -> Result<Job, Error>;

    /// The job, if there is one of that id.
    ///
    /// # Errors
    /// When the database fails.
    async fn get(&self, id: JobId) -> Result<Option<Job>, Error>;

    /// Merges what became of an image into its job. When it returns, that is safe on disk.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::UnknownImage`]; or when the database fails.
    async fn merge(&self, ended: Ended, now: Timestamp) -> Result<Merged, Error>;

    /// The newest jobs, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    async fn newest(&self, limit: u32) -> Result<Vec<Job>, Error>;

    /// How many jobs are where.
    ///
    /// # Errors
    /// When the database fails.
    async fn totals(&self) -> Result<Totals, Error>;
}

/// How many jobs are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// All of them.
    pub jobs: u64,
    /// Those of which every image completed.
    pub completed: u64,
    /// Those of which every image ended and at least one failed.
    pub failed: u64,
}

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such job.
    #[error("there is no job {0}")]
    UnknownJob(JobId),
    /// The job has no such image.
    #[error("job {job} has no image {image}")]
    UnknownImage {
        /// The job.
        job: JobId,
        /// What it does not have.
        image: ImageId,
    },
    /// The URL names no database that we know.
    #[error(
        "`{scheme}:` is no database that is known; use sqlite:FILE or postgres://user:password@host/name"
    )]
    UnknownDatabase {
        /// The URL's scheme.
        scheme: String,
    },
    /// The database failed.
    #[error("the database failed while {doing}")]
    Database {
        /// What was under way.
        doing: &'static str,
        /// Why.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    fn database(doing: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Database { doing, source: source.into().into() }
    }
}

/// Opens the store at `url`, `sqlite:FILE` or `postgres://…`, and makes its table unless it is there.
///
/// # Errors
/// When the URL is not understood or the database cannot be opened.
pub async fn open(url: &str) -> Result<Arc<dyn Jobs>, Error> {
    match url.split_once(':') {
        Some(("sqlite", path)) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            Ok(Arc::new(sqlite::Sqlite::open(path.into()).await?))
        }
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(postgres::Postgres::open(url).await?)),
        Some((scheme, _)) => Err(Error::UnknownDatabase { scheme: scheme.to_owned() }),
        None => Err(Error::UnknownDatabase { scheme: url.to_owned() }),
    }
}
