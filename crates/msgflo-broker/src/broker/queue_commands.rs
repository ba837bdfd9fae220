//! The methods of the class queue.

use amq_protocol::protocol::{AMQPClass, queue};
use amq_protocol::types::ShortString;

use super::arguments::QueueArguments;
use super::exchange::{BindingKey, Destination};
use super::queue::{Queue, QueueDeclaration, QueueId};
use super::value::Name;
use super::{At, Broker, Exception};

/// Names that begin so are the broker's own.
pub(super) const RESERVED: &str = "amq.";

impl Broker {
    pub(super) fn queue_method(&mut self, at: At, method: queue::AMQPMethod) -> Result<(), Exception> {
        use queue::AMQPMethod;
        let before = self.journal.last_durable();
        let (answer, nowait) = match method {
            AMQPMethod::Declare(declare) => {
                let nowait = declare.nowait;
                (AMQPMethod::DeclareOk(self.declare_queue(at, declare)?), nowait)
            }
            AMQPMethod::Delete(delete) => {
                let message_count = count(self.delete_queue_command(at, &delete)?);
                (AMQPMethod::DeleteOk(queue::DeleteOk { message_count }), delete.nowait)
            }
            AMQPMethod::Purge(purge) => {
                let id = self.resolve_queue(at, &purge.queue)?;
                let message_count = count(self.purge_queue(id));
                (AMQPMethod::PurgeOk(queue::PurgeOk { message_count }), purge.nowait)
            }
            AMQPMethod::Bind(bind) => {
                let (id, key) = self.binding_end(at, &bind.queue, &bind.routing_key)?;
                let source = Name::from(&bind.exchange);
                self.bind(at, &source, Destination::Queue(id), key, bind.arguments)?;
                (AMQPMethod::BindOk(queue::BindOk {}), bind.nowait)
            }
            AMQPMethod::Unbind(unbind) => {
                // Without the queue there is no such binding, which is what was asked for.
                match self.binding_end(at, &unbind.queue, &unbind.routing_key) {
                    Ok((id, key)) => {
                        let key = BindingKey::new(Destination::Queue(id), key, &unbind.arguments);
                        self.unbind(at, &Name::from(&unbind.exchange), &key)?;
                    }
                    Err(exception) if exception.code == 404 => {}
                    Err(exception) => return Err(exception),
                }
                (AMQPMethod::UnbindOk(queue::UnbindOk {}), false)
            }
            _ => return Err(Exception::command_invalid("this method is not expected from a client")),
        };
        if !nowait {
            self.answer(at, AMQPClass::Queue(answer), before);
        }
        Ok(())
    }

    fn declare_queue(&mut self, at: At, method: queue::Declare) -> Result<queue::DeclareOk, Exception> {
        let vhost = self.vhost_of(at);
        let vhost_name = self.vhosts[vhost].name.clone();
        let mut name = Name::from(&method.queue);
        let existing = self.vhosts[vhost].queues.get(&name).copied();
        if method.passive {
            let id = existing.ok_or_else(|| Exception::no_queue(&name, &vhost_name))?;
            self.check_owner(at, id)?;
            return self.declared(at, id);
        }
        let arguments = QueueArguments::parse(&method.arguments).map_err(|invalid| {
            Exception::precondition_failed(format_args!(
                "invalid arg '{}' for queue '{name}' in vhost '{vhost_name}': {}",
                invalid.argument, invalid.reason
            ))
        })?;
        // An exclusive queue ends with its connection, so it cannot outlive the broker.
        let durable = method.durable && !method.exclusive;
        if arguments.quorum {
            for (wrong, property) in [
                (!durable, "non-durable"),
                (method.exclusive, "exclusive-owner"),
                (method.auto_delete, "auto-delete"),
            ] {
                if wrong {
                    return Err(Exception::precondition_failed(format_args!(
                        "invalid property '{property}' for queue '{name}' in vhost '{vhost_name}'"
                    )));
                }
            }
        }
        if let Some(id) = existing {
            self.check_equivalent(at, id, &method, &arguments)?;
            return self.declared(at, id);
        }
        if name.is_empty() {
            name = self.names.next("amq.gen-");
        } else if name.as_str().starts_with(RESERVED) {
            return Err(Exception::access_refused(format_args!(
                "queue name '{name}' contains reserved prefix 'amq.*'"
            )));
        }
        let declaration = QueueDeclaration {
            name: name.clone(),
            durable,
            auto_delete: method.auto_delete,
            owner: method.exclusive.then_some(at.connection),
            uid: (durable && self.journal.is_durable()).then(|| self.journal.queue_uid()),
            arguments,
            table: method.arguments,
        };
        let mut queue = Queue::new(declaration, vhost, self.now);
        queue.watched = self.watched.contains(&name);
        if let Some(definition) = self.queue_definition(&queue) {
            self.define(&definition);
        }
        let id = QueueId(self.queues.insert(queue));
        self.vhosts[vhost].queues.insert(name, id);
        if method.exclusive
            && let Some(connection) = self.connections.get_mut(&at.connection)
        {
            connection.exclusive_queues.push(id);
        }
        self.touch(id);
        self.mark_dirty(id);
        self.declared(at, id)
    }

    /// The answer to a declaration; an empty queue name means this queue from now on.
    fn declared(&mut self, at: At, id: QueueId) -> Result<queue::DeclareOk, Exception> {
        let now = self.now;
        let queue = self.queues.get_mut(id.0).expect("found just now");
        queue.last_used = now;
        let name = queue.name().clone();
        let answer = queue::DeclareOk {
            queue: (&name).into(),
            message_count: count(queue.ready()),
            consumer_count: count(queue.consumers.len()),
        };
        self.open_channel(at)?.last_queue = Some(name);
        Ok(answer)
    }

