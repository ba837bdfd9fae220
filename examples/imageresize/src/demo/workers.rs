//! What the workers cost, out of what was seen of them. Pure.

use serde::Serialize;

use super::observer::Sample;
use super::plan::Plan;

/// What the workers cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Workers {
    /// The most that the configuration allows.
    pub(crate) maximum: u32,
    /// The most that ran at once.
    pub(crate) peak: u32,
    /// The most that took messages at once, as the broker says.
    pub(crate) peak_consuming: Option<u32>,
    /// From the first job to the end of the last worker.
    pub(crate) seconds: f64,
    /// Workers added up over that time.
    pub(crate) worker_seconds: f64,
    /// Over time.
    pub(crate) series: Vec<Point>,
}

/// The workers at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    /// Seconds since the first job.
    pub(crate) at: f64,
    pub(crate) up: u32,
    pub(crate) consuming: Option<u32>,
    pub(crate) ready: Option<u64>,
}

impl Workers {
    /// Each sample counts until the next; the last ends it.
    pub(crate) fn of(samples: &[Sample], plan: &Plan) -> Self {
        let begin = samples.first().map(|sample| sample.at);
        let series: Vec<_> = samples
            .iter()
            .map(|sample| Point {
                at: begin.map_or(0.0, |begin| (sample.at - begin).as_secs_f64()),
                up: sample.up,
                consuming: sample.consuming,
                ready: sample.ready,
            })
            .collect();
        let steps = series.windows(2).map(|pair| f64::from(pair[0].up) * (pair[1].at - pair[0].at));
        Self {
            maximum: plan.maximum,
            peak: series.iter().map(|point| point.up).max().unwrap_or(0),
            peak_consuming: series.iter().filter_map(|point| point.consuming).max(),
            seconds: series.last().map_or(0.0, |point| point.at),
            // Not `sum`, which makes -0 of nothing.
            worker_seconds: steps.fold(0.0, |sum, step| sum + step),
            series,
        }
    }

    /// What the most workers would have cost in the same time.
    pub(crate) fn constant_maximum(&self) -> f64 {
        f64::from(self.maximum) * self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn workers_cost_from_one_look_to_the_next() {
        let begin = Instant::now();
        let sample = |milliseconds, up, consuming| Sample {
            at: begin + Duration::from_millis(milliseconds),
            up,
            consuming,
            ready: None,
        };
        let samples = [
            sample(0, 0, None),
            sample(1_000, 10, Some(4)),
            sample(1_500, 25, Some(25)),
            sample(3_500, 2, Some(2)),
            sample(4_000, 0, Some(0)),
        ];
        let plan = Plan { deadline: Duration::from_secs(40), maximum: 25, concurrency: 5 };
        let workers = Workers::of(&samples, &plan);
        assert_eq!((workers.peak, workers.peak_consuming, workers.seconds), (25, Some(25), 4.0));
        assert_eq!(workers.worker_seconds, 10.0 * 0.5 + 25.0 * 2.0 + 2.0 * 0.5);
        assert_eq!(workers.constant_maximum(), 100.0);
        assert!(Workers::of(&[], &plan).worker_seconds.is_sign_positive());
    }
}
