//! What the load generator asks for, and when. Pure.

use std::time::Duration;

use serde::Serialize;
use url::Url;
use uuid::Uuid;

/// When jobs arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrivals {
    /// All at once.
    Burst,
    /// At random, without memory.
    Poisson {
        /// The mean rate in jobs.
        per_second: f64,
    },
}

/// One `POST /resize`.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The job's id: a request that is repeated asks for the same job.
    pub(crate) key: Uuid,
    /// How long after the beginning it is sent.
    pub(crate) after: Duration,
    /// What is asked for.
    pub(crate) body: Body,
}

/// The body of a request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Body {
    pub(crate) images: Vec<Image>,
}

/// An image of a body.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Image {
    input: Url,
    width: u32,
    height: u32,
    operation: &'static str,
}

/// Jobs to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) requests: Vec<Request>,
}

impl Workload {
    /// `images` in jobs of `per_job` (the last may have fewer), each of one of `originals` in turn, to fit in a square of `side`
    /// pixels.
    pub(crate) fn new(
        images: usize,
        per_job: usize,
        side: u32,
        arrivals: Arrivals,
        originals: &[Url],
    ) -> Self {
        let inputs: Vec<_> = originals.iter().cycle().take(images).collect();
        let mut after = Duration::ZERO;
        let request = |inputs: &[&Url]| {
            let image =
                |input: &&Url| Image { input: (*input).clone(), width: side, height: side, operation: "max" };
            let body = Body { images: inputs.iter().map(image).collect() };
            let request = Request { key: Uuid::new_v4(), after, body };
            after += arrivals.pause(fastrand::f64());
            request
        };
        Self { requests: inputs.chunks(per_job.max(1)).map(request).collect() }
    }

    /// The same with keys and times as they were drawn before: `keys` for all at once.
    pub(crate) fn with_keys(mut self, keys: &[Uuid]) -> Self {
        for (request, key) in self.requests.iter_mut().zip(keys) {
            request.key = *key;
        }
        self
    }
}

impl Arrivals {
    /// The pause before the next job, from a number drawn evenly from 0 (included) to 1 (excluded).
    fn pause(self, drawn: f64) -> Duration {
        match self {
            Self::Burst => Duration::ZERO,
            // The inverse of the exponential distribution.
            Self::Poisson { per_second } => {
                Duration::try_from_secs_f64(-(1.0 - drawn).ln() / per_second).unwrap_or(Duration::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn originals() -> Vec<Url> {
        ["http://a/1", "http://a/2", "http://a/3"].map(|url| url.parse().expect("a URL")).to_vec()
    }

    #[test]
    fn every_image_is_asked_for_and_the_originals_take_turns() {
        let workload = Workload::new(25, 10, 400, Arrivals::Burst, &originals());
        let lengths: Vec<_> = workload.requests.iter().map(|request| request.body.images.len()).collect();
        assert_eq!(lengths, [10, 10, 5]);
        let inputs = workload.requests.iter().flat_map(|request| &request.body.images);
        let first = inputs.filter(|image| image.input.path() == "/1").count();
        assert_eq!(first, 9);
        assert!(workload.requests.iter().all(|request| request.after.is_zero()));
    }

    #[test]
    fn random_arrivals_have_the_mean_that_was_asked_for() {
        let arrivals = Arrivals::Poisson { per_second: 4.0 };
        let count = 1_000;
        let pauses = (0..count).map(|index| arrivals.pause((f64::from(index) + 0.5) / f64::from(count)));
        let mean = pauses.sum::<Duration>().as_secs_f64() / f64::from(count);
        assert!((mean - 0.25).abs() < 0.002, "{mean}");
    }
}
