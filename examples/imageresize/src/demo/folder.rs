//! Where a run keeps its things, and what it must remember so that another can go on with it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use uuid::Uuid;

use crate::workload::Workload;

const RECORD: &str = "demo.json";
const COMPLETE: &str = "complete";

/// The folder of a run. A temporary one ends with it unless it is kept.
pub(crate) enum Folder {
    /// Somebody's own.
    Given(PathBuf),
    /// Made for this run.
    Temporary(TempDir),
}

/// What a run must remember.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Record {
    images: usize,
    per_job: usize,
    /// Where the originals are served: messages name them by their URLs.
    pub(crate) port: u16,
    /// The jobs.
    keys: Vec<Uuid>,
}

impl Folder {
    pub(crate) fn open(given: Option<PathBuf>, keep: bool) -> Result<Self> {
        match given {
            Some(path) => {
                std::fs::create_dir_all(&path)
                    .with_context(|| format!("{} cannot be made", path.display()))?;
                let path = path.canonicalize().with_context(|| format!("{} is not there", path.display()))?;
                Ok(Self::Given(path))
            }
            None => {
                let made = tempfile::Builder::new().prefix("imageresize-").tempdir();
                let mut made = made.context("no temporary folder can be made")?;
                made.disable_cleanup(keep);
                Ok(Self::Temporary(made))
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    /// The folder, which stays.
    pub(crate) fn keep(self) -> PathBuf {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.keep(),
        }
    }

    /// Fails if there is a run in it.
    pub(crate) fn check_unused(&self) -> Result<()> {
        let path = self.path().join(RECORD);
        ensure!(
            !path.exists(),
            "{} has a run already: go on with it (--resume), or name another folder",
            self.path().display()
        );
        Ok(())
    }

    /// The run that is in it.
    pub(crate) fn record(&self) -> Result<Record> {
        let path = self.path().join(RECORD);
        let there_is_none = || format!("{} has no run to go on with", self.path().display());
        let text = std::fs::read_to_string(&path).with_context(there_is_none)?;
        ensure!(
            !self.path().join(COMPLETE).exists(),
            "the run in {} is complete: there is nothing to go on with",
            self.path().display()
        );
        serde_json::from_str(&text).with_context(|| format!("{} is not what a run writes", path.display()))
    }

    pub(crate) fn write_record(&self, record: &Record) -> Result<()> {
        let path = self.path().join(RECORD);
        let text = serde_json::to_string(record)?;
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// From now on there is nothing to go on with.
    pub(crate) fn mark_complete(&self) -> Result<()> {
        let path = self.path().join(COMPLETE);
        std::fs::write(&path, "").with_context(|| format!("{} cannot be written", path.display()))
    }
}

impl Record {
    pub(crate) fn of(workload: &Workload, images: usize, per_job: usize, port: u16) -> Self {
        let keys = workload.requests.iter().map(|request| request.key).collect();
        Self { images, per_job, port, keys }
    }

    /// The workload of that run.
    pub(crate) fn continue_with(&self, workload: Workload) -> Result<Workload> {
        ensure!(
            workload.requests.len() == self.keys.len(),
            "the run in --state has {} images in jobs of {}: say --images {} --per-job {}",
            self.images,
            self.per_job,
            self.images,
            self.per_job
        );
        Ok(workload.with_keys(&self.keys))
    }
}
