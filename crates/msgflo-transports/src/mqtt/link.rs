//! A connection that comes back.
//!
//! A [`Link`] is a handle on a task that owns the [`Session`] and, most of the time, a connection. Requests wait while the
//! connection is away; those that were not answered for are sent again on the next one.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, StreamExt, stream};
use msgflo_core::{Assurance, Error, Message, QueueName};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::DEADLINE;
use super::keeper::Keeper;
use super::mailbox::Mailbox;
use super::options::Options;
use super::packet::{LARGEST, Version, publish_size, reason};
use super::session::Request;
use super::topics::{Topics, is_topic};
use super::wire::{Identity, KEEP, Wire};

/// How many requests wait for the task. Who asks waits when it is full.
const REQUESTS: usize = 1024;
const SENDING: &str = "sending a message";

/// A request, and who waits for the answer.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) answer: Option<Answer>,
}

/// Told how a request ended: `Some` with a reason when the broker refused it.
pub(crate) type Answer = oneshot::Sender<Option<u8>>;

/// A cheap handle. The connection is cut when the last one is gone.
#[derive(Clone)]
pub(crate) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    broker: String,
    requests: mpsc::Sender<Asked>,
    topics: Arc<Mutex<Topics>>,
    /// Counts connections.
    connections: watch::Receiver<u64>,
    /// What the first connection's broker can do.
    version: Version,
    shares: bool,
    standing: Arc<Standing>,
    /// Cancelled to leave in order.
    closing: CancellationToken,
    /// Cancelled when the task has ended.
    closed: CancellationToken,
    _cut: DropGuard,
}

/// How the link stands with its broker.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Whether there is a connection.
    pub(crate) is_connected: AtomicBool,
    /// The most bytes of a packet that the broker takes.
    pub(crate) most: AtomicU32,
}

