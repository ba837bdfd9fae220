//! From a queue to its consumers.

use std::cmp::Reverse;
use std::sync::Arc;

use super::arguments::Overflow;
use super::channel_state::Unacked;
use super::connection::Life;
use super::dead_letter::Reason;
use super::journal::Effect;
use super::queue::{ConsumerId, Entry, QueueId};
use super::value::{Message, Output};
use super::{At, Broker};

impl Broker {
    /// Delivers while there are messages and consumers with credit; drops what has expired.
    pub(super) fn serve(&mut self, id: QueueId) {
        if self.expire_queue(id) {
            return;
        }
        self.drop_overflow(id);
        loop {
            if !self.expire_heads(id) {
                break;
            }
            match self.queues.get(id.0) {
                Some(queue) if queue.ready() > 0 => {}
                _ => break,
            }
            let Some(consumer) = self.next_consumer(id) else {
                break;
            };
            let Some(entry) = self.queues.get_mut(id.0).and_then(super::Queue::pop) else {
                break;
            };
            match self.content(&entry) {
                Some(content) => self.deliver(id, consumer, entry, content),
                None => self.lose(id, &entry),
            }
        }
        self.schedule(id);
    }

    /// Hands a message to a consumer that has credit.
    pub(super) fn deliver(
        &mut self,
        queue_id: QueueId,
        id: ConsumerId,
        mut entry: Entry,
        content: Arc<Message>,
    ) {
        let consumer = self.consumers.get_mut(id.0).expect("only live consumers are idle");
        let queue = self.queues.get_mut(queue_id.0).expect("a queue that is served exists");
        let connection =
            self.connections.get_mut(&consumer.connection).expect("a consumer ends with its connection");
        let channel = connection.channel(consumer.channel).expect("a consumer ends with its channel");
        let tag = channel.next_tag();
        queue.counters.delivered += 1;
        queue.counters.redelivered += u64::from(entry.redelivered);
        let output = Output::Deliver {
            channel: consumer.channel,
            consumer: consumer.tag.clone(),
            tag,
            redelivered: entry.redelivered,
            message: queue.outgoing(&entry, content),
        };
        let at = At { connection: consumer.connection, channel: consumer.channel };
        if consumer.no_ack {
            queue.counters.acknowledged += 1;
            self.forget(&entry);
        } else {
            queue.unacknowledged += 1;
            consumer.unacknowledged += 1;
            channel.in_flight += 1;
            // It is on its way; it is needed here again only if it comes back.
            self.page_out(&mut entry);
            if let Ok(channel) = self.open_channel(at) {
                channel.unacked.insert(tag, Unacked { queue: queue_id, entry, consumer: Some(id) });
            }
        }
        self.touch(queue_id);
        self.send(at.connection, output);
    }

    /// The consumer whose turn it is. Those without credit leave the turn until [`Broker::wake`].
    pub(super) fn next_consumer(&mut self, id: QueueId) -> Option<ConsumerId> {
        let queue = self.queues.get_mut(id.0)?;
        if queue.arguments().single_active_consumer {
            let active = *queue.consumers.first()?;
            if self.has_credit(active) {
                return Some(active);
            }
            self.queues.get_mut(id.0)?.idle.retain(|(_, other)| *other != active);
            self.consumers.get_mut(active.0)?.idle = false;
            return None;
        }
        loop {
            let (priority, consumer) = self.queues.get_mut(id.0)?.idle.pop_front()?;
            if self.has_credit(consumer) {
                self.queues.get_mut(id.0)?.add_idle(priority, consumer);
                return Some(consumer);
            }
            if let Some(consumer) = self.consumers.get_mut(consumer.0) {
                consumer.idle = false;
            }
        }
    }

    /// Whether a consumer may get one more message now.
    fn has_credit(&mut self, id: ConsumerId) -> bool {
        let Some(consumer) = self.consumers.get(id.0) else {
            return false;
        };
        let window = self.window();
        let Some(connection) = self.connections.get_mut(&consumer.connection) else {
            return false;
        };
        if connection.life != Life::Open {
            return false;
        }
        if connection.backlog() >= window {
            connection.throttled = true;
            return false;
        }
        let Some(channel) = connection.channel(consumer.channel) else {
            return false;
        };
        channel.active
            && (consumer.no_ack
                || (channel.has_credit()
                    && (consumer.prefetch == 0 || consumer.unacknowledged < u32::from(consumer.prefetch))))
    }

