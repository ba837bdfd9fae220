//! The contract of a queue source.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use guv_model::{QueueName, QueueSample, Role, RoleConfig};
use tokio::sync::Notify;

use crate::{Answers, BoxError};

/// Knows what waits in queues.
///
/// A new source is one file with an implementation of this, a line in `guv_model::SOURCES` that names it and its
/// options, and a line where the registry is built, under the same name.
#[async_trait]
pub trait Source: Send + Sync {
    /// Whether this source can serve the role; called when a configuration is taken into force, before any
    /// [`sample`](Source::sample). A role that names its source is given to that one; any other to the first
    /// source of the registry that accepts it.
    ///
    /// # Errors
    /// Says what is missing and what to do, for instance "it has no broker; set `broker:` or GUV_BROKER".
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        let _ = role;
        Ok(())
    }

    /// Looks at the queues of these roles, once per cycle, all in one call so that they can be asked for together.
    ///
    /// The sample of a role is that of all its queues together ([`QueueSample::sum`]). Each role has an answer of
    /// its own: a queue that is missing must not spoil the other roles. What the system behind cannot tell is
    /// `None`, never zero. Several roles may share a queue. The call is dropped when the governor's patience ends
    /// ([`Options::patience`](crate::governor::Options::patience)), and then every role in it counts as failed: a
    /// source that asks several hosts should limit its patience with each.
    async fn sample(&self, roles: &[&RoleConfig]) -> Answers<QueueSample, SourceError>;

    /// Tells of changes as they happen, where the system behind can: [`Wake::role`] at a role's first waiting job
    /// and when its last one is done, at least; more often does no harm. The governor then samples that role at
    /// once.
    ///
    /// It runs beside everything else until it is dropped, which is when the governor ends or takes another
    /// configuration into force. `Ok` means that this source cannot watch these roles, and they are only polled,
    /// as the default says. After an error it is called again with growing pauses; polling goes on meanwhile.
    async fn watch(&self, roles: &[RoleConfig], wake: &Wake) -> Result<(), SourceError> {
        let _ = (roles, wake);
        Ok(())
    }
}

/// Wakes the governor for single roles. Clones wake the same one. It never blocks, and waking a role twice before
/// the governor looks is waking it once.
#[derive(Clone, Debug, Default)]
pub struct Wake {
    shared: Arc<Woken>,
}

#[derive(Debug, Default)]
struct Woken {
    roles: Mutex<HashSet<Role>>,
    notify: Notify,
}

impl Wake {
    /// Something has changed in the queues of this role.
    pub fn role(&self, role: &Role) {
        self.lock().insert(role.clone());
        self.shared.notify.notify_one();
    }

    /// The roles woken since the last time, at least one. Cancel-safe.
    pub async fn woken(&self) -> HashSet<Role> {
        loop {
            let roles = std::mem::take(&mut *self.lock());
            if !roles.is_empty() {
                return roles;
            }
            self.shared.notify.notified().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Role>> {
        self.shared.roles.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waking_twice_is_waking_once_and_none_is_lost() {
        let wake = Wake::default();
        wake.role(&Role::new("a"));
        wake.clone().role(&Role::new("a"));
        wake.role(&Role::new("b"));
        assert_eq!(wake.woken().await, HashSet::from([Role::new("a"), Role::new("b")]));
        wake.role(&Role::new("c"));
        assert_eq!(wake.woken().await, HashSet::from([Role::new("c")]));
    }
}
