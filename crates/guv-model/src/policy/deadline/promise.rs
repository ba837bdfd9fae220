//! Whether the promise is kept, and what follows when it is not.
//!
//! A job that has waited for a while is late if its processing takes longer than what is left of the deadline. Processing times are
//! taken to be lognormal, with the mean and deviation that are known; that tells which share of the jobs is late that
//! come when the oldest has waited so long. Where workers measure how many are late, that counts instead. Jobs that take longer than the
//! deadline by themselves are late in any case, and do not count.
//!
//! Half of the jobs that the promise lets be late, 1 % at a percentile of 99, are aimed at. While more are late, ever more
//! deviations count for workers that stand by; while fewer are, ever fewer (an integral controller in small steps:
//! stochastic approximation, Robbins and Monro 1951).

use std::f64::consts::SQRT_2;

use crate::{JobWaits, Observation, RoleConfig};

/// The part of the jobs that may be late which is aimed at: not all late ones are seen.
const AIMED_AT: f64 = 0.5;
/// While every job is late, one deviation more counts after so many seconds.
const STEADILY: f64 = 150.0;
/// No more or fewer deviations than these are for the promise's sake.
const MOST: (f64, f64) = (-2.0, 1.5);
/// It is forgotten with this time constant, seconds: a day.
const REMEMBERED: f64 = 86_400.0;
/// The time between looks counts for no more than this, seconds.
const LONGEST: f64 = 60.0;
/// Nor do the jobs that came, for more than so many times what is usual: a burst is one incident.
const BURST: f64 = 2.0;

/// How the promise has been kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promise {
    /// So many more deviations count for it; negative for fewer.
    caution: f64,
    /// What workers had measured at the last look.
    measured: Option<JobWaits>,
}

impl Promise {
    /// So many jobs `came` in so many `seconds`, of `usual` ones, and the oldest has waited for so long.
    pub(super) fn observe(
        &mut self,
        role: &RoleConfig,
        observation: &Observation,
        oldest: f64,
        came: f64,
        usual: f64,
        seconds: f64,
    ) {
        let before = std::mem::replace(&mut self.measured, observation.queue.waits);
        if usual <= 0.0 {
            return;
        }
        let (jobs, late) = self
            .measured
            .zip(before)
            .and_then(|(now, before)| late_since(role, now, before))
            .unwrap_or_else(|| (came, came * late_after(role, oldest)));
        let jobs_counted = (jobs / usual).min(BURST);
        let share = if jobs > 0.0 { late / jobs } else { 0.0 };
        let aim = AIMED_AT * (1.0 - role.percentile.percent() / 100.0);
        let seconds = seconds.min(LONGEST);
        self.caution *= (-seconds / REMEMBERED).exp();
        self.caution += seconds / STEADILY * jobs_counted * (share - aim);
        self.caution = self.caution.clamp(MOST.0, MOST.1);
    }

    /// So many more deviations are to count for workers that stand by.
    pub(super) fn caution(&self) -> f64 {
        self.caution
    }
}

/// How many jobs have been measured since, and how many of these were late that need not have been.
fn late_since(role: &RoleConfig, now: JobWaits, before: JobWaits) -> Option<(f64, f64)> {
    // Sums that have shrunk have started anew.
    let jobs = now.jobs.checked_sub(before.jobs)? as f64;
    let late = now.late.checked_sub(before.late)? as f64;
    let hopeless = longer_than(role, role.deadline.as_secs_f64());
    Some((jobs, (late - hopeless * jobs).max(0.0)))
}

/// The share of the jobs that are late if they wait for so many seconds, of those that need not be: 0 to 1.
pub(super) fn late_after(role: &RoleConfig, wait: f64) -> f64 {
    if wait <= 0.0 {
        return 0.0;
    }
    let deadline = role.deadline.as_secs_f64();
    let hopeless = longer_than(role, deadline);
    let late = longer_than(role, deadline - wait) - hopeless;
    // Where all are hopeless none is late for having waited.
    if late <= 0.0 { 0.0 } else { late / (1.0 - hopeless) }
}