    /// Takes messages from the head while there are more than the queue may hold.
    pub(super) fn drop_overflow(&mut self, id: QueueId) {
        let over = |queue: &&mut super::Queue| {
            queue.arguments().overflow == Overflow::DropHead && queue.is_over_limit()
        };
        while let Some(entry) = self.queues.get_mut(id.0).filter(over).and_then(super::Queue::pop) {
            self.drop_entry(id, entry, Reason::MaxLength);
            self.mark_dirty(id);
        }
    }

    /// Counts a message out and dead-letters it if the queue is declared so.
    pub(super) fn drop_entry(&mut self, id: QueueId, entry: Entry, reason: Reason) {
        if let Some(queue) = self.queues.get_mut(id.0) {
            queue.counters.dropped += 1;
            self.touch(id);
            self.bury(id, &entry, reason);
        }
        self.forget(&entry);
    }

    /// Dead-letters a message if its queue is declared so.
    fn bury(&mut self, id: QueueId, entry: &Entry, reason: Reason) {
        let buries = |queue: &super::Queue| queue.arguments().dead_letter_exchange.is_some();
        if self.queues.get(id.0).is_some_and(buries)
            && let Some(message) = self.content(entry)
        {
            self.dead_letter(id, message, reason);
        }
    }

    /// Deletes a queue that nobody has used for as long as its `x-expires` says.
    fn expire_queue(&mut self, id: QueueId) -> bool {
        let Some(queue) = self.queues.get(id.0) else {
            return true;
        };
        let over = queue.arguments().expires.is_some_and(|expires| {
            queue.consumers.is_empty() && queue.last_used.plus_millis(expires) <= self.now
        });
        if over {
            self.delete_queue(id);
        }
        over
    }

    /// Makes sure that the queue is looked at when its next message, or itself, expires.
    pub(super) fn schedule(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(id.0) else {
            return;
        };
        let own = queue
            .arguments()
            .expires
            .filter(|_| queue.consumers.is_empty())
            .map(|expires| queue.last_used.plus_millis(expires));
        // What waits for a round is looked at when that begins.
        let head = queue.next_expiry().filter(|_| !queue.expiring);
        let Some(due) = [head, own].into_iter().flatten().min() else {
            return;
        };
        if queue.scheduled.is_none_or(|scheduled| due < scheduled) {
            queue.scheduled = Some(due);
            self.timers.push(Reverse((due, id)));
        }
    }

    /// Notes that the depth of a queue has changed, if somebody watches it.
    pub(super) fn touch(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.get_mut(id.0)
            && queue.watched
            && !queue.changed
        {
            queue.changed = true;
            self.changed.push(id);
        }
    }

    /// Gives deliveries back to their queues, each at its old place; nothing is delivered before [`Broker::settle`].
    pub(super) fn requeue(&mut self, at: At, deliveries: Vec<Unacked>) {
        for unacked in deliveries.into_iter().rev() {
            self.release_credit(at, &unacked);
            let mut entry = unacked.entry;
            let Some(queue) = self.queues.get_mut(unacked.queue.0) else {
                self.forget(&entry);
                continue;
            };
            queue.unacknowledged -= 1;
            entry.redelivered = true;
            entry.returns += 1;
            let limit = queue.arguments().delivery_limit;
            if limit.is_some_and(|limit| u64::from(entry.returns) > limit) {
                self.drop_entry(unacked.queue, entry, Reason::DeliveryLimit);
            } else {
                if let (Some(_), Some(record)) = (queue.declaration.uid, entry.record) {
                    self.journal.emit(Effect::Returned { record, returns: entry.returns });
                }
                queue.put_back(entry);
                self.touch(unacked.queue);
                self.mark_dirty(unacked.queue);
            }
        }
    }

    /// A delivery is settled: consumer and channel may get another one.
    pub(super) fn release_credit(&mut self, at: At, unacked: &Unacked) {
        if let Some(consumer) = unacked.consumer {
            if let Ok(channel) = self.open_channel(at) {
                channel.in_flight -= 1;
            }
            if let Some(consumer) = self.consumers.get_mut(consumer.0) {
                consumer.unacknowledged -= 1;
            }
        }
    }
}
