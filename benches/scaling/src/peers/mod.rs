//! What others do, as exactly as their sources say it.

mod backlog;
mod judoscale;
mod keda;

use guv_model::simulation::Scaler;
use guv_model::{Observation, Timestamp};

pub(crate) use backlog::{BacklogPerInstance, WorkerPods};
pub(crate) use judoscale::Judoscale;
pub(crate) use keda::{Keda, Metric};

/// Never changes anything.
pub(crate) struct Constant;

impl Scaler for Constant {
    fn decide(&mut self, _: &Observation, _: Timestamp) -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod seen {
    use guv_model::{Observation, QueueSample, Timestamp, WorkerCount};

    /// A queue with jobs that wait and jobs in hand.
    pub(super) fn jobs(ready: u64, held: u64, workers: u32) -> Observation {
        let queue = QueueSample { ready: Some(ready), unacknowledged: Some(held), ..QueueSample::default() };
        Observation { queue, workers: Some(WorkerCount::running(workers)), ..Observation::default() }
    }

    pub(super) fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1000 + seconds)
    }
}
