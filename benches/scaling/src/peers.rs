//! What others do, as exactly as their sources say it.

use std::collections::VecDeque;

use guv_model::simulation::Scaler;
use guv_model::{Observation, Timestamp};

/// Never changes anything.
pub(crate) struct Constant;

impl Scaler for Constant {
    fn decide(&mut self, _: &Observation, _: Timestamp) -> Option<u32> {
        None
    }
}

/// KEDA's RabbitMQ scaler by queue length, behind Kubernetes' horizontal autoscaler, which looks every 15 s.
///
/// The metric is the number of messages; within a tenth of `per_worker` each nothing changes. Up to four more or twice as many at
/// a time; down to the highest recommendation of five minutes.
pub(crate) struct Keda {
    pub(crate) per_worker: f64,
    pub(crate) minimum: u32,
    recommended: VecDeque<u32>,
}

/// Looks in five minutes.
const STABILISATION: usize = 20;

impl Keda {
    pub(crate) fn new(per_worker: f64, minimum: u32) -> Self {
        Self { per_worker, minimum, recommended: VecDeque::new() }
    }
}

impl Scaler for Keda {
    fn decide(&mut self, observation: &Observation, _: Timestamp) -> Option<u32> {
        let queue = &observation.queue;
        let messages = (queue.ready? + queue.unacknowledged?) as f64;
        let now = observation.workers?.current;
        let usage = messages / (self.per_worker * f64::from(now.max(1)));
        let wanted = if now > 0 && (1.0 - usage).abs() <= 0.1 {
            now
        } else {
            (messages / self.per_worker).ceil() as u32
        };
        let wanted = wanted.max(self.minimum);
        self.recommended.push_back(wanted);
        if self.recommended.len() > STABILISATION {
            self.recommended.pop_front();
        }
        let held = self.recommended.iter().copied().max().unwrap_or(wanted);
        let next = if wanted > now { wanted.min((now + 4).max(2 * now)) } else { held.min(now) };
        (next != now).then_some(next)
    }
}

/// Backlog per instance: as many workers as make the backlog of each what it may be, once a minute.
pub(crate) struct BacklogPerInstance {
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

#[cfg(test)]
mod tests {
    use guv_model::{QueueSample, WorkerCount};

    use super::*;

    fn seen(ready: u64, held: u64, workers: u32) -> Observation {
        let queue = QueueSample { ready: Some(ready), unacknowledged: Some(held), ..QueueSample::default() };
        Observation { queue, workers: Some(WorkerCount::running(workers)), ..Observation::default() }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1000 + seconds)
    }

    #[test]
    fn keda_follows_the_queue_length() {
        let mut keda = Keda::new(20.0, 1);
        assert_eq!(keda.decide(&seen(90, 10, 1), at(0)), Some(5), "100 messages, 20 each");
        assert_eq!(keda.decide(&seen(100, 5, 5), at(15)), None, "within a tenth");
        assert_eq!(keda.decide(&seen(900, 0, 5), at(30)), Some(10), "twice as many at most");
        assert_eq!(keda.decide(&seen(0, 0, 10), at(45)), None, "five minutes ago 45 were wanted");
        for look in 0..19 {
            keda.decide(&seen(0, 0, 10), at(60 + look * 15));
        }
        assert_eq!(keda.decide(&seen(0, 0, 10), at(345)), Some(1));
    }

    #[test]
    fn backlog_per_instance_divides() {
        let mut policy = BacklogPerInstance { acceptable: 6.0, minimum: 1 };
        assert_eq!(policy.decide(&seen(31, 4, 2), at(0)), Some(6));
        assert_eq!(policy.decide(&seen(0, 4, 2), at(60)), Some(1));
    }
}
