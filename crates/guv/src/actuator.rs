//! The contract of an actuator.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use guv_model::{AppName, Role, RoleConfig, WorkerCount};
use url::Url;

use crate::{Answers, BoxError};

/// Runs workers: says how many there are, and changes that.
///
/// Both calls are made for the roles of one application at a time, and each role has an answer of its own. They
/// are dropped when the governor's patience ends. A new actuator is one file with an implementation of this, a
/// line in `guv_model::ACTUATORS`, and a line where the registry is built, under the same name.
#[async_trait]
pub trait Actuator: Send + Sync {
    /// Whether this actuator can serve the role; called when a configuration is taken into force. A role is
    /// given to the actuator that it names, else to the first of the registry that accepts it.
    ///
    /// # Errors
    /// Says what is missing and what to do.
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        let _ = role;
        Ok(())
    }

    /// Where the role's workers are, if there are several such places: what happens at one does not delay the roles at others.
    fn place(&self, role: &RoleConfig) -> Option<Url> {
        let _ = role;
        None
    }

    /// How many workers each role has, called in every cycle, in a dry run too. It must not change anything.
    ///
    /// The governor compares what it wants with this, so that changes made by others are seen. `None` where the platform
    /// cannot tell: then what it has accepted last counts, and before that the first number is asked for, even if it is what
    /// there is already.
    async fn count(
        &self,
        app: Option<&AppName>,
        roles: &[&RoleConfig],
    ) -> Answers<Option<WorkerCount>, ActuatorError>;

    /// Makes the number of workers what each change says, in one batch where the platform can; never called in
    /// a dry run, never with two changes of one role, never with none.
    ///
    /// `Ok` means that the platform has accepted the change, not that the workers are up. It must be idempotent:
    /// a change may come again in the next cycle. Where the platform lets it choose, idle workers go first, newest
    /// first, and a busy one gets [`RoleConfig::grace`] to finish; it says so in [`WorkerCount::idle_first`] and
    /// [`WorkerCount::drains`].
    async fn apply(&self, app: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError>;

    /// What is wrong with the workers of roles that can be counted and changed, for instance that they do not stay up; roles
    /// without trouble are left out. Called after each [`count`](Actuator::count). Such a role counts as failing.
    async fn failing(&self, app: Option<&AppName>, roles: &[&RoleConfig]) -> HashMap<Role, String> {
        let _ = (app, roles);
        HashMap::new()
    }

    /// The source of these roles can be read again after a time when it could not: what their workers need may be back, and
    /// who waits to start them again need not wait. It must not block. Never called in a dry run.
    fn source_is_back(&self, roles: &[&RoleConfig]) {
        let _ = roles;
    }

    /// Another configuration has been taken into force, with these roles for this actuator. Workers of others that guv
    /// itself runs are ended here, as nobody is left to change them; those that a platform runs stay as they are. Never called
    /// in a dry run.
    async fn configured(&self, roles: &[&RoleConfig]) {
        let _ = roles;
    }

    /// What is left of the requests that the platform allows, as it said last; `None` where it has no such limit
    /// or has not been asked yet. With little left the governor counts less often and saves the rest for changes.
    fn quota(&self, app: Option<&AppName>) -> Option<Quota> {
        let _ = app;
        None
    }
}

/// What is left of the requests that a platform allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests left now.
    pub remaining: u32,
    /// How long it takes until one more is given back.
    pub per_request: Duration,
}

/// A number of workers to be made so.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The role.
    pub role: &'a RoleConfig,
    /// Workers now, where known.
    pub current: Option<u32>,
    /// Workers wanted.
    pub target: u32,
}

/// Why a count or a change failed; it tells the governor what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActuatorError {
    /// It may work later: the platform was away, or has had enough requests.
    #[error("{what}")]
    Retry {
        /// What happened.
        what: String,
        /// How long the application is to be left alone; `None` means until the next cycle.
        after: Option<Duration>,
        /// Why.
        source: Option<BoxError>,
    },
    /// The platform does not run so many. The governor asks for no more than this for a while.
    #[error("the platform runs at most {limit} workers of this role: {what}")]
    Limit {
        /// The most that it runs.
        limit: u32,
        /// What it said.
        what: String,
    },
    /// The batch was refused because of another role in it; it can be sent again at once without that one.
    #[error("refused together with another role of the same request")]
    Bystander,
    /// It will not work until somebody changes something: the credentials, the configuration, the platform.
    #[error("{what}")]
    Fatal {
        /// What happened, and what to do.
        what: String,
        /// Why.
        source: Option<BoxError>,
    },
    /// The actuator gave no answer for this role.
    #[error("the actuator gave no answer for this role")]
    NoAnswer,
}

impl ActuatorError {
    /// It may work in the next cycle.
    pub fn retry(what: impl Into<String>) -> Self {
        Self::Retry { what: what.into(), after: None, source: None }
    }

    /// It will not work until somebody changes something.
    pub fn fatal(what: impl Into<String>) -> Self {
        Self::Fatal { what: what.into(), source: None }
    }
}
