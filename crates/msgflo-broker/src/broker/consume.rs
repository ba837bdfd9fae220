//! Consumers: basic.consume, basic.cancel and basic.qos.

use amq_protocol::protocol::{AMQPClass, basic};
use amq_protocol::types::ChannelId;

use super::arguments::integer;
use super::queue::{ConsumerId, QueueId};
use super::value::{ConnectionId, Name};
use super::{At, Broker, Exception};

/// A consumer of a queue.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) connection: ConnectionId,
    pub(crate) channel: ChannelId,
    pub(crate) tag: Name,
    pub(crate) queue: QueueId,
    pub(crate) no_ack: bool,
    pub(crate) priority: i32,
    /// Limit of its unacknowledged deliveries; 0 is none.
    pub(crate) prefetch: u16,
    pub(crate) unacknowledged: u32,
    /// Among the queue's idle consumers; false once it was found without credit.
    pub(crate) idle: bool,
}

impl Broker {
    pub(super) fn consume(&mut self, at: At, method: basic::Consume) -> Result<(), Exception> {
        let queue_id = self.resolve_queue(at, &method.queue)?;
        let tag = if method.consumer_tag.as_str().is_empty() {
            self.names.next("amq.ctag-")
        } else {
            Name::from(&method.consumer_tag)
        };
        let channel = self.open_channel(at)?;
        if channel.consumers.contains_key(&tag) {
            return Err(Exception::not_allowed(format_args!("attempt to reuse consumer tag '{tag}'")));
        }
        let prefetch = channel.consumer_prefetch;
        let priority = match method.arguments.inner().get("x-priority") {
            None => 0,
            Some(value) => integer(value)
                .and_then(|priority| i32::try_from(priority).ok())
                .ok_or_else(|| Exception::precondition_failed("invalid x-priority of a consumer"))?,
        };
        let vhost = self.vhost_of(at);
        let queue = self.queues.get_mut(queue_id.0).expect("resolved just now");
        if queue.exclusive_consumer.is_some() || (method.exclusive && !queue.consumers.is_empty()) {
            return Err(Exception::access_refused(format_args!(
                "queue '{}' in vhost '{}' in exclusive use",
                queue.name(),
                self.vhosts[vhost].name
            )));
        }
        let consumer = ConsumerId(self.consumers.insert(Consumer {
            connection: at.connection,
            channel: at.channel,
            tag: tag.clone(),
            queue: queue_id,
            no_ack: method.no_ack,
            priority,
            prefetch,
            unacknowledged: 0,
            idle: true,
        }));
        queue.consumers.push(consumer);
        queue.add_idle(priority, consumer);
        if method.exclusive {
            queue.exclusive_consumer = Some(consumer);
        }
        self.touch(queue_id);
        self.open_channel(at)?.consumers.insert(tag.clone(), consumer);
        if !method.nowait {
            let ok = basic::ConsumeOk { consumer_tag: (&tag).into() };
            self.reply(at, AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)));
        }
        self.mark_dirty(queue_id);
        Ok(())
    }

    /// Cancelling an unknown consumer succeeds.
    pub(super) fn cancel(&mut self, at: At, method: basic::Cancel) -> Result<(), Exception> {
        let channel = self.open_channel(at)?;
        if let Some(consumer) = channel.consumers.get(method.consumer_tag.as_str()).copied() {
            self.remove_consumer(consumer);
        }
        if !method.nowait {
            let ok = basic::CancelOk { consumer_tag: method.consumer_tag };
            self.reply(at, AMQPClass::Basic(basic::AMQPMethod::CancelOk(ok)));
        }
        Ok(())
    }

    /// `global` = false limits each later consumer of the channel, true the channel as a whole, from now on.
    pub(super) fn qos(&mut self, at: At, method: &basic::Qos) -> Result<(), Exception> {
        let channel = self.open_channel(at)?;
        if method.global {
            channel.prefetch = method.prefetch_count;
            self.wake(at);
        } else {
            channel.consumer_prefetch = method.prefetch_count;
        }
        self.reply(at, AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {})));
        Ok(())
    }

    /// Ends a consumer; what it has not acknowledged stays with its channel. The last consumer of an auto-delete
    /// queue takes the queue with it.
    pub(super) fn remove_consumer(&mut self, id: ConsumerId) {
        let Some(consumer) = self.consumers.remove(id.0) else {
            return;
        };
        let at = At { connection: consumer.connection, channel: consumer.channel };
        if let Ok(channel) = self.open_channel(at) {
            channel.consumers.remove(&consumer.tag);
        }
        let now = self.now;
        if let Some(queue) = self.queues.get_mut(consumer.queue.0)
            && queue.remove_consumer(id)
        {
            if queue.consumers.is_empty() {
                queue.last_used = now;
                if queue.declaration.auto_delete {
                    self.delete_queue(consumer.queue);
                    return;
                }
            }
            self.touch(consumer.queue);
            self.mark_dirty(consumer.queue);
        }
    }

    /// Tells a client that the queue of its consumer is gone, if it wants to know.
    pub(super) fn notify_cancelled(&mut self, id: ConsumerId) {
        let Some(consumer) = self.consumers.remove(id.0) else {
            return;
        };
        let at = At { connection: consumer.connection, channel: consumer.channel };
        if let Ok(channel) = self.open_channel(at) {
            channel.consumers.remove(&consumer.tag);
        }
        if self.connections.get(&at.connection).is_some_and(|connection| connection.peer.takes_cancels) {
            let cancel = basic::Cancel { consumer_tag: (&consumer.tag).into(), nowait: true };
            self.reply(at, AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)));
        }
    }

    /// Lets the consumers of a channel that were found without credit try again.
    pub(super) fn wake(&mut self, at: At) {
        let Ok(channel) = self.open_channel(at) else {
            return;
        };
        let consumers: Vec<_> = channel.consumers.values().copied().collect();
        for id in consumers {
            let Some(consumer) = self.consumers.get_mut(id.0) else {
                continue;
            };
            if consumer.idle {
                continue;
            }
            consumer.idle = true;
            let (queue_id, priority) = (consumer.queue, consumer.priority);
            if let Some(queue) = self.queues.get_mut(queue_id.0) {
                queue.add_idle(priority, id);
                self.mark_dirty(queue_id);
            }
        }
    }
}
