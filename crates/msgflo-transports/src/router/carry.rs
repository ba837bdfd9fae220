//! Carrying the messages of one source.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use msgflo_core::{Carrier, Confirmed, Deliveries, Delivery, Destination, Error, Message, QueueName};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::routes::Destinations;
use super::{Resolve, with_sources};

/// How many messages of a source are on their way at once. The others wait in the broker.
const ON_THE_WAY: usize = 1024;
/// The longest pause before a message is handed over again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Carries everything that `deliveries` gives, until it ends or the router stops. A message is acknowledged when every destination's broker has
/// confirmed it.
pub(super) async fn carry(
    source: QueueName,
    mut deliveries: Deliveries,
    destinations: watch::Receiver<Destinations>,
    ends: Arc<Resolve>,
    stopping: CancellationToken,
) {
    let mut on_the_way = FuturesUnordered::new();
    let mut is_open = true;
    while is_open || !on_the_way.is_empty() {
        tokio::select! {
            () = stopping.cancelled(), if is_open => is_open = false,
            delivery = deliveries.next(), if is_open && on_the_way.len() < ON_THE_WAY => match delivery {
                Some(delivery) => {
                    let to = destinations.borrow().clone();
                    let arriving = hand_over(&source, delivery, to, &ends).await;
                    on_the_way.push(arriving);
                }
                None => is_open = false,
            },
            Some(()) = on_the_way.next() => {}
        }
    }
}

/// Hands a message over to its destinations, in order with those before it. What is returned acknowledges it in the end.
async fn hand_over(
    source: &QueueName,
    delivery: Delivery,
    to: Destinations,
    ends: &Arc<Resolve>,
) -> impl Future<Output = ()> + Send + use<> {
    let mut handed = Vec::with_capacity(to.len());
    for destination in to.iter() {
        handed.push(push(&**ends, destination, &delivery.message).await);
    }
    let (source, ends) = (source.clone(), Arc::clone(ends));
    async move {
        for (confirmed, destination) in handed.into_iter().zip(to.iter()) {
            let arrived = match confirmed {
                Ok(confirmed) => confirmed.await,
                Err(error) => Err(error),
            };
            if let Err(error) = arrived {
                insist(&source, destination, &delivery.message, &*ends, error).await;
            }
        }
        delivery.ack();
    }
}

async fn push(ends: &Resolve, destination: &Destination, message: &Message) -> Result<Confirmed, Error> {
    let (carrier, destination): (Arc<dyn Carrier>, _) = match destination {
        Destination::Queue(name) => {
            let (carrier, name) = ends(name)?;
            (carrier, Destination::Queue(name))
        }
        Destination::Exchange(name) => {
            let (carrier, name) = ends(name)?;
            (carrier, Destination::Exchange(name))
        }
    };
    carrier.push(&destination, message.clone()).await
}

/// Tries again for as long as that may help. Then the message is lost for this destination, as it is for a queue that
/// was deleted.
async fn insist(
    source: &QueueName,
    destination: &Destination,
    message: &Message,
    ends: &Resolve,
    first: Error,
) {
    let told = |error: &Error| {
        let reason = with_sources(error);
        tracing::warn!(%source, destination = %destination.name(), reason, "a message could not be carried");
    };
    told(&first);
    if !first.is_transient() {
        return;
    }
    let pauses =
        ExponentialBuilder::default().with_max_delay(LONGEST_PAUSE).with_jitter().without_max_times();
    let again = async || push(ends, destination, message).await?.await;
    if let Err(error) = again.retry(pauses).when(Error::is_transient).await {
        told(&error);
    }
}
