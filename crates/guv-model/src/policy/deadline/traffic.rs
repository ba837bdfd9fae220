//! How many jobs come, followed over time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ages::Ages;
use super::bursts::Bursts;
use super::changes::Changes;
use super::periodic::{Due, Periodic};
use super::silence::Silence;
use crate::{InFlight, Observation, RoleConfig, Timestamp};

/// The time constant of the slow rate, seconds.
const SLOW: f64 = 500.0;
/// The time constant of the fast rate, seconds.
const FAST: f64 = 25.0;
/// So many deviations of the fast rate below the slow one are no fall.
const CHANCE: f64 = 0.5;
/// The time constant of the dispersion, seconds.
const DISPERSED: f64 = 1500.0;
/// It is told from what comes in so many seconds, however often it is looked: what comes in bursts comes evenly within the burst.
const TOGETHER: f64 = 30.0;
/// No single one of these makes more of the dispersion than this.
const WILDEST: f64 = 100.0;
/// Looks that follow each other faster than this are taken together.
const SHORTEST: Duration = Duration::from_millis(900);
/// What happened in a time longer than this is not taken for what happens now.
const LONGEST: Duration = Duration::from_secs(600);
/// No source is believed that tells of more jobs per second than this.
const FASTEST: f64 = 1e9;
/// Brokers tell of what was published, and how fast, so late at the most.
const LATE: Duration = Duration::from_secs(6);
/// While nothing waits it is doubted, with this time constant, that whoever may hold a job does, seconds.
const DOUBT: f64 = 300.0;
/// So many arrivals are always thought possible within one look.
const FEWEST: f64 = 0.3;

/// What is expected of a role's traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Jobs per second.
    pub rate: f64,
    /// Jobs per second that come beside these for the moment, which fades; negative for those that stay away from now on.
    pub excess: f64,
    /// Mean square of what came beside what was expected ÷ what was expected: 1 where arrivals are independent of each other, more
    /// where they come in bursts that nobody foresees.
    pub dispersion: f64,
    /// Jobs of a burst as there often is one, as far as they cannot wait for a start.
    #[serde(default)]
    pub burst: f64,
    /// The seconds in which these come.
    #[serde(default)]
    pub alone: f64,
    /// A burst that comes by the clock, once it is time to start workers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
}

/// The time constant with which a rise is expected to fade.
const FADE: f64 = 75.0;

impl Forecast {
    /// How many jobs are expected within so many seconds.
    pub(crate) fn jobs_within(&self, seconds: f64) -> f64 {
        let due = self.due.map_or(0.0, |due| due.jobs_within(seconds));
        (self.rate * seconds + self.excess_within(seconds)).max(0.0) + due
    }

    /// How many of them come beside the rate; negative for those that stay away.
    pub(super) fn excess_within(&self, seconds: f64) -> f64 {
        let lasts = if self.excess > 0.0 { FADE * (1.0 - (-seconds / FADE).exp()) } else { seconds };
        self.excess * lasts
    }
}

/// The traffic of one role.
///
/// Two exponential means of the arrival rate: one slow, and one fast, which follows a change at once. All begin as plain means, so that the
/// first look counts in full. How much of a change lasts is learnt ([`Changes`]), and how far what comes within half a minute is from
/// what was expected gives the dispersion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    slow: f64,
    fast: f64,
    /// The fast rate as it was at the look before.
    before: f64,
    dispersion: f64,
    /// What has come since the dispersion was last told.
    gathered: Gathered,
    ages: Ages,
    changes: Changes,
    bursts: Bursts,
    periodic: Periodic,
    silence: Silence,
    /// How long jobs may wait, and how long they would wait for a worker: as of the last look.
    waits: Waits,
    /// Jobs that were reckoned to have come before they did, or before they were told of.
    ahead: f64,
    /// Of the jobs that may be in hand where nobody counts them, the part that is believed to be.
    believed: f64,
    /// Seconds observed.
    age: f64,
    seen: Option<Seen>,
}

/// What jobs may wait, and what they would have to, seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waits {
    /// So long a job may wait and still be done in time.
    pub(super) slack: f64,
    /// So long it takes from the first job of a burst until whoever is asked for then is there.
    pub(super) blind: f64,
    /// So long a start takes.
    pub(super) boot: f64,
    /// So old what is seen may be.
    pub(super) stale: f64,
}

impl Waits {
    /// What comes within so long a time cannot wait for a start.
    pub(super) fn alone(self) -> f64 {
        (self.blind - self.slack).max(0.0)
    }
}

