//! Backlog divided by what a worker may have of it: AWS' backlog per instance, and practo's worker-pod-autoscaler.

use guv_model::simulation::Scaler;
use guv_model::{Observation, Timestamp};

/// As many workers as make the backlog of each what it may be, once a minute.
pub(crate) struct BacklogPerInstance {
    /// Acceptable latency ÷ processing time.
    pub(crate) acceptable: f64,
    pub(crate) minimum: u32,
}

impl Scaler for BacklogPerInstance {
    fn decide(&mut self, observation: &Observation, _: Timestamp) -> Option<u32> {
        let now = observation.workers?.current;
        let wanted = (observation.queue.ready? as f64 / self.acceptable).ceil() as u32;
        let wanted = wanted.max(self.minimum);
        (wanted != now).then_some(wanted)
    }
}

/// The backlog over a target, within a tenth of which nothing changes; never fewer workers than the rate of arrivals keeps
/// busy.
pub(crate) struct WorkerPods {
    /// Messages a worker.
    pub(crate) target: f64,
    /// Seconds that a job takes.
    pub(crate) seconds_per_job: f64,
    pub(crate) minimum: u32,
}

impl Scaler for WorkerPods {
    fn decide(&mut self, observation: &Observation, _: Timestamp) -> Option<u32> {
        let now = observation.workers?.current;
        let messages = observation.queue.ready? as f64;
        let per_minute = observation.queue.fill_rate? * 60.0;
        let floor = (self.seconds_per_job * per_minute / 60.0).ceil() as u32;
        let usage = messages / (self.target * f64::from(now.max(1)));
        let wanted = match (1.0 - usage).abs() <= 0.1 && now > 0 {
            true => now,
            false => (messages / self.target).ceil() as u32,
        };
        let wanted = wanted.max(floor).max(self.minimum);
        (wanted != now).then_some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::super::seen::{at, jobs};
    use super::*;

    #[test]
    fn the_backlog_is_divided() {
        let mut policy = BacklogPerInstance { acceptable: 6.0, minimum: 1 };
        assert_eq!(policy.decide(&jobs(31, 4, 2), at(0)), Some(6));
        assert_eq!(policy.decide(&jobs(0, 4, 2), at(60)), Some(1));
    }

    #[test]
    fn arrivals_keep_workers_busy() {
        let mut policy = WorkerPods { target: 3.0, seconds_per_job: 10.0, minimum: 0 };
        let seen = |ready, rate, workers| {
            let mut seen = jobs(ready, 0, workers);
            seen.queue.fill_rate = Some(rate);
            seen
        };
        assert_eq!(policy.decide(&seen(0, 0.45, 2), at(0)), Some(5), "4.5 workers are busy with what comes");
        assert_eq!(policy.decide(&seen(31, 0.45, 5), at(30)), Some(11));
        assert_eq!(policy.decide(&seen(31, 0.45, 10), at(30)), None, "within a tenth");
        assert_eq!(policy.decide(&seen(0, 0.0, 10), at(60)), Some(0));
    }
}