impl Link {
    /// Connects for the first time. What is in `topics` is subscribed to from the first.
    pub(crate) async fn connect(options: Options, identity: Identity, topics: Topics) -> Result<Self, Error> {
        let wire = Wire::open(&options, &identity, identity.expiry == KEEP, None).await?;
        let (sender, requests) = mpsc::channel(REQUESTS);
        let (connected, connections) = watch::channel(0);
        let (closing, closed, cut) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let topics = Arc::new(Mutex::new(topics));
        let standing = Arc::new(Standing {
            is_connected: AtomicBool::new(true),
            most: AtomicU32::new(wire.welcome.maximum_packet),
        });
        let shared = Shared {
            broker: options.broker.clone(),
            requests: sender,
            topics: Arc::clone(&topics),
            connections,
            version: wire.version,
            shares: wire.welcome.shares,
            standing: Arc::clone(&standing),
            closing: closing.clone(),
            closed: closed.clone(),
            _cut: cut.clone().drop_guard(),
        };
        let keeper = Keeper::new(options, identity, requests, topics, connected, standing, closing);
        tokio::spawn(async move {
            let _closed = closed.drop_guard();
            cut.run_until_cancelled_owned(keeper.run(wire)).await;
        });
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The broker's URL, without its password.
    pub(crate) fn broker(&self) -> &str {
        &self.shared.broker
    }

    /// Whether there is a connection now.
    pub(crate) fn is_connected(&self) -> bool {
        self.shared.standing.is_connected.load(Ordering::Relaxed)
    }

    /// Whether instances can share a subscription.
    pub(crate) fn shares(&self) -> bool {
        self.shared.shares && self.shared.version == Version::V5
    }

    /// Hands a message over. Resolves when it is on its way; what it resolves to, when the broker has taken it, however long
    /// that takes: `None` where it need not tell.
    pub(crate) async fn publish(
        &self,
        topic: &QueueName,
        message: Message,
    ) -> Result<Option<impl Future<Output = Result<(), Error>> + Send + use<>>, Error> {
        // A broker ends the connection for it, and it would be sent again on the next one, for ever.
        if !is_topic(topic) {
            return Err(Error::NotFound { name: topic.clone() });
        }
        self.check_size(topic, &message)?;
        let is_assured = message.persistent;
        let request = Request::Publish { topic: topic.clone(), message };
        if !is_assured {
            self.hand_over(SENDING, Asked { request, answer: None }).await?;
            return Ok(None);
        }
        let told = self.ask(SENDING, request).await?;
        let topic = topic.clone();
        Ok(Some(async move {
            match told.await {
                Ok(None) => Ok(()),
                Ok(Some(_)) => Err(Error::Refused { name: topic }),
                Err(_) => Err(Error::Disconnected { doing: SENDING.to_owned() }),
            }
        }))
    }

    /// A broker ends the connection for a message that is too large, too.
    fn check_size(&self, topic: &QueueName, message: &Message) -> Result<(), Error> {
        let most = self.shared.standing.most.load(Ordering::Relaxed);
        let has_limit = most < LARGEST;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if !has_limit && message.payload.len() < most / 2 {
            return Ok(());
        }
        let size = publish_size(self.shared.version, topic, message);
        if size <= most {
            return Ok(());
        }
        let source =
            format!("a message to `{topic}` takes {size} bytes, and the broker takes at most {most}");
        Err(Error::Failed { doing: SENDING.to_owned(), source: source.into() })
    }

    /// Sends a message. Resolves when the broker has taken it, or it is on its way where the broker need not tell.
    pub(crate) async fn send(&self, topic: &QueueName, message: Message) -> Result<(), Error> {
        let Some(taken) = self.publish(topic, message).await? else { return Ok(()) };
        timeout(DEADLINE, taken)
            .await
            .unwrap_or_else(|_| Err(Error::Timeout { doing: SENDING.to_owned(), after: DEADLINE }))
    }

    /// Has `mailbox` get what is sent to `topic`. `shared`: of all who say so, one gets each message.
    pub(crate) async fn subscribe(
        &self,
        topic: &QueueName,
        mailbox: &Arc<Mailbox>,
        assurance: Assurance,
        shared: bool,
    ) -> Result<(), Error> {
        if !is_topic(topic) {
            let what = format!("subscribe to `{topic}`: a port is one topic, without `+` and `#`");
            return Err(Error::Unsupported { broker: self.shared.broker.clone(), what });
        }
        let filter = self.topics().add(topic, Arc::clone(mailbox), assurance, shared);
        let Some((filter, assurance)) = filter else { return Ok(()) };
        let subscribed = self.ask_for(filter, assurance).await;
        if subscribed.is_err() {
            self.topics().remove(topic, mailbox);
            // The answer may have been lost and the broker send all the same: nobody will take it.
            mailbox.discard();
        }
        subscribed
    }

    async fn ask_for(&self, filter: QueueName, assurance: Assurance) -> Result<(), Error> {
        const DOING: &str = "subscribing";
        let told = self.ask(DOING, Request::Subscribe(vec![(filter.clone(), assurance)])).await?;
        let Some(code) = within(DOING, told).await? else { return Ok(()) };
        let source = format!("the broker refuses a subscription to `{filter}`: {}", reason::text(code));
        Err(Error::Failed { doing: DOING.to_owned(), source: source.into() })
    }

    /// Has `mailbox` get no more of `topic`. Resolves when it has got everything that was on its way.
    pub(crate) async fn unsubscribe(&self, topic: &QueueName, mailbox: &Arc<Mailbox>) -> Result<(), Error> {
        const DOING: &str = "unsubscribing";
        let leaving = self.topics().leaving(topic, mailbox);
        let Some(filter) = leaving else {
            self.topics().remove(topic, mailbox);
            return Ok(());
        };
        let unsubscribed = match self.ask(DOING, Request::Unsubscribe(vec![filter])).await {
            // The broker answers after what was on its way.
            Ok(told) => within(DOING, told).await.map(drop),
            Err(error) => Err(error),
        };
        // Also where the broker could not be asked: who has gone answers for nothing.
        let missed = self.topics().remove(topic, mailbox);
        if let Some((filter, assurance)) = missed {
            // Somebody came meanwhile, and believed that we were subscribed.
            self.ask_for(filter, assurance).await?;
        }
        unsubscribed
    }

    async fn ask(&self, doing: &str, request: Request) -> Result<oneshot::Receiver<Option<u8>>, Error> {
        let (answer, told) = oneshot::channel();
        self.hand_over(doing, Asked { request, answer: Some(answer) }).await?;
        Ok(told)
    }

    /// Gives the task something to do; waits where it has too much.
    async fn hand_over(&self, doing: &str, asked: Asked) -> Result<(), Error> {
        let asked = match self.shared.requests.try_send(asked) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(asked) | TrySendError::Closed(asked)) => asked,
        };
        match timeout(DEADLINE, self.shared.requests.send(asked)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::Disconnected { doing: doing.to_owned() }),
            Err(_) => Err(Error::Timeout { doing: doing.to_owned(), after: DEADLINE }),
        }
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.shared.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when a connection has come that was not there at the call.
    pub(crate) fn reconnected(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut connections = Box::pin(self.reconnections());
        async move {
            if connections.next().await.is_none() {
                std::future::pending().await
            }
        }
    }

    /// Tells of every connection that was not there at the call.
    pub(crate) fn reconnections(&self) -> impl Stream<Item = ()> + Send + use<> {
        let mut connections = self.shared.connections.clone();
        connections.mark_unchanged();
        stream::unfold(connections, |mut connections| async move {
            connections.changed().await.ok()?;
            Some(((), connections))
        })
    }

    /// Leaves in order: what was asked before is sent, and what was acknowledged is told.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        self.shared.closing.cancel();
        match timeout(DEADLINE, self.shared.closed.cancelled()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::Timeout { doing: "closing the connection".into(), after: DEADLINE }),
        }
    }
}

