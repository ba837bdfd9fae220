//! When the last workers go: when no job is expected for longer than it is worth to wait for one.
//!
//! Where a job can wait for a start and still be done in time, a worker that waits for it costs more than a start as soon as
//! none is expected for about as long as a start takes (ski rental). Where it cannot, going to zero costs the deadline of the next
//! job, and of those that come while a worker starts; between the two, in part, as likely as they are late for it. So many may be late
//! as the promise leaves: of a hundred jobs one, at 99 %. Four fifths of that are an allowance for lulls, saved up with each job that
//! comes. Without one, the last worker stays while a job is expected within the hour.

use super::look_ahead::Outlook;
use super::promise::late_after;
use super::traffic::Forecast;
use crate::{RoleConfig, WorkerCount};

/// The part of the jobs that may be late which may be spent on lulls.
const SPENT: f64 = 0.8;
/// More is never saved up, nor owed, jobs.
const SAVED: f64 = 10.0;
/// For so many starts nothing must be expected, going by the rate alone: where that costs no deadline, and where it costs one. The
/// first is less than one since a silence of uneven traffic lasts for longer than its rate tells.
const WORTH: (f64, f64) = (0.7, 2.8);
/// What costs no more than this is no matter, jobs.
const TRIFLE: f64 = 0.01;
/// A lull in which nothing is expected for so long always is one, seconds.
const LONG: f64 = 3600.0;

/// What is remembered for this.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lull {
    /// Jobs that may be late.
    allowance: f64,
    /// The workers last known.
    workers: u32,
    /// Whether it is paid for that there is none.
    is_paid: bool,
    /// From a job that nobody does to a worker that does it: a look, and a start. Seconds.
    blind: f64,
    /// The share of the jobs that are late if they wait so long.
    late: f64,
}

impl Lull {
    /// Takes in that so many jobs have come, the workers that there are, and how many seconds a job waits that nobody does.
    pub(crate) fn observe(&mut self, role: &RoleConfig, came: f64, workers: Option<WorkerCount>, blind: f64) {
        self.blind = blind;
        self.late = late_after(role, blind);
        let late = 1.0 - role.percentile.percent() / 100.0;
        self.allowance = (self.allowance + SPENT * late * came).min(SAVED);
        if let Some(workers) = workers {
            self.workers = workers.current;
            self.is_paid &= workers.current == 0;
        }
    }

    /// The platform has just accepted so many workers.
    pub(crate) fn accepted(&mut self, workers: u32, forecast: &Forecast) {
        if workers == 0 && self.workers > 0 {
            self.allowance = (self.allowance - self.price(forecast)).max(-SAVED);
            self.is_paid = true;
        }
        self.is_paid &= workers == 0;
        self.workers = workers;
    }

    /// Whether nothing is there to do, and nothing expected for long enough.
    pub(super) fn is_long(&self, outlook: &Outlook) -> bool {
        let Outlook { ready, held, boot, forecast, .. } = outlook;
        let is_allowed = self.is_paid || self.price(forecast) <= self.allowance.max(TRIFLE);
        let lasts = if is_allowed { boot * (WORTH.0 + (WORTH.1 - WORTH.0) * self.late) } else { LONG };
        *ready == 0.0 && *held == 0.0 && expected(forecast, lasts) < 1.0
    }

    /// Jobs that are late when there is no worker: the next one, and those that come until one is up.
    fn price(&self, forecast: &Forecast) -> f64 {
        self.late * (1.0 + forecast.jobs_within(self.blind))
    }
}

/// The jobs that are expected within so many seconds, if they do not stay away: that is what is asked here.
fn expected(forecast: &Forecast, seconds: f64) -> f64 {
    Forecast { excess: forecast.excess.max(0.0), ..*forecast }.jobs_within(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Environment};

    fn role(deadline: u32) -> RoleConfig {
        let text = format!("a: {{deadline: {deadline}, boot: 55, minimum: 0}}");
        Config::parse(&text, &Environment::default(), &[]).strict().expect("it is valid").roles.remove(0)
    }

    fn outlook(rate: f64) -> Outlook {
        Outlook {
            ready: 0.0,
            held: 0.0,
            ages: Vec::new(),
            slack: 34.0,
            blind: 85.0,
            mean: 10.0,
            spread: 1.25,
            forecast: Forecast { rate, dispersion: 1.0, ..Forecast::default() },
            caution: 0.0,
            concurrency: 1.0,
            up: 1,
            booting: Vec::new(),
            boot: 55.0,
        }
    }

    fn after(jobs: f64, deadline: u32) -> Lull {
        let mut lull = Lull::default();
        lull.observe(&role(deadline), jobs, Some(WorkerCount::running(1)), 85.0);
        lull
    }

    #[test]
    fn a_worker_is_not_kept_for_jobs_that_can_wait_for_one() {
        let lull = after(0.0, 180);
        assert!(lull.is_long(&outlook(1.0 / 40.0)));
        assert!(!lull.is_long(&outlook(1.0 / 37.0)));
        assert!(!after(0.0, 60).is_long(&outlook(1.0 / 60.0)), "these cannot");
    }

    #[test]
    fn lulls_are_spent_from_what_the_promise_leaves() {
        let quiet = outlook(1.0 / 250.0);
        assert!(!after(120.0, 60).is_long(&quiet), "one of them is spent by the first job alone");
        let mut lull = after(200.0, 60);
        assert!(lull.is_long(&quiet));
        lull.accepted(0, &quiet.forecast);
        assert!(lull.is_long(&quiet), "it is paid, and nobody is to come back for nothing: {lull:?}");
        lull.observe(&role(60), 0.0, Some(WorkerCount::running(1)), 85.0);
        assert!(!lull.is_long(&quiet), "the next one is not: {lull:?}");
    }

    #[test]
    fn who_is_gone_without_having_been_taken_away_is_not_paid_for() {
        let quiet = outlook(1.0 / 250.0);
        let mut lull = after(0.0, 60);
        lull.observe(&role(60), 0.0, Some(WorkerCount::running(0)), 85.0);
        assert!(!lull.is_long(&quiet), "it crashed: {lull:?}");
    }

    #[test]
    fn a_lull_costs_as_much_as_waiting_makes_late() {
        let (rate, jobs) = (1.0 / 100.0, 20.0);
        assert!(!after(jobs, 60).is_long(&outlook(rate)));
        assert!(after(jobs, 120).is_long(&outlook(rate)), "one in fifty is late: {:?}", after(jobs, 120));
    }

    #[test]
    fn nothing_expected_for_an_hour_is_a_lull_without_an_allowance() {
        assert!(after(0.0, 60).is_long(&outlook(1.0 / 3700.0)));
        assert!(!after(0.0, 60).is_long(&outlook(1.0 / 3500.0)));
        let busy = Outlook { held: 1.0, ..outlook(0.0) };
        assert!(!after(0.0, 60).is_long(&busy));
    }
}
