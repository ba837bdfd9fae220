//! A queue as a value: its messages in order, and the consumers that may take the next one.
//!
//! Invariants: within a priority, messages lie in the order of their positions, also after a requeue; `published`
//! equals `acknowledged + dropped + ready + unacknowledged`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::arena::Key;
use super::arguments::QueueArguments;
use super::journal::{QueueUid, RecordId};
use super::memory::Charge;
use super::value::{ConnectionId, Message, Name, Time};
use crate::wire::{properties, table};
use amq_protocol::types::{AMQPValue, FieldTable};

/// The header in which a quorum queue counts.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// A queue of a virtual host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueueId(pub(crate) Key);

/// A consumer of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConsumerId(pub(crate) Key);

/// A message in a queue.
///
/// Invariant: it has a content or a record.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The order of arrival; kept when the message comes back.
    pub(crate) position: u64,
    /// Where the storage has it, if it does.
    pub(crate) record: Option<RecordId>,
    /// `None` when it has left memory.
    pub(crate) content: Option<Arc<Message>>,
    /// The body's length (bytes).
    pub(crate) size: u32,
    /// As sent; the queue caps it.
    pub(crate) priority: u8,
    pub(crate) redelivered: bool,
    /// How often it came back after a delivery.
    pub(crate) returns: u32,
    pub(crate) expires: Option<Time>,
}

/// Totals since the queue was declared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Messages that entered.
    pub(crate) published: u64,
    /// Deliveries to consumers and answers to get, repeated ones included.
    pub(crate) delivered: u64,
    /// Deliveries of messages that had been delivered before.
    pub(crate) redelivered: u64,
    /// Messages acknowledged, or delivered where no acknowledgement was asked for.
    pub(crate) acknowledged: u64,
    /// Messages that left otherwise: expired, rejected, purged or pushed out.
    pub(crate) dropped: u64,
}

/// What a queue is declared with.
#[derive(Debug, Clone)]
pub(crate) struct QueueDeclaration {
    pub(crate) name: Name,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    /// The only connection that may use it; the queue ends with that connection.
    pub(crate) owner: Option<ConnectionId>,
    /// How the storage calls it, if it outlives the broker.
    pub(crate) uid: Option<QueueUid>,
    pub(crate) arguments: QueueArguments,
    pub(crate) table: FieldTable,
}

/// A queue. See the module.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Index of the virtual host.
    pub(crate) vhost: usize,
    pub(crate) declaration: QueueDeclaration,
    /// One line a priority, lowest first.
    lines: Vec<VecDeque<Entry>>,
    ready: usize,
    ready_bytes: u64,
    next_position: u64,
    pub(crate) unacknowledged: usize,
    pub(crate) counters: Counters,
    /// All consumers, in the order in which they came.
    pub(crate) consumers: Vec<ConsumerId>,
    /// Those that have not been found without credit, the next one first; higher priorities come before lower ones.
    pub(crate) idle: VecDeque<(i32, ConsumerId)>,
    /// The one that holds the queue for itself.
    pub(crate) exclusive_consumer: Option<ConsumerId>,
    /// When the queue was last declared, consumed from or read; `expires` counts from here.
    pub(crate) last_used: Time,
    /// The earliest pending wake-up.
    pub(crate) scheduled: Option<Time>,
    /// Expired messages are at the head, and wait for their round.
    pub(crate) expiring: bool,
    /// Already on the list of queues to be served.
    pub(crate) dirty: bool,
    /// Somebody watches the depth.
    pub(crate) watched: bool,
    /// Already on the list of queues whose depth changed.
    pub(crate) changed: bool,
}

impl Queue {
    pub(crate) fn new(declaration: QueueDeclaration, vhost: usize, now: Time) -> Self {
        let levels = usize::from(declaration.arguments.max_priority.unwrap_or(0)) + 1;
        Self {
            vhost,
            declaration,
            lines: (0..levels).map(|_| VecDeque::new()).collect(),
            ready: 0,
            ready_bytes: 0,
            next_position: 0,
            unacknowledged: 0,
            counters: Counters::default(),
            consumers: Vec::new(),
            idle: VecDeque::new(),
            exclusive_consumer: None,
            last_used: now,
            scheduled: None,
            expiring: false,
            dirty: false,
            watched: false,
            changed: false,
        }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.declaration.name
    }

    pub(crate) fn arguments(&self) -> &QueueArguments {
        &self.declaration.arguments
    }

