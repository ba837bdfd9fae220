//! How every coordinator sees every announcement.
//!
//! Participants send to the one queue `fbp`, which several coordinators would split among them. So whoever takes an
//! announcement from there passes it on to the fanout exchange `msgflo.discovery`, and acknowledges it when the broker has confirmed
//! that. Each coordinator learns of participants only from its own queue behind that exchange.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use msgflo_core::discovery::{self, Announcement};
use msgflo_core::{Announcements, Deliveries, Delivery, Error, Message, QueueName};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::client::Declaration;
use super::link::Link;
use super::session::Session;
use super::subscription::{self, Origin, RETRY};

/// How many announcements are passed on at a time. More wait in the broker, and then come together: each that comes on its own
/// costs more than all of these.
const AT_ONCE: u16 = 32;
/// How long the next ones wait, after fewer had.
const GATHER: Duration = Duration::from_millis(200);
/// How many that were passed on come at a time.
const PREFETCH: u16 = 200;
/// How long what comes together takes to come.
const TOGETHER: Duration = Duration::from_millis(2);
/// How many announcements wait in the broker for a coordinator that is busy; each will be repeated anyway.
const BACKLOG: u32 = 100_000;
/// The longest pause before what cannot be watched is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How many wait in this process; the others wait in the broker.
const WAITING: usize = 1000;

type Heard = Result<Announcement, discovery::Error>;

/// Passes announcements on until `closing`, and gives those that arrive for us.
pub(crate) async fn watch(link: &Link, closing: CancellationToken) -> Result<Announcements, Error> {
    for declaration in declarations() {
        link.declare(declaration).await?;
    }
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
        let unpassed = subscription::subscribe_on(link, session, &unpassed, AT_ONCE).await?;
        Ok(Self { own, unpassed })
    }
}

/// Watches during `first` and every later session, until nobody listens or the link is closed.
async fn watch_always(link: Link, first: Watch, heard: mpsc::Sender<Heard>) {
    let mut next = Some(first);
    while let Some(Watch { own, unpassed }) = next {
        let hearing = hear_all(&heard, own);
        let passing = pass_on_all(&link, unpassed);
        tokio::select! {
            () = heard.closed() => return,
            () = hearing => {}
            () = passing => {}
        }
        next = open_again(&link).await;
    }
}

/// Takes what has come together: at least one, at most `most`. Empty: nothing will come any more.
async fn together(deliveries: &mut Deliveries, most: u16) -> Vec<Delivery> {
    let mut batch: Vec<Delivery> = deliveries.next().await.into_iter().collect();
    let mut known = 0;
    while known < batch.len() && batch.len() < most.into() {
        known = batch.len();
        // Whoever waited for the next one would be woken for each.
        sleep(TOGETHER).await;
        let left = usize::from(most) - known;
        batch.extend(std::iter::from_fn(|| deliveries.next().now_or_never().flatten()).take(left));
    }
    batch
}

async fn hear_all(heard: &mpsc::Sender<Heard>, mut own: Deliveries) {
    loop {
        let batch = together(&mut own, PREFETCH).await;
        if batch.is_empty() {
            return;
        }
        for delivery in batch {
            let announcement = discovery::decode(&delivery.message.payload);
            // Without a listener the watch ends, and the message with it.
            if heard.send(announcement).await.is_ok() {
                delivery.ack();
            }
        }
    }
}

async fn pass_on_all(link: &Link, mut unpassed: Deliveries) {
    loop {
        let batch = together(&mut unpassed, AT_ONCE).await;
        if batch.is_empty() {
            return;
        }
        if pass_on(link, batch).await < AT_ONCE.into() {
            sleep(GATHER).await;
        }
    }
}

/// Returns how many the broker has taken.
async fn pass_on(link: &Link, batch: Vec<Delivery>) -> usize {
    // At the same time: the client sends together what it is given together.
    let results = join_all(batch.iter().map(|delivery| publish(link, &delivery.message))).await;
    let mut passed = 0;
    for (delivery, result) in batch.into_iter().zip(results) {
        match result {
            Ok(()) => {
                delivery.ack();
                passed += 1;
            }
            // What is dropped goes back to its queue.
            Err(error) => tracing::warn!(%error, "an announcement could not be passed on and waits"),
        }
    }
    passed
}

async fn publish(link: &Link, message: &Message) -> Result<(), Error> {
    let session = link.session("passing an announcement on").await?;
    session.publish(&QueueName::from(discovery::EXCHANGE), &QueueName::from(""), message, false).await
}

/// The next watch, tried for as long as the link is open: somebody may have deleted the queue, or the broker's node that has it be
/// away. `None`: the link is closed.
async fn open_again(link: &Link) -> Option<Watch> {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(RETRY)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times();
    let mut pauses = pauses.build();
    let mut told = false;
    loop {
        let session = link.next_session().await?;
        match declare_and_open(link, &session).await {
            Ok(watch) => {
                if told {
                    tracing::info!("discovery is watched again");
                }
                return Some(watch);
            }
            Err(error) if error.is_transient() || told => {
                tracing::debug!(%error, "discovery is not watched yet")
            }
            Err(error) => {
                told = true;
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, source, "discovery cannot be watched, trying again");
            }
        }
        sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

async fn declare_and_open(link: &Link, session: &Session) -> Result<Watch, Error> {
    for declaration in declarations() {
        declaration.make(session).await?;
    }
    Watch::open(link, session).await
}

/// What is watched.
fn declarations() -> [Declaration; 2] {
    [Declaration::Exchange(discovery::EXCHANGE.into()), Declaration::DiscoveryQueue]
}
