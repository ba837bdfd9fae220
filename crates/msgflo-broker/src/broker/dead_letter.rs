//! Dead letters: messages that leave a queue unconsumed go to the queue's dead-letter exchange, with their story in
//! the header `x-death`.
//!
//! `x-death` is a list, the latest event first, with one entry for each {queue, reason} that counts. The headers
//! `x-first-death-*` are set once. A message that would come to a queue again by timeouts and overflow alone, without
//! a rejection by a consumer in between, is dropped there: nobody would ever end its circle. So is one that has gone
//! through very many queues so, or would become very many messages: queues whose dead letters go to all of them would
//! make as many as there are orders of the queues. RabbitMQ knows no such limits; they are beyond what anybody lays out.

use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldArray, FieldTable};
use bytes::Bytes;

use super::Broker;
use super::arguments::integer;
use super::memory::Charge;
use super::queue::QueueId;
use super::value::{Message, Name};
use crate::wire::{properties, table};

/// Why a message left its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A consumer refused it without asking for requeue.
    Rejected,
    /// Its time to live was over.
    Expired,
    /// The queue was full.
    MaxLength,
    /// It had come back too often.
    DeliveryLimit,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// A message on its way to a dead-letter exchange.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    vhost: usize,
    queue: Name,
    exchange: Name,
    routing_key: Option<Name>,
    message: Arc<Message>,
    reason: Reason,
}

/// Most queues that a message may leave, one after the other, without a rejection in between.
const HOPS_MAX: usize = 100;
/// Most messages that dead-letter exchanges may make of one without a rejection in between.
const COPIES_MAX: usize = 1_000;

const X_DEATH: &str = "x-death";
const FIRST_EXCHANGE: &str = "x-first-death-exchange";
const FIRST_QUEUE: &str = "x-first-death-queue";
const FIRST_REASON: &str = "x-first-death-reason";

impl Broker {
    /// Sends a message that left its queue on to the dead-letter exchange, if the queue has one.
    pub(super) fn dead_letter(&mut self, id: QueueId, message: Arc<Message>, reason: Reason) {
        let Some(queue) = self.queues.get(id.0) else {
            return;
        };
        if let Some(exchange) = &queue.arguments().dead_letter_exchange {
            self.dead_letters.push_back(DeadLetter {
                vhost: queue.vhost,
                queue: queue.name().clone(),
                exchange: exchange.clone(),
                routing_key: queue.arguments().dead_letter_routing_key.clone(),
                message,
                reason,
            });
        }
    }

    pub(super) fn route_dead_letter(&mut self, letter: DeadLetter) {
        let (message, deaths) = letter.readdressed(self.now.0 / 1000);
        let message = message.charged(&self.memory);
        let mut targets = self.route(letter.vhost, &message);
        // What has happened since a consumer last rejected it.
        let rejected = Some(Reason::Rejected.as_str());
        let since = deaths.iter().position(|death| text(death, "reason") == rejected);
        if let [_, before @ ..] = &deaths[..since.unwrap_or(deaths.len())] {
            targets.retain(|id| {
                let name = self.queues.get(id.0).map(|queue| queue.name().as_str());
                name != Some(letter.queue.as_str())
                    && !before.iter().any(|death| text(death, "queue") == name)
            });
            let copies = || self.copies(letter.vhost, &message, before).saturating_mul(targets.len());
            if before.len() >= HOPS_MAX || (targets.len() > 1 && copies() > COPIES_MAX) {
                tracing::debug!(queue = %letter.queue, "a dead letter that multiplies without end is dropped");
                return;
            }
        }
        for id in targets {
            self.enqueue(id, &message);
        }
    }

    /// How many messages the dead-letter exchanges of these deaths make of one, as they route now. Only names are taken
    /// from the header, which a publisher may have written.
    fn copies(&self, vhost: usize, message: &Message, deaths: &[AMQPValue]) -> usize {
        let targets = |death| {
            let name = Name::new(text(death, "queue")?);
            let queue = self.queues.get(self.vhosts[vhost].queues.get(&name)?.0)?;
            let key = &queue.arguments().dead_letter_routing_key;
            let letter = Message {
                exchange: queue.arguments().dead_letter_exchange.clone()?,
                routing_key: key.clone().unwrap_or_else(|| message.routing_key.clone()),
                extra_keys: if key.is_some() { Vec::new() } else { message.extra_keys.clone() },
                properties: message.properties.clone(),
                body: Bytes::new(),
                priority: 0,
                persistent: false,
                expiration: None,
                charge: Charge::default(),
            };
            Some(self.route(vhost, &letter).len().max(1))
        };
        deaths.iter().filter_map(targets).fold(1, usize::saturating_mul)
    }
}

