//! Can so many workers do all work in time? A look ahead at the work that will have to be done by when, and at what the workers
//! can have done by then.
//!
//! Let D be the time that jobs may wait and still be done: the deadline less a tail of the processing time and the age of
//! what is seen. What arrives within h has to be done by x = h + D. For h from now to three minutes ahead, or three starts:
//!
//! ```text
//! work(h)     = ready·S + ½·held·S·(1 + v²) + n(h)·S + z·S·√(n(h)·(1 + v²)·φ)
//! capacity(x) = c·( up·x + Σ booting (x − expected) + new·(x − boot) )        each term at least 0
//! ```
//! S and v are mean and coefficient of variation of the processing time, n(h) the jobs expected within h and φ their dispersion, c the
//! concurrency. The deviation multiplies v² and φ: jobs of one burst are taken to be alike in length.
//! ½·S·(1 + v²) is the mean rest of a job that is under way. What waits is due by its age: what is in hand by D less the age of the
//! oldest, and of what waits as much as is older than some age by D less that age. There are enough workers if capacity(x) ≥ work in
//! each case.
//!
//! Where a start takes longer than jobs may wait, a burst that is seen is a burst that is late: then there must always be enough
//! workers for as many jobs as often come before a start is over, and for the rate and its chance, whatever waits now
//! ([`Outlook::for_a_burst`], [`Outlook::for_chance`]).

use serde::{Deserialize, Serialize};

use super::traffic::Forecast;

/// How far ahead, seconds, and in starts if that is further; and in how many steps.
const HORIZON: (f64, f64) = (180.0, 3.0);
const STEPS: u32 = 30;

/// A new worker counts only where it would have at least this part of a start to work: less is not worth one.
const OF_USE: f64 = 0.48;

/// So many deviations count for workers that stand by where a start takes e times as long as jobs may wait.
const STANDING: f64 = 2.0;
/// Where a start takes e to this times as long as jobs may wait, there is no time for one whatever comes.
const APART: f64 = 1.3;

/// No more workers are ever thought of.
pub(super) const MOST: u32 = u32::MAX / 4;

/// What there is, and what is expected.
#[derive(Clone, Debug)]
pub(super) struct Outlook {
    /// Jobs that wait.
    pub(super) ready: f64,
    /// Jobs in hand.
    pub(super) held: f64,
    /// Ages of waiting jobs, seconds, and how many of them are older.
    pub(super) ages: Vec<(f64, f64)>,
    /// How long a job may wait that is seen now and still be done in time, seconds, positive.
    pub(super) slack: f64,
    /// From the first job of a burst to the workers that are asked for because of it, seconds.
    pub(super) blind: f64,
    /// S: mean processing time, seconds.
    pub(super) mean: f64,
    /// 1 + v².
    pub(super) spread: f64,
    /// What is expected to come.
    pub(super) forecast: Forecast,
    /// So many more deviations count for workers that stand by.
    pub(super) caution: f64,
    /// Jobs that a worker does at once.
    pub(super) concurrency: f64,
    /// Workers that are up.
    pub(super) up: u32,
    /// Groups of workers that boot, oldest first: how many, and in how many seconds they are expected.
    pub(super) booting: Vec<(u32, f64)>,
    /// Seconds that a new worker takes.
    pub(super) boot: f64,
}

/// Work that has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Demand {
    /// Seconds of work.
    pub work: f64,
    /// Within how many seconds.
    pub within: f64,
}

/// Why fewer workers would not do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// They cannot do this in time.
    Work(Demand),
    /// So many jobs have often come within less than a start takes, and will again.
    Burst(f64),
    /// A start takes longer than jobs may wait, or too many have been late: those that come by chance need workers that are there.
    Standing,
    /// There were more at first, and it has not been looked for long.
    Fresh,
}

/// So many workers, and why not fewer: `None` where nobody asks for more.
pub(super) type Needed = (u32, Option<Need>);

