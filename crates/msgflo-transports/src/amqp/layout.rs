//! What a binding is made of in the broker: pure.
//!
//! Messages that are refused by a queue go to the fanout exchange `dead-<queue>`. Where they are to be tried again, that leads to
//! the direct exchange `retry-<queue>`, and from there to a queue in which they wait and from which the broker itself puts
//! them back. There is one such queue for each time, and it marks what leaves it by the routing key: so the broker counts, and
//! no program of ours is on the way. What has never waited has any other key, and takes the alternate exchange to the first.

use std::time::Duration;

use msgflo_core::{Binding, QueueName, Retry};

/// One step of a binding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hop {
    /// An exchange of ours. What it has no binding for goes to its alternate.
    Exchange { name: QueueName, kind: Kind, alternate: Option<QueueName> },
    /// A queue of ours. What has waited there for `delay` goes to the exchange `to`, with that key.
    Delay { queue: QueueName, delay: Duration, to: QueueName, key: String },
    /// From an exchange to a queue.
    ToQueue { source: QueueName, key: String, queue: QueueName },
    /// From an exchange to an exchange.
    ToExchange { source: QueueName, target: QueueName },
}

/// How an exchange of ours chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// By the key.
    Direct,
    /// Everything to everybody.
    Fanout,
}

impl Hop {
    fn to_queue(source: &QueueName, key: &str, queue: &QueueName) -> Self {
        Self::ToQueue { source: source.clone(), key: key.to_owned(), queue: queue.clone() }
    }

    fn to_exchange(source: &QueueName, target: &QueueName) -> Self {
        Self::ToExchange { source: source.clone(), target: target.clone() }
    }

    fn exchange(name: &QueueName, kind: Kind) -> Self {
        Self::Exchange { name: name.clone(), kind, alternate: None }
    }
}

/// The steps of `binding`, in the order in which they are made: nothing flows before its whole way is there.
pub(crate) fn hops(binding: &Binding) -> Vec<Hop> {
    match binding {
        Binding::PubSub { source, target } => vec![Hop::to_queue(source, "", target)],
        Binding::Broadcast { source, target } => vec![Hop::to_exchange(source, target)],
        Binding::RoundRobin { source, target, deadletter, retry } => {
            let out = QueueName::from(format!("out-{source}"));
            let mut hops = Vec::new();
            if let Some(deadletter) = deadletter {
                let dead = QueueName::from(format!("dead-{target}"));
                hops.push(Hop::exchange(&dead, Kind::Fanout));
                match retry {
                    Some(retry) => {
                        hops.extend(retries(target, deadletter, retry));
                        hops.push(Hop::to_exchange(&dead, &retry_exchange(target)));
                    }
                    None => hops.push(Hop::to_queue(&dead, "", deadletter)),
                }
            }
            hops.push(Hop::exchange(&out, Kind::Direct));
            hops.push(Hop::to_queue(&out, "", target));
            hops.push(Hop::to_exchange(source, &out));
            hops
        }
    }
}

/// Where what `target` has refused enters its retries.
pub(crate) fn retry_exchange(target: &QueueName) -> QueueName {
    QueueName::from(format!("retry-{target}"))
}

fn retries(target: &QueueName, deadletter: &QueueName, retry: &Retry) -> Vec<Hop> {
    let refused = retry_exchange(target);
    let (first, again) =
        (QueueName::from(format!("retry-first-{target}")), QueueName::from(format!("retry-again-{target}")));
    let waited = |times: u8| format!("waited-{times}-{target}");
    let mut hops = vec![
        Hop::exchange(&again, Kind::Fanout),
        Hop::to_queue(&again, "", target),
        Hop::exchange(&first, Kind::Fanout),
        Hop::Exchange { name: refused.clone(), kind: Kind::Direct, alternate: Some(first.clone()) },
    ];
    for time in 1..=retry.times {
        // A queue cannot change its delay, so that another delay is another queue.
        let queue = QueueName::from(format!("retry-{time}-{}ms-{target}", retry.delay.as_millis()));
        hops.push(Hop::Delay {
            queue: queue.clone(),
            delay: retry.delay,
            to: again.clone(),
            key: waited(time),
        });
        hops.push(match time {
            1 => Hop::to_queue(&first, "", &queue),
            _ => Hop::to_queue(&refused, &waited(time - 1), &queue),
        });
    }
    hops.push(Hop::to_queue(&refused, &waited(retry.times), deadletter));
    hops
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn round_robin(times: u8, seconds: u64) -> Binding {
        let retry = Some(Retry { delay: Duration::from_secs(seconds), times });
        let deadletter = Some("dead.IN".into());
        Binding::RoundRobin { source: "a.OUT".into(), target: "b.IN".into(), deadletter, retry }
    }

    /// Where a message that `b.IN` refuses goes next, by its key.
    fn refused<'h>(hops: &'h [Hop], key: &str) -> &'h str {
        let queue = |from: &str, key: &str| {
            hops.iter().find_map(|hop| match hop {
                Hop::ToQueue { source, key: by, queue } if source.as_str() == from && by == key => {
                    Some(queue.as_str())
                }
                _ => None,
            })
        };
        queue("retry-b.IN", key).or_else(|| queue("retry-first-b.IN", "")).expect("nothing is lost")
    }

    fn key_after<'h>(hops: &'h [Hop], waiting: &str) -> Option<&'h str> {
        hops.iter().find_map(|hop| match hop {
            Hop::Delay { queue, key, .. } if queue.as_str() == waiting => Some(key.as_str()),
            _ => None,
        })
    }

    #[test]
    fn a_message_waits_as_often_as_was_said_and_is_parked_then() {
        for times in [1, 2, 5] {
            let hops = hops(&round_robin(times, 10));
            let mut waited = Vec::new();
            let mut place = refused(&hops, "whatever its sender said");
            while let Some(key) = key_after(&hops, place) {
                waited.push(place);
                place = refused(&hops, key);
            }
            assert_eq!((waited.len(), place), (usize::from(times), "dead.IN"));
            assert_eq!(waited.iter().collect::<HashSet<_>>().len(), waited.len());
        }
    }

    #[test]
    fn another_delay_has_other_queues_and_the_same_exchanges() {
        let exchanges = |hops: &[Hop]| -> HashSet<Hop> {
            hops.iter().filter(|hop| matches!(hop, Hop::Exchange { .. })).cloned().collect()
        };
        let (short, long) = (hops(&round_robin(2, 1)), hops(&round_robin(2, 60)));
        assert_eq!(exchanges(&short), exchanges(&long));
        let delays = |hop: &&Hop| matches!(hop, Hop::Delay { .. });
        assert!(short.iter().filter(delays).all(|hop| !long.contains(hop)));
    }
}
