//! What a simulated platform is like, and how it is watched.

use rand::RngExt;
use rand_distr::{Distribution, LogNormal};
use rand_pcg::Pcg64Mcg;

/// The platform that runs the workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Platform {
    /// Jobs that a worker processes at once.
    pub concurrency: u32,
    /// From the request for a worker to its first job.
    pub boot: Boot,
    /// Seconds from telling an idle worker to stop to its exit.
    pub idle_stop: f64,
    /// Seconds that a busy worker has for what it holds. Then it is killed, and its jobs go back to the front of the queue.
    pub grace: f64,
    /// Whether idle workers are stopped first; else the newest.
    pub idle_first: bool,
    /// The most workers that it runs.
    pub limit: u32,
    /// From when to when it refuses every change, seconds; nothing then changes.
    pub refuses: Option<(f64, f64)>,
    /// The share of starts that fail, 0 to 1: such a worker is gone when it should be ready, and was paid for.
    pub failing: f64,
}

/// How long workers take to start: lognormal, cut to a range. Seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Boot {
    /// The middle.
    pub median: f64,
    /// Standard deviation of the logarithm.
    pub spread: f64,
    /// The shortest.
    pub least: f64,
    /// The longest.
    pub most: f64,
}

/// How the queue is watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// Seconds from look to look.
    pub interval: f64,
    /// What is seen is at most so many seconds old: uniformly.
    pub staleness: f64,
    /// From when to when the queue tells nothing, seconds.
    pub blind: Option<(f64, f64)>,
    /// What it tells of itself.
    pub tells: Tells,
    /// Seconds from a change to a look beside the others, where changes are seen as they happen ([`Activity`](crate::Activity));
    /// then what is seen is never old.
    pub reaction: Option<f64>,
}

/// What a queue tells of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tells {
    /// How many jobs wait, how many are in hand, how long the oldest has waited, how many have come and were done.
    #[default]
    All,
    /// How many wait, how many are in hand, and how long the oldest has waited, as most libraries for jobs do.
    Jobs,
    /// How many wait.
    Ready,
}

impl Default for Platform {
    /// As measured of a large hosting platform: 45 to 75 s to start, mean 52; 10 s to stop, 30 s where there is work.
    fn default() -> Self {
        Self {
            concurrency: 1,
            boot: Boot { median: 51.3, spread: 0.12, least: 45.0, most: 75.0 },
            idle_stop: 10.0,
            grace: 30.0,
            idle_first: false,
            limit: u32::MAX,
            refuses: None,
            failing: 0.0,
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self { interval: 30.0, staleness: 5.0, blind: None, tells: Tells::All, reaction: None }
    }
}

/// Whether `now` lies within a time.
pub(super) fn lies_in(time: Option<(f64, f64)>, now: f64) -> bool {
    time.is_some_and(|(from, to)| (from..to).contains(&now))
}

impl Boot {
    pub(super) fn draw(self, random: &mut Pcg64Mcg) -> f64 {
        let drawn =
            LogNormal::new(self.median.ln(), self.spread).map_or(self.median, |boot| boot.sample(random));
        drawn.clamp(self.least, self.most)
    }
}

impl Watch {
    pub(super) fn age(self, random: &mut Pcg64Mcg) -> f64 {
        if self.reaction.is_some() {
            return 0.0;
        }
        // Never as old as the last look, so that looks stay in order.
        (self.staleness * random.random::<f64>()).min(self.interval * 0.9)
    }
}
