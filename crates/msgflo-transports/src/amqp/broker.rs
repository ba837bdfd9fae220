//! A coordinator's side.

use std::collections::HashSet;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use msgflo_core::{
    Announcements, Binding, Broker, Carrier, Confirmation, Confirmed, Deliveries, Delivery, Depth,
    Destination, Error, JobReports, KnownBinding, Message, QueueName, Reconnections, Traffic, job,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::bindings::Bindings;
use super::carrier::AmqpCarrier;
use super::client::Declaration;
use super::discovery;
use super::layout::{self, Hop};
use super::link::Link;
use super::management::{Listed, Management};
use super::session::within;
use super::subscription::{self, Origin};
use crate::ledger::{Ledger, Owner};

/// How many reports of jobs wait for a reader that is busy, before the oldest are dropped.
const REPORTS: u32 = 10_000;

pub(crate) struct AmqpBroker {
    link: Link,
    carrier: AmqpCarrier,
    ledger: Ledger,
    bindings: Bindings,
    management: Management,
    closing: CancellationToken,
    _close: DropGuard,
}

impl AmqpBroker {
    pub(crate) fn new(link: Link, ledger: Ledger, management: Management) -> Self {
        let closing = CancellationToken::new();
        let carrier = AmqpCarrier::new(link.clone(), &ledger);
        let bindings = Bindings::default();
        Self { link, carrier, ledger, bindings, management, _close: closing.clone().drop_guard(), closing }
    }
}

/// Whether every step of `binding` is among those that the broker listed.
fn confirm(binding: &Binding, listed: Option<&HashSet<Listed>>) -> Confirmation {
    let Some(listed) = listed else { return Confirmation::Unknown };
    let present = layout::hops(binding).into_iter().all(|hop| {
        let (source, destination) = match hop {
            Hop::Exchange { .. } | Hop::Delay { .. } => return true,
            Hop::ToQueue { source, queue, .. } => (source, queue),
            Hop::ToExchange { source, target } => (source, target),
        };
        listed.contains(&Listed { source: source.to_string(), destination: destination.to_string() })
    });
    if present { Confirmation::Present } else { Confirmation::Absent }
}

#[async_trait]
impl Carrier for AmqpBroker {
    async fn pull(&self, source: &QueueName) -> Result<Deliveries, Error> {
        self.carrier.pull(source).await
    }

    async fn keep(&self, source: &QueueName) -> Result<(), Error> {
        self.carrier.keep(source).await
    }

    async fn release(&self, source: &QueueName) -> Result<(), Error> {
        self.carrier.release(source).await
    }

    async fn push(&self, destination: &Destination, message: Message) -> Result<Option<Confirmed>, Error> {
        self.carrier.push(destination, message).await
    }
}

#[async_trait]
impl Broker for AmqpBroker {
    fn address(&self) -> String {
        self.link.broker().to_owned()
    }

    fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    fn reconnections(&self) -> Reconnections {
        self.link.reconnections().boxed()
    }

    async fn add_binding(&self, binding: &Binding) -> Result<(), Error> {
        let new = self.ledger.add(binding, Owner::Network).await?;
        let bound = self.bindings.make(&self.link, binding).await;
        if new && matches!(bound, Err(Error::NotFound { .. })) {
            self.remove_binding(binding).await?;
        }
        bound
    }

    async fn remove_binding(&self, binding: &Binding) -> Result<(), Error> {
        let others = || self.ledger.list(Owner::Network);
        self.bindings.remove(&self.link, binding, others).await?;
        self.ledger.remove(binding, Owner::Network).await.map(drop)
    }

    async fn list_bindings(&self) -> Result<Vec<KnownBinding>, Error> {
        let ours = self.ledger.list(Owner::Network);
        let listed = if ours.is_empty() { None } else { self.management.bindings().await };
        let known =
            |binding: Binding| KnownBinding { confirmation: confirm(&binding, listed.as_ref()), binding };
        Ok(ours.into_iter().map(known).collect())
    }

    async fn tap(&self, source: &QueueName, buffer: u32) -> Result<Deliveries, Error> {
        let origin = Origin::Exchange { exchange: source.clone(), limit: buffer };
        let prefetch = u16::try_from(buffer).unwrap_or(u16::MAX);
        let copies = subscription::subscribe(&self.link, origin, prefetch).await?;
        let seen = |mut delivery: Delivery| {
            let message = std::mem::take(&mut delivery.message);
            delivery.ack();
            Delivery::unacknowledged(message)
        };
        Ok(copies.map(seen).boxed())
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, Error> {
        let session = self.link.session("asking for a queue's depth").await?;
        let channel = session.borrow("asking for a queue's depth").await?;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let asking = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
        let answer = within("asking for a queue's depth", &[queue], asking).await?;
        session.give_back(channel);
        Ok(Depth {
            ready: answer.message_count().into(),
            unacknowledged: None,
            consumers: answer.consumer_count(),
        })
    }

    async fn traffic(&self) -> Result<Traffic, Error> {
        Ok(self.management.traffic().await)
    }

    async fn send_to_queue(&self, queue: &QueueName, message: Message) -> Result<(), Error> {
        let session = self.link.session("sending a message").await?;
        session.publish(&QueueName::from(""), queue, &message, true).await
    }

    async fn send_to_exchange(&self, exchange: &QueueName, message: Message) -> Result<(), Error> {
        let session = self.link.session("sending a message").await?;
        session.publish(exchange, &QueueName::from(""), &message, false).await
    }

    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Deliveries, Error> {
        subscription::subscribe(&self.link, Origin::Queue(queue.clone()), prefetch).await
    }

    async fn watch_discovery(&self) -> Result<Announcements, Error> {
        discovery::watch(&self.link, self.closing.clone()).await
    }

    async fn watch_jobs(&self) -> Result<JobReports, Error> {
        let exchange = QueueName::from(job::EXCHANGE);
        self.link.declare(Declaration::Exchange(exchange.clone())).await?;
        let reports = self.tap(&exchange, REPORTS).await?;
        Ok(reports
            .filter_map(async |delivery| serde_json::from_slice(&delivery.message.payload).ok())
            .boxed())
    }

    async fn close(&self) -> Result<(), Error> {
        self.closing.cancel();
        self.link.close().await
    }
}
