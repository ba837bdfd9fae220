//! Recorded observations through another configuration.
//!
//! The queue is as it was recorded, whatever the replayed policy does; only the number of workers is its own. So a
//! replay tells how a configuration would have answered what was seen, and what that would have cost, not how the
//! queue would have gone on: that takes the simulator.

use std::collections::BTreeMap;
use std::time::Duration;

use guv_model::{Config, Decision, Role, RoleState, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Outcome, Record};

/// The longest time between two records that counts as one state lasting.
const LONGEST_GAP: Duration = Duration::from_secs(600);

/// What came of one role.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RoleOutcome {
    /// Observations replayed.
    pub observations: u64,
    /// Those in which both asked for the same number.
    pub same: u64,
    /// As it was.
    pub recorded: Use,
    /// As it would have been.
    pub replayed: Use,
    /// It has a budget, and the replay knows nothing of what that would have left it.
    pub without_budget: bool,
}

/// Workers over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Use {
    /// Workers times hours.
    pub worker_hours: f64,
    /// How often the number was changed.
    pub changes: u64,
    /// The most workers.
    pub most: u32,
}

struct Replayed {
    state: RoleState,
    workers: Option<u32>,
    /// As many as there were after the last look.
    recorded: Option<u32>,
    at: Timestamp,
    outcome: RoleOutcome,
}

/// Replays records, which come in the order of time.
pub struct Replay<'c> {
    config: &'c Config,
    roles: BTreeMap<Role, Replayed>,
}

impl<'c> Replay<'c> {
    /// A replay through a configuration.
    pub fn new(config: &'c Config) -> Self {
        Self { config, roles: BTreeMap::new() }
    }

    /// Takes in a record; the decision that would have been made, or `None` where the configuration has no such role.
    pub fn step(&mut self, record: &Record) -> Option<Decision> {
        let role = self.config.role(&record.role)?;
        let mut observation = record.decision.inputs.observation.clone();
        let time_of_day = observation.clock.unwrap_or(record.at);
        let was = observation.workers.map(|workers| workers.current);
        let replayed = self.roles.entry(record.role.clone()).or_insert_with(|| Replayed {
            state: RoleState::new(self.config.window()),
            // As many as there were, as far as this configuration allows them.
            workers: was.map(|workers| role.limits_at(time_of_day).bound(workers)),
            recorded: was,
            at: record.at,
            outcome: RoleOutcome::default(),
        });
        let gap = record.at.saturating_since(replayed.at).min(LONGEST_GAP);
        // The window is as long as it is configured, though somebody looked less often then.
        if replayed.outcome.observations == 1 && gap > self.config.poll_interval {
            let looks = self.config.history.as_secs_f64() / gap.as_secs_f64();
            replayed.state.reconfigure(looks as usize, role.limits_at(time_of_day));
        }
        let gap = gap.as_secs_f64() / 3600.0;
        let outcome = &mut replayed.outcome;
        outcome.recorded.worker_hours += f64::from(replayed.recorded.unwrap_or(0)) * gap;
        outcome.replayed.worker_hours += f64::from(replayed.workers.unwrap_or(0)) * gap;
        replayed.at = record.at;
        if let (Some(workers), Some(own)) = (&mut observation.workers, replayed.workers) {
            workers.current = own;
            workers.booting = None;
            workers.busy = workers.busy.map(|busy| busy.min(own));
        }
        let decision = replayed.state.step(role, &observation, record.at);
        let recorded = match record.outcome {
            Outcome::Applied { workers } | Outcome::Planned { workers } => Some(workers),
            _ => None,
        };
        outcome.observations += 1;
        outcome.recorded.changes += u64::from(recorded.is_some());
        outcome.replayed.changes += u64::from(decision.target.is_some());
        if let Some(target) = decision.target {
            replayed.state.accepted(target, record.at);
            replayed.workers = Some(target);
        }
        let now = recorded.or(was);
        replayed.recorded = now;
        outcome.same += u64::from(now == replayed.workers);
        outcome.recorded.most = outcome.recorded.most.max(now.unwrap_or(0));
        outcome.replayed.most = outcome.replayed.most.max(replayed.workers.unwrap_or(0));
        Some(decision)
    }

    /// What came of every role.
    pub fn outcomes(self) -> BTreeMap<Role, RoleOutcome> {
        let has_budget = |role: &Role| self.config.budgets.iter().any(|budget| budget.roles.contains(role));
        let outcome = |role: Role, replayed: Replayed| {
            let without_budget = has_budget(&role);
            (role, RoleOutcome { without_budget, ..replayed.outcome })
        };
        self.roles.into_iter().map(|(role, replayed)| outcome(role, replayed)).collect()
    }
}