/// Jobs that have come within so many seconds, and those that had been expected within [`TOGETHER`].
#[derive(Clone, Copy, Debug, Default)]
struct Gathered {
    jobs: f64,
    seconds: f64,
    expected: f64,
}

/// The last look.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Timestamp,
    ready: f64,
    /// Jobs in hand, where they are counted.
    held: Option<f64>,
    published: Option<u64>,
    finished: Option<Finished>,
}

impl Seen {
    /// How many more jobs there are, as far as they are counted; negative for fewer.
    fn more_than(&self, before: &Self) -> f64 {
        let held = self.held.zip(before.held).map_or(0.0, |(now, before)| now - before);
        self.ready - before.ready + held
    }
}

/// A sum of the jobs that are done, by who counts them.
#[derive(Clone, Copy, Debug)]
enum Finished {
    Reported(u64),
    Acknowledged(u64),
}

impl Finished {
    /// How many were done since.
    fn since(self, before: Self) -> Option<u64> {
        match (before, self) {
            (Self::Reported(before), Self::Reported(now))
            | (Self::Acknowledged(before), Self::Acknowledged(now)) => now.checked_sub(before),
            _ => None,
        }
    }
}

/// How much a sum has grown. One that has shrunk has started anew.
fn grown(before: Option<u64>, now: Option<u64>) -> Option<u64> {
    now?.checked_sub(before?)
}

impl Traffic {
    /// Takes in a look at the queue, while so many of the workers boot; returns how many jobs have come since the last one, 0 where
    /// that is not known. Without the number of ready messages a look tells nothing.
    pub(super) fn observe(
        &mut self,
        role: &RoleConfig,
        observation: &Observation,
        waits: Waits,
        booting: u32,
        now: Timestamp,
    ) -> f64 {
        self.waits = waits;
        let queue = &observation.queue;
        let Some(ready) = queue.ready else { return 0.0 };
        let in_flight = InFlight::of(queue, observation.workers, role.concurrency);
        let held = match in_flight {
            InFlight::Counted(jobs) | InFlight::Reported(jobs) => Some(jobs as f64),
            InFlight::AtMost(_) | InFlight::Unknown => None,
        };
        // What workers report comes first: it is as new as what is seen of the queue.
        let reported = queue.reports.map(|reports| Finished::Reported(reports.finished));
        let finished = reported.or(queue.acknowledged.map(Finished::Acknowledged));
        let seen = Seen { at: now, ready: ready as f64, held, published: queue.published, finished };
        let Some(before) = self.seen else {
            self.seen = Some(seen);
            return 0.0;
        };
        let Some(gap) = self.interval(observation, now) else { return 0.0 };
        self.seen = Some(seen);
        let seconds = gap.as_secs_f64();
        if gap > LONGEST {
            self.ahead = 0.0;
            self.ages.forget();
            self.changes.pause();
            self.periodic.pause();
            return 0.0;
        }
        self.believed = if ready > 0 { 1.0 } else { self.believed * (-seconds / DOUBT).exp() };
        let counted = grown(before.published, seen.published).map(|jobs| jobs as f64);
        let more = seen.more_than(&before);
        let arrivals = if let Some(told) = counted.or(queue.fill_rate.map(|rate| rate * seconds)) {
            // What is plainly there has come, though nobody tells of it yet; it is not counted again once somebody does.
            let arrivals = (told - self.ahead).max(more).max(0.0);
            let untold = arrivals - (told - self.ahead);
            self.ahead = if gap < LATE { untold } else { untold.min((more - told).max(0.0)) };
            arrivals
        } else {
            let worked = held.unwrap_or_else(|| {
                // Who boots holds nothing, and consumes nothing yet.
                let booting = if queue.consumers.is_some() { 0 } else { booting };
                let idle = f64::from(booting) * f64::from(role.concurrency.get());
                self.believed * (in_flight.jobs().unwrap_or(0) as f64 - idle).max(0.0)
            });
            let done = done_since(&before, &seen, queue.drain_rate, seconds);
            // Where nobody tells: as much as the jobs in hand would have been done, going by how long one takes.
            let done = done.unwrap_or_else(|| worked * seconds / role.processing.as_secs_f64());
            let balance = more + done - self.ahead;
            // What was done by the balance and is still there is done later.
            self.ahead = (-balance).clamp(0.0, worked);
            balance
        };
        let arrivals = if arrivals > 0.0 { arrivals.min(FASTEST * seconds) } else { 0.0 };
        self.follow(arrivals, seconds, now);
        arrivals
    }

