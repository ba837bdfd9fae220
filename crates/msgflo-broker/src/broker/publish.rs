//! From a publisher to the queues: checks, routing, confirms and returns.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use amq_protocol::types::AMQPValue;

use super::arguments::Overflow;
use super::channel_state::{Mode, Waiting};
use super::dead_letter::Reason;
use super::exchange::Destination;
use super::memory::Charge;
use super::queue::QueueId;
use super::transaction::Pending;
use super::value::{Message, Name, Output, Publish};
use super::{At, Broker, Exception};
use crate::wire::properties::{self, Properties};
use crate::wire::table;

/// Longest expiration that is accepted: the range of a 32-bit number (milliseconds, 49 days).
const EXPIRATION_MAX: u64 = u32::MAX as u64;

impl Broker {
    pub(super) fn publish(&mut self, at: At, publish: Publish) -> Result<(), Exception> {
        if publish.immediate {
            return Err(Exception::not_implemented("immediate=true"));
        }
        let vhost = self.vhost_of(at);
        if !publish.exchange.is_empty() {
            match self.vhosts[vhost].exchanges.get_mut(&publish.exchange) {
                None => return Err(Exception::no_exchange(&publish.exchange, &self.vhosts[vhost].name)),
                Some(exchange) if exchange.declaration.internal => {
                    return Err(Exception::access_refused(format_args!(
                        "cannot publish to internal exchange '{}' in vhost '{}'",
                        publish.exchange, self.vhosts[vhost].name
                    )));
                }
                Some(exchange) => exchange.published += 1,
            }
        }
        if let Some(connection) = self.connections.get_mut(&at.connection) {
            connection.publishes = true;
        }
        let mandatory = publish.mandatory;
        let message = self.message(at, publish)?.charged(&self.memory);
        match &mut self.open_channel(at)?.mode {
            Mode::Transaction(transaction) => transaction.publishes.push(Pending { message, mandatory }),
            Mode::Plain => {
                self.accept(at, vhost, &message, mandatory);
            }
            Mode::Confirm(confirms) => {
                confirms.published += 1;
                let tag = confirms.published;
                let before = self.journal.last_made_safe();
                let taken = self.accept(at, vhost, &message, mandatory);
                let after = self.journal.last_made_safe();
                // What changed nothing that must survive has nothing to wait for.
                self.confirm(at, tag, taken, if after > before { after } else { 0 });
            }
        }
        Ok(())
    }

    /// Routes a message to its queues; returns false if one of them refused it.
    pub(super) fn accept(&mut self, at: At, vhost: usize, message: &Arc<Message>, mandatory: bool) -> bool {
        let queues = self.route(vhost, message);
        if queues.is_empty() && mandatory {
            self.send(at.connection, Output::Return { channel: at.channel, message: message.clone() });
        }
        let mut taken = true;
        for id in queues {
            taken &= self.enqueue(id, message);
        }
        taken
    }

    /// Checks what the broker acts on in the properties.
    fn message(&self, at: At, publish: Publish) -> Result<Message, Exception> {
        let found = properties::scan(&publish.properties)
            .map_err(|_| Exception::syntax_error("malformed content header"))?;
        if let Some(user) = found.user_id
            && let Some(connection) = self.connections.get(&at.connection)
            && user != connection.peer.user.as_str().as_bytes()
        {
            return Err(Exception::precondition_failed(format_args!(
                "user_id property set to '{}' but authenticated user was '{}'",
                String::from_utf8_lossy(user),
                connection.peer.user
            )));
        }
        let expiration = found.expiration.map(expiration).transpose()?;
        let (extra_keys, without_bcc) = extra_keys(&found)?;
        let (priority, persistent) = (found.priority.unwrap_or(0), found.delivery_mode == Some(2));
        Ok(Message {
            properties: match without_bcc {
                Some(headers) => properties::rewrite(&publish.properties, &headers, true),
                None => publish.properties,
            },
            exchange: publish.exchange,
            routing_key: publish.routing_key,
            extra_keys,
            body: publish.body,
            priority,
            persistent,
            expiration,
            charge: Charge::default(),
        })
    }

    /// The queues that a message goes to, each once, by bindings, exchange-to-exchange bindings and alternates.
    pub(super) fn route(&self, vhost: usize, message: &Message) -> Vec<QueueId> {
        let vhost = &self.vhosts[vhost];
        let keys = || std::iter::once(&message.routing_key).chain(&message.extra_keys);
        let mut queues = Vec::new();
        if message.exchange.is_empty() {
            queues.extend(keys().filter_map(|key| vhost.queues.get(key)));
        } else {
            let headers = properties::scan(&message.properties).ok().and_then(|found| found.headers);
            let mut seen = HashSet::new();
            let mut pending = vec![message.exchange.clone()];
            let mut found = Vec::new();
            while let Some(name) = pending.pop() {
                let Some(exchange) = vhost.exchanges.get(&name) else {
                    continue;
                };
                for key in keys() {
                    exchange.route(key.as_str(), headers, &mut found);
                }
                if found.is_empty() {
                    found.extend(exchange.declaration.alternate.clone().map(Destination::Exchange));
                }
                seen.insert(name);
                for destination in found.drain(..) {
                    match destination {
                        Destination::Queue(id) => queues.push(id),
                        Destination::Exchange(name) if seen.contains(&name) => {}
                        Destination::Exchange(name) => pending.push(name),
                    }
                }
            }
        }
        if queues.len() > 1 {
            queues.sort_unstable();
            queues.dedup();
        }
        queues
    }

