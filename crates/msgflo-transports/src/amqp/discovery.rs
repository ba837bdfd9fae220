//! How every coordinator sees every announcement.
//!
//! Participants send to the one queue `fbp`, which several coordinators would split among them. So whoever takes an
//! announcement from there passes it on to the fanout exchange `msgflo.discovery`, and acknowledges it when the broker has confirmed
//! that. Each coordinator learns of participants only from its own queue behind that exchange.

use futures_util::StreamExt;
use msgflo_core::{Announcements, Error, QueueName, discovery};
use tokio_util::sync::CancellationToken;

use super::client::Declaration;
use super::link::Link;
use super::subscription::{self, Origin};

/// How many announcements are passed on at a time.
const PREFETCH: u16 = 100;
/// How many announcements wait for a coordinator that is busy; each will be repeated anyway.
const BACKLOG: u32 = 100_000;

/// Passes announcements on until `closing`, and gives those that arrive for us.
pub(crate) async fn watch(link: &Link, closing: CancellationToken) -> Result<Announcements, Error> {
    let exchange = QueueName::from(discovery::EXCHANGE);
    link.declare(Declaration::Exchange(exchange.clone())).await?;
    link.declare(Declaration::DiscoveryQueue).await?;
    // Ours first, so that nothing which waits in `fbp` is passed by us.
    let own = subscription::subscribe(link, Origin::Exchange { exchange, limit: BACKLOG }, PREFETCH).await?;
    let waiting = subscription::subscribe(link, Origin::Queue(discovery::QUEUE.into()), PREFETCH).await?;
    let link = link.clone();
    tokio::spawn(async move {
        let passing =
            waiting.for_each_concurrent(usize::from(PREFETCH), |delivery| pass_on(link.clone(), delivery));
        closing.run_until_cancelled_owned(passing).await;
    });
    let announcements = own.map(|delivery| {
        let announcement = discovery::decode(&delivery.message.payload);
        delivery.ack();
        announcement
    });
    Ok(announcements.boxed())
}

async fn pass_on(link: Link, delivery: msgflo_core::Delivery) {
    let exchange = QueueName::from(discovery::EXCHANGE);
    let passed = async {
        let session = link.session("passing an announcement on").await?;
        session.publish(&exchange, &QueueName::from(""), &delivery.message, false).await
    };
    match passed.await {
        Ok(()) => delivery.ack(),
        Err(error) => tracing::warn!(%error, "an announcement could not be passed on and waits"),
    }
}
