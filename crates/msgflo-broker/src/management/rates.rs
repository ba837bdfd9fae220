//! Rates: how fast counters have grown of late. They are looked at only while somebody asks: a thousand queues cost nothing
//! otherwise.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::broker::{ExchangeSurvey, QueueInfo, Time};

/// How often the counters are looked at.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// Over so many looks a rate is taken.
const LOOKS: usize = 6;
/// How long after the last question they are still looked at: whoever polls finds rates each time.
const INTEREST: Duration = Duration::from_secs(300);

/// What of a queue is counted, as RabbitMQ names it.
const QUEUE: [&str; 5] = ["publish", "ack", "deliver_get", "deliver", "redeliver"];
/// What of an exchange is counted.
const EXCHANGE: [&str; 1] = ["publish_in"];

fn of_queue(queue: &QueueInfo) -> [u64; QUEUE.len()] {
    [queue.published, queue.acknowledged, queue.delivered, queue.delivered, queue.redelivered]
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Rates {
    queues: Looks<{ QUEUE.len() }>,
    exchanges: Looks<{ EXCHANGE.len() }>,
    asked: Option<Instant>,
}

impl Rates {
    /// Notes that somebody asks.
    pub(super) fn ask(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// Whether somebody has asked of late.
    pub(super) fn are_wanted(&self, now: Instant) -> bool {
        self.asked.is_some_and(|asked| now.duration_since(asked) < INTEREST)
    }

    /// Takes note of all queues and exchanges there are; others are forgotten.
    pub(super) fn observe(&mut self, queues: &[QueueInfo], exchanges: &[ExchangeSurvey], now: Time) {
        let queues = queues.iter().map(|it| ((it.vhost.clone(), it.name.clone()), of_queue(it)));
        self.queues.observe(queues, now);
        let counted = exchanges.iter().filter_map(|it| Some((it, it.published?)));
        self.exchanges
            .observe(counted.map(|(it, published)| ((it.vhost.clone(), it.name.clone()), [published])), now);
    }

    /// `message_stats` of a queue.
    pub(super) fn of_queue(&self, queue: &QueueInfo) -> Value {
        let rates = self.queues.per_second(&(queue.vhost.clone(), queue.name.clone()));
        stats(QUEUE, of_queue(queue), rates)
    }

    /// `message_stats` of an exchange.
    pub(super) fn of_exchange(&self, exchange: &ExchangeSurvey) -> Option<Value> {
        let rates = self.exchanges.per_second(&(exchange.vhost.clone(), exchange.name.clone()));
        Some(stats(EXCHANGE, [exchange.published?], rates))
    }

    /// `message_stats` of several queues together.
    pub(super) fn of_queues(&self, queues: &[QueueInfo]) -> Value {
        let (mut totals, mut rates) = ([0; QUEUE.len()], None);
        for queue in queues {
            let found = self.queues.per_second(&(queue.vhost.clone(), queue.name.clone()));
            for (place, total) in of_queue(queue).into_iter().enumerate() {
                totals[place] += total;
            }
            if let Some(found) = found {
                let sum = rates.get_or_insert([0.0; QUEUE.len()]);
                sum.iter_mut().zip(found).for_each(|(sum, rate)| *sum += rate);
            }
        }
        stats(QUEUE, totals, rates)
    }
}

/// A virtual host, and a name in it.
type Key = (String, String);

/// The last looks at the counters of many things.
#[derive(Debug)]
struct Looks<const N: usize>(HashMap<Key, VecDeque<(Time, [u64; N])>>);

impl<const N: usize> Default for Looks<N> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<const N: usize> Looks<N> {
    fn observe(&mut self, counters: impl Iterator<Item = (Key, [u64; N])>, now: Time) {
        let mut before = std::mem::take(&mut self.0);
        for (key, totals) in counters {
            let mut looks = before.remove(&key).unwrap_or_default();
            // What was deleted and declared again counts from zero again.
            if looks.back().is_some_and(|(_, last)| last[0] > totals[0]) {
                looks.clear();
            }
            looks.push_back((now, totals));
            if looks.len() > LOOKS {
                looks.pop_front();
            }
            self.0.insert(key, looks);
        }
    }

    /// Unknown until it has been looked at twice.
    fn per_second(&self, key: &Key) -> Option<[f64; N]> {
        let looks = self.0.get(key)?;
        let ((from, first), (to, last)) =
            looks.front().zip(looks.back()).filter(|((from, _), (to, _))| to > from)?;
        let seconds = (to.0 - from.0) as f64 / 1000.0;
        Some(std::array::from_fn(|place| last[place].saturating_sub(first[place]) as f64 / seconds))
    }
}

/// Totals and rates; a rate that is not known is left out, as RabbitMQ does.
fn stats<const N: usize>(names: [&str; N], totals: [u64; N], rates: Option<[f64; N]>) -> Value {
    let mut stats = Map::new();
    for (place, name) in names.into_iter().enumerate() {
        stats.insert(name.to_owned(), totals[place].into());
        if let Some(rates) = &rates {
            stats.insert(format!("{name}_details"), json!({"rate": rates[place]}));
        }
    }
    stats.into()
}
