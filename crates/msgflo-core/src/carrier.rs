//! What a router needs of a broker, to carry messages where the broker itself cannot.

use std::pin::Pin;

use async_trait::async_trait;

use crate::{Deliveries, Error, Message, QueueName};

/// Where a carried message goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// An inport's queue.
    Queue(QueueName),
    /// An exchange, to all that is bound there. On MQTT the same as a queue: a topic.
    Exchange(QueueName),
}

impl Destination {
    /// The name in the broker.
    pub fn name(&self) -> &QueueName {
        match self {
            Self::Queue(name) | Self::Exchange(name) => name,
        }
    }
}

/// Resolves when the broker has confirmed a message, or has said that it will not.
pub type Confirmed = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A broker's side of carrying messages by way of a router: in order, many at a time, none lost.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Everything that is sent to `source`, until [`release`](Self::release). Each message must be answered for. What is sent
    /// while the reader is away waits in the broker, as far as the broker can keep it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the source does not exist.
    async fn pull(&self, source: &QueueName) -> Result<Deliveries, Error>;

    /// Makes sure that what is sent to `source` still comes to its [`pull`](Self::pull): the broker may have forgotten it. Nothing
    /// is to be done where it cannot.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the source does not exist.
    async fn keep(&self, _source: &QueueName) -> Result<(), Error> {
        Ok(())
    }

    /// Has the broker send no more of `source`. The stream of [`pull`](Self::pull) ends after what was on its way.
    ///
    /// # Errors
    /// [`Error::Busy`] as long as messages wait to be carried: none is left behind. Nothing new comes then, and it is asked for again.
    /// Any other when the broker cannot be asked.
    async fn release(&self, source: &QueueName) -> Result<(), Error>;

    /// Hands `message` over for `destination`. Resolves when it is on its way, after everything that was handed over before;
    /// what it resolves to tells when it has arrived; `None`: nobody will confirm it.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    async fn push(&self, destination: &Destination, message: Message) -> Result<Option<Confirmed>, Error>;

    /// [Hands `message` over](Self::push), and resolves when it has arrived, as far as anybody confirms that.
    ///
    /// # Errors
    /// When the broker cannot be asked, or does not take the message.
    async fn send(&self, destination: &Destination, message: Message) -> Result<(), Error> {
        match self.push(destination, message).await? {
            Some(confirmed) => confirmed.await,
            None => Ok(()),
        }
    }
}