    fn follow(&mut self, arrivals: f64, seconds: f64, now: Timestamp) {
        self.ages.observe(arrivals, seconds, self.waits.slack);
        let foreseen = self.periodic.observe(arrivals, seconds, self.slow, now);
        // What workers are started for beforehand tells nothing of what else comes.
        let arrivals = if self.waits.alone() > 0.0 { arrivals - foreseen } else { arrivals };
        self.disperse(arrivals, seconds);
        let of_all = seconds / (self.age + seconds);
        let rate = arrivals / seconds;
        let towards = |constant: f64| (1.0 - (-seconds / constant).exp()).max(of_all);
        self.slow += towards(SLOW) * (rate - self.slow);
        self.before = self.fast;
        self.fast += towards(FAST) * (rate - self.fast);
        self.age += seconds;
        let boot = self.waits.boot;
        self.changes.observe(arrivals, seconds, boot, &Forecast { excess: self.change(), ..self.steady() });
        self.bursts.observe(arrivals, seconds, self.waits);
        if self.gathered.seconds == 0.0 {
            self.gathered.expected = self.expected().jobs_within(TOGETHER);
        }
    }

    fn disperse(&mut self, arrivals: f64, seconds: f64) {
        self.gathered.jobs += arrivals;
        self.gathered.seconds += seconds;
        if self.gathered.seconds < TOGETHER {
            return;
        }
        let observed = self.age + seconds;
        let Gathered { jobs, seconds, expected } = std::mem::take(&mut self.gathered);
        self.silence.observe(jobs, seconds);
        let of_all = seconds / observed;
        let expected = (expected * seconds / TOGETHER).max(FEWEST);
        // Seen now later and now sooner after it was counted, more and fewer are seen of what comes evenly.
        let blur = (expected / seconds * self.waits.stale).powi(2) / 6.0;
        let deviation = (((jobs - expected).powi(2) - blur) / expected).min(WILDEST);
        self.dispersion += (seconds / DISPERSED).min(1.0).max(of_all) * (deviation - self.dispersion);
    }

    /// What is expected from here on.
    pub(crate) fn forecast(&self) -> Forecast {
        let dispersion = self.dispersion.max(1.0);
        if self.silence.is_over() {
            return Forecast { dispersion, ..Forecast::default() };
        }
        let burst = self.bursts.often(self.waits);
        Forecast { dispersion, burst, alone: self.waits.alone(), ..self.expected() }
    }

    /// The burst that comes by the clock and is due within so many seconds.
    pub(super) fn due(&self, seconds: f64, now: Timestamp) -> Option<Due> {
        self.periodic.due(seconds, now)
    }

    /// How old so many jobs are that wait, as far as it is known what came.
    pub(super) fn ages(&self, ready: f64) -> Vec<(f64, f64)> {
        self.ages.of(ready)
    }

    /// The rates alone.
    fn expected(&self) -> Forecast {
        let change = self.change();
        Forecast { excess: self.changes.lasting(change) * change, ..self.steady() }
    }

    /// How far the fast rate is from the slow one; below it, as far as two looks tell, for one may be wrong, and as far as that is more
    /// than [`CHANCE`]: the variance of an exponential mean of independent arrivals is their rate ÷ twice the time constant.
    fn change(&self) -> f64 {
        let change = self.fast - self.slow;
        let fall = self.fast.max(self.before) - self.slow;
        let deviation = (self.slow / (2.0 * FAST)).sqrt();
        if change > 0.0 { change } else { (fall + CHANCE * deviation).min(0.0) }
    }

    fn steady(&self) -> Forecast {
        Forecast { rate: self.slow, ..Forecast::default() }
    }

    /// How long ago the last look was that was taken in, if this one will be.
    pub(super) fn interval(&self, observation: &Observation, now: Timestamp) -> Option<Duration> {
        observation.queue.ready?;
        let gap = now.saturating_since(self.seen?.at);
        (gap >= SHORTEST).then_some(gap)
    }

    /// When a look was last taken in.
    pub(crate) fn last_seen(&self) -> Option<Timestamp> {
        self.seen.map(|seen| seen.at)
    }
}

/// How many jobs were done between two looks, where somebody counts them or tells how fast.
fn done_since(before: &Seen, now: &Seen, drain_rate: Option<f64>, seconds: f64) -> Option<f64> {
    let counted = now.finished.zip(before.finished).and_then(|(now, before)| now.since(before));
    counted.map(|jobs| jobs as f64).or_else(|| drain_rate.map(|rate| rate.max(0.0) * seconds))
}