async fn within(doing: &str, told: oneshot::Receiver<Option<u8>>) -> Result<Option<u8>, Error> {
    match timeout(DEADLINE, told).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(Error::Disconnected { doing: doing.to_owned() }),
        Err(_) => Err(Error::Timeout { doing: doing.to_owned(), after: DEADLINE }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::mailbox::Overflow;

    /// A link whose task takes nothing, as one that has asked as much as a broker that is away allows.
    fn stuck() -> (Link, mpsc::Receiver<Asked>) {
        let (sender, requests) = mpsc::channel(1);
        let waiting = Request::Unsubscribe(Vec::new());
        assert!(sender.try_send(Asked { request: waiting, answer: None }).is_ok());
        let standing = Standing { is_connected: AtomicBool::new(false), most: AtomicU32::new(LARGEST) };
        let shared = Shared {
            broker: "mqtt://away".into(),
            requests: sender,
            topics: Arc::default(),
            connections: watch::channel(1).1,
            version: Version::V5,
            shares: true,
            standing: Arc::new(standing),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
            _cut: CancellationToken::new().drop_guard(),
        };
        (Link { shared: Arc::new(shared) }, requests)
    }

    #[tokio::test]
    async fn what_stands_for_many_topics_is_refused() {
        let (link, _requests) = stuck();
        for topic in ["sensor/+/temperature", "sensor/#", "#", "", "a\0b"] {
            let mailbox = Mailbox::new(9, Overflow::DropUnassured);
            for shared in [false, true] {
                let refused = link.subscribe(&topic.into(), &mailbox, Assurance::AtLeastOnce, shared).await;
                assert!(matches!(refused, Err(Error::Unsupported { .. })), "{topic}: {refused:?}");
            }
        }
        assert_eq!(link.topics().filters(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_gets_nothing_more_also_where_the_broker_cannot_be_asked() {
        let (link, _requests) = stuck();
        let (topic, mailbox) = (QueueName::from("a"), Mailbox::new(9, Overflow::DropUnassured));
        link.topics().add(&topic, Arc::clone(&mailbox), Assurance::AtLeastOnce, false);
        assert!(matches!(link.unsubscribe(&topic, &mailbox).await, Err(Error::Timeout { .. })));
        assert_eq!(link.topics().filters(), []);
    }
}
