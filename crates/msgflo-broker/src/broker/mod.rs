//! The broker as a value: `handle(command, now)` changes it, `take_output` yields what goes to a client.
//!
//! Nothing here waits, reads a clock or knows of sockets. One command is carried out to its end, its consequences
//! (deliveries, dead letters, vanishing queues) included, before the next one is looked at, so the same sequence of
//! inputs always gives the same outputs.
//!
//! Output is pulled: it gathers in the connection's outbox until its writer takes it. While an outbox is above
//! [`WINDOW`] the consumers of that connection get nothing more; the messages stay in their queues, for others to
//! take.
//!
//! What must survive, and what memory has no room for, goes out as effects (`journal`); promises that depend on them are
//! held back until the storage has answered.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};
use std::num::NonZeroU64;
use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, channel, connection as connection_class};
use amq_protocol::types::ChannelId;

mod acknowledge;
mod arena;
mod arguments;
mod channel_commands;
mod channel_state;
mod connection;
mod consume;
mod dead_letter;
mod definition;
mod deliver;
mod exception;
mod exchange;
mod exchange_commands;
mod expire;
mod inspect;
mod journal;
mod memory;
mod names;
mod pressure;
mod publish;
mod queue;
mod queue_commands;
mod remember;
mod restore;
#[cfg(test)]
mod simulation;
mod survey;
mod topic;
mod transaction;
mod value;

pub(crate) use self::arguments::integer;
pub(crate) use self::connection::{Peer, WINDOW};
pub(crate) use self::definition::Definition;
pub(crate) use self::exception::Exception;
pub use self::inspect::{BindingInfo, Depth, QueueInfo};
pub(crate) use self::journal::{Effect, Pages, Progress, Put, QueueUid, RecordId};
pub(crate) use self::memory::{Charge, Memory};
pub(crate) use self::pressure::{Alarms, Limits, Pressure};
pub(crate) use self::remember::{Memoir, Recovered};
pub(crate) use self::survey::{
    BindingSurvey, ChannelSurvey, ConnectionSurvey, ConsumerSurvey, ExchangeSurvey, QueueSurvey,
};
pub(crate) use self::value::{Command, ConnectionId, Message, Name, Output, Publish, Time};

use self::arena::Arena;
use self::channel_state::Channel;
use self::connection::{ChannelState, Connection, Life};
use self::consume::Consumer;
use self::dead_letter::DeadLetter;
use self::exception::Scope;
use self::exchange::{Exchange, ExchangeDeclaration, ExchangeKind};
use self::expire::Round;
use self::journal::Journal;
use self::names::Names;
use self::queue::{Queue, QueueId};

/// The virtual host that always exists.
pub(crate) const DEFAULT_VHOST: &str = "/";

/// Exchanges that every virtual host has.
const PREDECLARED: [(&str, ExchangeKind); 6] = [
    ("amq.direct", ExchangeKind::Direct),
    ("amq.fanout", ExchangeKind::Fanout),
    ("amq.topic", ExchangeKind::Topic),
    ("amq.headers", ExchangeKind::Headers),
    ("amq.match", ExchangeKind::Headers),
    ("amq.rabbitmq.trace", ExchangeKind::Topic),
];

/// A namespace of exchanges and queues.
#[derive(Debug)]
struct VirtualHost {
    name: Name,
    exchanges: BTreeMap<Name, Exchange>,
    queues: HashMap<Name, QueueId>,
}

impl VirtualHost {
    /// One with the exchanges that every virtual host has.
    fn new(name: Name) -> Self {
        let exchanges = PREDECLARED
            .into_iter()
            .map(|(name, kind)| {
                let declaration = ExchangeDeclaration {
                    kind,
                    durable: true,
                    auto_delete: false,
                    internal: name == "amq.rabbitmq.trace",
                    alternate: None,
                };
                (Name::new(name), Exchange::new(declaration))
            })
            .collect();
        Self { name, exchanges, queues: HashMap::new() }
    }
}

