//! Why nothing could be learnt about a queue, or about all queues of one place.

use guv_model::QueueName;

use crate::SourceError;

/// Like [`SourceError`], but it can be cloned: one that concerns a place is given to each of its roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no such queue.
    Missing,
    /// No answer, or not in time.
    Unreachable(String),
    /// An answer that refuses.
    Refused(String),
    /// An answer that cannot be understood.
    Malformed(String),
}

impl Failure {
    /// The error of a role with this queue.
    pub(super) fn of(self, queue: &QueueName) -> SourceError {
        match self {
            Self::Missing => SourceError::Missing { queue: queue.clone() },
            Self::Unreachable(what) => SourceError::Unreachable { what, source: None },
            Self::Refused(what) => SourceError::Refused { what },
            Self::Malformed(what) => SourceError::Malformed { what, source: None },
        }
    }
}
