//! The deadline policy: enough workers, at every moment ahead, for what will be due by then.
//!
//! It looks at what waits and is in hand, at how fast jobs come and how unevenly, at the workers that there are and at
//! those that boot already, and asks whether they do all work in time, three minutes ahead, or three starts. Up at once, when what is
//! expected cannot be done by the workers that there are: those that boot are counted, so that nothing is asked for twice. Down only when fewer
//! would do even if more came than is likely: a worker too many costs little, one too few costs deadlines. The last workers go
//! when no job is expected for longer than it is worth to wait for it ([`lull`]). While more jobs are late than is aimed at, more workers
//! stand by; while fewer are, fewer ([`promise`]). What a timer starts is foreseen ([`periodic`]).
//!
//! What is not known is replaced by what is safe: without the age of the oldest job it is taken to have waited since the queue was last
//! seen empty; without rates the balance of jobs gives them; a bound on the jobs in hand counts in full; without ready
//! messages nothing is changed.

mod ages;
mod bursts;
mod changes;
mod look_ahead;
mod lull;
mod periodic;
mod promise;
mod silence;
mod starts;
mod traffic;

use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Action, Decision, Estimate, InFlight, Inputs, Observation, Policy, Reason, RoleConfig, Timestamp,
    WorkerCount,
};

use super::{Memory, within_platform};
use look_ahead::{MOST, Needed, Outlook};
use lull::Lull;
use promise::{Promise, Seen, late_after};
use starts::Starts;
use traffic::{Traffic, Waits};

pub use look_ahead::{Demand, Need};
pub use periodic::Due;
pub use traffic::Forecast;

/// So many deviations above what is expected count when workers are taken away, for to have them again takes a start. None count
/// when workers are added: that can still be done at the next look.
const DOWN: f64 = 1.15;
/// So many deviations of the processing time are left for a job itself.
const TAIL: f64 = 1.95;
/// What is seen may be this old, as a part of the time between looks, seconds at most.
const STALE: (f64, f64) = (1.0 / 6.0, 5.0);
/// The time constant of the usual time between looks, seconds.
const USUAL: f64 = 300.0;
/// A longer time between looks is a pause, and nothing to reckon with.
const LONGEST: Duration = Duration::from_secs(600);
/// A worker that was needed so short a time ago is not taken away, but for a lull: where it is looked often, some look will always
/// find fewer.
const JUST: Duration = Duration::from_secs(10);
/// The workers that there are at first go little by little in so many seconds: they are the best there is to go by.
const FRESH: f64 = 600.0;

/// What is remembered of a role for this policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    traffic: Traffic,
    starts: Starts,
    lull: Lull,
    promise: Promise,
    /// Since when jobs have been waiting.
    waiting_since: Option<Timestamp>,
    /// The time between the last two looks.
    interval: Duration,
    /// The time between looks as it mostly is, seconds: events come at any time.
    usual: Usual,
    /// When all workers that there were were needed last.
    all_needed: Option<Timestamp>,
    /// The first look, and the workers then.
    first: Option<(Timestamp, u32)>,
}

/// The mean time between looks, each weighted by itself.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    seconds: f64,
}

impl Usual {
    fn observe(&mut self, interval: Duration) {
        let interval = interval.min(LONGEST).as_secs_f64();
        let fade = if self.seconds > 0.0 { (-interval / USUAL).exp() } else { 0.0 };
        self.seconds = interval + fade * (self.seconds - interval);
    }
}

/// What a decision of this policy rests on beside what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prospect {
    /// What is expected to come.
    pub forecast: Forecast,
    /// Workers that boot, as far as it is known.
    pub booting: u32,
    /// So many more deviations count for workers that stand by, because of how many jobs were late lately; negative for fewer.
    #[serde(default)]
    pub caution: f64,
    /// How long a job may wait and still be done in time, going by what is known of its processing time.
    #[serde(with = "crate::seconds")]
    pub slack: Duration,
    /// Why fewer workers would not do; `None` where the fewest suffice, and in old records where it is no reason any more.
    #[serde(default, deserialize_with = "known")]
    pub why: Option<Need>,
}

