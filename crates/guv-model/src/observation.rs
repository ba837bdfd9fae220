//! What is seen of a role in one cycle.
//!
//! Every value that a system may be unable to tell is an `Option`: `None` is "not known", never zero.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// Messages published to the queue, per second.
    pub fill_rate: Option<f64>,
    /// Messages acknowledged, per second.
    pub drain_rate: Option<f64>,
    /// How long the oldest ready message has waited.
    #[serde(with = "crate::seconds::option")]
    pub oldest: Option<Duration>,
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
    /// Whether a worker that is told to stop finishes the jobs that it holds, so that stopping it loses no work.
    pub drains: bool,
}

impl WorkerCount {
    /// So many workers; nothing is known about booting and draining, and nothing promised about how they stop.
    pub const fn running(current: u32) -> Self {
        Self { current, booting: None, draining: None, drains: false }
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
}