    fn check_equivalent(
        &self,
        at: At,
        id: QueueId,
        method: &queue::Declare,
        arguments: &QueueArguments,
    ) -> Result<(), Exception> {
        let queue = self.queues.get(id.0).expect("found just now");
        let vhost = &self.vhosts[queue.vhost].name;
        let declaration = &queue.declaration;
        let flags = [
            ("durable", method.durable && !method.exclusive, declaration.durable),
            ("auto_delete", method.auto_delete, declaration.auto_delete),
        ];
        if declaration.owner != method.exclusive.then_some(at.connection) {
            return Err(Exception::locked(queue.name(), vhost));
        }
        for (argument, received, current) in flags {
            if received != current {
                return Err(Exception::precondition_failed(format_args!(
                    "inequivalent arg '{argument}' for queue '{}' in vhost '{vhost}': received '{received}' but \
                     current is '{current}'",
                    queue.name()
                )));
            }
        }
        if let Some(argument) = declaration.arguments.difference(arguments) {
            let shown = |table: &amq_protocol::types::FieldTable| match table.inner().get(argument) {
                Some(value) => format!("{value:?}"),
                None => "none".to_owned(),
            };
            return Err(Exception::precondition_failed(format_args!(
                "inequivalent arg '{argument}' for queue '{}' in vhost '{vhost}': received {} but current is {}",
                queue.name(),
                shown(&method.arguments),
                shown(&declaration.table)
            )));
        }
        Ok(())
    }

    /// Deleting a queue that is not there succeeds.
    fn delete_queue_command(&mut self, at: At, method: &queue::Delete) -> Result<usize, Exception> {
        let id = match self.resolve_queue(at, &method.queue) {
            Ok(id) => id,
            Err(exception) if exception.code == 404 && !method.queue.as_str().is_empty() => return Ok(0),
            Err(exception) => return Err(exception),
        };
        let queue = self.queues.get(id.0).expect("resolved just now");
        let vhost = &self.vhosts[queue.vhost].name;
        if method.if_unused && !queue.consumers.is_empty() {
            return Err(Exception::precondition_failed(format_args!(
                "queue '{}' in vhost '{vhost}' in use",
                queue.name()
            )));
        }
        if method.if_empty && queue.ready() > 0 {
            return Err(Exception::precondition_failed(format_args!(
                "queue '{}' in vhost '{vhost}' not empty",
                queue.name()
            )));
        }
        Ok(self.delete_queue(id))
    }

    /// Drops every message that waits in a queue; returns how many.
    pub(super) fn purge_queue(&mut self, id: QueueId) -> usize {
        let dropped = self.queues.get_mut(id.0).map(Queue::purge).unwrap_or_default();
        for entry in &dropped {
            self.forget(entry);
        }
        self.touch(id);
        dropped.len()
    }

    /// Deletes a queue with its bindings and consumers; returns how many messages waited in it.
    pub(super) fn delete_queue(&mut self, id: QueueId) -> usize {
        let Some(vhost) = self.queues.get(id.0).map(|queue| queue.vhost) else {
            return 0;
        };
        self.remove_bindings_to(vhost, &Destination::Queue(id));
        let ready = self.purge_queue(id);
        let Some(queue) = self.queues.remove(id.0) else {
            return 0;
        };
        self.vhosts[vhost].queues.remove(queue.name());
        if let Some(definition) = self.queue_definition(&queue) {
            self.undefine(&definition);
        }
        for &consumer in &queue.consumers {
            self.notify_cancelled(consumer);
        }
        if let Some(owner) = queue.declaration.owner
            && let Some(connection) = self.connections.get_mut(&owner)
        {
            connection.exclusive_queues.retain(|other| *other != id);
        }
        if queue.watched {
            self.gone.push(queue.name().clone());
        }
        ready
    }

    /// Finds the queue that a method names; an empty name is the channel's last declared one.
    pub(super) fn resolve_queue(&mut self, at: At, name: &ShortString) -> Result<QueueId, Exception> {
        let name = if name.as_str().is_empty() {
            let last = self.open_channel(at)?.last_queue.clone();
            last.ok_or_else(|| Exception::not_found("no previously declared queue"))?
        } else {
            Name::from(name)
        };
        let vhost = &self.vhosts[self.vhost_of(at)];
        let id = *vhost.queues.get(&name).ok_or_else(|| Exception::no_queue(&name, &vhost.name))?;
        self.check_owner(at, id)?;
        Ok(id)
    }

    fn check_owner(&self, at: At, id: QueueId) -> Result<(), Exception> {
        let queue = self.queues.get(id.0).expect("names lead to existing queues");
        match queue.declaration.owner {
            Some(owner) if owner != at.connection => {
                Err(Exception::locked(queue.name(), &self.vhosts[queue.vhost].name))
            }
            _ => Ok(()),
        }
    }

    /// The queue end of a binding: where both names are empty, the key is the name of the last declared queue.
    fn binding_end(
        &mut self,
        at: At,
        queue: &ShortString,
        key: &ShortString,
    ) -> Result<(QueueId, Name), Exception> {
        let id = self.resolve_queue(at, queue)?;
        let both_empty = queue.as_str().is_empty() && key.as_str().is_empty();
        let name = self.queues.get(id.0).map(|queue| queue.name().clone());
        Ok((id, name.filter(|_| both_empty).unwrap_or_else(|| Name::from(key))))
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
