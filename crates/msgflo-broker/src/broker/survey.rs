//! What the broker tells to the management interface, as plain values.

use amq_protocol::types::{ChannelId, FieldTable};

use super::channel_state::Mode;
use super::connection::ChannelState;
use super::exchange::Destination;
use super::queue::QueueId;
use super::value::{ConnectionId, Time};
use super::{Broker, QueueInfo};

/// A queue with everything that is known of it.
#[derive(Debug, Clone)]
pub(crate) struct QueueSurvey {
    pub(crate) info: QueueInfo,
    pub(crate) arguments: FieldTable,
    pub(crate) quorum: bool,
    /// The name of the connection that it belongs to.
    pub(crate) owner: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct ExchangeSurvey {
    pub(crate) vhost: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    pub(crate) alternate: Option<String>,
    /// `None` for the default exchange, which counts nothing.
    pub(crate) published: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct BindingSurvey {
    pub(crate) vhost: String,
    pub(crate) source: String,
    pub(crate) to_exchange: bool,
    pub(crate) destination: String,
    pub(crate) routing_key: String,
    pub(crate) arguments: FieldTable,
    pub(crate) durable: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct ConnectionSurvey {
    pub(crate) id: ConnectionId,
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) vhost: String,
    pub(crate) channels: usize,
    pub(crate) channel_max: u16,
    pub(crate) since: Time,
    pub(crate) blocked: bool,
    pub(crate) client: FieldTable,
    pub(crate) tls: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct ChannelSurvey {
    pub(crate) connection: String,
    pub(crate) vhost: String,
    pub(crate) user: String,
    pub(crate) number: ChannelId,
    pub(crate) consumers: usize,
    pub(crate) unacknowledged: usize,
    pub(crate) unconfirmed: u64,
    pub(crate) prefetch: u16,
    pub(crate) global_prefetch: u16,
    pub(crate) confirms: bool,
    pub(crate) transactional: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct ConsumerSurvey {
    pub(crate) vhost: String,
    pub(crate) queue: String,
    pub(crate) connection: String,
    pub(crate) channel: ChannelId,
    pub(crate) tag: String,
    pub(crate) ack: bool,
    pub(crate) exclusive: bool,
    pub(crate) prefetch: u16,
    pub(crate) active: bool,
}

impl Broker {
    /// All virtual hosts.
    pub(crate) fn vhost_names(&self) -> Vec<String> {
        self.vhosts.iter().map(|vhost| vhost.name.to_string()).collect()
    }

    /// The queues of a virtual host, or of all, sorted by name.
    pub(crate) fn survey_queues(&self, vhost: Option<&str>) -> Vec<QueueSurvey> {
        let mut queues: Vec<_> = self
            .queues
            .iter()
            .filter(|(_, queue)| self.is_in(queue.vhost, vhost))
            .filter_map(|(key, _)| self.survey_queue(QueueId(key)))
            .collect();
        queues.sort_by(|a, b| (&a.info.vhost, &a.info.name).cmp(&(&b.info.vhost, &b.info.name)));
        queues
    }

    /// One queue.
    pub(crate) fn find_queue(&self, vhost: &str, name: &str) -> Option<QueueSurvey> {
        let vhost = self.vhosts.iter().find(|host| host.name.as_str() == vhost)?;
        self.survey_queue(*vhost.queues.get(name)?)
    }

    fn survey_queue(&self, id: QueueId) -> Option<QueueSurvey> {
        let queue = self.queues.get(id.0)?;
        Some(QueueSurvey {
            info: self.queue_info(queue),
            arguments: queue.declaration.table.clone(),
            quorum: queue.arguments().quorum,
            owner: queue.declaration.owner.map(|owner| self.connection_name(owner)),
        })
    }

    pub(crate) fn survey_exchanges(&self, vhost: Option<&str>) -> Vec<ExchangeSurvey> {
        let mut exchanges = Vec::new();
        for (index, host) in self.vhosts.iter().enumerate() {
            if !self.is_in(index, vhost) {
                continue;
            }
            let own = host.exchanges.iter().map(|(name, exchange)| {
                let declaration = &exchange.declaration;
                ExchangeSurvey {
                    vhost: host.name.to_string(),
                    name: name.to_string(),
                    kind: declaration.kind.as_str(),
                    durable: declaration.durable,
                    auto_delete: declaration.auto_delete,
                    internal: declaration.internal,
                    alternate: declaration.alternate.as_ref().map(ToString::to_string),
                    published: Some(exchange.published),
                }
            });
            exchanges.push(ExchangeSurvey {
                vhost: host.name.to_string(),
                name: String::new(),
                kind: "direct",
                durable: true,
                auto_delete: false,
                internal: false,
                alternate: None,
                published: None,
            });
            exchanges.extend(own);
        }
        exchanges
    }

    /// All bindings, those of the default exchange included.
    pub(crate) fn survey_bindings(&self, vhost: Option<&str>) -> Vec<BindingSurvey> {
        let mut bindings = Vec::new();
        for (index, host) in self.vhosts.iter().enumerate() {
            if !self.is_in(index, vhost) {
                continue;
            }
            bindings.extend(host.queues.keys().map(|name| BindingSurvey {
                vhost: host.name.to_string(),
                source: String::new(),
                to_exchange: false,
                destination: name.to_string(),
                routing_key: name.to_string(),
                arguments: FieldTable::default(),
                durable: false,
            }));
            for (source, exchange) in &host.exchanges {
                for (key, arguments) in exchange.bindings() {
                    let (destination, to_exchange) = match &key.destination {
                        Destination::Exchange(name) => (name.to_string(), true),
                        Destination::Queue(id) => match self.queues.get(id.0) {
                            Some(queue) => (queue.name().to_string(), false),
                            None => continue,
                        },
                    };
                    bindings.push(BindingSurvey {
                        vhost: host.name.to_string(),
                        source: source.to_string(),
                        to_exchange,
                        destination,
                        routing_key: key.routing_key.to_string(),
                        arguments: arguments.clone(),
                        durable: self.binding_definition(index, source, key, arguments).is_some(),
                    });
                }
            }
        }
        bindings.sort_by(|a, b| {
            let key = |binding: &BindingSurvey| {
                (
                    binding.vhost.clone(),
                    binding.source.clone(),
                    binding.destination.clone(),
                    binding.routing_key.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        bindings
    }

    /// The clients' connections; those of the management interface are left out.
    pub(crate) fn survey_connections(&self) -> Vec<ConnectionSurvey> {
        self.connections
            .iter()
            .filter(|(_, connection)| !connection.peer.is_inside())
            .map(|(id, connection)| ConnectionSurvey {
                id: *id,
                name: connection.peer.name.clone(),
                user: connection.peer.user.to_string(),
                vhost: self.vhosts[connection.vhost].name.to_string(),
                channels: connection.channels.len(),
                channel_max: connection.peer.channel_max,
                since: connection.peer.since,
                blocked: connection.blocked,
                client: connection.peer.client.clone(),
                tls: connection.peer.tls,
            })
            .collect()
    }

    pub(crate) fn survey_channels(&self) -> Vec<ChannelSurvey> {
        let mut channels = Vec::new();
        for connection in self.connections.values().filter(|connection| !connection.peer.is_inside()) {
            for (number, state) in &connection.channels {
                let ChannelState::Open(channel) = state else { continue };
                let unconfirmed = match &channel.mode {
                    Mode::Confirm(confirms) => confirms.published - confirms.told,
                    Mode::Plain | Mode::Transaction(_) => 0,
                };
                channels.push(ChannelSurvey {
                    connection: connection.peer.name.clone(),
                    vhost: self.vhosts[connection.vhost].name.to_string(),
                    user: connection.peer.user.to_string(),
                    number: *number,
                    consumers: channel.consumers.len(),
                    unacknowledged: channel.unacked.len(),
                    unconfirmed,
                    prefetch: channel.consumer_prefetch,
                    global_prefetch: channel.prefetch,
                    confirms: matches!(channel.mode, Mode::Confirm(_)),
                    transactional: matches!(channel.mode, Mode::Transaction(_)),
                });
            }
        }
        channels
    }

    pub(crate) fn survey_consumers(&self, vhost: Option<&str>) -> Vec<ConsumerSurvey> {
        self.consumers
            .iter()
            .filter_map(|(key, consumer)| {
                let queue = self.queues.get(consumer.queue.0)?;
                if !self.is_in(queue.vhost, vhost) {
                    return None;
                }
                let is_first = queue.consumers.first().is_some_and(|first| first.0 == key);
                Some(ConsumerSurvey {
                    vhost: self.vhosts[queue.vhost].name.to_string(),
                    queue: queue.name().to_string(),
                    connection: self.connection_name(consumer.connection),
                    channel: consumer.channel,
                    tag: consumer.tag.to_string(),
                    ack: !consumer.no_ack,
                    exclusive: queue.exclusive_consumer.is_some_and(|exclusive| exclusive.0 == key),
                    prefetch: consumer.prefetch,
                    active: !queue.arguments().single_active_consumer || is_first,
                })
            })
            .collect()
    }

    fn connection_name(&self, id: ConnectionId) -> String {
        self.connections.get(&id).map(|connection| connection.peer.name.clone()).unwrap_or_default()
    }

    fn is_in(&self, index: usize, vhost: Option<&str>) -> bool {
        vhost.is_none_or(|name| self.vhosts[index].name.as_str() == name)
    }
}
