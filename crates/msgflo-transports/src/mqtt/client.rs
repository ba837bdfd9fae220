//! A participant's side.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use msgflo_core::{
    Client, Deliveries, Error, InportOptions, Message, Participant, QueueName, Sharing, discovery,
};

use super::link::Link;
use super::mailbox::{Mailbox, Overflow};

/// How many messages wait for a participant that is busy. Those of quality of service 1 are limited by the broker.
const WAITING: usize = 10_000;

pub(crate) struct MqttClient {
    link: Link,
    inports: Mutex<HashMap<QueueName, Arc<Mailbox>>>,
}

impl MqttClient {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, inports: Mutex::default() }
    }

    fn inports(&self) -> MutexGuard<'_, HashMap<QueueName, Arc<Mailbox>>> {
        self.inports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Client for MqttClient {
    async fn create_inport(&self, queue: &QueueName, options: InportOptions) -> Result<(), Error> {
        if self.inports().contains_key(queue) {
            return Ok(());
        }
        let mailbox = Mailbox::new(WAITING, Overflow::DropUnassured);
        let shared = options.sharing == Sharing::Shared && self.link.shares();
        self.link.subscribe(queue, &mailbox, options.assurance, shared).await?;
        self.inports().insert(queue.clone(), mailbox);
        Ok(())
    }

    async fn create_outport(&self, _: &QueueName) -> Result<(), Error> {
        // A topic needs no making.
        Ok(())
    }

    async fn send(&self, exchange: &QueueName, message: Message) -> Result<(), Error> {
        self.link.send(exchange, message).await
    }

    async fn send_to_queue(&self, queue: &QueueName, message: Message) -> Result<(), Error> {
        self.link.send(queue, message).await
    }

    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Deliveries, Error> {
        let mailbox = self.inports().get(queue).cloned();
        let mailbox = mailbox.ok_or_else(|| Error::NotFound { name: queue.clone() })?;
        Ok(mailbox.deliveries(prefetch, ()))
    }

    async fn announce(&self, participant: &Participant) -> Result<(), Error> {
        let message = Message::new(discovery::encode(participant));
        self.link.send(&discovery::QUEUE.into(), message).await
    }

    async fn report(&self, exchange: &QueueName, message: Message) -> Result<(), Error> {
        let message = Message { persistent: false, ..message };
        self.link.publish(exchange, message).await.map(drop)
    }

    async fn reconnected(&self) {
        self.link.reconnected().await;
    }

    async fn close(&self) -> Result<(), Error> {
        self.link.close().await
    }
}
