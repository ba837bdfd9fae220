//! How many jobs come, followed over time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::levels::Levels;
use super::silence::Silence;
use crate::{InFlight, Observation, RoleConfig, Timestamp};

/// The time constant of the slow rate.
const SLOW: f64 = 600.0;
/// The time constant of the fast rate.
const FAST: f64 = 50.0;
/// How much of the difference between fast and slow is believed when traffic falls.
const FALL: f64 = 0.4;
/// How much of it is believed when traffic rises: being late costs deadlines, being early only money.
const RISE: f64 = 0.7;
/// The time constant of the dispersion.
const DISPERSED: f64 = 600.0;
/// It is told from what comes in so many seconds, however often it is looked: what comes in bursts comes evenly within the burst.
const TOGETHER: f64 = 30.0;
/// No single one of these makes more of the dispersion than this.
const WILDEST: f64 = 100.0;
/// So many deviations above what is expected are no chance any more: the traffic has changed.
const JUMP: f64 = 4.0;
/// Then the fast rate follows within so many seconds: one batch of jobs is not yet a rate.
const FOLLOWED: f64 = 15.0;
/// For this share of the time there may be more jobs than what is called their peak.
const EXCEEDED: f64 = 1.0 / 15.0;
/// Looks that follow each other faster than this are taken together.
const SHORTEST: Duration = Duration::from_millis(900);
/// What happened in a time longer than this is not taken for what happens now.
const LONGEST: Duration = Duration::from_secs(600);
/// So many arrivals are always thought possible within one look.
const FEWEST: f64 = 0.3;

/// What is expected of a role's traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Jobs per second.
    pub rate: f64,
    /// Jobs per second that come beside these for the moment, or stay away; it fades.
    pub excess: f64,
    /// Variance of the arrivals ÷ their mean: 1 where they are independent of each other, more where they come in bursts.
    pub dispersion: f64,
    /// The jobs in the system that were exceeded a fifteenth of the time, as far as it is remembered.
    pub peak: f64,
}

/// The time constant with which an excess is expected to fade.
const FADE: f64 = 60.0;

impl Forecast {
    /// How many jobs are expected within so many seconds.
    pub(crate) fn jobs_within(&self, seconds: f64) -> f64 {
        (self.rate * seconds + self.excess * FADE * (1.0 - (-seconds / FADE).exp())).max(0.0)
    }
}

/// The traffic of one role.
///
/// Two exponential means of the arrival rate, one slow and one fast; the squared deviation of what comes within half a
/// minute from what the slow one expects gives the dispersion. All begin as plain means, so that the first look counts in full. Where more has come than
/// chance explains, the fast mean believes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    slow: f64,
    fast: f64,
    dispersion: f64,
    /// What has come since the dispersion was last told.
    gathered: Gathered,
    levels: Levels,
    silence: Silence,
    /// Seconds observed.
    age: f64,
    seen: Option<Seen>,
}

/// Jobs that have come within so many seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Gathered {
    jobs: f64,
    seconds: f64,
}

/// The last look.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Timestamp,
    jobs: f64,
    finished: Option<u64>,
}

impl Traffic {
    /// Takes in a look at the queue; returns how many jobs have come since the last one, 0 where that is not known. Without the
    /// number of ready messages a look tells nothing.
    pub(crate) fn observe(&mut self, role: &RoleConfig, observation: &Observation, now: Timestamp) -> f64 {
        let queue = &observation.queue;
        let Some(ready) = queue.ready else { return 0.0 };
        let held = InFlight::of(queue, observation.workers, role.concurrency).jobs().unwrap_or(0);
        let jobs = ready.saturating_add(held) as f64;
        let seen = Seen { at: now, jobs, finished: queue.reports.map(|reports| reports.finished) };
        let Some(before) = self.seen else {
            self.seen = Some(seen);
            return 0.0;
        };
        let gap = now.saturating_since(before.at);
        if gap < SHORTEST {
            return 0.0;
        }
        self.seen = Some(seen);
        let seconds = gap.as_secs_f64();
        self.levels.observe(jobs, seconds);
        if gap > LONGEST {
            return 0.0;
        }
        let arrivals = queue.fill_rate.map_or_else(
            || arrivals_by_balance(&before, &seen, queue.drain_rate, role, held as f64, seconds),
            |rate| rate.max(0.0) * seconds,
        );
        self.follow(arrivals, seconds);
        arrivals
    }

    fn follow(&mut self, arrivals: f64, seconds: f64) {
        let of_all = seconds / (self.age + seconds);
        self.disperse(arrivals, seconds);
        let expected = (self.slow * seconds).max(FEWEST);
        let chance = (expected * self.dispersion.max(1.0)).sqrt();
        let jumped = arrivals - expected > JUMP * chance;
        let rate = arrivals / seconds;
        self.slow += (1.0 - (-seconds / SLOW).exp()).max(of_all) * (rate - self.slow);
        let follows = if jumped { (seconds / FOLLOWED).min(1.0) } else { 0.0 };
        self.fast += (1.0 - (-seconds / FAST).exp()).max(of_all).max(follows) * (rate - self.fast);
        self.age += seconds;
        self.silence.observe(arrivals, seconds);
    }

    fn disperse(&mut self, arrivals: f64, seconds: f64) {
        self.gathered.jobs += arrivals;
        self.gathered.seconds += seconds;
        if self.gathered.seconds < TOGETHER {
            return;
        }
        let observed = self.age + seconds;
        let Gathered { jobs, seconds } = std::mem::take(&mut self.gathered);
        let of_all = seconds / observed;
        let expected = (self.slow * seconds).max(FEWEST);
        let deviation = ((jobs - expected).powi(2) / expected).min(WILDEST);
        self.dispersion += (seconds / DISPERSED).min(1.0).max(of_all) * (deviation - self.dispersion);
    }

    /// What is expected from here on.
    pub(crate) fn forecast(&self) -> Forecast {
        let dispersion = self.dispersion.max(1.0);
        if self.silence.is_over() {
            return Forecast { dispersion, ..Forecast::default() };
        }
        let change = self.fast - self.slow;
        let believed = if change > 0.0 { RISE } else { FALL };
        Forecast {
            rate: self.slow,
            excess: believed * change,
            dispersion,
            peak: self.levels.exceeded(EXCEEDED),
        }
    }

    /// How long ago the last look but this one was.
    pub(crate) fn last_seen(&self) -> Option<Timestamp> {
        self.seen.map(|seen| seen.at)
    }
}

/// What has come is what there is more of, and what was done meanwhile.
fn arrivals_by_balance(
    before: &Seen,
    now: &Seen,
    drain_rate: Option<f64>,
    role: &RoleConfig,
    held: f64,
    seconds: f64,
) -> f64 {
    let counted = match (before.finished, now.finished) {
        // A sum that has shrunk has started anew.
        (Some(before), Some(now)) if now >= before => Some((now - before) as f64),
        _ => drain_rate.map(|rate| rate.max(0.0) * seconds),
    };
    // Where nobody tells: as much as the jobs in hand would have been done, going by how long one takes.
    let done = counted.unwrap_or_else(|| held * seconds / role.processing.as_secs_f64());
    (now.jobs - before.jobs + done).max(0.0)
}
