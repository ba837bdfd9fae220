//! The proportional policy: workers in proportion to the jobs at hand.
//!
//! ```text
//! target    = deadline − Φ⁻¹(percentile)·stddev            (in the checked configuration)
//! available = max(processing, target − processing)
//! needed    = ⌈ ⌈jobs ÷ concurrency⌉ × processing ÷ available ⌉
//! ```
//! Up at once; down no further than the highest estimate of the window. The formulas are those of the original
//! guv. They are computed in whole nanoseconds, so that a quotient that is a whole number is not rounded up by
//! an error in its last digit. What the original does not have are the cases in which a number is not known.

use crate::{
    Action, Decision, Estimate, InFlight, Inputs, Limit, Observation, Parameters, Policy, Reason, RoleConfig,
    Timestamp,
};

use super::{EstimateWindow, Memory, within_platform};

pub(super) fn decide(
    role: &RoleConfig,
    memory: &Memory,
    observation: &Observation,
    now: Timestamp,
) -> Decision {
    let window = &memory.window;
    let in_flight = InFlight::of(&observation.queue, observation.workers, role.concurrency);
    let (parameters, platform_limit) = within_platform(role, observation, now);
    let mut limits = Vec::new();
    let estimate = observation.queue.ready.map(|ready| {
        let jobs = ready.saturating_add(in_flight.jobs().unwrap_or(0));
        let estimate = estimate(jobs, &parameters);
        limits.extend(estimate.limit_met(platform_limit));
        release_one_by_one(estimate, ready, in_flight, observation, &parameters, &mut limits)
    });
    if estimate.is_some() && !role.target_within_reach {
        limits.push(Limit::Deadline);
    }

    let current = observation.workers.map(|workers| workers.current);
    let (action, target, reason) = match estimate {
        None => (Action::Hold, None, Reason::ReadyUnknown),
        Some(estimate) => {
            let (action, target, reason) = hysteresis(estimate.workers, current, window);
            match (in_flight, action) {
                // The jobs counted are a lower bound: enough to add workers, not to take any away.
                (InFlight::Unknown, Action::Down) => (Action::Hold, None, Reason::InFlightUnknown),
                // Of workers that nobody counts at least those for the jobs that wait are asked for.
                (InFlight::Unknown, Action::Set) if estimate.jobs == 0 => {
                    (Action::Hold, None, Reason::InFlightUnknown)
                }
                _ => (action, target, reason),
            }
        }
    };
    Decision {
        role: role.role.clone(),
        at: now,
        target,
        action,
        reason,
        estimate,
        limits,
        look_again: None,
        inputs: Inputs {
            policy: Policy::Proportional,
            observation: observation.clone(),
            in_flight,
            window: window.iter().collect(),
            idle_for: None,
            prospect: None,
            parameters,
        },
    }
}

/// How many workers so many jobs need, within the role's limits.
fn estimate(jobs: u64, parameters: &Parameters) -> Estimate {
    let turns = jobs.div_ceil(u64::from(parameters.concurrency.get()));
    let work = u128::from(turns).saturating_mul(parameters.processing.as_nanos());
    // The available time is at least the processing time, and that is positive in a checked configuration.
    let needed = work.div_ceil(parameters.available.as_nanos().max(1));
    let needed = u64::try_from(needed).unwrap_or(u64::MAX);
    let workers = parameters.limits.bound(u32::try_from(needed).unwrap_or(u32::MAX));
    Estimate { jobs, turns, needed, workers }
}

/// Lets workers go although the bound on the jobs in flight says that all may be busy.
///
/// With nothing ready, and workers that finish what they hold when told to stop, taking one away loses nothing.
/// Without this a role whose source knows only the ready messages would never be back at zero. One at a time,
/// because each of them may really be busy, and the next job may come.
fn release_one_by_one(
    estimate: Estimate,
    ready: u64,
    in_flight: InFlight,
    observation: &Observation,
    parameters: &Parameters,
    limits: &mut Vec<Limit>,
) -> Estimate {
    let Some(workers) = observation.workers else {
        return estimate;
    };
    let one_less = parameters.limits.bound(workers.current.saturating_sub(1));
    if !matches!(in_flight, InFlight::AtMost(_))
        || ready > 0
        || !workers.drains
        || estimate.workers <= one_less
    {
        return estimate;
    }
    limits.push(Limit::OneByOne);
    Estimate { workers: one_less, ..estimate }
}

/// Up at once, down to what the window allows.
fn hysteresis(estimate: u32, current: Option<u32>, window: &EstimateWindow) -> (Action, Option<u32>, Reason) {
    let Some(current) = current else {
        return (Action::Set, Some(estimate), Reason::WorkersUnknown);
    };
    if estimate > current {
        return (Action::Up, Some(estimate), Reason::UpAtOnce);
    }
    if estimate == current {
        return (Action::Keep, None, Reason::Steady);
    }
    match window.highest() {
        Some(highest) if highest > estimate && highest >= current => {
            (Action::Keep, None, Reason::WindowHolds { highest })
        }
        Some(highest) if highest > estimate => {
            (Action::Down, Some(highest), Reason::DownToWindow { highest })
        }
        _ => (Action::Down, Some(estimate), Reason::DownToEstimate),
    }
}
