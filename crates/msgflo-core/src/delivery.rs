//! A message that was taken from a queue and not yet answered for.

use std::fmt;
use std::pin::Pin;

use futures_core::Stream;

use crate::Message;

/// The messages of a subscription. Ends when the connection is closed by us or given up.
pub type Deliveries = Pin<Box<dyn Stream<Item = Delivery> + Send>>;

/// How a transport hears what became of a delivery. Called once, from any thread, and must not block.
pub trait Settle: Send + Sync {
    /// The message is done with.
    fn ack(self: Box<Self>);
    /// The message is refused. Without `requeue` the broker drops or dead-letters it.
    fn nack(self: Box<Self>, requeue: bool);
}

/// A message, and the duty to answer for it.
///
/// [`ack`](Self::ack) and [`nack`](Self::nack) consume it. One that is dropped goes back to its queue.
pub struct Delivery {
    /// The message.
    pub message: Message,
    settle: Option<Box<dyn Settle>>,
}

impl Delivery {
    /// A delivery whose fate `settle` is told.
    pub fn new(message: Message, settle: Box<dyn Settle>) -> Self {
        Self { message, settle: Some(settle) }
    }

    /// A delivery that nobody must answer for, as on a subscription without acknowledgements.
    pub fn unacknowledged(message: Message) -> Self {
        Self { message, settle: None }
    }

    /// The message is done with. Call it after the broker has confirmed what the message caused.
    pub fn ack(mut self) {
        if let Some(settle) = self.settle.take() {
            settle.ack();
        }
    }

    /// The message cannot be worked on: the broker drops it, or dead-letters it where the queue says so.
    pub fn nack(mut self) {
        if let Some(settle) = self.settle.take() {
            settle.nack(false);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(settle) = self.settle.take() {
            settle.nack(true);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("message", &self.message).finish_non_exhaustive()
    }
}
