//! Learning how long jobs take, for `processing: auto`.
//!
//! The best there is is used: times that somebody measured ([`JobTimes`]), else Little's law on what is in flight
//! and acknowledged, S = Σ in flight·dt ÷ Σ completions, which needs no more than a broker tells. The configured
//! values count as [`FEWEST`] jobs seen, and what was seen fades with a time constant of [`MEMORY`], but to no less than
//! that: an estimate neither jumps at the first job, nor sticks to the past, nor is forgotten while nothing happens. Little's
//! law tells no deviation; there the configured ratio of deviation to mean is kept.

use std::time::Duration;

use crate::{InFlight, JobTimes, Observation, RoleConfig, Timestamp};

/// As many jobs as the configured values are worth at first, and as many as are always remembered.
const FEWEST: f64 = 20.0;

/// What is this old counts 1/e.
const MEMORY: Duration = Duration::from_secs(3600);

/// A poll that comes later than this says nothing about the time in between.
const LONGEST_GAP: Duration = Duration::from_secs(600);

/// The shortest mean that is believed: the model divides by it.
const SHORTEST: f64 = 1e-6;

/// Sums over the jobs seen.
#[derive(Clone, Debug)]
pub(crate) struct Learner {
    /// As many jobs as the configured values are worth still.
    configured: f64,
    jobs: f64,
    sum: f64,
    /// `None` where no deviation is known.
    squares: Option<f64>,
    seen: Option<(Timestamp, Option<JobTimes>)>,
}

impl Default for Learner {
    fn default() -> Self {
        Self { configured: FEWEST, jobs: 0.0, sum: 0.0, squares: None, seen: None }
    }
}

impl Learner {
    /// Takes in what was seen in a cycle.
    pub(crate) fn observe(&mut self, role: &RoleConfig, observation: &Observation, now: Timestamp) {
        let times = observation.queue.times;
        let before = self.seen.replace((now, times));
        let Some((at, before)) = before else { return };
        let gap = now.saturating_since(at);
        if gap.is_zero() {
            return;
        }
        self.forget(gap);
        match (before, times) {
            // Sums that have shrunk have started anew.
            (Some(before), Some(times)) if times.jobs >= before.jobs => {
                self.jobs += (times.jobs - before.jobs) as f64;
                self.sum += (times.sum - before.sum).max(0.0);
                let squares = (times.squares - before.squares).max(0.0);
                self.squares = Some(self.squares.unwrap_or_default() + squares);
            }
            (None, None) if gap <= LONGEST_GAP => self.by_littles_law(role, observation, gap),
            _ => {}
        }
    }

    fn forget(&mut self, gap: Duration) {
        let fade =
            (-gap.as_secs_f64() / MEMORY.as_secs_f64()).exp().max(FEWEST / (self.jobs + self.configured));
        self.configured *= fade;
        self.jobs *= fade;
        self.sum *= fade;
        self.squares = self.squares.map(|squares| squares * fade);
    }

    fn by_littles_law(&mut self, role: &RoleConfig, observation: &Observation, gap: Duration) {
        let in_flight = InFlight::of(&observation.queue, observation.workers, role.concurrency);
        let (InFlight::Counted(held) | InFlight::Reported(held), Some(rate)) =
            (in_flight, observation.queue.drain_rate)
        else {
            return;
        };
        // What is prefetched beyond the concurrency waits: it is not being worked on.
        let slots = observation.workers.map(|workers| {
            u64::from(workers.current + workers.draining.unwrap_or(0)) * u64::from(role.concurrency.get())
        });
        let worked_on = held.min(slots.unwrap_or(u64::MAX));
        self.jobs += rate.max(0.0) * gap.as_secs_f64();
        self.sum += worked_on as f64 * gap.as_secs_f64();
    }

    /// The role with what has been learnt in place of what is configured.
    pub(crate) fn applied_to(&self, role: &RoleConfig) -> RoleConfig {
        let (mean, deviation) = (role.processing.as_secs_f64(), role.stddev.as_secs_f64());
        let jobs = self.jobs + self.configured;
        let learnt = ((self.sum + self.configured * mean) / jobs).max(SHORTEST);
        let deviation = match self.squares {
            Some(squares) => {
                let configured = self.configured * (mean * mean + deviation * deviation);
                let second = (squares + configured) / jobs;
                (second - learnt * learnt).max(0.0).sqrt()
            }
            None => deviation / mean * learnt,
        };
        let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX / 4);
        role.with_processing(seconds(learnt), seconds(deviation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Environment, QueueSample, WorkerCount};

    fn role() -> RoleConfig {
        let text = "a: {processing: auto, deadline: 200}";
        Config::parse(text, &Environment::default(), &[]).strict().unwrap().roles.remove(0)
    }

    fn after(samples: impl Fn(u64) -> QueueSample, cycles: u64) -> (f64, f64) {
        let (role, mut learner) = (role(), Learner::default());
        for cycle in 0..cycles {
            let workers = Some(WorkerCount::running(4));
            let observation = Observation { queue: samples(cycle), workers, ..Observation::default() };
            learner.observe(&role, &observation, Timestamp::from_unix_seconds(1000 + cycle * 30));
        }
        let learnt = learner.applied_to(&role);
        (learnt.processing.as_secs_f64(), learnt.stddev.as_secs_f64())
    }

    #[test]
    fn measured_times_give_mean_and_deviation() {
        // Half of the jobs take 1 s, half 3 s: mean 2, deviation 1.
        let (mean, deviation) = after(
            |cycle| {
                let jobs = cycle * 100;
                let times = JobTimes { jobs, sum: jobs as f64 * 2.0, squares: jobs as f64 * 5.0 };
                QueueSample { times: Some(times), ..QueueSample::default() }
            },
            200,
        );
        assert!((mean - 2.0).abs() < 0.02 && (deviation - 1.0).abs() < 0.1, "{mean} {deviation}");
    }

    #[test]
    fn without_measured_times_littles_law_gives_the_mean() {
        // Four workers, each with one job at work and one that waits in its prefetch, finish 2 jobs per second.
        let sample = QueueSample { unacknowledged: Some(8), drain_rate: Some(2.0), ..QueueSample::default() };
        let (mean, deviation) = after(|_| sample.clone(), 200);
        assert!((mean - 2.0).abs() < 0.05, "{mean}");
        assert!((deviation / mean - 0.5).abs() < 1e-6, "the configured ratio is kept");
    }

    #[test]
    fn a_wrong_configuration_is_forgotten_where_jobs_are_rare_and_what_was_learnt_is_not() {
        // One job in half a minute, of 2 s; after ten hours nothing more comes.
        let rare = |cycle: u64| {
            let jobs = cycle.min(1200);
            let times = JobTimes { jobs, sum: jobs as f64 * 2.0, squares: jobs as f64 * 4.0 };
            QueueSample { times: Some(times), ..QueueSample::default() }
        };
        let (mean, _) = after(rare, 1200);
        assert!((mean - 2.0).abs() < 0.01, "{mean}");
        let (later, _) = after(rare, 12_000);
        assert!((later - mean).abs() < 0.01, "{later}");
    }

    #[test]
    fn nothing_seen_leaves_what_is_configured() {
        assert_eq!(after(|_| QueueSample::default(), 50), (10.0, 5.0));
    }
}
