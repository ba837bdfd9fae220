//! Rates: how fast the counters of the queues have grown of late.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::broker::{QueueInfo, Time};

/// How often the counters are looked at.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// Over so many looks a rate is taken.
const LOOKS: usize = 6;

/// Totals, as RabbitMQ names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals([u64; NAMES.len()]);

const NAMES: [&str; 5] = ["publish", "ack", "deliver_get", "deliver", "redeliver"];

impl Totals {
    fn of(queue: &QueueInfo) -> Self {
        Self([queue.published, queue.acknowledged, queue.delivered, queue.delivered, queue.redelivered])
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Rates {
    queues: HashMap<(String, String), VecDeque<(Time, Totals)>>,
}

impl Rates {
    /// Takes note of all queues there are; others are forgotten.
    pub(super) fn observe(&mut self, queues: &[QueueInfo], now: Time) {
        let mut before = std::mem::take(&mut self.queues);
        for queue in queues {
            let key = (queue.vhost.clone(), queue.name.clone());
            let mut looks = before.remove(&key).unwrap_or_default();
            let totals = Totals::of(queue);
            // A queue that was deleted and declared again counts from zero again.
            if looks.back().is_some_and(|(_, last)| last.0[0] > totals.0[0]) {
                looks.clear();
            }
            looks.push_back((now, totals));
            if looks.len() > LOOKS {
                looks.pop_front();
            }
            self.queues.insert(key, looks);
        }
    }

    /// `message_stats` of a queue.
    pub(super) fn stats(&self, queue: &QueueInfo) -> Value {
        let looks = self.queues.get(&(queue.vhost.clone(), queue.name.clone()));
        stats(Totals::of(queue), per_second(looks))
    }

    /// `message_stats` of several queues together.
    pub(super) fn sum(&self, queues: &[QueueInfo]) -> Value {
        let (mut totals, mut rates) = (Totals::default(), [0.0; NAMES.len()]);
        for queue in queues {
            let looks = self.queues.get(&(queue.vhost.clone(), queue.name.clone()));
            for (place, rate) in per_second(looks).into_iter().enumerate() {
                totals.0[place] += Totals::of(queue).0[place];
                rates[place] += rate;
            }
        }
        stats(totals, rates)
    }
}

fn per_second(looks: Option<&VecDeque<(Time, Totals)>>) -> [f64; NAMES.len()] {
    let ends = looks.and_then(|looks| looks.front().zip(looks.back()));
    let Some(((from, first), (to, last))) = ends.filter(|((from, _), (to, _))| to > from) else {
        return [0.0; NAMES.len()];
    };
    let seconds = (to.0 - from.0) as f64 / 1000.0;
    std::array::from_fn(|place| last.0[place].saturating_sub(first.0[place]) as f64 / seconds)
}

fn stats(totals: Totals, rates: [f64; NAMES.len()]) -> Value {
    let mut stats = Map::new();
    for (place, name) in NAMES.into_iter().enumerate() {
        stats.insert(name.to_owned(), totals.0[place].into());
        stats.insert(format!("{name}_details"), json!({"rate": rates[place]}));
    }
    stats.into()
}
