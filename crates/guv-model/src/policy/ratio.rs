//! The ratio policy: workers by a table of waiting jobs.
//!
//! Up at once, to the largest number of workers whose threshold the waiting jobs reach; never down while a job
//! waits or runs. When the last one is done, and nothing came for `down_delay`, down to the minimum at once. That
//! is DynoScaler's way (`job_worker_ratio`), except that a number above the maximum is taken for the maximum.

use std::time::Duration;

use crate::{
    Action, Decision, Estimate, InFlight, Inputs, Limit, Observation, Policy, Reason, RoleConfig, Timestamp,
};

use super::{Memory, within_platform};

pub(super) fn decide(
    role: &RoleConfig,
    memory: &Memory,
    observation: &Observation,
    now: Timestamp,
) -> Decision {
    let in_flight = InFlight::of(&observation.queue, observation.workers, role.concurrency);
    let (parameters, platform_limit) = within_platform(role, observation, now);
    let mut limits = Vec::new();
    let estimate = observation.queue.ready.map(|ready| {
        let needed = role.job_worker_ratio.needed(ready);
        let workers = parameters.limits.bound(needed);
        let estimate = Estimate { jobs: ready, turns: ready, needed: needed.into(), workers };
        limits.extend(estimate.limit_met(platform_limit));
        estimate
    });
    let idle_for = match (observation.queue.ready, in_flight) {
        (Some(0), InFlight::Counted(0) | InFlight::Reported(0) | InFlight::AtMost(_)) => {
            Some(memory.idle_since.map_or(Duration::ZERO, |since| now.saturating_since(since)))
        }
        _ => None,
    };
    let step = Step { role, estimate, in_flight, idle_for, observation };
    let (action, target, reason) = step.take(parameters.limits.maximum, &mut limits);
    let look_again = match reason {
        Reason::IdleDelay { left } => Some(left),
        _ => None,
    };
    Decision {
        role: role.role.clone(),
        at: now,
        target,
        action,
        reason,
        estimate,
        limits,
        look_again,
        inputs: Inputs {
            policy: Policy::Ratio,
            observation: observation.clone(),
            in_flight,
            window: memory.window.iter().collect(),
            idle_for,
            prospect: None,
            parameters,
        },
    }
}

struct Step<'a> {
    role: &'a RoleConfig,
    estimate: Option<Estimate>,
    in_flight: InFlight,
    /// How long nothing has waited and nothing is known to run.
    idle_for: Option<Duration>,
    observation: &'a Observation,
}

impl Step<'_> {
    fn take(&self, maximum: u32, limits: &mut Vec<Limit>) -> (Action, Option<u32>, Reason) {
        let Some(estimate) = self.estimate else {
            return (Action::Hold, None, Reason::ReadyUnknown);
        };
        let Some(workers) = self.observation.workers else {
            return (Action::Set, Some(estimate.workers), Reason::WorkersUnknown);
        };
        let current = workers.current;
        if estimate.workers > current {
            return (Action::Up, Some(estimate.workers), Reason::UpAtOnce);
        }
        if current > maximum {
            return (Action::Down, Some(maximum), Reason::DownToEstimate);
        }
        if estimate.workers == current {
            return (Action::Keep, None, Reason::Steady);
        }
        let Some(idle_for) = self.idle_for else {
            return match (estimate.jobs, self.in_flight) {
                (0, InFlight::Unknown) => (Action::Hold, None, Reason::InFlightUnknown),
                _ => (Action::Keep, None, Reason::Working),
            };
        };
        let left = self.role.down_delay.saturating_sub(idle_for);
        if !left.is_zero() {
            return (Action::Keep, None, Reason::IdleDelay { left });
        }
        match self.in_flight {
            // Each of them may really be at work; one that drains loses nothing by being told to stop.
            InFlight::AtMost(jobs) if jobs > 0 => {
                if workers.drains {
                    limits.push(Limit::OneByOne);
                    (Action::Down, Some(current - 1), Reason::LastJobDone)
                } else {
                    (Action::Hold, None, Reason::InFlightUnknown)
                }
            }
            _ => (Action::Down, Some(estimate.workers), Reason::LastJobDone),
        }
    }
}
