//! The contract of a queue source.

use async_trait::async_trait;
use guv_model::{QueueName, QueueSample, RoleConfig};

use crate::{Answers, BoxError};

/// Knows what waits in queues.
///
/// A new source is one file with an implementation of this, and one line where the registry is built.
#[async_trait]
pub trait Source: Send + Sync {
    /// Whether this source can serve the role; called when a configuration is taken into force, before any
    /// [`sample`](Source::sample). A role is given to the first source of the registry that accepts it.
    ///
    /// # Errors
    /// Says what is missing and what to do, for instance "it has no broker; set `broker:` or GUV_BROKER".
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        let _ = role;
        Ok(())
    }

    /// Looks at the queues of these roles, once per cycle, all in one call so that they can be asked for together.
    ///
    /// Each role has an answer of its own: a queue that is missing must not spoil the others. What the system
    /// behind cannot tell is `None`, never zero. Several roles may share a queue. The call is dropped when the
    /// governor's patience ends ([`Options::patience`](crate::governor::Options::patience)), and then every role
    /// in it counts as failed: a source that asks several hosts should limit its patience with each.
    async fn sample(&self, roles: &[&RoleConfig]) -> Answers<QueueSample, SourceError>;
}

/// Why nothing is known about a queue. The governor changes nothing then, and asks again in the next cycle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no such queue.
    #[error(
        "there is no queue `{queue}`; check `queue:`, and that the worker or the publisher has declared it"
    )]
    Missing {
        /// The queue asked for.
        queue: QueueName,
    },
    /// The system did not answer, or not in time.
    #[error("{what}")]
    Unreachable {
        /// Which system, without credentials.
        what: String,
        /// Why.
        source: Option<BoxError>,
    },
    /// The system answered, but refused.
    #[error("{what}")]
    Refused {
        /// Which system and what it said, and what to do.
        what: String,
    },
    /// The answer cannot be understood.
    #[error("{what}")]
    Malformed {
        /// Which answer.
        what: String,
        /// What is wrong with it.
        source: Option<BoxError>,
    },
    /// The source gave no answer for this role.
    #[error("the source gave no answer for this role")]
    NoAnswer,
}
