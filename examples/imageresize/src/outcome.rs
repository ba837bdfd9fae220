//! What came of a load, out of the times that the messages themselves carry. Pure.

use std::fmt;
use std::time::Duration;

use imageresize::job::Job;
use jiff::Timestamp;
use serde::Serialize;

/// What became of images. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Work {
    /// Images that were asked for.
    pub(crate) images: usize,
    /// Those whose result is stored.
    pub(crate) completed: usize,
    /// Those that were given up.
    pub(crate) failed: usize,
    /// From the first request to the last ending.
    pub(crate) seconds: f64,
    /// Endings a second over that time.
    pub(crate) images_per_second: f64,
    /// From the request to the start of the work.
    pub(crate) waiting: Spread,
    /// From the start of the work to its end.
    pub(crate) processing: Spread,
    /// The time that all of them were in work, added up.
    pub(crate) processing_total: f64,
    /// Within which an image should be done.
    pub(crate) deadline: f64,
    /// Images that completed within the deadline after their request.
    pub(crate) within_deadline: usize,
    /// Why images failed, each reason once, at most [`REASONS`].
    pub(crate) reasons: Vec<String>,
}

/// How a quantity is spread, in seconds. Zeros when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) maximum: f64,
}

/// Reasons of failures that are shown.
const REASONS: usize = 5;

impl Work {
    pub(crate) fn of(jobs: &[Job], deadline: Duration) -> Self {
        let images = || jobs.iter().flat_map(|job| job.data.images.values().map(move |image| (job, image)));
        let completed = images().filter(|(_, image)| image.completed_at.is_some()).count();
        let failed = images().filter(|(_, image)| image.completed_at.is_none() && image.failed_at.is_some());
        let mut reasons: Vec<_> =
            failed.clone().filter_map(|(_, image)| Some(image.error.as_ref()?.message.clone())).collect();
        reasons.sort();
        reasons.dedup();
        reasons.truncate(REASONS);
        let begin = jobs.iter().map(|job| job.created_at).min();
        let end = images().filter_map(|(_, image)| image.ended_at()).max();
        let seconds = begin.zip(end).map_or(0.0, |(begin, end)| between(begin, end));
        let waiting = images().filter_map(|(job, image)| Some(between(job.created_at, image.started_at?)));
        let processing =
            images().filter_map(|(_, image)| Some(between(image.started_at?, image.ended_at()?)));
        let deadline = deadline.as_secs_f64();
        let in_time = images().filter(|(job, image)| {
            image.completed_at.is_some_and(|completed| between(job.created_at, completed) <= deadline)
        });
        Self {
            images: images().count(),
            completed,
            failed: failed.clone().count(),
            seconds,
            images_per_second: if seconds > 0.0 {
                (completed + failed.count()) as f64 / seconds
            } else {
                0.0
            },
            waiting: Spread::of(waiting.collect()),
            // Not `sum`, which makes -0 of nothing.
            processing_total: processing.clone().fold(0.0, |sum, one| sum + one),
            processing: Spread::of(processing.collect()),
            deadline,
            within_deadline: in_time.count(),
            reasons,
        }
    }
}

impl Spread {
    /// By nearest rank.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied().unwrap_or_default()
        };
        Self { p50: rank(50), p99: rank(99), maximum: rank(100) }
    }
}

/// Seconds from `from` to `to`; clocks of different machines may make it negative, which counts as none.
fn between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.within_deadline as f64 / self.images.max(1) as f64;
        writeln!(f, "images      {} of {} completed, {} failed", self.completed, self.images, self.failed)?;
        for reason in &self.reasons {
            writeln!(f, "            failed: {reason}")?;
        }
        writeln!(f, "time        {:.1} s, {:.1} images/s", self.seconds, self.images_per_second)?;
        writeln!(f, "waiting     p50 {:.2} s, p99 {:.2} s", self.waiting.p50, self.waiting.p99)?;
        writeln!(f, "processing  p50 {:.2} s, p99 {:.2} s", self.processing.p50, self.processing.p99)?;
        writeln!(
            f,
            "deadline    {} of {} within {:.0} s ({percent:.1} %)",
            self.within_deadline, self.images, self.deadline
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imageresize::message::{Ended, Ending, Failure, ImageId, JobId, Order, Resized};
    use uuid::Uuid;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).expect("a time in this age")
    }

    fn job(created: i64, endings: &[(i64, i64, bool)]) -> Job {
        let id = JobId(Uuid::new_v4());
        let order = |number: usize| {
            let image = ImageId(Uuid::from_u128(number as u128));
            let json = serde_json::json!({"id": image, "input": "http://a/b", "width": 1, "height": 1});
            serde_json::from_value::<Order>(json).expect("an order")
        };
        let mut job = Job::new(id, at(created), (0..endings.len()).map(order));
        for (number, &(started, ended, completed)) in endings.iter().enumerate() {
            let ending = if completed {
                Ending::Completed(Resized { output: "file:///x".into() })
            } else {
                Ending::Failed(Failure { message: "no".into() })
            };
            let image = ImageId(Uuid::from_u128(number as u128));
            let now = at(ended);
            let ended = Ended { job: id, image, started_at: Some(at(started)), ended_at: now, ending };
            job.merge(&ended, now);
        }
        job
    }

    #[test]
    fn times_are_those_of_the_messages() {
        let jobs = [
            job(0, &[(100, 300, true), (200, 1_500, true)]),
            job(1_000, &[(1_500, 2_000, true), (2_000, 2_500, false)]),
        ];
        let work = Work::of(&jobs, Duration::from_secs(1));
        assert_eq!((work.images, work.completed, work.failed), (4, 3, 1));
        assert_eq!(work.seconds, 2.5);
        assert_eq!(work.images_per_second, 1.6);
        assert_eq!(work.waiting, Spread { p50: 0.2, p99: 1.0, maximum: 1.0 });
        assert_eq!(work.processing.maximum, 1.3);
        assert_eq!(work.processing_total, 2.5);
        // The second ended after 1.5 s; the fourth failed.
        assert_eq!(work.within_deadline, 2);
        assert_eq!(work.reasons, ["no"]);
    }

    #[test]
    fn nothing_has_no_spread() {
        let work = Work::of(&[], Duration::from_secs(1));
        assert_eq!((work.images, work.seconds, work.waiting), (0, 0.0, Spread::default()));
    }

    #[test]
    fn ranks_are_of_values_that_occurred() {
        let spread = Spread::of((1..=200).map(f64::from).collect());
        assert_eq!(spread, Spread { p50: 100.0, p99: 198.0, maximum: 200.0 });
        assert_eq!(Spread::of(vec![7.0]), Spread { p50: 7.0, p99: 7.0, maximum: 7.0 });
    }
}
