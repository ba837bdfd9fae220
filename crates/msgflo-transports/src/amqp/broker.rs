//! A coordinator's side.

use std::collections::HashSet;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, ExchangeUnbindOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind};
use msgflo_core::{
    Announcements, Binding, Broker, Carrier, Confirmation, Confirmed, Deliveries, Delivery, Depth,
    Destination, Error, JobReports, KnownBinding, Message, QueueName, job,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::carrier::AmqpCarrier;
use super::client::Declaration;
use super::discovery;
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
    management: Management,
    closing: CancellationToken,
    _close: DropGuard,
}

impl AmqpBroker {
    pub(crate) fn new(link: Link, ledger: Ledger, management: Management) -> Self {
        let closing = CancellationToken::new();
        let carrier = AmqpCarrier::new(link.clone(), &ledger);
        Self { link, carrier, ledger, management, _close: closing.clone().drop_guard(), closing }
    }

    async fn bind(&self, binding: &Binding) -> Result<(), Error> {
        let session = self.link.session("binding").await?;
        let channel = session.borrow("binding").await?;
        for hop in hops(binding) {
            match &hop {
                Hop::Make { exchange, kind } => make_exchange(&channel, exchange, kind.clone()).await?,
                Hop::Queue { source, queue } => {
                    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
                    let (queue_, source_) = (queue.as_str().into(), source.as_str().into());
                    let binding = channel.queue_bind(queue_, source_, "".into(), options, arguments);
                    within("binding", &[queue, source], binding).await?;
                }
                Hop::Exchange { source, target } => {
                    let (options, arguments) = (ExchangeBindOptions::default(), FieldTable::default());
                    let (target_, source_) = (target.as_str().into(), source.as_str().into());
                    let binding = channel.exchange_bind(target_, source_, "".into(), options, arguments);
                    within("binding", &[target, source], binding).await?;
                }
            }
        }
        session.give_back(channel);
        Ok(())
    }

    async fn unbind(&self, binding: &Binding) -> Result<(), Error> {
        let mut hops = hops(binding);
        hops.reverse();
        for hop in &hops {
            // A channel for each, since one that finds nothing to remove may be closed for it.
            let session = self.link.session("unbinding").await?;
            let channel = session.borrow("unbinding").await?;
            let removed = match hop {
                Hop::Make { exchange, .. } => {
                    let options = ExchangeDeleteOptions { if_unused: true, ..Default::default() };
                    let deleting = channel.exchange_delete(exchange.as_str().into(), options);
                    within("unbinding", &[exchange], deleting).await
                }
                Hop::Queue { source, queue } => {
                    let (queue_, source_) = (queue.as_str().into(), source.as_str().into());
                    let unbinding = channel.queue_unbind(queue_, source_, "".into(), FieldTable::default());
                    within("unbinding", &[queue, source], unbinding).await
                }
                Hop::Exchange { source, target } => {
                    let (options, arguments) = (ExchangeUnbindOptions::default(), FieldTable::default());
                    let (target_, source_) = (target.as_str().into(), source.as_str().into());
                    let unbinding = channel.exchange_unbind(target_, source_, "".into(), options, arguments);
                    within("unbinding", &[target, source], unbinding).await
                }
            };
            match removed {
                Ok(()) => session.give_back(channel),
                // What is not there is removed, and an exchange that others use stays.
                Err(Error::NotFound { .. } | Error::Mismatch { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// One step of a binding in the broker, in the order in which they are made.
enum Hop {
    /// An exchange of ours.
    Make { exchange: QueueName, kind: ExchangeKind },
    /// From an exchange to a queue.
    Queue { source: QueueName, queue: QueueName },
    /// From an exchange to an exchange.
    Exchange { source: QueueName, target: QueueName },
}

fn hops(binding: &Binding) -> Vec<Hop> {
    match binding {
        Binding::Broadcast { source, target } => {
            vec![Hop::Exchange { source: source.clone(), target: target.clone() }]
        }
        Binding::RoundRobin { source, target, deadletter } => {
            let out = QueueName::from(format!("out-{source}"));
            let mut hops = vec![
                Hop::Make { exchange: out.clone(), kind: ExchangeKind::Direct },
                Hop::Exchange { source: source.clone(), target: out.clone() },
                Hop::Queue { source: out, queue: target.clone() },
            ];
            if let Some(deadletter) = deadletter {
                let dead = QueueName::from(format!("dead-{target}"));
                hops.push(Hop::Make { exchange: dead.clone(), kind: ExchangeKind::Fanout });
                hops.push(Hop::Queue { source: dead, queue: deadletter.clone() });
            }
            hops
        }
        Binding::PubSub { source, target } => {
            vec![Hop::Queue { source: source.clone(), queue: target.clone() }]
        }
    }
}

async fn make_exchange(channel: &Channel, exchange: &QueueName, kind: ExchangeKind) -> Result<(), Error> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let declaring = channel.exchange_declare(exchange.as_str().into(), kind, options, FieldTable::default());
    within("binding", &[exchange], declaring).await
}

/// Whether every hop of `binding` is among those that the broker listed.
fn confirm(binding: &Binding, listed: Option<&HashSet<Listed>>) -> Confirmation {
    let Some(listed) = listed else { return Confirmation::Unknown };
    let present = hops(binding).into_iter().all(|hop| {
        let (source, destination) = match hop {
            Hop::Make { .. } => return true,
            Hop::Queue { source, queue } => (source, queue),
            Hop::Exchange { source, target } => (source, target),
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

    async fn release(&self, source: &QueueName) -> Result<(), Error> {
        self.carrier.release(source).await
    }

    async fn push(&self, destination: &Destination, message: Message) -> Result<Confirmed, Error> {
        self.carrier.push(destination, message).await
    }
}

#[async_trait]
impl Broker for AmqpBroker {
    fn address(&self) -> String {
        self.link.broker().to_owned()
    }

    async fn add_binding(&self, binding: &Binding) -> Result<(), Error> {
        let new = self.ledger.add(binding, Owner::Network).await?;
        let bound = self.bind(binding).await;
        if new && matches!(bound, Err(Error::NotFound { .. })) {
            self.ledger.remove(binding, Owner::Network).await?;
        }
        bound
    }

    async fn remove_binding(&self, binding: &Binding) -> Result<(), Error> {
        self.unbind(binding).await?;
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
