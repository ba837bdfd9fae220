//! What the demo says at its end.

use std::fmt;

use serde::Serialize;

use super::chart;
use super::disturbance::Disturbed;
use super::plan::Plan;
use super::workers::Workers;
use crate::outcome::Work;

/// What the demo says at its end.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) broker: String,
    pub(crate) work: Work,
    pub(crate) workers: Workers,
    pub(crate) delivery: Delivery,
    pub(crate) disturbed: Disturbed,
    /// The part of the workers' time and slots in which they had images in hand, 0 to 1.
    pub(crate) utilisation: f64,
    /// The part that was saved against the most workers all the time, 0 to 1.
    pub(crate) saving: f64,
}

/// Whether every image arrived exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Delivery {
    /// Images that were sent.
    pub(crate) images: usize,
    /// Images that the store has as completed.
    pub(crate) completed: u64,
    /// Jobs that were sent.
    pub(crate) jobs_sent: usize,
    /// Jobs that the store has.
    pub(crate) jobs_stored: u64,
    /// Pictures that were written.
    pub(crate) results: usize,
}

impl Delivery {
    /// Whether nothing is missing and nothing is there twice.
    pub(crate) fn is_exact(&self) -> bool {
        self.completed == self.images as u64
            && self.results == self.images
            && self.jobs_stored == self.jobs_sent as u64
    }
}

impl Summary {
    pub(crate) fn new(
        work: Work,
        workers: Workers,
        delivery: Delivery,
        disturbed: Disturbed,
        broker: String,
        plan: &Plan,
    ) -> Self {
        let slots = workers.worker_seconds * f64::from(plan.concurrency);
        let constant = workers.constant_maximum();
        Self {
            broker,
            utilisation: if slots > 0.0 { work.processing_total / slots } else { 0.0 },
            saving: if constant > 0.0 { 1.0 - workers.worker_seconds / constant } else { 0.0 },
            work,
            workers,
            delivery,
            disturbed,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { work, workers, delivery, disturbed, .. } = self;
        write!(f, "\n{}\n{work}", chart::text(workers))?;
        let consuming = match workers.peak_consuming {
            Some(consuming) => format!("{consuming} of {} seen consuming", workers.maximum),
            None => "the broker does not say how many consumed".into(),
        };
        writeln!(f, "workers     0 → {} → 0, {consuming}", workers.peak)?;
        let (paid, constant) = (workers.worker_seconds, workers.constant_maximum());
        writeln!(
            f,
            "cost        {paid:.0} worker-seconds in {:.1} s; {} all the time would be {constant:.0}: {:.0} % saved",
            workers.seconds,
            workers.maximum,
            100.0 * self.saving
        )?;
        writeln!(
            f,
            "utilisation {:.0} % of the workers' slots had an image in hand",
            100.0 * self.utilisation
        )?;
        if disturbed.workers_killed > 0 {
            writeln!(f, "killed      {} workers while they worked", disturbed.workers_killed)?;
        }
        if disturbed.coordinator_killed {
            writeln!(f, "killed      msgflo itself, and started it again")?;
        }
        let Delivery { images, completed, jobs_sent, jobs_stored, results } = delivery;
        if delivery.is_exact() {
            writeln!(f, "delivery    each of {images} images exactly once")
        } else {
            writeln!(
                f,
                "delivery    NOT each of {images} images exactly once: the store has {completed} completed, {results} were \
                 written; it has {jobs_stored} jobs of {jobs_sent}"
            )
        }
    }
}