    /// Messages that wait.
    pub(crate) fn ready(&self) -> usize {
        self.ready
    }

    /// Body bytes of the messages that wait.
    pub(crate) fn ready_bytes(&self) -> u64 {
        self.ready_bytes
    }

    /// The message as it is handed out: a quorum queue says how often it came back.
    pub(crate) fn outgoing(&self, entry: &Entry, message: Arc<Message>) -> Arc<Message> {
        if !self.arguments().quorum {
            return message;
        }
        let old = &message;
        let headers =
            properties::scan(&old.properties).ok().and_then(|found| found.headers).unwrap_or_default();
        let mut edited = Vec::with_capacity(headers.len() + 32);
        for (key, value) in table::Entries(headers).filter(|(key, _)| *key != DELIVERY_COUNT.as_bytes()) {
            table::append_raw(&mut edited, key, value);
        }
        table::append(&mut edited, DELIVERY_COUNT, &AMQPValue::LongLongInt(entry.returns.into()));
        Arc::new(Message {
            exchange: old.exchange.clone(),
            routing_key: old.routing_key.clone(),
            extra_keys: Vec::new(),
            properties: properties::rewrite(&old.properties, &edited, true),
            body: old.body.clone(),
            priority: old.priority,
            persistent: old.persistent,
            expiration: old.expiration,
            charge: Charge::default(),
        })
    }

    /// Gives a published message its place; it is neither in line nor delivered yet.
    pub(crate) fn admit(&mut self, message: Arc<Message>, now: Time) -> Entry {
        let position = self.next_position;
        self.next_position += 1;
        self.counters.published += 1;
        let ttl = [message.expiration, self.arguments().message_ttl].into_iter().flatten().min();
        Entry {
            position,
            record: None,
            size: u32::try_from(message.body.len()).expect("bodies are smaller than 4 GB"),
            priority: message.priority,
            content: Some(message),
            redelivered: false,
            returns: 0,
            expires: ttl.map(|ttl| now.plus_millis(ttl)),
        }
    }

    /// Puts a new message at the end of its line.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.count_in(&entry);
        self.line(&entry).push_back(entry);
    }

    /// Puts a message that came back where it was.
    pub(crate) fn put_back(&mut self, entry: Entry) {
        self.count_in(&entry);
        let line = self.line(&entry);
        let place = line.partition_point(|other| other.position < entry.position);
        line.insert(place, entry);
    }

    /// Takes the next message.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let entry = self.lines.iter_mut().rev().find_map(VecDeque::pop_front)?;
        self.count_out(&entry);
        Some(entry)
    }

    /// The message that is next, if it is in memory.
    pub(crate) fn head(&self) -> Option<&Message> {
        self.lines.iter().rev().find_map(VecDeque::front)?.content.as_deref()
    }

    /// Takes a message from the head of a line if its time is over.
    pub(crate) fn pop_expired(&mut self, now: Time) -> Option<Entry> {
        let line =
            self.lines.iter_mut().find(|line| head_expiry(line).is_some_and(|expires| expires <= now))?;
        let entry = line.pop_front()?;
        self.count_out(&entry);
        Some(entry)
    }

    /// Whether the time of a head is over.
    pub(crate) fn is_expired(&self, now: Time) -> bool {
        self.next_expiry().is_some_and(|expires| expires <= now)
    }

    /// When the first head expires.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.lines.iter().filter_map(head_expiry).min()
    }

    /// Whether the lines hold more than the arguments allow.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.arguments().max_length.is_some_and(|max| self.ready as u64 > max)
            || self.arguments().max_bytes.is_some_and(|max| self.ready_bytes > max)
    }

    /// Whether this message would be one too many.
    pub(crate) fn would_overflow(&self, message: &Message) -> bool {
        let bytes = self.ready_bytes + message.body.len() as u64;
        self.arguments().max_length.is_some_and(|max| self.ready as u64 >= max)
            || self.arguments().max_bytes.is_some_and(|max| bytes > max)
    }

    /// Drops every message that waits; returns them.
    pub(crate) fn purge(&mut self) -> Vec<Entry> {
        let dropped: Vec<_> = self.lines.iter_mut().flat_map(std::mem::take).collect();
        self.ready = 0;
        self.ready_bytes = 0;
        self.counters.dropped += dropped.len() as u64;
        dropped
    }

    /// Puts a message where it was before a restart; they come in the order of their positions.
    pub(crate) fn restore(&mut self, entry: Entry) {
        self.next_position = self.next_position.max(entry.position + 1);
        self.counters.published += 1;
        self.push(entry);
    }

    /// Enters a consumer among the idle ones, behind those of its priority.
    pub(crate) fn add_idle(&mut self, priority: i32, consumer: ConsumerId) {
        let place = self.idle.partition_point(|(other, _)| *other >= priority);
        self.idle.insert(place, (priority, consumer));
    }

    /// Forgets a consumer; returns whether it was one of this queue.
    pub(crate) fn remove_consumer(&mut self, consumer: ConsumerId) -> bool {
        self.idle.retain(|(_, other)| *other != consumer);
        if self.exclusive_consumer == Some(consumer) {
            self.exclusive_consumer = None;
        }
        let before = self.consumers.len();
        self.consumers.retain(|other| *other != consumer);
        self.consumers.len() < before
    }

    fn line(&mut self, entry: &Entry) -> &mut VecDeque<Entry> {
        let level = usize::from(entry.priority).min(self.lines.len() - 1);
        &mut self.lines[level]
    }

    fn count_in(&mut self, entry: &Entry) {
        self.ready += 1;
        self.ready_bytes += u64::from(entry.size);
    }

    fn count_out(&mut self, entry: &Entry) {
        self.ready -= 1;
        self.ready_bytes -= u64::from(entry.size);
    }
}

