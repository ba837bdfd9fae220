//! What somebody should know about a role: pure.

use std::fmt;

use guv_model::{Limit, RoleConfig};
use serde::Serialize;

use crate::tools::capacity::jobs_per_second;
use crate::{Outcome, Record};

/// What somebody should know about a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Alert {
    /// The oldest message has waited for longer than the deadline.
    DeadlineMissed,
    /// More workers are needed than there may be.
    MaximumReached,
    /// More is published per second than the most workers can do.
    Unsustainable,
    /// Nothing is known about the queue.
    SourceBlind,
    /// The workers could not be counted or changed, or do not stay up.
    ActuatorFailing,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeadlineMissed => "the oldest message has waited for longer than the deadline",
            Self::MaximumReached => "more workers are needed than there may be",
            Self::Unsustainable => "more is published than the most workers can do",
            Self::SourceBlind => "nothing is known about the queue",
            Self::ActuatorFailing => "the workers cannot be counted or changed, or do not stay up",
        })
    }
}

/// What is to be said about a role, given a record of it.
pub fn alerts(record: &Record, role: &RoleConfig) -> Vec<Alert> {
    let decision = &record.decision;
    let queue = &decision.inputs.observation.queue;
    let most = decision.inputs.parameters.limits.maximum;
    let limited = |limit: &Limit| {
        matches!(limit, Limit::Maximum { .. } | Limit::Platform { .. } | Limit::Budget { .. })
    };
    let checks = [
        (Alert::DeadlineMissed, queue.oldest.is_some_and(|age| age > role.deadline)),
        (Alert::MaximumReached, decision.limits.iter().any(limited)),
        (Alert::Unsustainable, queue.fill_rate.is_some_and(|rate| rate > jobs_per_second(role, most))),
        (Alert::SourceBlind, matches!(record.outcome, Outcome::Blind { .. })),
        (Alert::ActuatorFailing, matches!(record.outcome, Outcome::Failed { .. })),
    ];
    checks.into_iter().filter(|(_, holds)| *holds).map(|(alert, _)| alert).collect()
}
