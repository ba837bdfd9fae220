//! A participant's side.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};
use msgflo_core::{
    Client, Deliveries, Error, InportOptions, Message, Participant, QueueName, Sharing, discovery,
};
use uuid::Uuid;

use super::link::Link;
use super::session::{Session, within};
use super::subscription::{self, Origin};

/// Something that a client makes in the broker, again after each reconnection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Declaration {
    /// A durable queue that competing instances share.
    SharedInport(QueueName),
    /// A durable exchange, and an exclusive queue `own` bound to it.
    EachInport { exchange: QueueName, own: QueueName },
    /// A durable fanout exchange.
    Exchange(QueueName),
    /// The queue that announcements go to.
    DiscoveryQueue,
    /// A queue of a router, in which what is sent to an exchange waits for being carried elsewhere. `kept`: also while the
    /// router is away.
    Carried { source: QueueName, queue: QueueName, kept: bool },
}

impl Declaration {
    pub(crate) async fn make(&self, session: &Session) -> Result<(), Error> {
        let channel = session.borrow("declaring a port").await?;
        self.make_on(&channel).await?;
        session.give_back(channel);
        Ok(())
    }

    async fn make_on(&self, channel: &Channel) -> Result<(), Error> {
        match self {
            Self::Exchange(exchange) => declare_exchange(channel, exchange).await,
            Self::SharedInport(queue) => {
                let mut arguments = FieldTable::default();
                let deadletter = AMQPValue::LongString(format!("dead-{queue}").into());
                arguments.insert("x-dead-letter-exchange".into(), deadletter);
                declare_queue(channel, queue, QueueDeclareOptions::durable(), arguments).await?;
                declare_exchange(channel, queue).await?;
                bind(channel, queue, queue).await
            }
            Self::EachInport { exchange, own } => {
                declare_exchange(channel, exchange).await?;
                let options =
                    QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
                declare_queue(channel, own, options, FieldTable::default()).await?;
                bind(channel, own, exchange).await
            }
            Self::Carried { source, queue, kept } => {
                let options =
                    QueueDeclareOptions { durable: *kept, auto_delete: !kept, ..Default::default() };
                declare_queue(channel, queue, options, FieldTable::default()).await?;
                bind(channel, queue, source).await
            }
            Self::DiscoveryQueue => {
                let queue = QueueName::from(discovery::QUEUE);
                match declare_queue(channel, &queue, QueueDeclareOptions::durable(), FieldTable::default())
                    .await
                {
                    // Somebody made it with other properties: it exists, and that is all we need.
                    Err(Error::Mismatch { .. }) => Ok(()),
                    made => made,
                }
            }
        }
    }
}

async fn declare_exchange(channel: &Channel, exchange: &QueueName) -> Result<(), Error> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let declaring = channel.exchange_declare(
        exchange.as_str().into(),
        ExchangeKind::Fanout,
        options,
        FieldTable::default(),
    );
    within("declaring an exchange", &[exchange], declaring).await
}

async fn declare_queue(
    channel: &Channel,
    queue: &QueueName,
    options: QueueDeclareOptions,
    arguments: FieldTable,
) -> Result<(), Error> {
    let declaring = channel.queue_declare(queue.as_str().into(), options, arguments);
    within("declaring a queue", &[queue], declaring).await.map(drop)
}

async fn bind(channel: &Channel, queue: &QueueName, exchange: &QueueName) -> Result<(), Error> {
    let options = QueueBindOptions::default();
    let (queue_, exchange_) = (queue.as_str().into(), exchange.as_str().into());
    let binding = channel.queue_bind(queue_, exchange_, "".into(), options, FieldTable::default());
    within("binding a port", &[queue, exchange], binding).await
}

pub(crate) struct AmqpClient {
    link: Link,
    /// The exclusive queues behind the inports of which every instance gets all messages.
    own: Mutex<HashMap<QueueName, QueueName>>,
}

impl AmqpClient {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, own: Mutex::default() }
    }

    fn own_queue(&self, inport: &QueueName) -> Option<QueueName> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).get(inport).cloned()
    }
}

#[async_trait]
impl Client for AmqpClient {
    async fn create_inport(&self, queue: &QueueName, options: InportOptions) -> Result<(), Error> {
        match options.sharing {
            Sharing::Shared => self.link.declare(Declaration::SharedInport(queue.clone())).await,
            Sharing::Each if self.own_queue(queue).is_some() => Ok(()),
            Sharing::Each => {
                let own = QueueName::from(format!("{queue}.{}", Uuid::new_v4()));
                let declaration = Declaration::EachInport { exchange: queue.clone(), own: own.clone() };
                self.link.declare(declaration).await?;
                self.own.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.clone(), own);
                Ok(())
            }
        }
    }

    async fn create_outport(&self, exchange: &QueueName) -> Result<(), Error> {
        self.link.declare(Declaration::Exchange(exchange.clone())).await
    }

    async fn send(&self, exchange: &QueueName, message: Message) -> Result<(), Error> {
        let session = self.link.session("sending a message").await?;
        session.publish(exchange, &QueueName::from(""), &message, false).await
    }

    async fn send_to_queue(&self, queue: &QueueName, message: Message) -> Result<(), Error> {
        let session = self.link.session("sending a message").await?;
        session.publish(&QueueName::from(""), queue, &message, true).await
    }

    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Deliveries, Error> {
        let queue = self.own_queue(queue).unwrap_or_else(|| queue.clone());
        subscription::subscribe(&self.link, Origin::Queue(queue), prefetch).await
    }

    async fn announce(&self, participant: &Participant) -> Result<(), Error> {
        if !self.link.has_declared(&Declaration::DiscoveryQueue) {
            self.link.declare(Declaration::DiscoveryQueue).await?;
        }
        let message = Message { persistent: false, ..Message::new(discovery::encode(participant)) };
        let session = self.link.session("announcing a participant").await?;
        session.publish(&QueueName::from(""), &QueueName::from(discovery::QUEUE), &message, false).await
    }

    async fn report(&self, exchange: &QueueName, message: Message) -> Result<(), Error> {
        let declaration = Declaration::Exchange(exchange.clone());
        if !self.link.has_declared(&declaration) {
            self.link.declare(declaration).await?;
        }
        self.link.session("sending a report").await?.publish_unconfirmed(exchange, &message).await
    }

    async fn reconnected(&self) {
        self.link.reconnected().await;
    }

    async fn close(&self) -> Result<(), Error> {
        self.link.close().await
    }
}
