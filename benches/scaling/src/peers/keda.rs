//! KEDA's RabbitMQ scaler behind Kubernetes' horizontal autoscaler, which looks every 15 s.

use std::collections::VecDeque;

use guv_model::simulation::Scaler;
use guv_model::{Observation, Timestamp};

/// Looks in five minutes.
const STABILISATION: usize = 20;

/// What it goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Metric {
    /// The number of messages (`QueueLength`).
    Length,
    /// Seconds until the queue would be empty, going by the rates (`ExpectedQueueConsumptionTime`):
    /// (published − delivered) ÷ delivered + messages ÷ delivered, rates per second. Without messages 0; while nothing is
    /// delivered the activation value, 0.
    ConsumptionTime,
}

/// Workers in proportion to a metric, `per_worker` each; within a tenth of that nothing changes. Up to four more or twice as
/// many at a time; down to the highest recommendation of five minutes.
pub(crate) struct Keda {
    metric: Metric,
    per_worker: f64,
    minimum: u32,
    recommended: VecDeque<u32>,
}

impl Keda {
    pub(crate) fn new(metric: Metric, per_worker: f64, minimum: u32) -> Self {
        Self { metric, per_worker, minimum, recommended: VecDeque::new() }
    }

    fn value(&self, observation: &Observation) -> Option<f64> {
        let queue = &observation.queue;
        let messages = (queue.ready? + queue.unacknowledged?) as f64;
        if self.metric == Metric::Length || messages == 0.0 {
            return Some(messages);
        }
        let (published, delivered) = (queue.fill_rate?, queue.drain_rate?);
        let expected = (published - delivered) / delivered + messages / delivered;
        Some(if delivered > 0.0 { expected.max(0.0) } else { 0.0 })
    }
}

impl Scaler for Keda {
    fn decide(&mut self, observation: &Observation, _: Timestamp) -> Option<u32> {
        let value = self.value(observation)?;
        let now = observation.workers?.current;
        let active = observation.queue.ready? + observation.queue.unacknowledged? > 0;
        let usage = value / (self.per_worker * f64::from(now.max(1)));
        let wanted = match now {
            // From zero there is one as soon as there are messages.
            0 => u32::from(active),
            _ if (1.0 - usage).abs() <= 0.1 => now,
            _ => (value / self.per_worker).ceil() as u32,
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

#[cfg(test)]
mod tests {
    use super::super::seen::{at, jobs};
    use super::*;

    #[test]
    fn the_queue_length_is_followed() {
        let mut keda = Keda::new(Metric::Length, 20.0, 1);
        assert_eq!(keda.decide(&jobs(90, 10, 1), at(0)), Some(5), "100 messages, 20 each");
        assert_eq!(keda.decide(&jobs(100, 5, 5), at(15)), None, "within a tenth");
        assert_eq!(keda.decide(&jobs(900, 0, 5), at(30)), Some(10), "twice as many at most");
        assert_eq!(keda.decide(&jobs(0, 0, 10), at(45)), None, "five minutes ago 45 were wanted");
        for look in 0..19 {
            keda.decide(&jobs(0, 0, 10), at(60 + look * 15));
        }
        assert_eq!(keda.decide(&jobs(0, 0, 10), at(345)), Some(1));
    }

    #[test]
    fn the_time_until_the_queue_is_empty_is_followed() {
        let seen = |messages, published, delivered, workers| {
            let mut seen = jobs(messages, 0, workers);
            (seen.queue.fill_rate, seen.queue.drain_rate) = (Some(published), Some(delivered));
            seen
        };
        let mut keda = Keda::new(Metric::ConsumptionTime, 10.0, 0);
        assert_eq!(keda.decide(&seen(58, 3.0, 2.0, 1), at(0)), Some(3), "½ s + 29 s, 10 each");
        assert_eq!(keda.decide(&seen(58, 3.0, 0.0, 3), at(15)), None, "nothing is delivered: held for now");
        assert_eq!(Keda::new(Metric::ConsumptionTime, 10.0, 0).decide(&seen(1, 0.0, 0.0, 0), at(0)), Some(1));
    }
}