impl Outlook {
    /// The fewest workers, from `least` to `most`, that do all work in time, `z` deviations of it included; `most` if none do.
    pub(super) fn needed(&self, z: f64, least: Needed, most: u32) -> Needed {
        let (least, why) = least;
        let current = self.current();
        let demands: Vec<Demand> = self.demands(z).collect();
        let is_enough = |workers: u32| demands.iter().all(|demand| self.meets(workers, demand, current));
        // More workers never do less, so that the fewest can be searched for by halves.
        let (mut low, mut high) = (least, most.max(least));
        while low < high {
            let middle = low + (high - low) / 2;
            if is_enough(middle) { high = middle } else { low = middle + 1 }
        }
        // Of what one worker less would not do, what these do.
        let fewer = low.checked_sub(1).filter(|_| low > least);
        let is_why = |fewer: u32, demand: &&Demand| {
            !self.meets(fewer, demand, current) && self.capacity(low, demand.within) >= demand.work
        };
        let demand = fewer.and_then(|fewer| demands.iter().find(|demand| is_why(fewer, demand)).copied());
        (low, demand.map(Need::Work).or(why))
    }

    /// The workers for a burst as there often is one, if they begin with nothing to do.
    pub(super) fn for_a_burst(&self) -> Needed {
        let Self { mean, forecast, blind, concurrency, .. } = *self;
        // The last of them may be done when those arrive that are asked for.
        let workers = forecast.burst * mean / (blind * concurrency);
        (workers.ceil() as u32, Some(Need::Burst(forecast.burst)))
    }

    /// The workers for what comes by chance, from an empty queue: enough for the jobs of any half to eight times that jobs may wait,
    /// [`STANDING`] deviations included where a start takes e times as long as that. Nearer to each other they need less, since there is
    /// time for a start in part; further from each other than [`APART`] they need no more. The promise may ask for more or fewer.
    /// A rise or a fall counts as far as it stands out from chance.
    ///
    /// Unlike those of a burst, these jobs are taken to be independent of each other: of the work of n of them the variance is
    /// n·S²·(v² + φ).
    pub(super) fn for_chance(&self) -> Needed {
        let Self { mean, spread, forecast, slack, .. } = *self;
        let apart = (self.boot / slack).ln().clamp(0.0, APART);
        let z = STANDING * apart * apart + self.caution;
        if z <= 0.0 {
            return (0, None);
        }
        let busy = [0.5, 1.0, 2.0, 4.0, 8.0].map(|times| {
            let within = slack * times;
            let usual = forecast.rate * within;
            let chance = (usual * forecast.dispersion).sqrt();
            let change = forecast.excess_within(within);
            let jobs = usual + change - change.clamp(-chance, chance);
            let work = mean * (jobs + z * (jobs * (spread - 1.0 + forecast.dispersion)).sqrt());
            work / (within + slack)
        });
        let workers = busy.into_iter().fold(0.0, f64::max) / self.concurrency;
        (workers.ceil() as u32, Some(Need::Standing))
    }

    fn current(&self) -> u32 {
        self.up + self.booting.iter().map(|(workers, _)| workers).sum::<u32>()
    }

    fn demands(&self, z: f64) -> impl Iterator<Item = Demand> {
        let Self { mean, spread, forecast, slack, .. } = *self;
        let base = self.ready * mean + 0.5 * self.held * mean * spread;
        let horizon = HORIZON.0.max(HORIZON.1 * self.boot);
        let to_come = (0..=STEPS).map(move |step| {
            let ahead = f64::from(step) * horizon / f64::from(STEPS);
            let jobs = forecast.jobs_within(ahead);
            let deviation = (jobs * spread * forecast.dispersion).sqrt();
            Demand { work: base + mean * (jobs + z * deviation), within: ahead + slack }
        });
        let waiting = self.ages.iter().map(move |(age, older)| Demand {
            work: base - (self.ready - older) * mean,
            within: slack - age,
        });
        to_come.chain(waiting)
    }

    fn meets(&self, workers: u32, demand: &Demand, current: u32) -> bool {
        // Workers that are asked for now cannot help with what is due before they are of use.
        let out_of_reach = workers >= current && demand.within - self.boot < OF_USE * self.boot;
        out_of_reach || self.capacity(workers, demand.within) >= demand.work
    }

    /// Seconds of work that so many workers do within a time. When there are to be fewer, the newest go.
    fn capacity(&self, workers: u32, within: f64) -> f64 {
        let up = workers.min(self.up);
        let mut seconds = f64::from(up) * within.max(0.0);
        let mut left = workers - up;
        for &(booting, expected) in &self.booting {
            let kept = left.min(booting);
            left -= kept;
            seconds += f64::from(kept) * (within - expected).max(0.0);
        }
        self.concurrency * (seconds + f64::from(left) * (within - self.boot).max(0.0))
    }
}
