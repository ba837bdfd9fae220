//! Learning how long jobs take, for `processing: auto` and for policies that look ahead.
//!
//! The best there is is used: times that somebody measured ([`JobTimes`]), else Little's law on what is in flight
//! and acknowledged, S = Σ in flight·dt ÷ Σ completions, which needs no more than a broker tells. Where nobody counts
//! completions, the ages of the oldest at two looks tell them while jobs wait ([`done_by_age`]). The configured
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

/// No job is taken to have lasted for more than so many times what was expected, all jobs of a look together.
const SURPRISE: f64 = 10.0;

/// Ages are compared over no less than this: within less too few jobs are begun.
const APART: Duration = Duration::from_secs(20);

/// No more jobs are taken to have been done, going by ages, than so many times what was expected: what came together tells
/// nothing of what came before.
const MANY: f64 = 4.0;

/// The shortest mean that is believed: the model divides by it.
const SHORTEST: f64 = 1e-6;

/// Sums over the jobs seen.
#[derive(Clone, Debug)]
pub(crate) struct Learner {
    /// As many jobs as the configured values are worth still.
    configured: f64,
    jobs: f64,
    sum: f64,
    /// Seconds worked since the last job was done.
    worked: f64,
    /// Jobs that were told from ages only.
    guessed: Guessed,
    /// What was seen when ages were last compared, and the seconds worked since.
    since: Option<(Seen, f64)>,
    /// `None` where no deviation is known.
    squares: Option<f64>,
    seen: Option<Seen>,
}

/// Jobs, and the seconds that they took, as [`done_by_age`] tells.
#[derive(Clone, Copy, Debug, Default)]
struct Guessed {
    jobs: f64,
    sum: f64,
}

/// What was seen last.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Timestamp,
    times: Option<JobTimes>,
    acknowledged: Option<u64>,
    ready: Option<u64>,
    oldest: Option<Duration>,
    held: Option<u64>,
}

impl Default for Learner {
    fn default() -> Self {
        Self {
            configured: FEWEST,
            jobs: 0.0,
            sum: 0.0,
            worked: 0.0,
            guessed: Guessed::default(),
            since: None,
            squares: None,
            seen: None,
        }
    }
}

impl Learner {
    /// Takes in what was seen in a cycle.
    pub(crate) fn observe(&mut self, role: &RoleConfig, observation: &Observation, now: Timestamp) {
        let queue = &observation.queue;
        let seen = Seen {
            at: now,
            times: queue.times,
            acknowledged: queue.acknowledged,
            ready: queue.ready,
            oldest: queue.oldest,
            held: worked_on(role, observation),
        };
        let Some(before) = self.seen.replace(seen) else { return };
        let gap = now.saturating_since(before.at);
        if gap.is_zero() {
            return;
        }
        self.forget(gap);
        match (before.times, seen.times) {
            // Sums that have shrunk have started anew.
            (Some(before), Some(times)) if times.jobs >= before.jobs => {
                self.jobs += (times.jobs - before.jobs) as f64;
                self.sum += (times.sum - before.sum).max(0.0);
                let squares = (times.squares - before.squares).max(0.0);
                self.squares = Some(self.squares.unwrap_or_default() + squares);
            }
            (None, None) if gap <= LONGEST_GAP => {
                let seconds = gap.as_secs_f64();
                let counted = seen.acknowledged.zip(before.acknowledged);
                let counted =
                    counted.and_then(|(now, before)| now.checked_sub(before)).map(|jobs| jobs as f64);
                let done = counted.or(queue.drain_rate.map(|rate| rate.max(0.0) * seconds));
                match (seen.held, done) {
                    (Some(held), Some(done)) => self.by_littles_law(role, held as f64, done, seconds),
                    (Some(held), None) => {
                        let held = f64::midpoint(held as f64, before.held.unwrap_or(held) as f64);
                        self.by_age(role, seen, held * seconds);
                    }
                    (None, _) => self.since = None,
                }
            }
            _ => self.since = None,
        }
    }

