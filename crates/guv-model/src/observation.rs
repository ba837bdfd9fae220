//! What is seen of a role in one cycle.
//!
//! Every value that a system may be unable to tell is an `Option`: `None` is "not known", never zero.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What a queue source knows about one queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueSample {
    /// Messages that wait in the queue.
    pub ready: Option<u64>,
    /// Messages given to consumers and not acknowledged yet.
    pub unacknowledged: Option<u64>,
    /// What the role's workers themselves report, where they do.
    pub reports: Option<JobReports>,
    /// Consumers of the queue.
    pub consumers: Option<u32>,
    /// Messages published to the queue, per second, as of late.
    pub fill_rate: Option<f64>,
    /// Messages acknowledged, per second, as of late.
    pub drain_rate: Option<f64>,
    /// Messages published to the queue since some moment that the source chooses; the number only ever grows, or starts anew.
    /// It tells all that came between two looks, where a rate tells of the seconds before the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<u64>,
    /// Messages acknowledged since some moment, in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
    /// How long the oldest ready message has waited.
    #[serde(with = "crate::seconds::option")]
    pub oldest: Option<Duration>,
    /// How long finished jobs took, where somebody measures it.
    #[serde(default)]
    pub times: Option<JobTimes>,
    /// How long finished jobs waited, and how many were late, where somebody measures it.
    #[serde(default)]
    pub waits: Option<JobWaits>,
}

impl QueueSample {
    /// The queues of one role taken together. What is unknown of one of them is unknown of all: a number that
    /// leaves one out would be too low. `None` when there is no queue.
    ///
    /// Rates and consumers add up; the oldest is the oldest of those known, as it is only ever a lower bound.
    pub fn sum(samples: impl IntoIterator<Item = Self>) -> Option<Self> {
        samples.into_iter().reduce(|a, b| Self {
            ready: both(a.ready, b.ready, u64::saturating_add),
            unacknowledged: both(a.unacknowledged, b.unacknowledged, u64::saturating_add),
            reports: both(a.reports, b.reports, |a, b| JobReports {
                started: a.started.saturating_add(b.started),
                finished: a.finished.saturating_add(b.finished),
            }),
            consumers: both(a.consumers, b.consumers, u32::saturating_add),
            fill_rate: both(a.fill_rate, b.fill_rate, |a, b| a + b),
            drain_rate: both(a.drain_rate, b.drain_rate, |a, b| a + b),
            published: both(a.published, b.published, u64::saturating_add),
            acknowledged: both(a.acknowledged, b.acknowledged, u64::saturating_add),
            oldest: a.oldest.max(b.oldest),
            times: both(a.times, b.times, JobTimes::plus),
            waits: both(a.waits, b.waits, JobWaits::plus),
        })
    }
}

fn both<T>(a: Option<T>, b: Option<T>, add: impl FnOnce(T, T) -> T) -> Option<T> {
    Some(add(a?, b?))
}

/// How long jobs took, as sums since some moment that the source chooses; they only ever grow, or start anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobTimes {
    /// Jobs measured.
    pub jobs: u64,
    /// Σ processing time, seconds.
    pub sum: f64,
    /// Σ processing time², seconds².
    pub squares: f64,
}

impl JobTimes {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            jobs: self.jobs.saturating_add(other.jobs),
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
        }
    }
}

/// How long jobs waited before they were begun, as sums since some moment that the source chooses; they only ever grow,
/// or start anew. Jobs whose waiting is not known are not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobWaits {
    /// Jobs measured.
    pub jobs: u64,
    /// Σ waiting time, seconds.
    pub sum: f64,
    /// Jobs whose waiting and processing together took longer than the deadline.
    pub late: u64,
}

impl JobWaits {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            jobs: self.jobs.saturating_add(other.jobs),
            sum: self.sum + other.sum,
            late: self.late.saturating_add(other.late),
        }
    }
}

/// How many jobs the workers of a role said they started and finished, counted since the same moment.
///
/// Finished includes failed ones. A worker that is killed reports no end, so that the difference may be too
/// high, never too low, until the counter of that worker is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReports {
    /// Jobs started.
    pub started: u64,
    /// Jobs finished, whatever their outcome.
    pub finished: u64,
}

/// What an actuator knows about the workers of one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerCount {
    /// Workers asked of the platform and not told to stop, those that still boot included. This is what a
    /// change is compared with.
    pub current: u32,
    /// How many of them do not process yet.
    pub booting: Option<u32>,
    /// Workers told to stop that finish what they have; not part of `current`.
    pub draining: Option<u32>,
    /// How many of `current` are known to be working on a job.
    #[serde(default)]
    pub busy: Option<u32>,
    /// Whether a worker that is told to stop finishes the jobs that it holds, so that stopping it loses no work.
    pub drains: bool,
    /// Whether idle workers are stopped before busy ones when there are to be fewer.
    #[serde(default)]
    pub idle_first: bool,
}

impl WorkerCount {
    /// So many workers; nothing is known about booting and draining, and nothing promised about how they stop.
    pub const fn running(current: u32) -> Self {
        Self { current, booting: None, draining: None, busy: None, drains: false, idle_first: false }
    }
}

/// All that a policy sees of a role in one cycle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The queue; the default when the source could not tell anything.
    pub queue: QueueSample,
    /// The workers; `None` when nothing can tell.
    pub workers: Option<WorkerCount>,
    /// The most workers that the platform runs, where it has refused more not long ago.
    pub platform_limit: Option<u32>,
    /// What somebody has set by hand for a time.
    #[serde(default)]
    pub manual: Option<Manual>,
    /// Until when somebody has paused the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Timestamp>,
    /// What the machine's clock says, where that is not the time that decisions go by: somebody has set it meanwhile. Only
    /// what is scheduled by the time of day goes by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Timestamp>,
}

/// A number of workers that somebody has set by hand; the policy is not followed until it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manual {
    /// Workers.
    pub workers: u32,
    /// Until when.
    pub until: Timestamp,
}
