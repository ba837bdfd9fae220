//! Queues by AMQP 0-9-1: a passive declaration tells what is ready and how many consumers there are.
//!
//! The broker closes the channel, and writes a line into its log, for each queue that is not there; so glances, which
//! come several times a second, leave such queues alone for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use guv_model::{QueueName, QueueSample};
use lapin::options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::record::with_causes;
use crate::sources::failure::Failure;
use crate::sources::queues::{Looks, Signs};

/// How long connecting, or one answer, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long glances leave a queue alone that is not there.
const LEFT_ALONE: Duration = Duration::from_secs(15);
/// The exchange of RabbitMQ's event exchange plugin, and what of it concerns us.
const EVENTS: (&str, [&str; 2]) = ("amq.rabbitmq.event", ["queue.*", "consumer.*"]);

/// The brokers that we are connected to.
#[derive(Default)]
pub(super) struct Amqp {
    sessions: Mutex<HashMap<Url, Arc<Session>>>,
}

/// A connection to a virtual host.
struct Session {
    connection: Connection,
    /// Replaced after each error, which closes it.
    channel: Mutex<Option<Channel>>,
    /// Queues that were not there, and until when they are left alone.
    missing: SyncMutex<HashMap<QueueName, Instant>>,
    place: String,
}

impl Amqp {
    /// Looks at all of these queues.
    pub(super) async fn look(&self, url: &Url, queues: &[QueueName]) -> Result<Looks, Failure> {
        self.session(url).await?.declare_all(queues).await
    }

    /// Somebody else has seen these queues: glances need not leave them alone any more.
    pub(super) async fn are_there<'q>(&self, url: &Url, queues: impl Iterator<Item = &'q QueueName>) {
        if let Some(session) = self.sessions.lock().await.get(url) {
            let mut missing = session.missing.lock().unwrap_or_else(PoisonError::into_inner);
            queues.for_each(|queue| _ = missing.remove(queue));
        }
    }

    /// Looks at those that there were.
    pub(super) async fn glance(&self, url: &Url, queues: &[QueueName]) -> Result<Looks, Failure> {
        let session = self.session(url).await?;
        let there: Vec<_> = {
            let mut missing = session.missing.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            missing.retain(|_, until| *until > now);
            queues.iter().filter(|queue| !missing.contains_key(queue)).cloned().collect()
        };
        session.declare_all(&there).await
    }

    /// Something whenever a queue or a consumer comes or goes, where the broker has the event exchange.
    pub(super) async fn signs(&self, url: &Url) -> Result<Signs, Failure> {
        let session = self.session(url).await?;
        let events = session.within(session.events()).await;
        match events {
            Ok(events) => {
                let session = session.clone();
                Ok(Signs::Besides(
                    events
                        .map(move |_| {
                            // A new queue may be one of those left alone.
                            session.missing.lock().unwrap_or_else(PoisonError::into_inner).clear();
                        })
                        .boxed(),
                ))
            }
            // There is no such exchange, or we may not listen to it: most brokers.
            Err(_) => Ok(Signs::None),
        }
    }

    async fn session(&self, url: &Url) -> Result<Arc<Session>, Failure> {
        let mut sessions = self.sessions.lock().await;
        if let Some(session) = sessions.get(url).filter(|session| session.connection.status().connected()) {
            return Ok(session.clone());
        }
        let session = Arc::new(Session::open(url).await?);
        sessions.insert(url.clone(), session.clone());
        Ok(session)
    }
}

impl Session {
    async fn open(url: &Url) -> Result<Self, Failure> {
        let host = url.host_str().unwrap_or("localhost");
        let place = format!("RabbitMQ at {host}:{}", url.port().unwrap_or(5672));
        let properties = ConnectionProperties::default().with_connection_name("guv".into());
        let connecting = Connection::connect(url.as_str(), properties);
        let late =
            |_| Failure::Unreachable(format!("{place}: no connection within {} s", PATIENCE.as_secs()));
        let connection =
            timeout(PATIENCE, connecting).await.map_err(late)?.map_err(|error| failure(&place, &error))?;
        Ok(Self { connection, channel: Mutex::default(), missing: SyncMutex::default(), place })
    }

    async fn declare_all(&self, queues: &[QueueName]) -> Result<Looks, Failure> {
        let mut looks = Looks::with_capacity(queues.len());
        for queue in queues {
            let look = self.declare(queue).await;
            if look == Err(Failure::Missing) {
                let until = Instant::now() + LEFT_ALONE;
                self.missing.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.clone(), until);
            }
            if let Err(failure @ Failure::Unreachable(_)) = look {
                return Err(failure);
            }
            looks.insert(queue.clone(), look);
        }
        Ok(looks)
    }

    /// Declares one queue passively.
    async fn declare(&self, queue: &QueueName) -> Result<QueueSample, Failure> {
        // Whoever comes meanwhile waits: one error would close the channel of all.
        let mut slot = self.channel.lock().await;
        let channel = match slot.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => self.within(self.connection.create_channel()).await?,
        };
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
        let declared = self.within(declared).await?;
        *slot = Some(channel);
        Ok(QueueSample {
            ready: Some(declared.message_count().into()),
            consumers: Some(declared.consumer_count()),
            ..QueueSample::default()
        })
    }

    /// The broker's own events, by a queue of our own.
    async fn events(&self) -> lapin::Result<lapin::Consumer> {
        let channel = self.connection.create_channel().await?;
        let (exchange, keys) = EVENTS;
        let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, passive, FieldTable::default())
            .await?;
        let own =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), own, FieldTable::default()).await?;
        for key in keys {
            let (bind, table) = (QueueBindOptions::default(), FieldTable::default());
            channel.queue_bind(queue.name().clone(), exchange.into(), key.into(), bind, table).await?;
        }
        let consume = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        channel.basic_consume(queue.name().clone(), "".into(), consume, FieldTable::default()).await
    }

    async fn within<T>(&self, doing: impl Future<Output = lapin::Result<T>>) -> Result<T, Failure> {
        match timeout(PATIENCE, doing).await {
            Ok(done) => done.map_err(|error| failure(&self.place, &error)),
            Err(_) => {
                let late = format!("{}: no answer within {} s", self.place, PATIENCE.as_secs());
                Err(Failure::Unreachable(late))
            }
        }
    }
}

fn failure(place: &str, error: &lapin::Error) -> Failure {
    let what = format!("{place}: {}", with_causes(error));
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.get_id() {
            404 => Failure::Missing,
            // A connection that is closed by force, and a broker in trouble.
            320 | 541 => Failure::Unreachable(what),
            _ => Failure::Refused(what),
        },
        _ => Failure::Unreachable(what),
    }
}