    fn forget(&mut self, gap: Duration) {
        let fade =
            (-gap.as_secs_f64() / MEMORY.as_secs_f64()).exp().max(FEWEST / (self.jobs + self.configured));
        self.configured *= fade;
        self.jobs *= fade;
        self.sum *= fade;
        self.squares = self.squares.map(|squares| squares * fade);
        // While nothing waits nothing can be told by ages, perhaps as there are too many workers: then what is configured counts again.
        let fade = (-gap.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        self.guessed.jobs *= fade;
        self.guessed.sum *= fade;
    }

    fn by_littles_law(&mut self, role: &RoleConfig, held: f64, done: f64, seconds: f64) {
        self.worked += held * seconds;
        if done > 0.0 {
            // A job that hangs does not tell how long others take; where all take longer, a few of them show it.
            let most = SURPRISE * (held + done) * self.applied_to(role).processing.as_secs_f64();
            self.jobs += done;
            self.sum += std::mem::take(&mut self.worked).min(most);
        }
    }

    /// Jobs were worked on for so many seconds, all of them together, until what is seen now.
    fn by_age(&mut self, role: &RoleConfig, now: Seen, worked: f64) {
        let Some((before, so_far)) = self.since else {
            self.since = Some((now, 0.0));
            return;
        };
        let (worked, seconds) = (so_far + worked, now.at.saturating_since(before.at));
        if seconds < APART {
            self.since = Some((before, worked));
            return;
        }
        self.since = Some((now, 0.0));
        if let Some(done) = done_by_age(&before, &now, seconds.as_secs_f64()) {
            let most = MANY * worked / self.applied_to(role).processing.as_secs_f64();
            // What is too much at one time is missing at another.
            self.guessed.jobs = (self.guessed.jobs + done.min(most)).max(0.0);
            self.guessed.sum += worked;
        }
    }

    /// The role with what has been learnt in place of what is configured.
    pub(crate) fn applied_to(&self, role: &RoleConfig) -> RoleConfig {
        let (mean, deviation) = (role.processing.as_secs_f64(), role.stddev.as_secs_f64());
        let jobs = self.jobs + self.guessed.jobs + self.configured;
        let sum = self.sum + self.guessed.sum + self.configured * mean;
        let learnt = (sum / jobs).max(SHORTEST);
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

/// The jobs that are being worked on. What is prefetched beyond the concurrency waits.
fn worked_on(role: &RoleConfig, observation: &Observation) -> Option<u64> {
    let in_flight = InFlight::of(&observation.queue, observation.workers, role.concurrency);
    let (InFlight::Counted(held) | InFlight::Reported(held)) = in_flight else { return None };
    let slots = observation.workers.map(|workers| {
        u64::from(workers.current + workers.draining.unwrap_or(0)) * u64::from(role.concurrency.get())
    });
    Some(held.min(slots.unwrap_or(u64::MAX)))
}

/// How many jobs were done between two looks, going by the age of the oldest that waits: those that wait have come since it did,
/// and jobs are begun in the order in which they came. `None` unless some waited at both looks: else it is not known what came meanwhile.
fn done_by_age(before: &Seen, now: &Seen, seconds: f64) -> Option<f64> {
    let (waited, wait) = (before.ready? as f64, now.ready? as f64);
    let (eldest, oldest) = (before.oldest?.as_secs_f64(), now.oldest?.as_secs_f64());
    if waited < 1.0 || wait < 1.0 || oldest <= 0.0 {
        return None;
    }
    let begun = if oldest <= seconds {
        // All that waited, and what came until the oldest did, as evenly as since.
        waited + (wait - 1.0) / oldest * (seconds - oldest)
    } else if eldest > 0.0 {
        // Those of them that had come before the oldest did, but no fewer than are missing.
        (waited * (1.0 - (oldest - seconds) / eldest).clamp(0.0, 1.0)).max(waited - wait)
    } else {
        return None;
    };
    Some(begun - (now.held? as f64 - before.held? as f64))
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

    /// Four workers finish 0.8 jobs per second, which take 5 s; twenty always wait, for 25 s.
    #[test]
    fn where_nobody_counts_ages_give_the_mean() {
        let sample = QueueSample {
            ready: Some(20),
            unacknowledged: Some(4),
            oldest: Some(Duration::from_secs(25)),
            ..QueueSample::default()
        };
        let (mean, _) = after(|_| sample.clone(), 400);
        assert!((4.9..5.3).contains(&mean), "{mean}");
        let young = |cycle: u64| QueueSample { ready: Some(cycle % 2 * 20), ..sample.clone() };
        assert_eq!(after(young, 400).0, 10.0, "it is not known what came while nothing waited");
    }

    #[test]
    fn a_batch_tells_nothing_of_what_came_before_it() {
        let sample = |cycle: u64| QueueSample {
            ready: Some(if cycle == 10 { 1000 } else { 20 }),
            unacknowledged: Some(4),
            oldest: Some(if cycle == 10 { Duration::from_millis(10) } else { Duration::from_secs(25) }),
            ..QueueSample::default()
        };
        let (mean, _) = after(sample, 11);
        assert!((3.0..6.0).contains(&mean), "about 5 s, and not a hundredth of a second: {mean}");
    }

    #[test]
    fn a_job_that_hangs_tells_nothing_of_others() {
        let sample = |cycle: u64| {
            let hangs = cycle < 960;
            let (held, rate) = if hangs { (1, 0.0) } else { (3, 0.2) };
            QueueSample { unacknowledged: Some(held), drain_rate: Some(rate), ..QueueSample::default() }
        };
        assert_eq!(after(sample, 960).0, 10.0, "nothing was done for eight hours");
        let (mean, _) = after(sample, 980);
        assert!((10.0..20.0).contains(&mean), "a job of 10 s, and that one: {mean}");
    }

    #[test]
    fn jobs_that_take_a_hundred_times_as_long_are_learnt() {
        // Four at work, one done in 250 s.
        let sample =
            QueueSample { unacknowledged: Some(4), drain_rate: Some(0.004), ..QueueSample::default() };
        let (mean, _) = after(|_| sample.clone(), 800);
        assert!((600.0..1000.0).contains(&mean), "{mean}");
    }
}
