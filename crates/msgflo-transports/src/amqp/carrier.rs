//! What a router needs: a queue of its own for each source that it pulls.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use msgflo_core::{Carrier, Confirmed, Deliveries, Delivery, Destination, Error, Message, QueueName, Settle};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::client::Declaration;
use super::link::Link;
use super::session::within;
use super::subscription::{self, Origin};
use crate::ledger::Ledger;

/// How many messages are taken unanswered.
const PREFETCH: u16 = 1024;
const RELEASING: &str = "releasing a source";
/// How long a source that is released may take to be carried to its end, and the pause between two looks at it.
const DRAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(20));

pub(crate) struct AmqpCarrier {
    link: Link,
    /// What the queues are called.
    prefix: String,
    /// Whether they outlive us.
    kept: bool,
    pulled: Mutex<HashMap<QueueName, Pulled>>,
}

/// A source that is pulled.
#[derive(Clone, Default)]
struct Pulled {
    /// Cancelled to end the stream.
    released: CancellationToken,
    /// The messages that are not answered for yet.
    unanswered: TaskTracker,
}

/// A message that counts until it is answered for.
struct Counted {
    delivery: Delivery,
    _token: TaskTrackerToken,
}

impl Settle for Counted {
    fn ack(self: Box<Self>) {
        self.delivery.ack();
    }

    fn nack(self: Box<Self>, requeue: bool) {
        // One that is dropped goes back.
        if !requeue {
            self.delivery.nack();
        }
    }
}

impl Pulled {
    /// What comes, counted, until it is released; what has come until then is given before the end.
    fn follow(&self, deliveries: Deliveries) -> Deliveries {
        let next = |(pulled, mut deliveries): (Self, Deliveries)| async move {
            let mut delivery = tokio::select! {
                biased;
                delivery = deliveries.next() => delivery?,
                () = pulled.released.cancelled() => return None,
            };
            let message = std::mem::take(&mut delivery.message);
            let counted = Counted { delivery, _token: pulled.unanswered.token() };
            Some((Delivery::new(message, Box::new(counted)), (pulled, deliveries)))
        };
        stream::unfold((self.clone(), deliveries), next).boxed()
    }
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

    fn pulled(&self) -> MutexGuard<'_, HashMap<QueueName, Pulled>> {
        self.pulled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all that came into `queue` has been carried.
    async fn is_carried(&self, queue: &QueueName, pulled: &Pulled) -> Result<bool, Error> {
        let channel = self.link.session(RELEASING).await?.channel(RELEASING).await?;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let asking = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
        match within(RELEASING, &[queue], asking).await {
            // Those that were delivered and not answered for are not among those that wait.
            Ok(answer) => Ok(answer.message_count() == 0 && pulled.unanswered.is_empty()),
            Err(Error::NotFound { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Carrier for AmqpCarrier {
    async fn pull(&self, source: &QueueName) -> Result<Deliveries, Error> {
        let (declaration, queue) = self.declaration(source);
        self.link.declare(declaration).await?;
        let deliveries = subscription::subscribe(&self.link, Origin::Queue(queue), PREFETCH).await?;
        let pulled = Pulled::default();
        let deliveries = pulled.follow(deliveries);
        self.pulled().insert(source.clone(), pulled);
        Ok(deliveries)
    }

    async fn keep(&self, source: &QueueName) -> Result<(), Error> {
        // Nobody waits for a broker that is away: what is pulled elsewhere is not held up.
        if !self.link.is_connected() {
            return Err(Error::Disconnected { doing: "looking after a source".to_owned() });
        }
        self.link.declare(self.declaration(source).0).await
    }

    async fn release(&self, source: &QueueName) -> Result<(), Error> {
        let (declaration, queue) = self.declaration(source);
        let is_first = self.link.has_declared(&declaration);
        self.link.forget(&declaration);
        let channel = self.link.session(RELEASING).await?.channel(RELEASING).await?;
        let (queue_, source_) = (queue.as_str().into(), source.as_str().into());
        let unbinding = channel.queue_unbind(queue_, source_, "".into(), FieldTable::default());
        match within(RELEASING, &[&queue, source], unbinding).await {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let pulled = self.pulled().get(source).cloned().unwrap_or_default();
        // Who asks again has waited already.
        let deadline = Instant::now() + if is_first { DRAIN.0 } else { Duration::ZERO };
        while !self.is_carried(&queue, &pulled).await? {
            if Instant::now() >= deadline {
                return Err(Error::Busy { name: queue });
            }
            sleep(DRAIN.1).await;
        }
        pulled.released.cancel();
        let channel = self.link.session(RELEASING).await?.channel(RELEASING).await?;
        let options = QueueDeleteOptions { if_empty: true, ..Default::default() };
        let deleting = channel.queue_delete(queue.as_str().into(), options);
        match within(RELEASING, &[&queue], deleting).await {
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(Error::Mismatch { name, .. }) => return Err(Error::Busy { name }),
            Err(error) => return Err(error),
        }
        self.pulled().remove(source);
        Ok(())
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