fn head_expiry(line: &VecDeque<Entry>) -> Option<Time> {
    line.front()?.expires
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn queue(max_priority: Option<u8>) -> Queue {
        let declaration = QueueDeclaration {
            name: Name::new("q"),
            durable: false,
            auto_delete: false,
            owner: None,
            uid: None,
            arguments: QueueArguments { max_priority, ..QueueArguments::default() },
            table: FieldTable::default(),
        };
        Queue::new(declaration, 0, Time(0))
    }

    fn message(priority: u8) -> Arc<Message> {
        Arc::new(Message {
            exchange: Name::new(""),
            routing_key: Name::new("q"),
            extra_keys: Vec::new(),
            properties: Bytes::from_static(&[0, 0]),
            body: Bytes::from_static(b"body"),
            priority,
            persistent: false,
            expiration: None,
            charge: Charge::default(),
        })
    }

    proptest! {
        /// However messages are taken and put back, they leave by priority and then by arrival, none is lost, and the
        /// sums are right.
        #[test]
        fn order_survives_any_requeue(
            steps in prop::collection::vec((0_u8..3, 0_u8..5, any::<prop::sample::Index>()), 0..200),
        ) {
            let mut queue = queue(Some(3));
            let mut taken: Vec<Entry> = Vec::new();
            for (step, priority, index) in steps {
                match step {
                    0 => {
                        let entry = queue.admit(message(priority), Time(0));
                        queue.push(entry);
                    }
                    1 => taken.extend(queue.pop()),
                    _ if taken.is_empty() => {}
                    _ => queue.put_back(taken.swap_remove(index.index(taken.len()))),
                }
                prop_assert_eq!(queue.counters.published as usize, queue.ready() + taken.len());
                prop_assert_eq!(queue.ready_bytes(), queue.ready() as u64 * 4);
            }
            let mut left = Vec::new();
            while let Some(entry) = queue.pop() {
                left.push((std::cmp::Reverse(entry.priority.min(3)), entry.position));
            }
            prop_assert!(left.is_sorted());
            prop_assert_eq!(left.len() + taken.len(), queue.counters.published as usize);
        }
    }

    #[test]
    fn idle_consumers_stand_by_priority_then_in_turn() {
        let mut arena = crate::broker::arena::Arena::default();
        let ids: Vec<_> = (0..3).map(|_| ConsumerId(arena.insert(()))).collect();
        let mut queue = queue(None);
        for (priority, id) in [(0, ids[0]), (5, ids[1]), (0, ids[2])] {
            queue.consumers.push(id);
            queue.add_idle(priority, id);
        }
        assert_eq!(queue.idle, [(5, ids[1]), (0, ids[0]), (0, ids[2])]);
        assert!(queue.remove_consumer(ids[0]));
        assert!(!queue.remove_consumer(ids[0]));
        assert_eq!(queue.idle, [(5, ids[1]), (0, ids[2])]);
    }
}
