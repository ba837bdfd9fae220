//! Whether the promise is kept, and what follows when it is not.
//!
//! A job that has waited for a while is late if its processing takes longer than what is left of the deadline. Processing times are
//! taken to be lognormal, with the mean and deviation that are known; that tells which share of the jobs is late that come while
//! the oldest has waited so long. Jobs that take longer than the deadline by themselves are late in any case, and do not count.
//!
//! Half of the jobs that the promise lets be late, 1 % at a percentile of 99, are aimed at. While more are late, ever more
//! deviations count for workers that stand by; while fewer are, ever fewer (an integral controller in small steps:
//! stochastic approximation, Robbins and Monro 1951). A burst is one incident, however many jobs it brings, and what more workers could
//! not have changed does not count.

use std::f64::consts::SQRT_2;

use crate::RoleConfig;

/// The part of the jobs that may be late which is aimed at: it is looked from time to time only.
const AIMED_AT: f64 = 0.5;
/// While every job is late and as many come as usual, one deviation more counts after so many seconds.
const STEADILY: f64 = 150.0;
/// No more or fewer deviations than these are for the promise's sake.
const MOST: (f64, f64) = (-2.0, 1.5);
/// It is forgotten with this time constant, seconds: a day.
const REMEMBERED: f64 = 86_400.0;
/// What is seen in so many seconds is taken together, however often it is looked.
const TOGETHER: f64 = 30.0;
/// What is seen together counts for no more seconds than this.
const LONGEST: f64 = 60.0;
/// If more jobs come than so many times as many as usual, they count for no more than that.
const BURST: f64 = 2.0;

/// How the promise has been kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promise {
    /// So many more deviations count for it; negative for fewer.
    caution: f64,
    seen: Seen,
}

/// What has been seen since it was last reckoned with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Seconds since the look before.
    pub(super) seconds: f64,
    /// Jobs that came.
    pub(super) came: f64,
    /// Jobs that come in so long a time usually.
    pub(super) usual: f64,
    /// How many of those that came will be late.
    pub(super) late: f64,
}

impl Promise {
    /// Takes in what was seen at a look. Without `room` more workers could not have helped.
    pub(super) fn observe(&mut self, role: &RoleConfig, seen: Seen, room: bool) {
        self.seen = Seen {
            seconds: self.seen.seconds + seen.seconds,
            came: self.seen.came + seen.came,
            usual: self.seen.usual + seen.usual,
            late: self.seen.late + seen.late,
        };
        // Looks are not quite as regular as planned.
        if self.seen.seconds < TOGETHER - 0.5 {
            return;
        }
        let Seen { seconds, came, usual, late } = std::mem::take(&mut self.seen);
        self.caution *= (-seconds / REMEMBERED).exp();
        if came <= 0.0 || usual <= 0.0 {
            return;
        }
        let aim = AIMED_AT * (1.0 - role.percentile.percent() / 100.0);
        let times = (came / usual).min(BURST);
        let change = seconds.min(LONGEST) / STEADILY * times * (late / came - aim);
        if room || change < 0.0 {
            self.caution = (self.caution + change).clamp(MOST.0, MOST.1);
        }
    }

    /// So many more deviations are to count for workers that stand by.
    pub(super) fn caution(&self) -> f64 {
        self.caution
    }
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
    use crate::{Config, Environment};

    fn role(keys: &str) -> RoleConfig {
        let text = format!("a: {{deadline: 60, {keys}}}");
        let (mut config, _) =
            Config::parse(&text, &Environment::default(), &[]).runnable().expect("it is valid");
        config.roles.remove(0)
    }

    /// Looks every so many seconds, at one job a second of which this share is late.
    fn looked(promise: &mut Promise, seconds: f64, share: f64, looks: u32) {
        let seen = Seen { seconds, came: seconds, usual: seconds, late: share * seconds };
        (0..looks).for_each(|_| promise.observe(&role("stddev: 5"), seen, true));
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
        assert!(late_after(&role("stddev: 15"), 30.0) > late_after(&even, 30.0));
        assert_eq!(late_after(&role("stddev: 0.001"), 49.0), 0.0);
    }

    #[test]
    fn jobs_that_are_longer_than_the_deadline_do_not_count() {
        let hopeless = role("processing: 100, stddev: 1");
        assert_eq!((late_after(&hopeless, 10.0), late_after(&hopeless, 70.0)), (0.0, 0.0));
    }

    #[test]
    fn more_counts_while_jobs_are_late_and_less_while_none_is() {
        let mut promise = Promise::default();
        looked(&mut promise, 30.0, 1.0, 5);
        assert!((promise.caution() - 1.0).abs() < 0.05, "five half minutes: {promise:?}");
        looked(&mut promise, 30.0, 1.0, 20);
        assert_eq!(promise.caution(), MOST.1);
        looked(&mut promise, 30.0, 0.0, 5000);
        assert!((-2.0..-1.0).contains(&promise.caution()), "{promise:?}");
    }

    #[test]
    fn it_is_the_same_however_often_it_is_looked() {
        let (mut often, mut seldom) = (Promise::default(), Promise::default());
        looked(&mut often, 1.0, 0.5, 120);
        looked(&mut seldom, 30.0, 0.5, 4);
        assert!((often.caution() - seldom.caution()).abs() < 0.01, "{often:?} {seldom:?}");
    }

    #[test]
    fn where_nobody_could_have_helped_it_only_falls() {
        let mut promise = Promise::default();
        let late = Seen { seconds: 30.0, came: 30.0, usual: 30.0, late: 30.0 };
        (0..20).for_each(|_| promise.observe(&role("stddev: 5"), late, false));
        assert_eq!(promise.caution(), 0.0);
        let punctual = Seen { late: 0.0, ..late };
        promise.observe(&role("stddev: 5"), punctual, false);
        assert!(promise.caution() < 0.0, "{promise:?}");
    }

    #[test]
    fn when_no_job_comes_it_is_forgotten() {
        let mut promise = Promise::default();
        looked(&mut promise, 30.0, 1.0, 20);
        let quiet = Seen { seconds: 600.0, ..Seen::default() };
        (0..432).for_each(|_| promise.observe(&role("stddev: 5"), quiet, true));
        assert!(promise.caution() < 0.1, "three days: {promise:?}");
    }
}