    /// Puts a message into a queue, or straight into the hands of a consumer; false if the queue refuses it.
    pub(super) fn enqueue(&mut self, id: QueueId, message: &Arc<Message>) -> bool {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(id.0) else {
            return true;
        };
        let overflow = queue.arguments().overflow;
        if overflow != Overflow::DropHead && queue.would_overflow(message) {
            if overflow == Overflow::RejectPublishDeadLetter {
                self.dead_letter(id, message.clone(), Reason::MaxLength);
            }
            return false;
        }
        let mut entry = queue.admit(message.clone(), now);
        let was_empty = queue.ready() == 0;
        self.entries += 1;
        self.remember(id, &mut entry, message);
        if was_empty && let Some(consumer) = self.next_consumer(id) {
            self.deliver(id, consumer, entry, message.clone());
            return true;
        }
        if !was_empty {
            self.page_out(&mut entry);
        }
        let Some(queue) = self.queues.get_mut(id.0) else {
            return true;
        };
        let expires = entry.expires.is_some();
        queue.push(entry);
        self.drop_overflow(id);
        self.touch(id);
        if expires {
            self.mark_dirty(id);
        }
        true
    }

    /// Answers a publish, after those before it and when the effect that it waits for is safe.
    fn confirm(&mut self, at: At, tag: u64, taken: bool, effect: u64) {
        let safe = self.journal.is_safe(effect);
        let Some(connection) = self.connections.get_mut(&at.connection) else {
            return;
        };
        let Some(Mode::Confirm(confirms)) = connection.channel(at.channel).map(|channel| &mut channel.mode)
        else {
            return;
        };
        if !safe || !confirms.waiting.is_empty() {
            confirms.waiting.push_back(Waiting { tag, effect, ack: taken });
            self.waiting.insert(at);
            return;
        }
        connection.settle(at.channel, tag, taken);
        self.announce(at.connection);
    }

    /// Answers the publishes whose effects are safe by now.
    pub(super) fn release_confirms(&mut self) {
        let mut left = BTreeSet::new();
        for at in std::mem::take(&mut self.waiting) {
            let Some(connection) = self.connections.get_mut(&at.connection) else {
                continue;
            };
            while let Some(Mode::Confirm(confirms)) =
                connection.channel(at.channel).map(|channel| &mut channel.mode)
                && let Some(&Waiting { tag, effect, ack }) = confirms.waiting.front()
            {
                if !self.journal.is_safe(effect) {
                    left.insert(at);
                    break;
                }
                confirms.waiting.pop_front();
                connection.settle(at.channel, tag, ack);
            }
            self.announce(at.connection);
        }
        self.waiting = left;
    }
}

/// Parses the expiration property.
fn expiration(text: &[u8]) -> Result<u64, Exception> {
    str::from_utf8(text)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .filter(|millis| *millis <= EXPIRATION_MAX)
        .ok_or_else(|| {
            Exception::precondition_failed(format_args!(
                "invalid expiration '{}'",
                String::from_utf8_lossy(text)
            ))
        })
}

/// The further routing keys in the headers CC and BCC, and the headers without BCC if that was there.
fn extra_keys(found: &Properties<'_>) -> Result<(Vec<Name>, Option<Vec<u8>>), Exception> {
    let mut keys = Vec::new();
    let Some(headers) = found.headers else {
        return Ok((keys, None));
    };
    let mut has_bcc = false;
    for header in ["CC", "BCC"] {
        let Some(raw) = table::find(headers, header) else {
            continue;
        };
        has_bcc |= header == "BCC";
        let Some(AMQPValue::FieldArray(values)) = table::value(raw) else {
            return Err(Exception::precondition_failed(format_args!(
                "header {header} must be a list of texts"
            )));
        };
        for value in values.as_slice() {
            if let AMQPValue::LongString(key) = value
                && let Ok(key) = str::from_utf8(key.as_bytes())
            {
                keys.push(Name::new(key));
            }
        }
    }
    let without_bcc = has_bcc.then(|| {
        let mut edited = Vec::with_capacity(headers.len());
        for (key, value) in table::Entries(headers).filter(|(key, _)| *key != b"BCC") {
            table::append_raw(&mut edited, key, value);
        }
        edited
    });
    Ok((keys, without_bcc))
}
