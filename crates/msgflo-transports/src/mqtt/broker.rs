//! A coordinator's side: what it hears and sends, and the router that carries its bindings.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use msgflo_core::{
    Announcements, Assurance, Binding, Broker, Carrier, Confirmation, Confirmed, Deliveries, Depth,
    Destination, Error, JobReports, KnownBinding, Message, QueueName, Reconnections, Traffic, discovery, job,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::link::Link;
use super::mailbox::{Mailbox, Overflow};
use super::options::Options;
use super::topics::{Topics, is_topic};
use super::wire::Identity;
use crate::ledger::{Ledger, Owner};
use crate::router::{Router, claims, peers};

/// How many messages wait for the router before those that need not arrive are dropped.
const CARRIED: usize = 65_536;
/// How many announcements and reports of jobs wait for a reader that is busy, before the oldest are dropped.
const BACKLOG: usize = 100_000;
/// How long it may take to tell other routers that we leave.
const FAREWELL: Duration = Duration::from_secs(2);
/// How sure it is that messages arrive at a coordinator: as sure as their senders want it.
const AS_SENT: Assurance = Assurance::AtLeastOnce;

pub(crate) struct MqttBroker {
    /// For our own router.
    carrier: Arc<MqttCarrier>,
    /// For a router of somebody who has several brokers.
    lent: MqttCarrier,
    router: Router,
    closing: CancellationToken,
    _close: DropGuard,
    /// Speaks to other routers, and takes its leave of them when `leaving` is cancelled.
    claims: Mutex<Option<AbortOnDropHandle<()>>>,
    leaving: CancellationToken,
}

impl MqttBroker {
    /// Connects, goes on carrying what `ledger` remembers, and lets peers speak to the router by the name `instance`. What is sent
    /// to `pulled` will be pulled by somebody else.
    pub(crate) async fn connect(
        options: Options,
        identity: Identity,
        ledger: Ledger,
        instance: Option<String>,
        pulled: &[QueueName],
    ) -> Result<Self, Error> {
        let own = *ledger.instance();
        // The broker may have kept messages for us, and sends them as soon as we are connected: they must find somebody.
        let mut topics = Topics::default();
        let ours: BTreeSet<_> = ledger.all().iter().map(|binding| binding.source().clone()).collect();
        let lines = Line::left(&ours, &mut topics);
        let theirs = Line::left(&pulled.iter().cloned().collect(), &mut topics);
        let link = Link::connect(options, identity, topics).await?;
        let lent = MqttCarrier { link: link.clone(), lines: Mutex::new(theirs) };
        let carrier = Arc::new(MqttCarrier { link, lines: Mutex::new(lines) });
        let ends = Arc::clone(&carrier);
        let router =
            Router::start(ledger, move |name| Ok((ends.clone() as Arc<dyn Carrier>, name.clone()))).await;
        let (closing, leaving) = (CancellationToken::new(), CancellationToken::new());
        let speaker = Arc::clone(&carrier) as Arc<dyn Carrier>;
        let claims = claims::serve(router.downgrade(), speaker, own, leaving.clone());
        let claims = Mutex::new(Some(AbortOnDropHandle::new(tokio::spawn(claims))));
        if let Some(instance) = instance {
            peers::serve(
                router.clone(),
                Arc::clone(&carrier) as Arc<dyn Carrier>,
                &instance,
                closing.clone(),
            )
            .await?;
        }
        Ok(Self { carrier, lent, router, _close: closing.clone().drop_guard(), closing, claims, leaving })
    }

    /// Everything that is sent to `topic`, as long as the stream is held.
    async fn listen(
        &self,
        topic: &QueueName,
        limit: usize,
        overflow: Overflow,
        prefetch: u16,
    ) -> Result<Deliveries, Error> {
        let link = &self.carrier.link;
        let mailbox = Mailbox::new(limit, overflow);
        let assurance = match overflow {
            // What only looks must not have the broker keep messages while we are away.
            Overflow::DropOldest => Assurance::AtMostOnce,
            Overflow::DropUnassured => AS_SENT,
        };
        link.subscribe(topic, &mailbox, assurance, false).await?;
        let listener = Listener { link: link.clone(), topic: topic.clone(), mailbox: Arc::clone(&mailbox) };
        Ok(mailbox.deliveries(prefetch, listener))
    }
}

/// Ends a subscription when its reader goes.
struct Listener {
    link: Link,
    topic: QueueName,
    mailbox: Arc<Mailbox>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let (link, topic, mailbox) = (self.link.clone(), self.topic.clone(), Arc::clone(&self.mailbox));
        mailbox.discard();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = link.unsubscribe(&topic, &mailbox).await {
                tracing::debug!(%error, %topic, "a subscription was not ended");
            }
        });
    }
}

/// What the router needs.
struct MqttCarrier {
    link: Link,
    lines: Mutex<HashMap<QueueName, Line>>,
}

/// A source that is, or is to be, carried.
struct Line {
    mailbox: Arc<Mailbox>,
    /// Whether somebody takes from it: not yet, if an earlier life left it.
    is_pulled: bool,
}

