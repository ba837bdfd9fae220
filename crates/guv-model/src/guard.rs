//! What comes after every policy: manual settings, pauses, steps, cooldown, busy workers, repetition.
//!
//! A guard takes a decision back towards what there is now, and says so among its limits; it never goes further
//! than the policy does. Where nobody knows what there is, jobs in hand tell how much that is at least. A manual setting
//! alone replaces what the policy says, and is subject to nothing but the platform's limit: somebody has looked.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::{Action, Decision, InFlight, Limit, Reason, RoleConfig, Timestamp};

/// The same number is not asked for twice within this time.
pub(crate) const THROTTLE: Duration = Duration::from_secs(5);

/// What a platform has accepted last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) workers: u32,
    pub(crate) at: Timestamp,
}

/// Puts all guards to a decision. `is_watched`: the role has been looked at for as long as estimates are remembered.
pub(crate) fn guard(
    decision: &mut Decision,
    role: &RoleConfig,
    accepted: Option<Accepted>,
    is_watched: bool,
    now: Timestamp,
) {
    let observation = &decision.inputs.observation;
    if let Some(manual) = observation.manual.filter(|manual| manual.until > now) {
        let workers = manual.workers.min(observation.platform_limit.unwrap_or(u32::MAX));
        decision.reason = Reason::Manual { workers: manual.workers, until: manual.until };
        decision.limits.clear();
        if workers < manual.workers {
            decision.limits.push(Limit::Platform { workers });
        }
        decision.ask_for(workers);
        return throttle(decision, accepted, now);
    }
    if role.paused || observation.paused.is_some_and(|until| until > now) {
        decision.limits.push(Limit::Paused);
        return decision.keep();
    }
    let minimum = decision.inputs.parameters.limits.bound(0);
    if decision.action == Action::Hold && decision.current().is_some_and(|current| current < minimum) {
        // Nothing need be known of the queue for these; perhaps it is they who make it.
        decision.reason = Reason::UpToMinimum;
        decision.ask_for(minimum);
    }
    if let (Action::Set, Some(target)) = (decision.action, decision.target) {
        keep_busy(decision, role, target);
    }
    if let (Some(target), Some(current)) = (decision.target, decision.current()) {
        match decision.action {
            Action::Up => step(decision, role.max_step_up, target - current, |step| current + step),
            Action::Down => {
                if let Some(left) = cooldown(role, accepted, now) {
                    decision.limits.push(Limit::Cooldown { left });
                    return decision.keep();
                }
                let bounded = matches!(decision.inputs.in_flight, InFlight::AtMost(jobs) if jobs > 0);
                if bounded && !is_watched && !role.stop_busy {
                    decision.limits.push(Limit::Unwatched);
                    return decision.keep();
                }
                keep_busy(decision, role, target);
                let fewer = current - decision.target.unwrap_or(current);
                step(decision, role.max_step_down, fewer, |step| current - step);
            }
            Action::Set | Action::Keep | Action::Hold => {}
        }
    }
    throttle(decision, accepted, now);
}

fn keep_busy(decision: &mut Decision, role: &RoleConfig, target: u32) {
    if let Some(busy) = busy(decision, role).filter(|busy| *busy > target && !role.stop_busy) {
        decision.limits.push(Limit::Busy { workers: busy });
        decision.ask_for(busy);
    }
}

/// How many workers are at work, as far as it is known, and not more than there are; where it is not known how many there
/// are, not more than there may be.
pub(crate) fn busy(decision: &Decision, role: &RoleConfig) -> Option<u32> {
    let workers = decision.inputs.observation.workers;
    let by_jobs = match decision.inputs.in_flight {
        InFlight::Counted(jobs) | InFlight::Reported(jobs) => {
            Some(jobs.div_ceil(u64::from(role.concurrency.get())))
        }
        // A bound is no sign of work.
        InFlight::AtMost(_) | InFlight::Unknown => None,
    };
    let busy = workers.and_then(|workers| workers.busy).map(u64::from).or(by_jobs)?;
    let most = match workers {
        Some(workers) => workers.current,
        None => decision.inputs.parameters.limits.bound(u32::MAX),
    };
    Some(u32::try_from(busy).unwrap_or(u32::MAX).min(most))
}

fn step(decision: &mut Decision, most: Option<NonZeroU32>, wanted: u32, then: impl Fn(u32) -> u32) {
    if let Some(most) = most.map(NonZeroU32::get).filter(|most| *most < wanted) {
        decision.limits.push(Limit::Step { workers: most });
        decision.ask_for(then(most));
    }
}

fn cooldown(role: &RoleConfig, accepted: Option<Accepted>, now: Timestamp) -> Option<Duration> {
    let since = now.saturating_since(accepted?.at);
    Some(role.cooldown.saturating_sub(since)).filter(|left| !left.is_zero())
}

fn throttle(decision: &mut Decision, accepted: Option<Accepted>, now: Timestamp) {
    let repeated = accepted.is_some_and(|accepted| {
        decision.target == Some(accepted.workers) && now.saturating_since(accepted.at) < THROTTLE
    });
    if repeated {
        decision.limits.push(Limit::Throttled);
        decision.keep();
    }
}
