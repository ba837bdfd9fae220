//! What of the broker goes to the storage, and how it comes back: messages, definitions, promises.

use std::num::NonZeroU64;
use std::sync::Arc;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::types::FieldTable;

use super::definition::Definition;
use super::exchange::{BindingKey, Destination};
use super::journal::{Effect, Progress, Put, QueueUid, RecordId};
use super::queue::{Entry, Queue, QueueId};
use super::value::{ConnectionId, Message, Name, Output, Time};
use super::{At, Broker};

/// Memory that a message costs while its content is on disk (bytes): its entry in the queue, its place in the index of
/// the storage, and the room that both need to grow.
const ENTRY: usize = 128;

/// A message that the storage has kept over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) queue: QueueUid,
    pub(crate) position: u64,
    pub(crate) record: RecordId,
    pub(crate) size: u32,
    pub(crate) priority: u8,
    pub(crate) returns: u32,
    pub(crate) expires: Option<Time>,
}

/// Everything that the storage has kept over a restart.
#[derive(Debug, Default)]
pub(crate) struct Memoir {
    pub(crate) definitions: Vec<Definition>,
    pub(crate) messages: Vec<Recovered>,
    /// The broker ended without saying so: any message may have been delivered before.
    pub(crate) crashed: bool,
    /// No record or queue has this number or a higher one.
    pub(crate) next_record: Option<NonZeroU64>,
}

impl Broker {
    /// Stores a message that entered a queue, if both are to survive.
    pub(super) fn remember(&mut self, id: QueueId, entry: &mut Entry, message: &Arc<Message>) {
        if !message.persistent {
            return;
        }
        if let Some(uid) = self.queues.get(id.0).and_then(|queue| queue.declaration.uid) {
            self.store(uid, entry, message);
        }
    }

    fn store(&mut self, queue: QueueUid, entry: &mut Entry, message: &Arc<Message>) {
        let record = self.journal.next_record();
        entry.record = Some(record);
        self.journal.emit(Effect::Put(Put {
            record,
            queue,
            position: entry.position,
            expires: entry.expires,
            returns: entry.returns,
            message: message.clone(),
        }));
    }

    /// Lets the content of a message go to disk if memory is scarce.
    pub(super) fn page_out(&mut self, entry: &mut Entry) {
        if self.memory.used() < self.limits.page {
            return;
        }
        let Some(message) = entry.content.take() else {
            return;
        };
        if entry.record.is_none() {
            self.store(QueueUid::NONE, entry, &message);
        }
        if let Some(record) = entry.record {
            self.journal.evict(record, message);
        }
    }

    /// The content of a message, from memory or from disk. `None` if it is lost: the storage has said so.
    pub(super) fn content(&self, entry: &Entry) -> Option<Arc<Message>> {
        match (&entry.content, entry.record) {
            (Some(message), _) => Some(message.clone()),
            (None, Some(record)) => self.journal.read(record, &self.memory),
            (None, None) => None,
        }
    }

    /// A message is settled: it is gone for the storage, too.
    pub(super) fn forget(&mut self, entry: &Entry) {
        self.entries -= 1;
        if let Some(record) = entry.record {
            self.journal.emit(Effect::Remove(record));
        }
    }

    /// A message cannot be read back: it is dropped, and counted as such.
    pub(super) fn lose(&mut self, id: QueueId, entry: &Entry) {
        if let Some(queue) = self.queues.get_mut(id.0) {
            queue.counters.dropped += 1;
            self.touch(id);
        }
        self.forget(entry);
    }

    pub(super) fn define(&mut self, definition: &Definition) {
        if self.journal.is_durable() {
            self.journal.emit(Effect::Define { key: definition.key(), value: Some(definition.value()) });
        }
    }

    pub(super) fn undefine(&mut self, definition: &Definition) {
        if self.journal.is_durable() {
            self.journal.emit(Effect::Define { key: definition.key(), value: None });
        }
    }

    /// A queue as a definition, if it outlives the broker.
    pub(super) fn queue_definition(&self, queue: &Queue) -> Option<Definition> {
        let declaration = &queue.declaration;
        Some(Definition::Queue {
            vhost: self.vhosts[queue.vhost].name.clone(),
            name: declaration.name.clone(),
            uid: declaration.uid?,
            auto_delete: declaration.auto_delete,
            arguments: declaration.table.clone(),
        })
    }

    /// A binding as a definition, if both its ends outlive the broker.
    pub(super) fn binding_definition(
        &self,
        vhost: usize,
        source: &Name,
        key: &BindingKey,
        arguments: &FieldTable,
    ) -> Option<Definition> {
        let host = &self.vhosts[vhost];
        let is_durable =
            |name: &Name| host.exchanges.get(name).is_some_and(|exchange| exchange.declaration.durable);
        let (to_exchange, destination) = match &key.destination {
            Destination::Exchange(name) => (true, is_durable(name).then(|| name.clone())),
            Destination::Queue(id) => {
                let queue = self.queues.get(id.0).filter(|queue| queue.declaration.durable);
                (false, queue.map(|queue| queue.name().clone()))
            }
        };
        Some(Definition::Binding {
            vhost: host.name.clone(),
            source: is_durable(source).then(|| source.clone())?,
            to_exchange,
            destination: destination?,
            key: key.routing_key.clone(),
            arguments: arguments.clone(),
        })
    }

    /// The storage has come so far: promises that waited for it are kept.
    pub(crate) fn advance(&mut self, progress: Progress, now: Time) {
        self.now = now;
        self.journal.advance(progress);
        self.release_confirms();
        for id in std::mem::take(&mut self.holding) {
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            connection.release(|effect| self.journal.is_safe(effect));
            if !connection.held.is_empty() {
                self.holding.insert(id);
            }
            self.announce(id);
        }
        self.begin_round();
        self.settle();
    }

    /// Moves the effects since the last call into `into`; returns the number of the last one.
    pub(crate) fn take_effects(&mut self, into: &mut Vec<Effect>) -> u64 {
        self.journal.take(into)
    }

    /// Answers a method when what it changed is safe; `before` is the last durable effect before it was carried out.
    pub(super) fn answer(&mut self, at: At, class: AMQPClass, before: u64) {
        if self.journal.last_durable() > before {
            self.answer_safely(at, class);
        } else {
            self.reply(at, class);
        }
    }

    /// Answers a method when everything so far is safe.
    pub(super) fn answer_safely(&mut self, at: At, class: AMQPClass) {
        let output = Output::Method(at.channel, class);
        match self.journal.promise() {
            Some(effect) => self.hold(at.connection, effect, output),
            None => self.send(at.connection, output),
        }
    }

    /// Keeps an output back until an effect is safe.
    pub(super) fn hold(&mut self, id: ConnectionId, effect: u64, output: Output) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.hold(effect, output);
            self.holding.insert(id);
        }
    }

    /// Memory that messages occupy, estimated (bytes).
    pub(crate) fn memory_used(&self) -> usize {
        self.memory.used() + self.entries * ENTRY
    }
}