/// A reason that is known, or none.
fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Need>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Read {
        Known(Need),
        Unknown(IgnoredAny),
    }
    Ok(match Option::<Read>::deserialize(deserializer)? {
        Some(Read::Known(need)) => Some(need),
        Some(Read::Unknown(_)) | None => None,
    })
}

impl History {
    /// Takes in what is seen.
    pub(crate) fn observe(&mut self, role: &RoleConfig, observation: &Observation, now: Timestamp) {
        let since = self.traffic.last_seen();
        let interval = self.traffic.interval(observation, now);
        if let Some(interval) = interval {
            self.interval = interval;
            self.usual.observe(interval);
        }
        match observation.queue.ready {
            Some(0) => self.waiting_since = None,
            Some(_) => _ = self.waiting_since.get_or_insert(since.unwrap_or(now)),
            None => {}
        }
        if let Some(workers) = observation.workers {
            self.first.get_or_insert((now, workers.current));
            self.starts.observe(workers, role.boot.as_secs_f64(), now);
        }
        let booting = self.starts.expected(0.0, now).map(|(workers, _)| workers).sum();
        let came = self.traffic.observe(role, observation, self.waits(role), booting, now);
        let blind = role.boot.as_secs_f64() + self.usual.seconds;
        self.lull.observe(role, came, observation.workers, blind);
        if let Some(interval) = interval {
            let seconds = interval.as_secs_f64();
            let usual = self.traffic.forecast().rate * seconds;
            let late = came * late_after(role, self.waited(observation, now));
            self.promise.observe(
                role,
                Seen { seconds, came, usual, late },
                self.has_room(role, observation, now),
            );
        }
    }

    /// Nobody has watched for a while: whoever works now may be busy.
    pub(crate) fn begin_to_watch(&mut self) {
        self.first = None;
    }

    /// Takes in what was decided.
    pub(crate) fn decided(&mut self, decision: &Decision) {
        let workers = decision.inputs.observation.workers;
        if let (Some(estimate), Some(workers)) = (&decision.estimate, workers)
            && estimate.workers >= workers.current
        {
            self.all_needed = Some(decision.at);
        }
    }

    /// The platform has just accepted so many workers.
    pub(crate) fn accepted(&mut self, workers: u32, now: Timestamp) {
        self.starts.accepted(workers, now);
        self.lull.accepted(workers, &self.traffic.forecast());
    }

    /// How long the oldest job has waited, at most.
    fn oldest(&self, observation: &Observation, now: Timestamp) -> Duration {
        let since = || self.waiting_since.map(|since| now.saturating_since(since));
        observation.queue.oldest.or_else(since).unwrap_or_default()
    }

    /// How old those are that wait: ages, and how many are at least as old.
    fn ages(&self, ready: f64, oldest: f64, now: Timestamp) -> Vec<(f64, f64)> {
        if ready == 0.0 {
            return Vec::new();
        }
        let empty =
            self.waiting_since.map_or(f64::INFINITY, |since| now.saturating_since(since).as_secs_f64());
        let mut ages = self.traffic.ages(ready);
        // Nothing waited then: whatever is taken to have come before has been done.
        ages.retain(|(age, _)| *age <= empty);
        // What came may not be known well: then ages are taken to fall evenly from the oldest job to the newest.
        ages.extend([(oldest / 2.0, ready / 2.0), (oldest, 0.0)]);
        ages
    }

    /// Whether more workers would have come if more had been needed, and those that there were could have helped.
    fn has_room(&self, role: &RoleConfig, observation: &Observation, now: Timestamp) -> bool {
        let held = role.paused || observation.paused.is_some() || observation.manual.is_some();
        let (parameters, _) = within_platform(role, observation, now);
        let booting = self.starts.expected(0.0, now).map(|(workers, _)| workers).sum();
        !held
            && observation.workers.is_none_or(|workers| {
                workers.current > booting && workers.current < parameters.limits.maximum
            })
    }

