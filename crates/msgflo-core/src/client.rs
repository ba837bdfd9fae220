//! What a participant needs of a broker.

use async_trait::async_trait;

use crate::{Deliveries, Error, Message, Participant, QueueName};

/// How the instances of a role share an inport's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// They compete: each message goes to one of them. The queue outlives them all.
    #[default]
    Shared,
    /// Every instance gets every message, on a queue of its own that ends with it.
    Each,
}

/// How sure it is that a message arrives. MQTT calls it the quality of service, 0 or 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Assurance {
    /// It may be lost, and costs less.
    AtMostOnce,
    /// It comes again until it is acknowledged.
    #[default]
    AtLeastOnce,
}

/// How an inport is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InportOptions {
    /// How instances share its messages.
    pub sharing: Sharing,
    /// How sure it is that its messages arrive. A transport may do better.
    pub assurance: Assurance,
}

/// A participant's connection to a broker.
///
/// A client reconnects by itself, makes its ports again and goes on with its subscriptions. What it cannot do while the
/// broker is away waits, up to the deadline that the transport documents.
#[async_trait]
pub trait Client: Send + Sync {
    /// Makes the inport `queue`, unless it exists.
    ///
    /// # Errors
    /// When it exists with other properties, or the broker cannot be asked.
    async fn create_inport(&self, queue: &QueueName, options: InportOptions) -> Result<(), Error>;

    /// Makes the outport `exchange`, unless it exists.
    ///
    /// # Errors
    /// When it exists with other properties, or the broker cannot be asked.
    async fn create_outport(&self, exchange: &QueueName) -> Result<(), Error>;

    /// Sends `message` on the outport `exchange`. Resolves when the broker has confirmed it, also if nothing is bound there.
    ///
    /// # Errors
    /// When the broker refuses it, or the connection ends before the confirmation: it may then have been taken or not.
    async fn send(&self, exchange: &QueueName, message: Message) -> Result<(), Error>;

    /// Puts `message` straight into the inport `queue`. Resolves when the broker has confirmed it.
    ///
    /// # Errors
    /// When the queue does not exist, the broker refuses, or the connection ends before the confirmation.
    async fn send_to_queue(&self, queue: &QueueName, message: Message) -> Result<(), Error>;

    /// Takes messages from the inport `queue`, which this client has made, at most `prefetch` unanswered at a time (0: no
    /// limit). To stop, drop the stream: what it still held goes back to the queue.
    ///
    /// # Errors
    /// When the queue does not exist or the broker cannot be asked.
    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Deliveries, Error>;

    /// Sends the discovery message of `participant`.
    ///
    /// # Errors
    /// When the broker refuses it or cannot be asked.
    async fn announce(&self, participant: &Participant) -> Result<(), Error>;

    /// Sends `message` to the fanout `exchange` without waiting for a confirmation, as for reports that may be lost. Makes
    /// the exchange if it does not exist.
    ///
    /// # Errors
    /// When the connection is away.
    async fn report(&self, exchange: &QueueName, message: Message) -> Result<(), Error>;

    /// Resolves with every reconnection: what was announced before may have been missed.
    async fn reconnected(&self);

    /// Leaves: sends what is still to be sent, and closes the connection.
    ///
    /// # Errors
    /// When the broker does not answer in time; the connection is then cut.
    async fn close(&self) -> Result<(), Error>;
}