impl Line {
    /// The lines that an earlier life left: nobody takes from them yet.
    fn left(sources: &BTreeSet<QueueName>, topics: &mut Topics) -> HashMap<QueueName, Self> {
        let left = |source: &QueueName| {
            let mailbox = Mailbox::new(CARRIED, Overflow::DropUnassured);
            topics.add(source, Arc::clone(&mailbox), AS_SENT, false);
            (source.clone(), Self { mailbox, is_pulled: false })
        };
        sources.iter().filter(|source| is_topic(source)).map(left).collect()
    }
}

#[async_trait]
impl Carrier for MqttCarrier {
    async fn pull(&self, source: &QueueName) -> Result<Deliveries, Error> {
        let left = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.get_mut(source).filter(|line| !line.is_pulled).map(|line| {
                line.is_pulled = true;
                Arc::clone(&line.mailbox)
            })
        };
        if let Some(mailbox) = left {
            return Ok(mailbox.deliveries(0, ()));
        }
        let mailbox = Mailbox::new(CARRIED, Overflow::DropUnassured);
        self.link.subscribe(source, &mailbox, AS_SENT, false).await?;
        let line = Line { mailbox: Arc::clone(&mailbox), is_pulled: true };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).insert(source.clone(), line);
        Ok(mailbox.deliveries(0, ()))
    }

    async fn release(&self, source: &QueueName) -> Result<(), Error> {
        let line = self.lines.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
        let Some(Line { mailbox, .. }) = line else { return Ok(()) };
        let ended = self.link.unsubscribe(source, &mailbox).await;
        mailbox.close();
        ended
    }

    async fn push(&self, destination: &Destination, message: Message) -> Result<Option<Confirmed>, Error> {
        let confirmed = self.link.publish(destination.name(), message).await?;
        Ok(confirmed.map(|confirmed| Box::pin(confirmed) as Confirmed))
    }
}

#[async_trait]
impl Carrier for MqttBroker {
    async fn pull(&self, source: &QueueName) -> Result<Deliveries, Error> {
        self.lent.pull(source).await
    }

    async fn release(&self, source: &QueueName) -> Result<(), Error> {
        self.lent.release(source).await
    }

    async fn push(&self, destination: &Destination, message: Message) -> Result<Option<Confirmed>, Error> {
        self.lent.push(destination, message).await
    }
}

#[async_trait]
impl Broker for MqttBroker {
    fn address(&self) -> String {
        self.carrier.link.broker().to_owned()
    }

    fn is_connected(&self) -> bool {
        self.carrier.link.is_connected()
    }

    fn reconnections(&self) -> Reconnections {
        self.carrier.link.reconnections().boxed()
    }

    async fn add_binding(&self, binding: &Binding) -> Result<(), Error> {
        if let Binding::RoundRobin { deadletter: Some(_), .. } = binding {
            let what = "keep refused messages: leave DEADLETTER out, or use a broker of AMQP".to_owned();
            return Err(Error::Unsupported { broker: self.address(), what });
        }
        self.router.add(binding, Owner::Network).await
    }

    async fn remove_binding(&self, binding: &Binding) -> Result<(), Error> {
        self.router.remove(binding, Owner::Network).await
    }

    async fn list_bindings(&self) -> Result<Vec<KnownBinding>, Error> {
        let known = |binding| KnownBinding { binding, confirmation: Confirmation::Present };
        Ok(self.router.list(Owner::Network).into_iter().map(known).collect())
    }

    async fn tap(&self, source: &QueueName, buffer: u32) -> Result<Deliveries, Error> {
        let limit = usize::try_from(buffer).unwrap_or(usize::MAX).max(1);
        self.listen(source, limit, Overflow::DropOldest, 0).await
    }

    async fn depth(&self, _: &QueueName) -> Result<Depth, Error> {
        let what = "tell what waits for a participant: a topic is no queue".to_owned();
        Err(Error::Unsupported { broker: self.address(), what })
    }

    async fn traffic(&self) -> Result<Traffic, Error> {
        Ok(Traffic { rates: self.router.rates().await, ..Traffic::default() })
    }

    async fn send_to_queue(&self, queue: &QueueName, message: Message) -> Result<(), Error> {
        self.carrier.link.send(queue, message).await
    }

    async fn send_to_exchange(&self, exchange: &QueueName, message: Message) -> Result<(), Error> {
        self.carrier.link.send(exchange, message).await
    }

    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Deliveries, Error> {
        self.listen(queue, CARRIED, Overflow::DropUnassured, prefetch).await
    }

    async fn watch_discovery(&self) -> Result<Announcements, Error> {
        let heard = self.listen(&discovery::QUEUE.into(), BACKLOG, Overflow::DropOldest, 0).await?;
        Ok(heard.map(|delivery| discovery::decode(&delivery.message.payload)).boxed())
    }

    async fn watch_jobs(&self) -> Result<JobReports, Error> {
        let reports = self.listen(&job::EXCHANGE.into(), BACKLOG, Overflow::DropOldest, 0).await?;
        let report =
            async |delivery: msgflo_core::Delivery| serde_json::from_slice(&delivery.message.payload).ok();
        Ok(reports.filter_map(report).boxed())
    }

    async fn close(&self) -> Result<(), Error> {
        self.closing.cancel();
        self.leaving.cancel();
        let claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(claims) = claims {
            drop(tokio::time::timeout(FAREWELL, claims).await);
        }
        self.router.stop().await;
        self.carrier.link.close().await
    }
}