    /// How long the oldest waiting job has waited, seconds, as far as others wait as long: where nobody tells, as long as it takes
    /// until as many come as wait, and never more than four times that.
    fn waited(&self, observation: &Observation, now: Timestamp) -> f64 {
        let oldest = self.oldest(observation, now).as_secs_f64();
        let (queue, forecast) = (&observation.queue, self.traffic.forecast());
        let Some(ready) = queue.ready.filter(|ready| *ready > 0) else { return 0.0 };
        let rate = forecast.rate + forecast.excess.max(0.0);
        let most = if queue.oldest.is_some() { 4.0 * (ready + 1) as f64 } else { ready as f64 };
        oldest.min(most / rate)
    }

    fn waits(&self, role: &RoleConfig) -> Waits {
        let (mean, deviation) = (role.processing.as_secs_f64(), role.stddev.as_secs_f64());
        let deadline = role.deadline.as_secs_f64();
        // Where jobs take about as long as they may, half of the time is left for waiting: more would need workers without end.
        let slack = (deadline - mean - TAIL * deviation).max(deadline / 2.0);
        // A burst begins half an interval before it is seen, on average.
        let boot = role.boot.as_secs_f64();
        Waits { slack, blind: boot + self.usual.seconds / 2.0, boot, stale: self.stale() }
    }

    /// How old what is seen may be, seconds.
    fn stale(&self) -> f64 {
        (self.usual.seconds * STALE.0).min(STALE.1)
    }

    /// How many of the workers that there were at first are still to be kept, of so many: where jobs can wait for a start, none.
    fn fresh(&self, current: u32, waits: Waits, now: Timestamp) -> Needed {
        let first = self.first.filter(|_| waits.alone() > 0.0);
        let kept = first.map_or(0.0, |(at, workers)| {
            f64::from(workers) * (1.0 - now.saturating_since(at).as_secs_f64() / FRESH).max(0.0)
        });
        ((kept.round() as u32).min(current), Some(Need::Fresh))
    }

    fn outlook(
        &self,
        role: &RoleConfig,
        observation: &Observation,
        ready: u64,
        workers: WorkerCount,
        now: Timestamp,
    ) -> Outlook {
        let held = InFlight::of(&observation.queue, observation.workers, role.concurrency);
        let (mean, deviation) = (role.processing.as_secs_f64(), role.stddev.as_secs_f64());
        let boot = role.boot.as_secs_f64();
        let booting: Vec<_> = self.starts.expected(boot, now).collect();
        let waits = self.waits(role);
        let slack = (waits.slack - self.stale()).max(role.deadline.as_secs_f64() / 2.0);
        let mut forecast = self.traffic.forecast();
        if waits.alone() > 0.0 {
            // Asked for so long before it begins, workers are there for those that cannot wait for them.
            forecast.due = self.traffic.due(waits.alone() + self.usual.seconds, now);
        }
        // Where jobs may wait for longer than a start takes, there is the time to see whether a rise lasts.
        if forecast.excess > 0.0 {
            forecast.excess *= (boot / slack).min(1.0);
        }
        Outlook {
            ready: ready as f64,
            held: held.jobs().unwrap_or(0) as f64,
            ages: self.ages(ready as f64, self.oldest(observation, now).as_secs_f64(), now),
            slack,
            blind: waits.blind,
            mean,
            spread: 1.0 + (deviation / mean).powi(2),
            forecast,
            caution: self.promise.caution(),
            concurrency: f64::from(role.concurrency.get()),
            up: workers.current.saturating_sub(booting.iter().map(|(workers, _)| workers).sum()),
            booting,
            boot,
        }
    }
}

