//! A bench on which participants run while a test talks to them.

use std::sync::Arc;
use std::time::Duration;

use msgflo_core::{Message, QueueName};

use super::{Fate, Memory};
use crate::payload::{Decode, Encode};
use crate::{Error, Options, Participant, Running, start_with};

/// How long a test waits for something to happen before it fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// Participants that run on a [`Memory`].
///
/// Its methods panic when something that should happen does not, as assertions do.
#[derive(Debug)]
pub struct Bench {
    memory: Memory,
    running: Running,
}

impl Bench {
    /// Starts `participants` in their default roles.
    ///
    /// # Errors
    /// When the declarations are wrong.
    pub async fn start(participants: impl IntoIterator<Item = Participant>) -> Result<Self, Error> {
        Self::start_with(Options::default(), participants).await
    }

    /// Starts `participants` as `options` say. Their broker does not matter.
    ///
    /// # Errors
    /// When the options or the declarations are wrong.
    pub async fn start_with(
        options: Options,
        participants: impl IntoIterator<Item = Participant>,
    ) -> Result<Self, Error> {
        let memory = Memory::default();
        let running = start_with(Arc::new(memory.clone()), options, participants).await?;
        Ok(Self { memory, running })
    }

    /// The broker.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The participants.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Puts `value` into the inport `queue`, such as `resize.IN`.
    ///
    /// # Panics
    /// When there is no such inport, or the value cannot be encoded.
    #[track_caller]
    pub fn send<T: Encode + ?Sized>(&self, queue: impl Into<QueueName>, value: &T) {
        let payload = value.encode().expect("a value that can be encoded");
        self.put(queue, Message { content_type: payload.content_type, ..Message::new(payload.bytes) });
    }

    /// Puts `message` into the inport `queue`, such as `resize.IN`.
    ///
    /// # Panics
    /// When there is no such inport.
    #[track_caller]
    pub fn put(&self, queue: impl Into<QueueName>, message: Message) {
        self.memory.put(&queue.into(), message).expect("an inport of a participant on this bench");
    }

    /// The next value that was sent on the outport `exchange`, such as `resize.OUT`.
    ///
    /// # Panics
    /// When none is sent within ten seconds, or it is no `T`.
    pub async fn received<T: Decode>(&self, exchange: impl Into<QueueName>) -> T {
        let message = self.message(exchange).await;
        T::decode(&message).unwrap_or_else(|error| panic!("{message:?} is something else: {error}"))
    }

    /// The next message that was sent on the outport `exchange`.
    ///
    /// # Panics
    /// When none is sent within ten seconds.
    pub async fn message(&self, exchange: impl Into<QueueName>) -> Message {
        let exchange = exchange.into();
        within(&format!("a message on {exchange}"), self.memory.take(&exchange)).await
    }

    /// The next fate of a message that was taken from the inport `queue`.
    ///
    /// # Panics
    /// When none is known within ten seconds.
    pub async fn fate(&self, queue: impl Into<QueueName>) -> Fate {
        let queue = queue.into();
        within(&format!("the fate of a message from {queue}"), self.memory.fate(&queue)).await
    }

    /// Stops the participants in order.
    ///
    /// # Errors
    /// As [`Running::shutdown`].
    pub async fn stop(self) -> Result<(), Error> {
        self.running.shutdown().await
    }
}

async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(found) => found,
        Err(_) => panic!("{what} did not come within {PATIENCE:?}"),
    }
}
