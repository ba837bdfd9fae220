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

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such queue"),
            Self::Unreachable(what) | Self::Refused(what) | Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl Failure {
    /// What happened first, with what happened to the other way that was tried then.
    #[cfg(feature = "amqp")]
    pub(super) fn and(self, then: Self) -> Self {
        let (Self::Unreachable(then) | Self::Refused(then) | Self::Malformed(then)) = then else {
            return self;
        };
        let both = |first: String| format!("{first}; and by AMQP, {then}");
        match self {
            Self::Missing => Self::Missing,
            Self::Unreachable(what) => Self::Unreachable(both(what)),
            Self::Refused(what) => Self::Refused(both(what)),
            Self::Malformed(what) => Self::Malformed(both(what)),
        }
    }

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
