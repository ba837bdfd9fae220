//! How every coordinator sees every announcement.
//!
//! Participants send to the one queue `fbp`, which several coordinators would split among them. So whoever takes an
//! announcement from there passes it on to the fanout exchange `msgflo.discovery`, and acknowledges it when the broker has confirmed
//! that. Each coordinator learns of participants only from its own queue behind that exchange.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use msgflo_core::discovery::{self, Announcement};
use msgflo_core::{Announcements, Deliveries, Delivery, Error, QueueName};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::client::Declaration;
use super::link::Link;
use super::session::Session;
use super::subscription::{self, Origin, RETRY};

/// How many announcements are passed on at a time.
const PREFETCH: u16 = 200;
/// How long those that come next are gathered, after fewer were passed on: each on its own costs more than all together.
const GATHER: Duration = Duration::from_millis(200);
/// How many announcements wait in the broker for a coordinator that is busy; each will be repeated anyway.
const BACKLOG: u32 = 100_000;
/// How many wait in this process; the others wait in the broker.
const WAITING: usize = 1000;

type Heard = Result<Announcement, discovery::Error>;

/// Passes announcements on until `closing`, and gives those that arrive for us.
pub(crate) async fn watch(link: &Link, closing: CancellationToken) -> Result<Announcements, Error> {
    link.declare(Declaration::Exchange(discovery::EXCHANGE.into())).await?;
    link.declare(Declaration::DiscoveryQueue).await?;
    let first = Watch::open(link, &*link.session("watching discovery").await?).await?;
    let (heard, announcements) = mpsc::channel(WAITING);
    let watching = watch_always(link.clone(), first, heard);
    tokio::spawn(async move { closing.run_until_cancelled_owned(watching).await });
    Ok(stream::unfold(announcements, async |mut queue| Some((queue.recv().await?, queue))).boxed())
}

/// What is watched during one session.
struct Watch {
    /// Announcements that somebody passed on.
    own: Deliveries,
    /// Announcements that nobody has passed on.
    unpassed: Deliveries,
}

impl Watch {
    async fn open(link: &Link, session: &Session) -> Result<Self, Error> {
        let own = Origin::Exchange { exchange: discovery::EXCHANGE.into(), limit: BACKLOG };
        // Ours first, so that nothing which waits in `fbp` is passed by us.
        let own = subscription::subscribe_on(link, session, &own, PREFETCH).await?;
        let unpassed = Origin::Queue(discovery::QUEUE.into());
        let unpassed = subscription::subscribe_on(link, session, &unpassed, PREFETCH).await?;
        Ok(Self { own, unpassed })
    }
}

/// Watches during `first` and every later session, until nobody listens or the link is closed.
async fn watch_always(link: Link, first: Watch, heard: mpsc::Sender<Heard>) {
    let mut next = Some(first);
    while let Some(Watch { own, unpassed }) = next {
        let hearing = own.for_each(|delivery| hear(&heard, delivery));
        let passing = unpassed.ready_chunks(PREFETCH.into()).for_each(|batch| pass_on_all(&link, batch));
        tokio::select! {
            () = heard.closed() => return,
            () = hearing => {}
            () = passing => {}
        }
        next = open_again(&link).await;
    }
}

async fn hear(heard: &mpsc::Sender<Heard>, delivery: Delivery) {
    let announcement = discovery::decode(&delivery.message.payload);
    // Without a listener the watch ends, and the message with it.
    if heard.send(announcement).await.is_ok() {
        delivery.ack();
    }
}

async fn pass_on_all(link: &Link, batch: Vec<Delivery>) {
    let is_full = batch.len() == usize::from(PREFETCH);
    join_all(batch.into_iter().map(|delivery| pass_on(link, delivery))).await;
    if !is_full {
        tokio::time::sleep(GATHER).await;
    }
}

async fn pass_on(link: &Link, delivery: Delivery) {
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

/// The watch of the next session. `None`: there will be none.
async fn open_again(link: &Link) -> Option<Watch> {
    loop {
        let session = link.next_session().await?;
        match Watch::open(link, &session).await {
            Ok(watch) => return Some(watch),
            Err(error) if error.is_transient() => tokio::time::sleep(RETRY).await,
            Err(error) => {
                tracing::error!(%error, "discovery cannot be watched any more");
                return None;
            }
        }
    }
}
