//! What waits for a client to take it: so many messages, and so many bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::mpsc;

/// How many messages wait for a client before it is dropped.
const MESSAGES: usize = 4096;
/// How many bytes of them.
const BYTES: usize = 32 << 20;

/// Where messages for a client go in.
#[derive(Debug)]
pub(crate) struct Outbox {
    texts: mpsc::Sender<Utf8Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// Where they come out, in their order.
#[derive(Debug)]
pub(crate) struct Texts {
    texts: mpsc::Receiver<Utf8Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// An empty outbox.
pub(crate) fn outbox() -> (Outbox, Texts) {
    let (sender, receiver) = mpsc::channel(MESSAGES);
    let waiting = Arc::default();
    (Outbox { texts: sender, waiting: Arc::clone(&waiting) }, Texts { texts: receiver, waiting })
}

/// What a message counts. One large answer, as a recording, leaves room for others.
fn weight(text: &Utf8Bytes) -> usize {
    text.len().min(BYTES / 2)
}

impl Outbox {
    /// Puts a message in. Whether the client keeps up: if not, it was not put in.
    pub(crate) fn send(&self, text: Utf8Bytes) -> bool {
        let weight = weight(&text);
        if self.waiting.fetch_add(weight, Ordering::Relaxed) + weight > BYTES {
            self.waiting.fetch_sub(weight, Ordering::Relaxed);
            return false;
        }
        match self.texts.try_send(text) {
            Ok(()) => true,
            // One that has gone will be forgotten as soon as we are told.
            Err(mpsc::error::TrySendError::Closed(_)) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.waiting.fetch_sub(weight, Ordering::Relaxed);
                false
            }
        }
    }
}

impl Texts {
    /// The next message. `None`: the client is to go.
    pub(crate) async fn next(&mut self) -> Option<Utf8Bytes> {
        let text = self.texts.recv().await?;
        self.waiting.fetch_sub(weight(&text), Ordering::Relaxed);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Utf8Bytes {
        "x".repeat(bytes).into()
    }

    #[tokio::test]
    async fn who_takes_nothing_is_given_so_much_and_no_more() {
        let (outbox, _texts) = outbox();
        assert_eq!((0..MESSAGES * 2).filter(|_| outbox.send(text(1))).count(), MESSAGES);
        let (outbox, mut texts) = super::outbox();
        let large = text(1 << 20);
        assert_eq!((0..100).filter(|_| outbox.send(large.clone())).count(), BYTES >> 20);
        texts.next().await.expect("the first");
        assert!(outbox.send(large.clone()), "there is room again");
        assert!(!outbox.send(large));
    }

    #[tokio::test]
    async fn an_answer_may_be_larger_than_what_waits_otherwise() {
        let (outbox, mut texts) = outbox();
        assert!(outbox.send(text(BYTES * 2)));
        assert!(outbox.send(text(9)), "what follows it has room");
        texts.next().await.expect("the answer");
        texts.next().await.expect("what followed it");
        assert_eq!(outbox.waiting.load(Ordering::Relaxed), 0);
        drop(texts);
        assert!(outbox.send(text(9)), "who has gone is not slow");
    }
}
