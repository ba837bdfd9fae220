//! How many jobs are being worked on, as well as it can be told.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::{QueueSample, WorkerCount};

/// The number of jobs that workers hold, with how far it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "jobs", rename_all = "snake_case")]
pub enum InFlight {
    /// The broker counts what it handed out.
    Counted(u64),
    /// Started less finished, from the workers' own reports.
    Reported(u64),
    /// No more than this: every consumer may hold as many as its prefetch allows.
    AtMost(u64),
    /// Nothing is known.
    Unknown,
}

impl InFlight {
    /// The best that can be told: the broker's count, else the workers' reports, else the bound of
    /// consumers × concurrency, else that of workers × concurrency.
    ///
    /// Reports are taken no lower than zero: an end that arrives before its start (they travel on different
    /// connections) must not cancel another job. Without any consumer nobody holds a job, whatever was
    /// reported: a killed worker never reports its end.
    pub fn of(sample: &QueueSample, workers: Option<WorkerCount>, concurrency: NonZeroU32) -> Self {
        if let Some(count) = sample.unacknowledged {
            return Self::Counted(count);
        }
        if let Some(reports) = sample.reports {
            let held = if sample.consumers == Some(0) {
                0
            } else {
                reports.started.saturating_sub(reports.finished)
            };
            return Self::Reported(held);
        }
        let holders = sample
            .consumers
            .map(u64::from)
            .or_else(|| workers.map(|w| u64::from(w.current) + u64::from(w.draining.unwrap_or(0))));
        match holders {
            Some(holders) => Self::AtMost(holders.saturating_mul(u64::from(concurrency.get()))),
            None => Self::Unknown,
        }
    }

    /// The number to plan with: a bound counts in full, so that what is not known is never taken for zero.
    pub const fn jobs(self) -> Option<u64> {
        match self {
            Self::Counted(jobs) | Self::Reported(jobs) | Self::AtMost(jobs) => Some(jobs),
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JobReports;

    fn in_flight(sample: QueueSample) -> InFlight {
        InFlight::of(&sample, None, NonZeroU32::new(10).unwrap())
    }

    #[test]
    fn the_brokers_count_wins_over_reports_and_bound() {
        let reports = Some(JobReports { started: 9, finished: 2 });
        let all = QueueSample { unacknowledged: Some(5), reports, consumers: Some(3), ..Default::default() };
        assert_eq!(in_flight(all.clone()), InFlight::Counted(5));
        assert_eq!(in_flight(QueueSample { unacknowledged: None, ..all.clone() }), InFlight::Reported(7));
        assert_eq!(
            in_flight(QueueSample { unacknowledged: None, reports: None, ..all }),
            InFlight::AtMost(30)
        );
    }

    #[test]
    fn knowing_only_the_depth_is_not_knowing_that_nothing_runs() {
        assert_eq!(in_flight(QueueSample { ready: Some(0), ..Default::default() }), InFlight::Unknown);
        let workers = WorkerCount { draining: Some(1), ..WorkerCount::running(2) };
        let bound = InFlight::of(&QueueSample::default(), Some(workers), NonZeroU32::new(10).unwrap());
        assert_eq!(bound, InFlight::AtMost(30));
    }

    #[test]
    fn an_end_before_its_start_is_not_a_negative_job() {
        let reports = Some(JobReports { started: 1, finished: 2 });
        assert_eq!(in_flight(QueueSample { reports, ..Default::default() }), InFlight::Reported(0));
    }

    #[test]
    fn without_consumers_nothing_is_in_flight() {
        let reports = Some(JobReports { started: 9, finished: 2 });
        let consumers = Some(0);
        assert_eq!(in_flight(QueueSample { consumers, ..Default::default() }), InFlight::AtMost(0));
        assert_eq!(
            in_flight(QueueSample { consumers, reports, ..Default::default() }),
            InFlight::Reported(0)
        );
    }
}
