//! What the broker tells about itself, as plain values.

use super::exchange::Destination;
use super::value::{Message, Name};
use super::{Broker, Queue};
use crate::wire::properties;

/// The messages of a queue, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages that were delivered and not yet settled.
    pub unacknowledged: u64,
    /// Consumers of the queue.
    pub consumers: u32,
}

/// A queue, as it is now. Counters run since its declaration.
///
/// `published == acknowledged + dropped + ready + unacknowledged` at any moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueInfo {
    /// Its name.
    pub name: String,
    /// The virtual host that it belongs to.
    pub vhost: String,
    /// Declared as durable.
    pub durable: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// Goes with the connection that declared it.
    pub exclusive: bool,
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Body bytes of the messages that wait.
    pub ready_bytes: u64,
    /// When the message that is next was sent (seconds since 1970), if its sender said and it is in memory.
    pub head_timestamp: Option<u64>,
    /// Messages that were delivered and not yet settled.
    pub unacknowledged: u64,
    /// Consumers.
    pub consumers: u32,
    /// Messages that entered.
    pub published: u64,
    /// Deliveries, repeated ones included.
    pub delivered: u64,
    /// Deliveries of messages that had been delivered before.
    pub redelivered: u64,
    /// Messages acknowledged, or delivered to consumers that do not acknowledge.
    pub acknowledged: u64,
    /// Messages that left otherwise: expired, rejected, purged or pushed out of a full queue.
    pub dropped: u64,
}

/// A binding from an exchange to a queue or another exchange.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct BindingInfo {
    /// The virtual host that it belongs to.
    pub vhost: String,
    /// The exchange that messages come from.
    pub source: String,
    /// The queue or exchange that they go to.
    pub destination: String,
    /// Whether the destination is an exchange.
    pub to_exchange: bool,
    /// The routing key or pattern.
    pub routing_key: String,
}

impl Broker {
    /// All queues, by virtual host and name.
    pub(crate) fn queue_infos(&self) -> Vec<QueueInfo> {
        let mut infos: Vec<_> = self.queues.iter().map(|(_, queue)| self.queue_info(queue)).collect();
        infos.sort_by(|a, b| (&a.vhost, &a.name).cmp(&(&b.vhost, &b.name)));
        infos
    }

    /// The queue of that name in the default virtual host.
    pub(crate) fn queue_by_name(&self, name: &str) -> Option<QueueInfo> {
        self.find(name).map(|queue| self.queue_info(queue))
    }

    /// The depth of the queue of that name in the default virtual host.
    pub(crate) fn depth(&self, name: &str) -> Option<Depth> {
        self.find(name).map(Queue::depth)
    }

    /// All bindings, the implicit ones of the default exchange left out.
    pub(crate) fn binding_infos(&self) -> Vec<BindingInfo> {
        let mut infos = Vec::new();
        for vhost in &self.vhosts {
            for (source, exchange) in &vhost.exchanges {
                for (key, _) in exchange.bindings() {
                    let (destination, to_exchange) = match &key.destination {
                        Destination::Exchange(name) => (name.to_string(), true),
                        Destination::Queue(id) => match self.queues.get(id.0) {
                            Some(queue) => (queue.name().to_string(), false),
                            None => continue,
                        },
                    };
                    infos.push(BindingInfo {
                        vhost: vhost.name.to_string(),
                        source: source.to_string(),
                        destination,
                        to_exchange,
                        routing_key: key.routing_key.to_string(),
                    });
                }
            }
        }
        infos.sort();
        infos
    }

    /// Notes that somebody wants to hear of every change of this queue's depth, also of its coming and going.
    pub(crate) fn watch(&mut self, name: &str) {
        let name = Name::new(name);
        if let Some(id) = self.vhosts[0].queues.get(&name).copied()
            && let Some(queue) = self.queues.get_mut(id.0)
        {
            queue.watched = true;
        }
        self.watched.insert(name);
    }

    /// Nobody wants to hear of this queue any more.
    pub(crate) fn unwatch(&mut self, name: &str) {
        self.watched.remove(name);
        if let Some(id) = self.vhosts[0].queues.get(name).copied()
            && let Some(queue) = self.queues.get_mut(id.0)
        {
            queue.watched = false;
        }
    }

    /// The watched queues that changed since the last call; `None` for those that are gone.
    pub(crate) fn take_changed(&mut self) -> Vec<(Name, Option<Depth>)> {
        if self.changed.is_empty() && self.gone.is_empty() {
            return Vec::new();
        }
        let mut changes: Vec<_> =
            std::mem::take(&mut self.gone).into_iter().map(|name| (name, None)).collect();
        for id in std::mem::take(&mut self.changed) {
            if let Some(queue) = self.queues.get_mut(id.0) {
                queue.changed = false;
                changes.push((queue.name().clone(), Some(queue.depth())));
            }
        }
        changes
    }

    fn find(&self, name: &str) -> Option<&Queue> {
        self.vhosts[0].queues.get(name).and_then(|id| self.queues.get(id.0))
    }

    pub(super) fn queue_info(&self, queue: &Queue) -> QueueInfo {
        let (declaration, counters, depth) = (&queue.declaration, queue.counters, queue.depth());
        QueueInfo {
            name: declaration.name.to_string(),
            vhost: self.vhosts[queue.vhost].name.to_string(),
            durable: declaration.durable,
            auto_delete: declaration.auto_delete,
            exclusive: declaration.owner.is_some(),
            ready: depth.ready,
            ready_bytes: queue.ready_bytes(),
            head_timestamp: queue.head().and_then(sent),
            unacknowledged: depth.unacknowledged,
            consumers: depth.consumers,
            published: counters.published,
            delivered: counters.delivered,
            redelivered: counters.redelivered,
            acknowledged: counters.acknowledged,
            dropped: counters.dropped,
        }
    }
}

fn sent(message: &Message) -> Option<u64> {
    properties::scan(&message.properties).ok()?.timestamp
}

impl Queue {
    fn depth(&self) -> Depth {
        Depth {
            ready: self.ready() as u64,
            unacknowledged: self.unacknowledged as u64,
            consumers: u32::try_from(self.consumers.len()).unwrap_or(u32::MAX),
        }
    }
}
