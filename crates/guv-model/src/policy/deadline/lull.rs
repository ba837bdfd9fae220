//! When the last workers go: when no job is expected for longer than it is worth to wait for one.
//!
//! Where a job can wait for a start and still be done in time, a worker that waits for it costs more than a start as soon as
//! none is expected for as long as a start takes (ski rental). Where it cannot, going to zero costs the deadline of the next
//! job, and of those that come while a worker starts. So many may be late as the promise leaves: of a hundred jobs one, at 99 %.
//! Two fifths of that are an allowance for lulls, saved up with each job that comes. Without one, the last worker stays while
//! a job is expected within the hour.

use std::time::Duration;

use super::look_ahead::Outlook;
use super::traffic::Forecast;
use crate::{RoleConfig, WorkerCount};

/// The part of the jobs that may be late which may be spent on lulls.
const SPENT: f64 = 0.4;
/// More is never saved up, jobs.
const SAVED: f64 = 10.0;
/// A lull that costs a deadline has to be this much longer than a start.
const WORTH: f64 = 2.7;
/// A lull in which nothing is expected for so long always is one, seconds.
const LONG: f64 = 3600.0;

/// What is remembered for this.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lull {
    /// Jobs that may be late.
    allowance: f64,
    /// The workers last known.
    workers: u32,
    /// From a job that nobody does to a worker that does it: a look, and a start. Seconds.
    blind: f64,
}

impl Lull {
    /// Takes in that so many jobs have come, the workers that there are, and the time between looks.
    pub(crate) fn observe(
        &mut self,
        role: &RoleConfig,
        came: f64,
        workers: Option<WorkerCount>,
        interval: Duration,
    ) {
        self.blind = (role.boot + interval).as_secs_f64();
        let late = 1.0 - role.percentile.percent() / 100.0;
        self.allowance = (self.allowance + SPENT * late * came).min(SAVED);
        if let Some(workers) = workers {
            self.workers = workers.current;
        }
    }

    /// The platform has just accepted so many workers.
    pub(crate) fn accepted(&mut self, workers: u32, forecast: &Forecast) {
        if workers == 0 && self.workers > 0 {
            self.allowance -= self.price(forecast);
        }
        self.workers = workers;
    }

    /// Whether nothing is there to do, and nothing expected for long enough.
    pub(super) fn is_long(&self, outlook: &Outlook) -> bool {
        let Outlook { ready, held, slack, boot, forecast, .. } = outlook;
        let lasts = if *slack >= self.blind {
            *boot
        } else if self.allowance >= self.price(forecast) {
            WORTH * boot
        } else {
            LONG
        };
        *ready == 0.0 && *held == 0.0 && forecast.jobs_within(lasts) < 1.0
    }

    /// Jobs that are late when there is no worker: the next one, and those that come until one is up.
    fn price(&self, forecast: &Forecast) -> f64 {
        1.0 + forecast.jobs_within(self.blind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Environment};

    fn role() -> RoleConfig {
        let text = "a: {deadline: 60, boot: 55, minimum: 0}";
        Config::parse(text, &Environment::default(), &[]).strict().expect("it is valid").roles.remove(0)
    }

    fn outlook(slack: f64, rate: f64) -> Outlook {
        Outlook {
            ready: 0.0,
            held: 0.0,
            oldest: 0.0,
            slack,
            mean: 10.0,
            spread: 1.25,
            forecast: Forecast { rate, dispersion: 1.0, ..Forecast::default() },
            concurrency: 1.0,
            up: 1,
            booting: Vec::new(),
            boot: 55.0,
        }
    }

    fn after(jobs: f64) -> Lull {
        let mut lull = Lull::default();
        lull.observe(&role(), jobs, Some(WorkerCount::running(1)), Duration::from_secs(30));
        lull
    }

    #[test]
    fn a_worker_is_not_kept_for_jobs_that_can_wait_for_one() {
        let lull = after(0.0);
        assert!(lull.is_long(&outlook(90.0, 1.0 / 60.0)));
        assert!(!lull.is_long(&outlook(90.0, 1.0 / 50.0)));
        assert!(!lull.is_long(&outlook(80.0, 1.0 / 60.0)), "not those");
    }

    #[test]
    fn lulls_are_spent_from_what_the_promise_leaves() {
        let quiet = outlook(34.0, 1.0 / 200.0);
        assert!(!after(200.0).is_long(&quiet), "one of two hundred is spent by the first job alone");
        let mut lull = after(400.0);
        assert!(lull.is_long(&quiet));
        lull.accepted(0, &quiet.forecast);
        assert!(!lull.is_long(&quiet), "{lull:?}");
    }

    #[test]
    fn nothing_expected_for_an_hour_is_a_lull_without_an_allowance() {
        assert!(after(0.0).is_long(&outlook(34.0, 1.0 / 3700.0)));
        assert!(!after(0.0).is_long(&outlook(34.0, 1.0 / 3500.0)));
        let busy = Outlook { held: 1.0, ..outlook(34.0, 0.0) };
        assert!(!after(0.0).is_long(&busy));
    }
}