/// What a broker begins with.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Only varies generated names.
    pub(crate) seed: u64,
    pub(crate) now: Time,
    pub(crate) limits: Limits,
    /// Whether what is durable is stored.
    pub(crate) durable: bool,
    pub(crate) pages: Arc<dyn Pages>,
    pub(crate) memory: Memory,
    /// No record or queue has had this number or a higher one.
    pub(crate) next_record: NonZeroU64,
}

impl Setup {
    /// A broker that stores nothing and knows no limit.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn in_memory(seed: u64, now: Time) -> Self {
        Self {
            seed,
            now,
            limits: Limits { page: usize::MAX, memory: usize::MAX },
            durable: false,
            pages: Arc::new(journal::NoPages),
            memory: Memory::default(),
            next_record: NonZeroU64::MIN,
        }
    }
}

/// Where a command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    connection: ConnectionId,
    channel: ChannelId,
}

/// The whole broker. See the module.
#[derive(Debug)]
pub(crate) struct Broker {
    now: Time,
    vhosts: Vec<VirtualHost>,
    queues: Arena<Queue>,
    consumers: Arena<Consumer>,
    connections: BTreeMap<ConnectionId, Connection>,
    next_connection: u64,
    names: Names,
    /// Queues that may have something to deliver or to expire.
    dirty: VecDeque<QueueId>,
    dead_letters: VecDeque<DeadLetter>,
    /// Expired messages on their way to dead-letter exchanges.
    round: Round,
    /// Connections with output that the shell has not been told of.
    announced: Vec<ConnectionId>,
    /// Wake-ups, earliest first; a queue ignores those that are not the one it waits for.
    timers: BinaryHeap<Reverse<(Time, QueueId)>>,
    watched: HashSet<Name>,
    /// Watched queues whose depth changed.
    changed: Vec<QueueId>,
    /// Watched queues that are gone.
    gone: Vec<Name>,
    journal: Journal,
    memory: Memory,
    limits: Limits,
    alarms: Alarms,
    /// Messages in all queues, delivered ones included.
    entries: usize,
    /// Channels with publishes that wait for the storage.
    waiting: BTreeSet<At>,
    /// Connections with outputs that wait for the storage.
    holding: BTreeSet<ConnectionId>,
}

