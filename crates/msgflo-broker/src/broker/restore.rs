//! A broker as it was before a restart.

use std::collections::HashMap;

use super::arguments::QueueArguments;
use super::definition::Definition;
use super::exchange::{BindingKey, Destination, Exchange};
use super::journal::{Effect, QueueUid};
use super::queue::{Entry, Queue, QueueDeclaration, QueueId};
use super::remember::{Memoir, Recovered};
use super::value::Name;
use super::{Broker, DEFAULT_VHOST};

impl Broker {
    /// Takes over what the storage has kept. The broker must be new.
    pub(crate) fn restore(&mut self, memoir: Memoir) {
        let Memoir { mut definitions, mut messages, crashed, .. } = memoir;
        // What others refer to comes first.
        definitions.sort_by_key(|definition| match definition {
            Definition::VirtualHost(_) => 0,
            Definition::Exchange { .. } => 1,
            Definition::Queue { .. } => 2,
            Definition::Binding { .. } => 3,
        });
        let mut queues = HashMap::new();
        for definition in definitions {
            self.restore_definition(definition, &mut queues);
        }
        messages.sort_by_key(|message| (message.queue, message.position));
        for message in messages {
            self.restore_message(&message, crashed, &queues);
        }
        for id in queues.into_values() {
            self.mark_dirty(id);
        }
        self.settle();
    }

    fn restore_definition(&mut self, definition: Definition, queues: &mut HashMap<QueueUid, QueueId>) {
        match definition {
            Definition::VirtualHost(name) => {
                self.add_vhost(&name);
            }
            Definition::Exchange { vhost, name, declaration } => {
                let vhost = self.add_vhost(&vhost);
                self.vhosts[vhost].exchanges.insert(name, Exchange::new(declaration));
            }
            Definition::Queue { vhost, name, uid, auto_delete, arguments: table } => {
                let vhost = self.add_vhost(&vhost);
                // They were checked when the queue was declared.
                let arguments = QueueArguments::parse(&table).unwrap_or_default();
                let declaration = QueueDeclaration {
                    name: name.clone(),
                    durable: true,
                    auto_delete,
                    owner: None,
                    uid: Some(uid),
                    arguments,
                    table,
                };
                let id = QueueId(self.queues.insert(Queue::new(declaration, vhost, self.now)));
                self.vhosts[vhost].queues.insert(name, id);
                queues.insert(uid, id);
            }
            Definition::Binding { vhost, source, to_exchange, destination, key, arguments } => {
                let host = self.add_vhost(&vhost);
                let host = &mut self.vhosts[host];
                let target = match to_exchange {
                    true => Some(Destination::Exchange(destination)),
                    false => host.queues.get(&destination).map(|id| Destination::Queue(*id)),
                };
                if let (Some(target), Some(exchange)) = (target, host.exchanges.get_mut(&source)) {
                    exchange.bind(BindingKey::new(target, key, &arguments), arguments);
                }
            }
        }
    }

    fn restore_message(&mut self, message: &Recovered, crashed: bool, queues: &HashMap<QueueUid, QueueId>) {
        let queue = queues.get(&message.queue).and_then(|id| self.queues.get_mut(id.0));
        let Some(queue) = queue else {
            self.journal.emit(Effect::Remove(message.record));
            return;
        };
        self.entries += 1;
        queue.restore(Entry {
            position: message.position,
            record: Some(message.record),
            content: None,
            size: message.size,
            priority: message.priority,
            redelivered: crashed || message.returns > 0,
            returns: message.returns,
            expires: message.expires,
        });
    }

    /// Makes a virtual host if it is not there yet.
    pub(crate) fn ensure_vhost(&mut self, name: &str) {
        self.add_vhost(&Name::new(name));
    }

    /// The virtual host of that name, made if it is not there yet.
    pub(super) fn add_vhost(&mut self, name: &Name) -> usize {
        if let Some(index) = self.vhosts.iter().position(|vhost| vhost.name == *name) {
            return index;
        }
        self.vhosts.push(super::VirtualHost::new(name.clone()));
        if name.as_str() != DEFAULT_VHOST {
            self.define(&Definition::VirtualHost(name.clone()));
        }
        self.vhosts.len() - 1
    }
}
