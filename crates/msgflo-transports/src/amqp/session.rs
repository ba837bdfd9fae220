//! One connection, from its handshake to its end.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::uri::AMQPUri;
use lapin::{Channel, Confirmation, Connection, ConnectionProperties, Event};
use msgflo_core::{Error, Message, QueueName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{error, properties};

/// How long an answer of the broker is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// How many things are asked at once. More wait for their turn.
const ASKING: usize = 32;

/// A connection, with the channels that everybody shares.
pub(crate) struct Session {
    connection: Connection,
    /// Channels on which nothing is being asked.
    idle: Mutex<Vec<Channel>>,
    asking: Arc<Semaphore>,
    /// Messages that are confirmed.
    confirmed: RwLock<Arc<Channel>>,
    /// Messages that must not come back, one at a time; `None` before the first.
    alone: tokio::sync::Mutex<Option<Channel>>,
    /// Messages that may be lost.
    unconfirmed: RwLock<Arc<Channel>>,
}

impl Session {
    /// Connects. `broker` names the broker in errors, without its password.
    pub(crate) async fn open(uri: AMQPUri, broker: &str, name: &str) -> Result<Self, Error> {
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = async {
            let connection = Connection::connect_uri(uri, properties).await?;
            let confirmed = RwLock::new(Arc::new(confirmed_channel(&connection).await?));
            let unconfirmed = RwLock::new(Arc::new(connection.create_channel().await?));
            let asking = Arc::new(Semaphore::new(ASKING));
            let (idle, alone) = (Mutex::default(), tokio::sync::Mutex::default());
            Ok(Self { connection, idle, asking, confirmed, alone, unconfirmed })
        };
        match timeout(DEADLINE, connecting).await {
            Ok(opened) => opened.map_err(|error| error::connecting(error, broker)),
            Err(_) => Err(Error::Timeout { doing: format!("connecting to {broker}"), after: DEADLINE }),
        }
    }

    /// Resolves when the connection has ended.
    pub(crate) async fn ended(&self) {
        let mut events = std::pin::pin!(self.connection.events_listener());
        while self.connection.status().connected() {
            match events.next().await {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!(reason, "the broker takes no messages for now");
                }
                Some(Event::ConnectionUnblocked) => tracing::info!("the broker takes messages again"),
                Some(_) => {}
                None => break,
            }
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connection.status().connected()
    }

    /// A channel of one's own, on which an error hurts nobody else.
    pub(crate) async fn channel(&self, doing: &str) -> Result<Channel, Error> {
        within(doing, &[], self.connection.create_channel()).await
    }

    /// A channel to ask something on: opening one costs as much as most questions. It is to be [given back](Self::give_back) when
    /// the answer has come, and not before: what is still under way would be taken for the answer to the next question.
    pub(crate) async fn borrow(&self, doing: &str) -> Result<Borrowed, Error> {
        let turn = timeout(DEADLINE, self.asking.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Error::Timeout { doing: doing.to_owned(), after: DEADLINE });
        };
        let pop = || self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let channel = match std::iter::from_fn(pop).find(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => self.channel(doing).await?,
        };
        Ok(Borrowed { channel, _turn: turn })
    }

    /// Takes a borrowed channel back.
    pub(crate) fn give_back(&self, borrowed: Borrowed) {
        if borrowed.channel.status().connected() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(borrowed.channel);
        }
    }

    /// Publishes and waits for the confirmation. With `mandatory`, a message that no queue takes is an error.
    pub(crate) async fn publish(
        &self,
        exchange: &QueueName,
        routing_key: &QueueName,
        message: &Message,
        mandatory: bool,
    ) -> Result<(), Error> {
        const DOING: &str = "sending a message";
        let sending = async {
            if !mandatory {
                return self.hand_over(exchange, routing_key, message, mandatory).await?.await;
            }
            // A message that comes back is told from others by being the only one on its way.
            let mut alone = self.alone.lock().await;
            // Given up in the middle, the channel goes with what is on its way.
            let channel = match alone.take().filter(|channel| channel.status().connected()) {
                Some(channel) => channel,
                None => fresh(confirmed_channel(&self.connection)).await?,
            };
            let sent = match publish_on(&channel, exchange, routing_key, message, mandatory).await {
                Ok(confirmed) => confirmed.await,
                Err(error) => Err(error),
            };
            *alone = Some(channel);
            sent
        };
        let late = |_| Err(Error::Timeout { doing: DOING.to_owned(), after: DEADLINE });
        timeout(DEADLINE, sending).await.unwrap_or_else(late)
    }

    /// Publishes. Resolves when the message is on its way; what it resolves to, with the confirmation. Either may take as long
    /// as the broker is blocked: what is given up is sent all the same, and sent again it would come twice.
    pub(crate) async fn hand_over(
        &self,
        exchange: &QueueName,
        routing_key: &QueueName,
        message: &Message,
        mandatory: bool,
    ) -> Result<impl Future<Output = Result<(), Error>> + Send + use<>, Error> {
        let channel = self.live(&self.confirmed, confirmed_channel(&self.connection)).await?;
        publish_on(&channel, exchange, routing_key, message, mandatory).await
    }

    /// Publishes without waiting for anything but the socket.
    pub(crate) async fn publish_unconfirmed(
        &self,
        exchange: &QueueName,
        message: &Message,
    ) -> Result<(), Error> {
        let channel = self.live(&self.unconfirmed, self.connection.create_channel()).await?;
        let options = BasicPublishOptions::default();
        let properties = properties::encode(message);
        let publishing =
            channel.basic_publish(exchange.as_str().into(), "".into(), options, &message.payload, properties);
        within("sending a report", &[exchange], publishing).await.map(drop)
    }

    /// Closes the connection; what was published before is sent first.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        match within("closing the connection", &[], self.connection.close(200, "bye".into())).await {
            // The broker was faster: it is closed.
            Err(Error::Disconnected { .. }) => Ok(()),
            closed => closed,
        }
    }

    /// The shared channel in `slot`, made anew if an error has closed it.
    async fn live(
        &self,
        slot: &RwLock<Arc<Channel>>,
        open: impl Future<Output = lapin::Result<Channel>>,
    ) -> Result<Arc<Channel>, Error> {
        let current = slot.read().unwrap_or_else(PoisonError::into_inner).clone();
        if current.status().connected() || !self.is_connected() {
            return Ok(current);
        }
        let fresh = Arc::new(fresh(open).await?);
        let mut slot = slot.write().unwrap_or_else(PoisonError::into_inner);
        if !slot.status().connected() {
            *slot = fresh;
        }
        Ok(slot.clone())
    }
}

