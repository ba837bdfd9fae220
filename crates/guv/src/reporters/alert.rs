//! What somebody should know about a role: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use guv_model::{Limit, Role, RoleConfig, Timestamp};
use serde::Serialize;

use crate::tools::capacity::jobs_per_second;
use crate::{Outcome, Record};

/// A rate is measured over seconds: what has been too much for so long is no burst.
const NO_BURST: Duration = Duration::from_secs(60);

/// What somebody should know about a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Alert {
    /// The oldest message has waited for longer than the deadline.
    DeadlineMissed,
    /// More workers are needed than there may be.
    MaximumReached,
    /// All workers that there may be are there, more are needed, and more is published per second than they can do.
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
    // Whoever is still being asked for may do.
    let is_limited = decision.limits.iter().any(limited);
    let has_most = is_limited && decision.target.is_none_or(|target| Some(target) == decision.current());
    let is_too_much = queue.fill_rate.is_some_and(|rate| rate > jobs_per_second(role, most));
    let checks = [
        (Alert::DeadlineMissed, queue.oldest.is_some_and(|age| age > role.deadline)),
        (Alert::MaximumReached, is_limited),
        (Alert::Unsustainable, has_most && is_too_much),
        (Alert::SourceBlind, matches!(record.outcome, Outcome::Blind { .. })),
        (Alert::ActuatorFailing, matches!(record.outcome, Outcome::Failed { .. })),
    ];
    checks.into_iter().filter(|(_, holds)| *holds).map(|(alert, _)| alert).collect()
}

/// What is so of all roles, so that each beginning and each end is told once.
#[derive(Default)]
pub(super) struct Standing {
    /// Since when.
    holds: BTreeMap<(Role, Alert), Timestamp>,
    told: BTreeSet<(Role, Alert)>,
}

impl Standing {
    /// What a record begins, and what it ends.
    pub(super) fn note(&mut self, record: &Record, role: &RoleConfig) -> (Vec<Alert>, Vec<Alert>) {
        let now = alerts(record, role);
        self.holds.retain(|(role, alert), _| *role != record.role || now.contains(alert));
        let (mut begins, mut ends) = (Vec::new(), Vec::new());
        for alert in now {
            let key = (record.role.clone(), alert);
            let since = *self.holds.entry(key.clone()).or_insert(record.at);
            let lasts = alert != Alert::Unsustainable || record.at.saturating_since(since) >= NO_BURST;
            if lasts && self.told.insert(key) {
                begins.push(alert);
            }
        }
        self.told.retain(|key| {
            let stays = key.0 != record.role || self.holds.contains_key(key);
            if !stays {
                ends.push(key.1);
            }
            stays
        });
        (begins, ends)
    }
}

#[cfg(test)]
mod tests {
    use guv_model::{Environment, Observation, QueueSample, RoleState, WorkerCount};

    use super::*;

    #[test]
    fn a_burst_is_sustainable_and_what_the_most_workers_cannot_do_for_a_minute_is_not() {
        let text = "work: {policy: proportional, processing: 10, deadline: 60, max: 8}";
        let config = crate::config::load("t", text, &Environment::default(), &[]).unwrap().config;
        let (role, mut standing) = (&config.roles[0], Standing::default());
        let mut state = RoleState::new(0);
        let mut note = |second: u64, workers: u32, ready: u64, fill_rate: f64| {
            let queue = QueueSample {
                ready: Some(ready),
                unacknowledged: Some(0),
                fill_rate: Some(fill_rate),
                ..QueueSample::default()
            };
            let workers = Some(WorkerCount::running(workers));
            let observation = Observation { queue, workers, ..Observation::default() };
            let at = Timestamp::from_unix_seconds(1_000_000 + second);
            let decision = state.step(role, &observation, at);
            let (role_name, outcome) = (role.role.clone(), Outcome::Unchanged);
            let record = Record { cycle: 1, at, role: role_name, app: None, decision, outcome };
            let (begins, ends) = standing.note(&record, role);
            let has = |alerts: &[Alert]| alerts.contains(&Alert::Unsustainable);
            (has(&begins), has(&ends))
        };
        assert_eq!(note(0, 3, 80, 16.0), (false, false), "more are asked for");
        assert_eq!(note(5, 8, 70, 16.0), (false, false), "a burst");
        assert_eq!(note(30, 8, 20, 0.0), (false, false));
        assert_eq!(note(60, 8, 90, 1.0), (false, false));
        assert_eq!(note(90, 8, 100, 1.0), (false, false));
        assert_eq!(note(120, 8, 110, 1.0), (true, false), "for a minute");
        assert_eq!(note(150, 8, 120, 1.0), (false, false), "once");
        assert_eq!(note(180, 8, 20, 0.5), (false, true));
    }
}
