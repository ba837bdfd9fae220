//! Makes and removes the steps of bindings in the broker.

use std::collections::HashSet;

use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, ExchangeUnbindOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};
use msgflo_core::{Binding, Error, QueueName};
use tokio::sync::RwLock;

use super::layout::{self, Hop, Kind};
use super::link::Link;
use super::session::within;

const BINDING: &str = "binding";
const UNBINDING: &str = "unbinding";

/// Changes bindings. Several may share a step, such as the exchange of a source: it goes with the last of them.
#[derive(Default)]
pub(crate) struct Bindings {
    /// Held by everybody who makes a binding, and alone by one who removes one: or a step might go that was just made.
    changing: RwLock<()>,
}

impl Bindings {
    /// Makes `binding`, whatever of it is there already.
    pub(crate) async fn make(&self, link: &Link, binding: &Binding) -> Result<(), Error> {
        let _ours = self.changing.read().await;
        let session = link.session(BINDING).await?;
        let channel = session.borrow(BINDING).await?;
        for hop in layout::hops(binding) {
            make(&channel, &hop).await?;
        }
        session.give_back(channel);
        Ok(())
    }

    /// Removes what of `binding` none of the `others`, asked for when nobody makes any, needs.
    ///
    /// # Errors
    /// [`Error::Busy`] as long as messages wait to be tried again: they are not left behind.
    pub(crate) async fn remove(
        &self,
        link: &Link,
        binding: &Binding,
        others: impl FnOnce() -> Vec<Binding>,
    ) -> Result<(), Error> {
        let _alone = self.changing.write().await;
        let others = others();
        let needed: HashSet<Hop> =
            others.iter().filter(|other| *other != binding).flat_map(layout::hops).collect();
        let hops = layout::hops(binding);
        let mut busy = None;
        for hop in hops.iter().rev().filter(|hop| !needed.contains(hop)) {
            // What waits goes through what follows. Nothing new comes: that was removed before.
            if is_entry(hop, binding)
                && let Some(queue) = waiting(link, &hops).await?
            {
                return Err(Error::Busy { name: queue });
            }
            match remove(link, hop).await {
                // What is not there is removed, and an exchange that others use stays.
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(Error::Mismatch { name, .. }) => {
                    if matches!(hop, Hop::Delay { .. }) {
                        busy = Some(name);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        busy.map_or(Ok(()), |name| Err(Error::Busy { name }))
    }
}

/// Whether that is the step by which refused messages come to be tried again.
fn is_entry(hop: &Hop, binding: &Binding) -> bool {
    matches!(hop, Hop::ToExchange { target, .. } if *target == layout::retry_exchange(binding.target()))
}

/// One of the queues of `hops` in which messages wait to be tried again.
async fn waiting(link: &Link, hops: &[Hop]) -> Result<Option<QueueName>, Error> {
    for hop in hops {
        let Hop::Delay { queue, .. } = hop else { continue };
        let session = link.session(UNBINDING).await?;
        let channel = session.borrow(UNBINDING).await?;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let asking = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
        match within(UNBINDING, &[queue], asking).await {
            Ok(answer) if answer.message_count() > 0 => return Ok(Some(queue.clone())),
            Ok(_) => session.give_back(channel),
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn make(channel: &Channel, hop: &Hop) -> Result<(), Error> {
    match hop {
        Hop::Exchange { name, kind, alternate } => {
            let kind = match kind {
                Kind::Direct => ExchangeKind::Direct,
                Kind::Fanout => ExchangeKind::Fanout,
            };
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            let mut arguments = FieldTable::default();
            if let Some(alternate) = alternate {
                arguments.insert("alternate-exchange".into(), text(alternate));
            }
            let declaring = channel.exchange_declare(name.as_str().into(), kind, options, arguments);
            within(BINDING, &[name], declaring).await
        }
        Hop::Delay { queue, delay, to, key } => {
            let mut arguments = FieldTable::default();
            let milliseconds = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(milliseconds));
            arguments.insert("x-dead-letter-exchange".into(), text(to));
            arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(key.as_str().into()));
            let declaring =
                channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments);
            within(BINDING, &[queue], declaring).await.map(drop)
        }
        Hop::ToQueue { source, key, queue } => {
            let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
            let (queue_, source_) = (queue.as_str().into(), source.as_str().into());
            let binding = channel.queue_bind(queue_, source_, key.as_str().into(), options, arguments);
            within(BINDING, &[queue, source], binding).await
        }
        Hop::ToExchange { source, target } => {
            let (options, arguments) = (ExchangeBindOptions::default(), FieldTable::default());
            let (target_, source_) = (target.as_str().into(), source.as_str().into());
            let binding = channel.exchange_bind(target_, source_, "".into(), options, arguments);
            within(BINDING, &[target, source], binding).await
        }
    }
}

async fn remove(link: &Link, hop: &Hop) -> Result<(), Error> {
    // A channel for each, since one that finds nothing to remove may be closed for it.
    let session = link.session(UNBINDING).await?;
    let channel = session.borrow(UNBINDING).await?;
    match hop {
        Hop::Exchange { name, .. } => {
            let options = ExchangeDeleteOptions { if_unused: true, ..Default::default() };
            let deleting = channel.exchange_delete(name.as_str().into(), options);
            within(UNBINDING, &[name], deleting).await?;
        }
        Hop::Delay { queue, .. } => {
            let options = QueueDeleteOptions { if_empty: true, ..Default::default() };
            let deleting = channel.queue_delete(queue.as_str().into(), options);
            within(UNBINDING, &[queue], deleting).await?;
        }
        Hop::ToQueue { source, key, queue } => {
            let (queue_, source_) = (queue.as_str().into(), source.as_str().into());
            let unbinding = channel.queue_unbind(queue_, source_, key.as_str().into(), FieldTable::default());
            within(UNBINDING, &[queue, source], unbinding).await?;
        }
        Hop::ToExchange { source, target } => {
            let (options, arguments) = (ExchangeUnbindOptions::default(), FieldTable::default());
            let (target_, source_) = (target.as_str().into(), source.as_str().into());
            let unbinding = channel.exchange_unbind(target_, source_, "".into(), options, arguments);
            within(UNBINDING, &[target, source], unbinding).await?;
        }
    }
    session.give_back(channel);
    Ok(())
}

fn text(name: &QueueName) -> AMQPValue {
    AMQPValue::LongString(name.as_str().into())
}
