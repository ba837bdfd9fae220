//! The history: every decision with all its inputs, in one SQLite file.
//!
//! A thread of its own owns the writing connection; [`History`] sends it whole rounds, each a transaction, and is a
//! [`Recorder`]. Readers open connections of their own: the file is in WAL mode, so neither waits for the other.
//! Old decisions are pruned; five-minute roll-ups, which charts are drawn from, stay longer. A full disk or a
//! broken file costs records, never a decision: the governor logs it and goes on.

mod chart;
mod facts;
mod operations;
mod pack;
mod reader;
mod rollup;
mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guv_model::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::{BoxError, Record, RecordError, Recorder};

pub use chart::{Chart, Measure, Series, Totals};
pub use operations::Operation;
pub use reader::{Query, Reader, RoleUse};

use writer::{Batch, Writer};

/// Rounds that may wait for the disk; a further one waits to be taken, and is given up by the governor's patience.
const BACKLOG: usize = 64;

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Decisions with all their inputs.
    pub decisions: Duration,
    /// Of those older than this, the ones that changed something are kept with what came of it, and one in five minutes.
    pub every_decision: Duration,
    /// Roll-ups.
    pub rollups: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self { decisions: DAY * 30, every_decision: DAY * 7, rollups: DAY * 400 }
    }
}

/// The history cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or made.
    #[error("the history {} cannot be opened", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It cannot be read or written.
    #[error("the history cannot be read or written")]
    Access(#[from] rusqlite::Error),
    /// What is in it cannot be understood.
    #[error("a record of the history cannot be understood: {0}")]
    Malformed(String),
}

/// Keeps decisions.
#[derive(Clone)]
pub struct History {
    batches: mpsc::Sender<Batch>,
    path: Arc<Path>,
}

impl History {
    /// Opens the file, or makes it. The thread that writes ends with the last clone.
    ///
    /// # Errors
    /// [`Error::Open`] when the file cannot be opened or is no history.
    pub fn open(path: &Path, retention: Retention) -> Result<Self, Error> {
        let writer = Writer::open(path, retention)?;
        let (batches, queue) = mpsc::channel(BACKLOG);
        std::thread::spawn(move || writer.run(queue));
        Ok(Self { batches, path: path.into() })
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// [`Error::Open`] when the file cannot be opened.
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::open(&self.path)
    }
}

#[async_trait]
impl Recorder for History {
    async fn record(&self, records: &[Arc<Record>]) -> Result<(), RecordError> {
        let failed = |source: Option<BoxError>| RecordError {
            what: format!("the history {} cannot be written", self.path.display()),
            source,
        };
        let (reply, answer) = oneshot::channel();
        let batch = Batch { records: records.to_vec(), reply };
        self.batches.send(batch).await.map_err(|_| failed(None))?;
        match answer.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed(Some(error.into()))),
            Err(_) => Err(failed(None)),
        }
    }

    fn recall(
        &self,
        from: Timestamp,
        to: Timestamp,
        most: usize,
        each: &mut dyn FnMut(&Record),
    ) -> Result<(), RecordError> {
        let query = Query { role: None, from, to, changes: false, limit: most };
        let read = self.reader().and_then(|reader| {
            reader.for_each(&query, |record| -> Result<(), Error> {
                each(&record);
                Ok(())
            })
        });
        read.map_err(|error| RecordError {
            what: format!("the history {} cannot be read", self.path.display()),
            source: Some(error.into()),
        })
    }
}
