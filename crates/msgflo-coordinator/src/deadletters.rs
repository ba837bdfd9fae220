//! Messages that workers have refused, in the queue where they were parked: looked at, brought back, or removed by hand.
//!
//! Messages are taken and held while somebody decides; those that nobody decides about go back to their places. No more is
//! taken than there is when it begins: what is refused once more comes again, and is not moved in circles.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use futures_util::StreamExt;
use msgflo_core::{Broker, Delivery, Error, Headers, Message, QueueName};
use serde_json::Value;

/// How long the next message of a queue that has some is waited for.
const IDLE: Duration = Duration::from_secs(5);
/// What a broker writes into a message's headers when it is refused.
const DEATH: [&str; 7] = [
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
];

/// What a message says of its last refusal, as the broker wrote it: `reason`, `queue`, `count` and more. Null if it says
/// nothing.
pub fn death(headers: &Headers) -> Value {
    headers.get("x-death").and_then(|deaths| deaths.get(0)).cloned().unwrap_or_default()
}

/// Tells one message from another, also when it is taken again later. Equal messages have the same.
pub fn fingerprint(message: &Message) -> String {
    // It has no key, so that it is the same in every process.
    let mut hasher = DefaultHasher::new();
    message.payload.hash(&mut hasher);
    Value::Object(message.headers.clone()).to_string().hash(&mut hasher);
    message.timestamp.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Takes the messages of a queue, at most `most`. Those that are dropped go back.
///
/// # Errors
/// When the queue is not there or the broker cannot be asked.
pub async fn take(
    broker: &dyn Broker,
    queue: &QueueName,
    most: Option<usize>,
) -> Result<Vec<Delivery>, Error> {
    let ready = usize::try_from(broker.depth(queue).await?.ready).unwrap_or(usize::MAX);
    let wanted = most.map_or(ready, |most| most.min(ready));
    let mut taken = Vec::new();
    if wanted > 0 {
        // All are held until the end, so there must be room for them; 0 is no limit.
        let prefetch = u16::try_from(wanted).unwrap_or(0);
        let mut deliveries = broker.consume(queue, prefetch).await?;
        while taken.len() < wanted {
            let Ok(Some(delivery)) = tokio::time::timeout(IDLE, deliveries.next()).await else { break };
            taken.push(delivery);
        }
    }
    Ok(taken)
}

/// What became of messages that were to be put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requeued {
    /// How many are in the queue where they were refused, or in the one that was named.
    pub moved: u64,
    /// How many do not say where they were refused; they stay.
    pub homeless: u64,
}

/// Puts messages back where they were refused, or into `to`. Each is removed here when the broker has confirmed it there.
///
/// # Errors
/// When a queue is not there or the broker cannot be asked; what was not moved yet stays.
pub async fn requeue(
    broker: &dyn Broker,
    taken: Vec<Delivery>,
    to: Option<&QueueName>,
) -> Result<Requeued, Error> {
    let mut requeued = Requeued::default();
    for delivery in taken {
        let origin = death(&delivery.message.headers)["queue"].as_str().map(QueueName::from);
        let Some(target) = to.cloned().or(origin) else {
            requeued.homeless += 1;
            continue;
        };
        let mut message = delivery.message.clone();
        // Its story begins anew: it is tried as often as the first time.
        DEATH.iter().for_each(|key| drop(message.headers.remove(*key)));
        broker.send_to_queue(&target, message).await?;
        delivery.ack();
        requeued.moved += 1;
    }
    Ok(requeued)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_known_again_and_another_is_not() {
        let mut message = Message::new("job 1");
        message.headers = json!({"x-death": [{"reason": "rejected", "queue": "worker.IN", "count": 1}]})
            .as_object()
            .unwrap()
            .clone();
        assert_eq!(fingerprint(&message), fingerprint(&message.clone()));
        assert_eq!(death(&message.headers)["queue"], "worker.IN");
        let again = Message { redelivered: true, ..message.clone() };
        assert_eq!(
            fingerprint(&again),
            fingerprint(&message),
            "that it was looked at before changes nothing"
        );
        let other = Message { payload: "job 2".into(), ..message.clone() };
        assert_ne!(fingerprint(&other), fingerprint(&message));
        let fresh = Message { headers: Headers::new(), ..message };
        assert_eq!(death(&fresh.headers), Value::Null);
    }
}
