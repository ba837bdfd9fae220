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
/// How long it is waited for messages to go back to their places, and how often it is looked.
const BACK: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(10);
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

/// How much is taken, and held, at most.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// How many messages.
    pub messages: usize,
    /// How many bytes they have. The first message is taken however large it is.
    pub bytes: usize,
}

/// Messages that were taken. Those that are dropped go back.
#[derive(Debug)]
pub struct Taken {
    /// How many there were in the queue.
    pub ready: usize,
    /// The messages, in their order.
    pub messages: Vec<Delivery>,
    /// How many behind them were not looked at.
    pub unseen: usize,
}

/// Takes the messages of a queue, as many as `limit` allows.
///
/// # Errors
/// When the queue is not there or the broker cannot be asked.
pub async fn take(broker: &dyn Broker, queue: &QueueName, limit: Option<Limit>) -> Result<Taken, Error> {
    let ready = usize::try_from(broker.depth(queue).await?.ready).unwrap_or(usize::MAX);
    let wanted = limit.map_or(ready, |limit| limit.messages.min(ready));
    let mut messages: Vec<Delivery> = Vec::new();
    let mut window = Window::new(limit.map(|limit| limit.bytes));
    while messages.len() < wanted {
        let most = window.next().min(wanted - messages.len());
        if most == 0 {
            break;
        }
        // All are held until the end, so there must be room for them; 0 is no limit.
        let prefetch = u16::try_from(most).unwrap_or(0);
        let mut deliveries = broker.consume(queue, prefetch).await?;
        let before = messages.len();
        while messages.len() < before + most {
            let Ok(Some(delivery)) = tokio::time::timeout(IDLE, deliveries.next()).await else { break };
            window.count(delivery.message.payload.len());
            messages.push(delivery);
        }
        if messages.len() < before + most {
            break;
        }
    }
    let unseen = ready.saturating_sub(messages.len());
    Ok(Taken { ready, messages, unseen })
}

/// Waits until so many messages are in a queue: until those that were taken and dropped are back, for a moment at most. Whoever looks
/// next is to find them.
pub async fn are_back(broker: &dyn Broker, queue: &QueueName, messages: usize) {
    let come = async {
        while let Ok(depth) = broker.depth(queue).await
            && depth.ready < messages as u64
        {
            tokio::time::sleep(GLANCE).await;
        }
    };
    // Somebody else may have taken some of them meanwhile.
    let _ = tokio::time::timeout(BACK, come).await;
}

/// How many messages are asked for at once, since a broker sends as many as it is asked for, of any size: few at first, then as
/// many as there is room for, going by the largest so far.
#[derive(Debug)]
struct Window {
    /// The bytes that there is room for. `None`: there is no limit.
    room: Option<usize>,
    most: usize,
    largest: usize,
}

impl Window {
    /// Each costs a subscription, and what is larger than expected comes so often at most.
    const MOST: usize = 100;

    fn new(room: Option<usize>) -> Self {
        Self { room, most: 1, largest: 0 }
    }

    /// Zero: there is no room.
    fn next(&mut self) -> usize {
        let Some(room) = self.room else { return usize::MAX };
        let most = self.most;
        self.most = (2 * most).min(Self::MOST);
        most.min(room.checked_div(self.largest).unwrap_or(Self::MOST))
    }

    fn count(&mut self, bytes: usize) {
        self.largest = self.largest.max(bytes);
        self.room = self.room.map(|room| room.saturating_sub(bytes));
    }
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
    fn as_many_are_asked_for_as_there_is_room_for() {
        let mut window = Window::new(Some(1000));
        let mut seen = Vec::new();
        for bytes in [0, 10, 300] {
            let most = window.next();
            seen.push(most);
            (0..most).for_each(|_| window.count(bytes));
        }
        // Of 1000 bytes there are 980 left, and then, with one of 300 too many, none.
        assert_eq!(seen, [1, 2, 4]);
        assert_eq!(window.next(), 0);
        assert_eq!(Window::new(None).next(), usize::MAX);
        let mut small = Window::new(Some(1000));
        small.count(400);
        assert_eq!([small.next(), small.next(), small.next()], [1, 1, 1], "two would be too many");
        small.count(1);
        small.count(400);
        assert_eq!(small.next(), 0);
    }

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