pub(super) fn decide(
    role: &RoleConfig,
    memory: &Memory,
    observation: &Observation,
    now: Timestamp,
) -> Decision {
    let in_flight = InFlight::of(&observation.queue, observation.workers, role.concurrency);
    let (parameters, platform_limit) = within_platform(role, observation, now);
    let bounds = parameters.limits;
    let mut decision = Decision {
        role: role.role.clone(),
        at: now,
        target: None,
        action: Action::Hold,
        reason: Reason::ReadyUnknown,
        estimate: None,
        limits: Vec::new(),
        look_again: None,
        inputs: Inputs {
            policy: Policy::Deadline,
            observation: observation.clone(),
            in_flight,
            window: Vec::new(),
            idle_for: None,
            prospect: None,
            parameters,
        },
    };
    let Some(ready) = observation.queue.ready else { return decision };
    // Without a count nothing is taken away; what there is to do is still asked for.
    let workers = observation.workers.unwrap_or(WorkerCount::running(0));
    let history = &memory.deadline;
    let outlook = history.outlook(role, observation, ready, workers, now);
    let forecast = outlook.forecast;
    let current = workers.current;
    let none = (bounds.bound(0), None);
    // Somebody who looks but once would never take anybody away.
    let remembers = memory.window.remembers();
    let fresh = if remembers { history.fresh(current, history.waits(role), now) } else { none };
    // Who has just begun to look cannot tell a lull from a moment without a job.
    let is_lull = fresh.0 == 0 && history.lull.is_long(&outlook);
    let (to_go_up, (needed, why)) = if is_lull {
        (none, none)
    } else {
        let standing = [fresh, outlook.for_a_burst(), outlook.for_chance(), none];
        // The last of the greatest is taken.
        let least = standing.into_iter().max_by_key(|(workers, _)| *workers).unwrap_or(none);
        let to_go_up = outlook.needed(0.0, least, MOST);
        let is_up = to_go_up.0 > current;
        (to_go_up, if is_up { to_go_up } else { outlook.needed(DOWN, least, current) })
    };
    let jobs = ready.saturating_add(in_flight.jobs().unwrap_or(0));
    let estimate = Estimate {
        jobs,
        turns: jobs.div_ceil(u64::from(role.concurrency.get())),
        needed: u64::from(needed),
        workers: bounds.bound(needed),
    };
    decision.limits.extend(estimate.limit_met(platform_limit));
    decision.estimate = Some(estimate);
    decision.inputs.prospect = Some(Prospect {
        forecast,
        booting: current - outlook.up,
        caution: outlook.caution,
        slack: Duration::from_secs_f64(outlook.slack),
        why,
    });
    (decision.action, decision.target, decision.reason) =
        step(&estimate, to_go_up.0, observation, in_flight, bounds.maximum);
    let ago = history.all_needed.map_or(Duration::MAX, |at| now.saturating_since(at));
    if decision.reason == Reason::FewerDo && ago < JUST && !is_lull {
        (decision.action, decision.target, decision.reason) = (Action::Keep, None, Reason::JustNeeded);
        decision.look_again = Some(JUST - ago);
    }
    decision
}

/// From the workers that there are to those that are needed.
fn step(
    estimate: &Estimate,
    expected: u32,
    observation: &Observation,
    in_flight: InFlight,
    maximum: u32,
) -> (Action, Option<u32>, Reason) {
    let Some(workers) = observation.workers else {
        return match in_flight {
            InFlight::Unknown if estimate.jobs == 0 => (Action::Hold, None, Reason::InFlightUnknown),
            _ => (Action::Set, Some(estimate.workers), Reason::WorkersUnknown),
        };
    };
    let current = workers.current;
    if current > maximum {
        return (Action::Down, Some(maximum), Reason::DownToEstimate);
    }
    if expected > current && estimate.workers > current {
        return (Action::Up, Some(estimate.workers), Reason::UpAtOnce);
    }
    if estimate.workers >= current {
        return (Action::Keep, None, Reason::Steady);
    }
    match in_flight {
        InFlight::Unknown => (Action::Hold, None, Reason::InFlightUnknown),
        _ => (Action::Down, Some(estimate.workers), Reason::FewerDo),
    }
}