impl DeadLetter {
    /// The message as it goes on, and its deaths, the latest first. `seconds` is the time since the Unix epoch.
    fn readdressed(&self, seconds: u64) -> (Message, Vec<AMQPValue>) {
        let old = &self.message;
        let found =
            properties::scan(&old.properties).expect("properties are checked when a message is accepted");
        let headers = found.headers.unwrap_or_default();
        let original_expiration = found.expiration.map(|text| AMQPValue::LongString(text.to_vec().into()));
        let deaths = self.deaths(table::find(headers, X_DEATH), original_expiration, seconds);

        let mut edited = Vec::with_capacity(headers.len() + 256);
        for (key, value) in table::Entries(headers) {
            let replaced = key == X_DEATH.as_bytes() || (key == b"CC" && self.routing_key.is_some());
            if !replaced {
                table::append_raw(&mut edited, key, value);
            }
        }
        table::append(&mut edited, X_DEATH, &AMQPValue::FieldArray(deaths.clone().into()));
        if table::find(headers, FIRST_REASON).is_none() {
            for (key, value) in [
                (FIRST_REASON, self.reason.as_str()),
                (FIRST_QUEUE, self.queue.as_str()),
                (FIRST_EXCHANGE, old.exchange.as_str()),
            ] {
                table::append(&mut edited, key, &AMQPValue::LongString(value.into()));
            }
        }
        let message = Message {
            exchange: self.exchange.clone(),
            routing_key: self.routing_key.clone().unwrap_or_else(|| old.routing_key.clone()),
            extra_keys: if self.routing_key.is_some() { Vec::new() } else { old.extra_keys.clone() },
            properties: properties::rewrite(&old.properties, &edited, false),
            body: old.body.clone(),
            priority: old.priority,
            persistent: old.persistent,
            expiration: None,
            charge: Charge::default(),
        };
        (message, deaths)
    }

    fn deaths(
        &self,
        before: Option<&[u8]>,
        original_expiration: Option<AMQPValue>,
        seconds: u64,
    ) -> Vec<AMQPValue> {
        let mut deaths = match before.and_then(table::value) {
            Some(AMQPValue::FieldArray(deaths)) => deaths.as_slice().to_vec(),
            _ => Vec::new(),
        };
        let same = deaths.iter().position(|death| {
            text(death, "queue") == Some(self.queue.as_str())
                && text(death, "reason") == Some(self.reason.as_str())
        });
        let death = match same.map(|place| deaths.remove(place)) {
            Some(AMQPValue::FieldTable(mut death)) => {
                let count = death.inner().get("count").and_then(integer).unwrap_or(0);
                death.insert("count".into(), AMQPValue::LongLongInt(count.saturating_add(1)));
                death
            }
            _ => {
                let long = |text: &str| AMQPValue::LongString(text.into());
                let mut keys = FieldArray::default();
                for key in std::iter::once(&self.message.routing_key).chain(&self.message.extra_keys) {
                    keys.push(long(key.as_str()));
                }
                let mut death = FieldTable::default();
                death.insert("count".into(), AMQPValue::LongLongInt(1));
                death.insert("reason".into(), long(self.reason.as_str()));
                death.insert("queue".into(), long(self.queue.as_str()));
                death.insert("time".into(), AMQPValue::Timestamp(seconds));
                death.insert("exchange".into(), long(self.message.exchange.as_str()));
                death.insert("routing-keys".into(), AMQPValue::FieldArray(keys));
                if let Some(expiration) = original_expiration {
                    death.insert("original-expiration".into(), expiration);
                }
                death
            }
        };
        deaths.insert(0, AMQPValue::FieldTable(death));
        deaths
    }
}

fn text<'a>(death: &'a AMQPValue, key: &str) -> Option<&'a str> {
    match death {
        AMQPValue::FieldTable(death) => match death.inner().get(key) {
            Some(AMQPValue::LongString(text)) => str::from_utf8(text.as_bytes()).ok(),
            _ => None,
        },
        _ => None,
    }
}
