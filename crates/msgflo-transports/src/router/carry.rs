//! Carrying the messages of one source.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use msgflo_core::{Carrier, Confirmed, Deliveries, Delivery, Destination, Error, Message, QueueName};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::meter::Meter;
use super::routes::Destinations;
use super::{Resolve, with_sources};

/// While so many messages of a source are on their way no more are taken. The others wait in the broker.
const ON_THE_WAY: usize = 1024;
/// Messages that have come are handed over together, so many at most.
const AT_ONCE: usize = 128;
/// The longest pause before a message is handed over again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Carries everything that `deliveries` gives, until it ends or the router stops. A message is acknowledged when every destination's broker has
/// confirmed it.
pub(super) async fn carry(
    source: QueueName,
    deliveries: Deliveries,
    destinations: watch::Receiver<Destinations>,
    ends: Arc<Resolve>,
    meter: Arc<Meter>,
    stopping: CancellationToken,
) {
    let mut deliveries = deliveries.ready_chunks(AT_ONCE);
    let mut on_the_way = FuturesUnordered::new();
    let mut is_open = true;
    while is_open || !on_the_way.is_empty() {
        tokio::select! {
            () = stopping.cancelled(), if is_open => is_open = false,
            come = deliveries.next(), if is_open && on_the_way.len() < ON_THE_WAY => match come {
                Some(come) => {
                    meter.count(come.len(), Instant::now());
                    let to = destinations.borrow().clone();
                    for delivery in come {
                        on_the_way.extend(hand_over(&source, delivery, &to, &ends).await);
                    }
                }
                None => is_open = false,
            },
            Some(()) = on_the_way.next() => {}
        }
    }
}

/// Hands a message over to its destinations, in order with those before it. What is returned acknowledges it in the end;
/// where there is nothing to wait for, that is done.
async fn hand_over(
    source: &QueueName,
    delivery: Delivery,
    to: &Destinations,
    ends: &Arc<Resolve>,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let mut waiting = Vec::new();
    for (place, destination) in to.iter().enumerate() {
        match push(&**ends, destination, &delivery.message).await {
            Ok(None) => {}
            Ok(Some(confirmed)) => waiting.push((place, Ok(confirmed))),
            Err(error) => waiting.push((place, Err(error))),
        }
    }
    if waiting.is_empty() {
        delivery.ack();
        return None;
    }
    let (source, to, ends) = (source.clone(), Arc::clone(to), Arc::clone(ends));
    Some(async move {
        for (place, confirmed) in waiting {
            let arrived = match confirmed {
                Ok(confirmed) => confirmed.await,
                Err(error) => Err(error),
            };
            if let Err(error) = arrived {
                insist(&source, &to[place], &delivery.message, &*ends, error).await;
            }
        }
        delivery.ack();
    })
}

async fn push(
    ends: &Resolve,
    destination: &Destination,
    message: &Message,
) -> Result<Option<Confirmed>, Error> {
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
    let again = async || match push(ends, destination, message).await? {
        Some(confirmed) => confirmed.await,
        None => Ok(()),
    };
    if let Err(error) = again.retry(pauses).when(Error::is_transient).await {
        told(&error);
    }
}
