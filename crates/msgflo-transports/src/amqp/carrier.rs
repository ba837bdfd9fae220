//! What a router needs: a queue of its own for each source that it pulls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use msgflo_core::{Carrier, Confirmed, Deliveries, Destination, Error, Message, QueueName};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::client::Declaration;
use super::link::Link;
use super::session::within;
use super::subscription::{self, Origin};
use crate::ledger::Ledger;

/// How many messages are taken unanswered.
const PREFETCH: u16 = 1024;
/// How long a source that is released may take to be carried to its end, and the pause between two looks at it.
const DRAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(20));

pub(crate) struct AmqpCarrier {
    link: Link,
    /// What the queues are called.
    prefix: String,
    /// Whether they outlive us.
    kept: bool,
    pulled: Mutex<HashMap<QueueName, CancellationToken>>,
}

impl AmqpCarrier {
    pub(crate) fn new(link: Link, ledger: &Ledger) -> Self {
        let prefix = format!("msgflo.carried.{}", ledger.instance().simple());
        Self { link, prefix, kept: ledger.is_kept(), pulled: Mutex::default() }
    }

    fn declaration(&self, source: &QueueName) -> (Declaration, QueueName) {
        let queue = QueueName::from(format!("{}.{source}", self.prefix));
        let declaration =
            Declaration::Carried { source: source.clone(), queue: queue.clone(), kept: self.kept };
        (declaration, queue)
    }

    /// How many messages wait in `queue`.
    async fn waiting(&self, queue: &QueueName) -> Result<u32, Error> {
        let channel = self.link.session("releasing a source").await?.channel("releasing a source").await?;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let asking = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
        Ok(within("releasing a source", &[queue], asking).await?.message_count())
    }
}

#[async_trait]
impl Carrier for AmqpCarrier {
    async fn pull(&self, source: &QueueName) -> Result<Deliveries, Error> {
        let (declaration, queue) = self.declaration(source);
        self.link.declare(declaration).await?;
        let deliveries = subscription::subscribe(&self.link, Origin::Queue(queue), PREFETCH).await?;
        let released = CancellationToken::new();
        let mut pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
        pulled.insert(source.clone(), released.clone());
        Ok(deliveries.take_until(released.cancelled_owned()).boxed())
    }

    async fn keep(&self, source: &QueueName) -> Result<(), Error> {
        // Nobody waits for a broker that is away: what is pulled elsewhere is not held up.
        if !self.link.is_connected() {
            return Err(Error::Disconnected { doing: "looking after a source".to_owned() });
        }
        self.link.declare(self.declaration(source).0).await
    }

    async fn release(&self, source: &QueueName) -> Result<(), Error> {
        const DOING: &str = "releasing a source";
        let (declaration, queue) = self.declaration(source);
        self.link.forget(&declaration);
        let channel = self.link.session(DOING).await?.channel(DOING).await?;
        let (queue_, source_) = (queue.as_str().into(), source.as_str().into());
        let unbinding = channel.queue_unbind(queue_, source_, "".into(), FieldTable::default());
        match within(DOING, &[&queue, source], unbinding).await {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let deadline = Instant::now() + DRAIN.0;
        while Instant::now() < deadline && self.waiting(&queue).await.is_ok_and(|waiting| waiting > 0) {
            sleep(DRAIN.1).await;
        }
        let released = self.pulled.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
        if let Some(released) = released {
            released.cancel();
        }
        let channel = self.link.session(DOING).await?.channel(DOING).await?;
        let deleting = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
        match within(DOING, &[&queue], deleting).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn push(&self, destination: &Destination, message: Message) -> Result<Option<Confirmed>, Error> {
        let session = self.link.session("sending a message").await?;
        let nowhere = QueueName::from("");
        let confirmed: Confirmed = match destination {
            Destination::Queue(queue) => Box::pin(session.hand_over(&nowhere, queue, &message, true).await?),
            Destination::Exchange(exchange) => {
                Box::pin(session.hand_over(exchange, &nowhere, &message, false).await?)
            }
        };
        Ok(Some(confirmed))
    }
}
