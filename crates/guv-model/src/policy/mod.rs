//! The policies: how many workers a role should have.
//!
//! A policy is a pure function of the role's configuration, what is remembered of the role, one observation and
//! `now`. Adding one is a variant here, a file beside this one, and, where it needs more than there is, a field of
//! [`Memory`]. What holds for every policy (steps, cooldown, busy workers, manual settings) is not its business:
//! that comes after it.

mod deadline;
mod memory;
mod proportional;
mod ratio;
mod window;

use serde::{Deserialize, Serialize};

use crate::{Decision, Observation, Parameters, RoleConfig, Timestamp};

pub use deadline::{Demand, Due, Forecast, Need, Prospect};
pub use memory::Memory;
pub use window::EstimateWindow;

/// How the number of workers is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Policy {
    /// In proportion to the jobs at hand, down only as far as the recent past allows: the original guv.
    Proportional,
    /// By a table of waiting jobs, down when the last job is done: DynoScaler.
    Ratio,
    /// By looking ahead at what will be due when, with the workers that boot already.
    #[default]
    Deadline,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Proportional, Self::Ratio, Self::Deadline];

    /// Its name in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proportional => "proportional",
            Self::Ratio => "ratio",
            Self::Deadline => "deadline",
        }
    }

    /// The policy of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// Decides for one role. What `memory` holds is from earlier cycles, without this one.
    pub fn decide(
        self,
        role: &RoleConfig,
        memory: &Memory,
        observation: &Observation,
        now: Timestamp,
    ) -> Decision {
        match self {
            Self::Proportional => proportional::decide(role, memory, observation, now),
            Self::Ratio => ratio::decide(role, memory, observation, now),
            Self::Deadline => deadline::decide(role, memory, observation, now),
        }
    }
}

/// The numbers of the configuration that take part at `now`, with the platform's limit as the maximum where it is the lower
/// one; that limit, if so.
fn within_platform(
    role: &RoleConfig,
    observation: &Observation,
    now: Timestamp,
) -> (Parameters, Option<u32>) {
    let mut parameters = role.parameters(observation.clock.unwrap_or(now));
    // It says how many more there can be; those that run, run.
    let running = observation.workers.map_or(0, |workers| workers.current);
    let limit = observation.platform_limit.map(|limit| limit.max(running));
    let limit = limit.filter(|limit| *limit < parameters.limits.maximum);
    parameters.limits.maximum = limit.unwrap_or(parameters.limits.maximum);
    (parameters, limit)
}
