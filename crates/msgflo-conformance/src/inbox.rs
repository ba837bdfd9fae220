//! Waiting for what must come.

use std::time::Duration;

use futures_util::StreamExt;
use msgflo_core::{Client, Deliveries, Delivery, InportOptions, Message, QueueName, Sharing};
use tokio::time::{Instant, timeout};

/// How long something that must come is waited for. Long, since a busy machine is no failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two looks at something that does not tell by itself.
const PAUSE: Duration = Duration::from_millis(20);

/// The messages of a subscription, in the order in which they come.
pub(crate) struct Inbox(Deliveries);

impl Inbox {
    pub(crate) fn new(deliveries: Deliveries) -> Self {
        Self(deliveries)
    }

    /// Makes the inport `queue` and takes from it.
    pub(crate) async fn open(
        client: &dyn Client,
        queue: &QueueName,
        sharing: Sharing,
        prefetch: u16,
    ) -> Self {
        client
            .create_inport(queue, InportOptions { sharing, ..Default::default() })
            .await
            .expect("an inport is made");
        Self(client.subscribe(queue, prefetch).await.expect("a subscription starts"))
    }

    /// The next delivery.
    pub(crate) async fn next(&mut self) -> Delivery {
        let next = timeout(PATIENCE, self.0.next()).await.expect("a message comes in time");
        next.expect("the subscription goes on")
    }

    /// The next delivery's text; it is acknowledged.
    pub(crate) async fn text(&mut self) -> String {
        let delivery = self.next().await;
        let text = String::from_utf8_lossy(&delivery.message.payload).into_owned();
        delivery.ack();
        text
    }

    /// As many texts, in the order in which they come.
    pub(crate) async fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::with_capacity(count);
        while texts.len() < count {
            texts.push(self.text().await);
        }
        texts
    }

    /// As many texts, sorted.
    pub(crate) async fn sorted(&mut self, count: usize) -> Vec<String> {
        let mut texts = self.texts(count).await;
        texts.sort();
        texts
    }
}

/// A message with a text.
pub(crate) fn message(text: &str) -> Message {
    Message::new(text.as_bytes().to_vec())
}

/// Asks again and again until the answer is as it must be.
pub(crate) async fn eventually<T: std::fmt::Debug>(
    mut ask: impl AsyncFnMut() -> T,
    is_right: impl Fn(&T) -> bool,
    what: &str,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        if is_right(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: still {answer:?} after {PATIENCE:?}");
        tokio::time::sleep(PAUSE).await;
    }
}