impl Broker {
    /// A broker with the default virtual host and nothing in it.
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { seed, now, limits, durable, pages, memory, next_record } = setup;
        Self {
            now,
            vhosts: vec![VirtualHost::new(Name::new(DEFAULT_VHOST))],
            queues: Arena::default(),
            consumers: Arena::default(),
            connections: BTreeMap::new(),
            next_connection: 0,
            names: Names::new(seed),
            dirty: VecDeque::new(),
            dead_letters: VecDeque::new(),
            round: Round::default(),
            announced: Vec::new(),
            timers: BinaryHeap::new(),
            watched: HashSet::new(),
            changed: Vec::new(),
            gone: Vec::new(),
            journal: Journal::new(durable, pages, next_record),
            memory,
            limits,
            alarms: Alarms::default(),
            entries: 0,
            waiting: BTreeSet::new(),
            holding: BTreeSet::new(),
        }
    }

    /// Admits a connection that has finished its handshake.
    pub(crate) fn connect(&mut self, peer: Peer) -> Result<ConnectionId, Exception> {
        let Some(vhost) = self.vhosts.iter().position(|vhost| vhost.name == peer.vhost) else {
            return Err(Exception::not_allowed(format_args!("vhost {} not found", peer.vhost)));
        };
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.connections.insert(id, Connection::new(peer, vhost));
        Ok(id)
    }

    /// Forgets a connection whose socket is gone; what it had not acknowledged goes back to its queues.
    pub(crate) fn disconnect(&mut self, id: ConnectionId, now: Time) {
        self.now = now;
        self.release(id);
        self.connections.remove(&id);
        self.settle();
    }

    /// Carries out a command of a client.
    pub(crate) fn handle(&mut self, id: ConnectionId, channel: ChannelId, command: Command, now: Time) {
        self.now = now;
        let at = At { connection: id, channel };
        let method = match &command {
            Command::Method(class) => (class.get_amqp_class_id(), class.get_amqp_method_id()),
            Command::Publish(_) => (60, 40),
        };
        if let Err(exception) = self.dispatch(at, command) {
            self.raise(at, exception, method);
        }
        self.settle();
        if self.alarms.pressure().is_any() {
            // It may publish for the first time, or consume no longer.
            self.tell_blocked(id);
        }
    }

    /// Ends a connection from our side: a fault found outside of the broker, or the broker's own end.
    pub(crate) fn fail(&mut self, id: ConnectionId, exception: Exception, now: Time) {
        self.now = now;
        let method = exception.method;
        self.raise(At { connection: id, channel: 0 }, exception, method);
        self.settle();
    }

    /// Does what is due: messages and queues whose time is over.
    pub(crate) fn tick(&mut self, now: Time) {
        self.now = now;
        while let Some(&Reverse((due, id))) = self.timers.peek() {
            if due > now {
                break;
            }
            self.timers.pop();
            if let Some(queue) = self.queues.get_mut(id.0)
                && queue.scheduled == Some(due)
            {
                queue.scheduled = None;
                self.mark_dirty(id);
            }
        }
        self.begin_round();
        self.settle();
    }

    /// When `tick` is needed next.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        if self.round_is_due() {
            return Some(self.now);
        }
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// Moves everything that waits for a connection into `into` (which must be empty), confirms that are due last.
    ///
    /// The caller has written what it took before; so consumers that waited for room may get more.
    pub(crate) fn take_output(&mut self, id: ConnectionId, into: &mut Vec<Output>, now: Time) {
        self.now = now;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        for channel in std::mem::take(&mut connection.confirming) {
            connection.flush_confirms(channel);
        }
        connection.take(into);
        if std::mem::take(&mut connection.throttled) {
            let channels: Vec<_> = connection.channels.keys().copied().collect();
            for channel in channels {
                self.wake(At { connection: id, channel });
            }
            self.settle();
        }
    }

    /// Bytes that wait to be written to a connection, estimated.
    pub(crate) fn backlog(&self, id: ConnectionId) -> usize {
        self.connections.get(&id).map_or(0, Connection::backlog)
    }

    /// The connections that have got output since they were last asked for.
    pub(crate) fn take_announced(&mut self, into: &mut Vec<ConnectionId>) {
        into.append(&mut self.announced);
    }

    fn dispatch(&mut self, at: At, command: Command) -> Result<(), Exception> {
        let Some(connection) = self.connections.get_mut(&at.connection) else {
            return Ok(());
        };
        if let Command::Method(AMQPClass::Connection(method)) = command {
            return self.connection_method(at, method);
        }
        if connection.life != Life::Open {
            return Ok(());
        }
        if at.channel == 0 {
            return Err(Exception::channel_error("this method needs a channel other than 0"));
        }
        match (connection.channels.get(&at.channel), &command) {
            (Some(ChannelState::Open(_)), _) => {}
            (Some(ChannelState::Closing), Command::Method(AMQPClass::Channel(_))) => {}
            (Some(ChannelState::Closing), _) => return Ok(()),
            (None, Command::Method(AMQPClass::Channel(channel::AMQPMethod::Open(_)))) => {}
            (None, Command::Method(AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)))) => return Ok(()),
            (None, _) => return Err(Exception::channel_error("expected 'channel.open'")),
        }
        match command {
            Command::Publish(publish) => self.publish(at, publish),
            Command::Method(AMQPClass::Basic(method)) => self.basic_method(at, method),
            Command::Method(AMQPClass::Channel(method)) => self.channel_method(at, method),
            Command::Method(AMQPClass::Queue(method)) => self.queue_method(at, method),
            Command::Method(AMQPClass::Exchange(method)) => self.exchange_method(at, method),
            Command::Method(AMQPClass::Confirm(method)) => self.confirm_method(at, method),
            Command::Method(AMQPClass::Tx(method)) => self.tx_method(at, method),
            Command::Method(AMQPClass::Access(method)) => self.access_method(at, method),
            Command::Method(AMQPClass::Connection(_)) => Ok(()),
        }
    }

    fn connection_method(&mut self, at: At, method: connection_class::AMQPMethod) -> Result<(), Exception> {
        use connection_class::AMQPMethod;
        let Some(connection) = self.connections.get_mut(&at.connection) else {
            return Ok(());
        };
        if at.channel != 0 {
            return Err(Exception::command_invalid("connection methods belong on channel 0"));
        }
        match (method, connection.life) {
            (_, Life::Closed) => {}
            (AMQPMethod::Close(_), _) => {
                self.release(at.connection);
                let close_ok = AMQPMethod::CloseOk(connection_class::CloseOk {});
                self.answer_safely(at, AMQPClass::Connection(close_ok));
                self.hang_up(at.connection);
            }
            (AMQPMethod::CloseOk(_), Life::Closing) => self.hang_up(at.connection),
            (_, Life::Closing) => {}
            (AMQPMethod::UpdateSecret(_), Life::Open) => {
                let ok = AMQPMethod::UpdateSecretOk(connection_class::UpdateSecretOk {});
                self.send(at.connection, Output::Method(0, AMQPClass::Connection(ok)));
            }
            _ => return Err(Exception::channel_error("this method is not expected on an open connection")),
        }
        Ok(())
    }

    fn hang_up(&mut self, id: ConnectionId) {
        self.send(id, Output::Hangup);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.life = Life::Closed;
        }
    }

    /// Turns an exception into channel.close or connection.close.
    fn raise(&mut self, at: At, exception: Exception, method: (u16, u16)) {
        let Some(connection) = self.connections.get_mut(&at.connection) else {
            return;
        };
        if connection.life != Life::Open {
            return;
        }
        match exception.scope {
            Scope::Channel => {
                self.close_channel(at);
                self.send(at.connection, Output::Method(at.channel, exception.channel_close(method)));
                if let Some(connection) = self.connections.get_mut(&at.connection) {
                    connection.channels.insert(at.channel, ChannelState::Closing);
                }
            }
            Scope::Connection => {
                self.release(at.connection);
                self.send(at.connection, Output::Method(0, exception.connection_close(method)));
                if let Some(connection) = self.connections.get_mut(&at.connection) {
                    connection.life = Life::Closing;
                }
            }
        }
    }

    /// Gives back everything that a connection holds: deliveries, consumers, exclusive queues.
    fn release(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let channels: Vec<_> = connection.channels.keys().copied().collect();
        for channel in channels {
            self.close_channel(At { connection: id, channel });
        }
        let queues =
            self.connections.get_mut(&id).map(|connection| std::mem::take(&mut connection.exclusive_queues));
        for queue in queues.into_iter().flatten() {
            self.delete_queue(queue);
        }
    }

    /// Carries out what the last command left to do. Ends: each round delivers, expires or routes a message, and a
    /// dead letter that would go around in a circle is dropped.
    fn settle(&mut self) {
        loop {
            if let Some(letter) = self.dead_letters.pop_front() {
                self.route_dead_letter(letter);
            } else if let Some(id) = self.dirty.pop_front() {
                if let Some(queue) = self.queues.get_mut(id.0) {
                    queue.dirty = false;
                    self.serve(id);
                }
            } else {
                break;
            }
        }
        self.note_round();
    }

    fn mark_dirty(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.get_mut(id.0)
            && !queue.dirty
        {
            queue.dirty = true;
            self.dirty.push_back(id);
        }
    }

    /// Sends an output, behind what is held back for the same channel.
    fn send(&mut self, id: ConnectionId, output: Output) {
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.life != Life::Closed
        {
            if connection.must_wait(&output) {
                connection.hold(0, output);
                return;
            }
            connection.push(output);
            self.announce(id);
        }
    }

    /// Lets the shell know that a connection has output.
    fn announce(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !connection.announced
        {
            connection.announced = true;
            self.announced.push(id);
        }
    }

    fn reply(&mut self, at: At, class: AMQPClass) {
        self.send(at.connection, Output::Method(at.channel, class));
    }

    fn open_channel(&mut self, at: At) -> Result<&mut Channel, Exception> {
        self.connections
            .get_mut(&at.connection)
            .and_then(|connection| connection.channel(at.channel))
            .ok_or_else(|| Exception::channel_error("expected 'channel.open'"))
    }

    fn vhost_of(&self, at: At) -> usize {
        self.connections.get(&at.connection).map_or(0, |connection| connection.vhost)
    }
}