/// A channel of one's own for a while. It is closed when it is dropped without having been given back.
pub(crate) struct Borrowed {
    channel: Channel,
    _turn: OwnedSemaphorePermit,
}

impl Deref for Borrowed {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.channel
    }
}

/// A channel for messages. What hinders it is no fault of theirs: they may be sent later.
async fn fresh(open: impl Future<Output = lapin::Result<Channel>>) -> Result<Channel, Error> {
    const DOING: &str = "opening a channel";
    within(DOING, &[], open).await.map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        tracing::debug!(%error, source, "a channel could not be opened");
        if error.is_transient() { error } else { Error::Disconnected { doing: DOING.to_owned() } }
    })
}

async fn confirmed_channel(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

async fn publish_on(
    channel: &Channel,
    exchange: &QueueName,
    routing_key: &QueueName,
    message: &Message,
    mandatory: bool,
) -> Result<impl Future<Output = Result<(), Error>> + Send + use<>, Error> {
    const DOING: &str = "sending a message";
    let name = if exchange.as_str().is_empty() { routing_key } else { exchange }.clone();
    let options = BasicPublishOptions { mandatory, ..Default::default() };
    let properties = properties::encode(message);
    let (exchange, key) = (exchange.as_str().into(), routing_key.as_str().into());
    let bytes = message.payload.len();
    let publishing = channel.basic_publish(exchange, key, options, &message.payload, properties).await;
    let confirmation = publishing.map_err(|error| error::publishing(error, DOING, &name, bytes))?;
    Ok(async move {
        match confirmation.await.map_err(|error| error::publishing(error, DOING, &name, bytes))? {
            Confirmation::Ack(None) | Confirmation::NotRequested => Ok(()),
            Confirmation::Ack(Some(_)) => Err(Error::NotFound { name }),
            Confirmation::Nack(_) => Err(Error::Refused { name }),
        }
    })
}

/// Waits for the broker's answer, at most [`DEADLINE`]. `names` are the queues and exchanges that an error may be about.
pub(crate) async fn within<T>(
    doing: &str,
    names: &[&QueueName],
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Error> {
    match timeout(DEADLINE, answer).await {
        Ok(answer) => answer.map_err(|error| error::operation(error, doing, names)),
        Err(_) => Err(Error::Timeout { doing: doing.to_owned(), after: DEADLINE }),
    }
}
