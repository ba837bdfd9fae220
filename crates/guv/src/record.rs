//! What happened to one role in one cycle, and who keeps it.

use async_trait::async_trait;
use guv_model::{AppName, Config, Decision, Role, Timestamp};
use serde::{Deserialize, Serialize};

use crate::BoxError;

/// A decision and what became of it. It holds every input, so that it can be replayed, and no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The number of the cycle, from 1 since the start.
    pub cycle: u64,
    /// When the decision was made.
    pub at: Timestamp,
    /// The role.
    pub role: Role,
    /// The application that its workers belong to.
    pub app: Option<AppName>,
    /// What was decided, and from what.
    pub decision: Decision,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// There was nothing to change.
    Unchanged,
    /// The platform has accepted so many workers.
    Applied {
        /// The number accepted; less than decided where the platform has a limit.
        workers: u32,
    },
    /// So many workers would have been asked for, had this not been a dry run.
    Planned {
        /// The number.
        workers: u32,
    },
    /// The source could tell nothing, so nothing was changed.
    Blind {
        /// Why, causes included.
        error: String,
    },
    /// The workers could not be counted or changed, or do not stay up.
    Failed {
        /// Why, causes included.
        error: String,
    },
}

impl Outcome {
    /// The error, where it is one.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Blind { error } | Self::Failed { error } => Some(error),
            Self::Unchanged | Self::Applied { .. } | Self::Planned { .. } => None,
        }
    }
}

/// In words.
impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unchanged => f.write_str("nothing to change"),
            Self::Applied { workers } => write!(f, "changed to {workers}"),
            Self::Planned { workers } => write!(f, "would be changed to {workers}; this was a dry run"),
            Self::Blind { error } | Self::Failed { error } => write!(f, "not changed: {error}"),
        }
    }
}

/// Keeps records: a history, a log, a metrics service.
#[async_trait]
pub trait Recorder: Send + Sync {
    /// A configuration is taken into force; called before any record that is made by it.
    fn configured(&self, config: &std::sync::Arc<Config>) {
        let _ = config;
    }

    /// Keeps the records of one round, one for each role of it; between two polls without those that only repeat, within a
    /// second, that nothing changes. It is awaited before the next round of these roles
    /// begins, no longer than the governor's patience; a failure is logged and stops nothing.
    async fn record(&self, records: &[std::sync::Arc<Record>]) -> Result<(), RecordError>;

    /// Calls `each` with the newest records between two times, so many at most, oldest first: a governor that begins learns from them
    /// what was known before. It may block for some seconds. Who keeps nothing calls nobody.
    ///
    /// # Errors
    /// [`RecordError`] when they cannot be read.
    fn recall(
        &self,
        from: Timestamp,
        to: Timestamp,
        most: usize,
        each: &mut dyn FnMut(&Record),
    ) -> Result<(), RecordError> {
        let _ = (from, to, most, each);
        Ok(())
    }
}

/// Records could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct RecordError {
    /// What could not be done, and where.
    pub what: String,
    /// Why.
    pub source: Option<BoxError>,
}

/// An error with its causes, on one line; a cause that its error has told already is not told again.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_is_told_already_is_not_told_again() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Link(&'static str, #[source] Option<Box<Link>>);
        let error = Link("refused (os error 111)", None);
        let error = Link("io: refused (os error 111)", Some(Box::new(error)));
        assert_eq!(with_causes(&Link("no", Some(Box::new(error)))), "no: io: refused (os error 111)");
    }
}