/// The share of the jobs that take longer than so many seconds.
fn longer_than(role: &RoleConfig, seconds: f64) -> f64 {
    if seconds <= 0.0 {
        return 1.0;
    }
    let (mean, deviation) = (role.processing.as_secs_f64(), role.stddev.as_secs_f64());
    if deviation <= 0.0 {
        return if mean > seconds { 1.0 } else { 0.0 };
    }
    let variance = (deviation / mean).powi(2).ln_1p();
    let deviations = (seconds.ln() - mean.ln() + variance / 2.0) / variance.sqrt();
    0.5 * libm::erfc(deviations / SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Environment, QueueSample};

    fn role(keys: &str) -> RoleConfig {
        let text = format!("a: {{deadline: 60, {keys}}}");
        let (mut config, _) =
            Config::parse(&text, &Environment::default(), &[]).runnable().expect("it is valid");
        config.roles.remove(0)
    }

    fn looked(promise: &mut Promise, oldest: f64, looks: u32) {
        for _ in 0..looks {
            promise.observe(&role("stddev: 5"), &Observation::default(), oldest, 30.0, 30.0, 30.0);
        }
    }

    #[test]
    fn the_longer_a_job_waits_the_likelier_it_is_late() {
        let even = role("stddev: 5");
        // Of a lognormal of mean 10 and deviation 5, with μ = 2.191 and σ = 0.472.
        assert!((longer_than(&even, 10.0) - 0.4066).abs() < 1e-3, "{}", longer_than(&even, 10.0));
        assert!((longer_than(&even, 30.0) - 0.0052).abs() < 1e-3, "{}", longer_than(&even, 30.0));
        let shares = [0.0, 20.0, 45.0, 50.0, 60.0, 100.0].map(|wait| late_after(&even, wait));
        assert!(shares.is_sorted(), "{shares:?}");
        assert_eq!((shares[0], shares[5]), (0.0, 1.0));
        let uneven = role("stddev: 15");
        assert!(late_after(&uneven, 30.0) > late_after(&even, 30.0));
        assert_eq!(late_after(&role("stddev: 0.001"), 49.0), 0.0);
    }

    #[test]
    fn more_counts_while_jobs_are_late_and_less_while_none_is() {
        let mut promise = Promise::default();
        looked(&mut promise, 58.0, 5);
        assert!((promise.caution() - 1.0).abs() < 0.05, "five half minutes: {promise:?}");
        looked(&mut promise, 58.0, 20);
        assert_eq!(promise.caution(), MOST.1);
        looked(&mut promise, 0.0, 5000);
        assert!((-2.0..-1.0).contains(&promise.caution()), "{promise:?}");
    }

    #[test]
    fn what_workers_measure_counts_before_what_is_seen_of_the_queue() {
        let mut promise = Promise::default();
        for look in 0..6 {
            let waits = JobWaits { jobs: 100 * look, sum: 0.0, late: 50 * look };
            let queue = QueueSample { waits: Some(waits), ..QueueSample::default() };
            let seen = Observation { queue, ..Observation::default() };
            promise.observe(&role("stddev: 5"), &seen, 0.0, 100.0, 100.0, 30.0);
        }
        assert!((promise.caution() - 0.5).abs() < 0.02, "half of them, five times: {promise:?}");
    }

    #[test]
    fn jobs_that_are_longer_than_the_deadline_do_not_count() {
        let mut promise = Promise::default();
        let hopeless = role("processing: 50, stddev: 25");
        let waits = |jobs: u64| JobWaits { jobs, sum: 0.0, late: jobs / 4 };
        for look in 0..6 {
            let queue = QueueSample { waits: Some(waits(100 * look)), ..QueueSample::default() };
            let seen = Observation { queue, ..Observation::default() };
            promise.observe(&hopeless, &seen, 0.0, 100.0, 100.0, 30.0);
        }
        assert!(promise.caution() <= 0.0, "{promise:?}");
    }
}
