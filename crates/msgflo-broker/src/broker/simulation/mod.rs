//! A seeded simulation: random clients against the broker, without sockets, compared step by step with a model.
//!
//! After every single command it checks that
//! - what was delivered is what stood first in each queue, and nothing is held by two clients;
//! - messages that came back stand at their old place and are marked as redelivered;
//! - no consumer and no channel has more unsettled deliveries than its prefetch;
//! - nobody waits while there is something for him (no lost wake-up);
//! - publishes are confirmed exactly once and in order;
//! - published = acknowledged + dropped + ready + unacknowledged, and both agree with the model.
//!
//! At the end everything that is left is fetched. A failure prints the seed: run it again with `SEED=… cargo test
//! simulation`.

mod client;
mod crash;
mod model;
mod operations;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use amq_protocol::protocol::{AMQPClass, basic, channel, queue};

use self::client::{Channel, Client, Held};
use self::model::{KINDS, Model};
use self::random::Random;
use super::value::{Command, Name, Output, Time};
use super::{Broker, ConnectionId, DEFAULT_VHOST, Peer, Setup};

const START: u64 = 1_000_000;

/// A delivery that the broker made and the model has not explained yet.
#[derive(Debug)]
struct Delivery {
    client: usize,
    channel: u16,
    consumer: Name,
    tag: u64,
    redelivered: bool,
}

struct Simulation {
    random: Random,
    broker: Broker,
    clients: Vec<Client>,
    model: Model,
    /// Unexplained deliveries, by queue and message.
    deliveries: BTreeMap<(&'static str, u64), Delivery>,
    next_message: u64,
    next_consumer: u64,
    /// Everything that came out, to compare two runs of a seed.
    digest: DefaultHasher,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut simulation = Self {
            random: Random(seed),
            broker: Broker::new(Setup::in_memory(seed, Time(START))),
            clients: Vec::new(),
            model: Model { now: START, ..Model::default() },
            deliveries: BTreeMap::new(),
            next_message: 0,
            next_consumer: 0,
            digest: DefaultHasher::new(),
        };
        simulation.connect();
        for kind in KINDS {
            simulation.declare(kind);
        }
        simulation
    }

    fn connect(&mut self) {
        let peer = Peer {
            channel_max: 100,
            takes_cancels: true,
            takes_blocked: true,
            ..Peer::inside(Name::new("guest"), Name::new(DEFAULT_VHOST))
        };
        let id = self.broker.connect(peer).expect("the default virtual host exists");
        self.clients.push(Client { id, channels: BTreeMap::new() });
        let client = self.clients.len() - 1;
        self.open(client, 1);
    }

    fn open(&mut self, client: usize, channel: u16) {
        let answer =
            self.run(client, channel, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})));
        assert!(
            matches!(answer[..], [Output::Method(_, AMQPClass::Channel(channel::AMQPMethod::OpenOk(_)))]),
            "{answer:?}"
        );
        self.clients[client].channels.insert(channel, Channel::default());
    }

    fn declare(&mut self, kind: model::Kind) {
        let declare = queue::Declare {
            queue: kind.name.into(),
            passive: false,
            durable: false,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: kind.arguments(),
        };
        let answer = self.run(0, 1, AMQPClass::Queue(queue::AMQPMethod::Declare(declare)));
        assert_eq!(answer.len(), 1, "{answer:?}");
        self.model.declare(kind);
    }

    fn now(&self) -> Time {
        Time(self.model.now)
    }

    /// Gives the broker a method and returns what came back to this client but for deliveries and confirms.
    fn run(&mut self, client: usize, channel: u16, class: AMQPClass) -> Vec<Output> {
        self.command(client, channel, Command::Method(class))
    }

    fn command(&mut self, client: usize, channel: u16, command: Command) -> Vec<Output> {
        let id = self.clients[client].id;
        self.broker.handle(id, channel, command, self.now());
        self.collect(id)
    }

    /// Takes all output there is; deliveries and confirms are noted, what else is for `own` is returned.
    fn collect(&mut self, own: ConnectionId) -> Vec<Output> {
        let mut answer = Vec::new();
        let mut announced = Vec::new();
        loop {
            self.broker.take_announced(&mut announced);
            let Some(id) = announced.pop() else { break };
            let mut outputs = Vec::new();
            self.broker.take_output(id, &mut outputs, self.now());
            for output in outputs {
                format!("{id:?} {output:?}").hash(&mut self.digest);
                let Some(client) = self.clients.iter().position(|client| client.id == id) else { continue };
                match output {
                    Output::Deliver { channel, consumer, tag, redelivered, message } => {
                        let id = u64::from_be_bytes(message.body[..].try_into().expect("eight bytes"));
                        let channel_state = self.clients[client].channels.get_mut(&channel).expect("open");
                        channel_state.last_tag += 1;
                        assert_eq!(tag, channel_state.last_tag, "delivery tags count by one");
                        // The consumer of a consume in this very step is entered before its first delivery is read.
                        let queue = channel_state.consumers.get(&consumer).expect("a live consumer").queue;
                        let delivery = Delivery { client, channel, consumer, tag, redelivered };
                        let twice = self.deliveries.insert((queue, id), delivery);
                        assert!(twice.is_none(), "message {id} of {queue} was delivered twice: {twice:?}");
                    }
                    Output::Confirm { channel, tag, multiple, ack } => {
                        let channel = self.clients[client].channels.get_mut(&channel).expect("open");
                        let (published, confirmed) = channel.confirms.as_mut().expect("a confirming channel");
                        assert!(ack && tag > *confirmed && tag <= *published, "confirm {tag}");
                        assert!(multiple || tag == *confirmed + 1, "confirm {tag} leaves a gap");
                        *confirmed = tag;
                    }
                    other if id == own => answer.push(other),
                    Output::Method(_, AMQPClass::Basic(basic::AMQPMethod::Cancel(_))) => {}
                    other => panic!("client {client} was sent {other:?}"),
                }
            }
        }
        answer
    }

    /// A message arrives at a queue of the model; if it went straight to a consumer, it never waited.
    fn arrive(&mut self, queue: &'static str, id: u64, priority: u8) {
        let was_empty = self.model.queues.get(queue).is_some_and(|queue| queue.ready.is_empty());
        self.model.arrive(queue, id, priority);
        if was_empty && self.deliveries.contains_key(&(queue, id)) {
            self.take_head(queue, &mut BTreeMap::new());
        } else {
            self.model.overflow(queue);
        }
    }

    fn forward_letters(&mut self) {
        for (queue, id, priority) in std::mem::take(&mut self.model.letters) {
            self.arrive(queue, id, priority);
        }
    }

    /// The first message of a queue was delivered: it changes hands.
    fn take_head(&mut self, name: &'static str, last_tags: &mut BTreeMap<(usize, u16), u64>) -> bool {
        let Some(queue) = self.model.queues.get_mut(name) else { return false };
        let Some(head) = queue.ready.first_entry() else { return false };
        let Some(delivery) = self.deliveries.remove(&(name, head.get().id)) else { return false };
        let (place, item) = head.remove_entry();
        assert_eq!(delivery.redelivered, item.requeued, "redelivered flag of message {}", item.id);
        let last = last_tags.insert((delivery.client, delivery.channel), delivery.tag);
        assert!(last.is_none_or(|last| last < delivery.tag), "deliveries of {name} out of order");
        let channel = self.clients[delivery.client].channels.get_mut(&delivery.channel).expect("open");
        if !channel.consumers[&delivery.consumer].no_ack {
            queue.held += 1;
            let generation = queue.generation;
            let held = Held { queue: name, generation, place, item, consumer: Some(delivery.consumer) };
            channel.held.insert(delivery.tag, held);
        }
        true
    }

    /// Explains all deliveries by the order of the queues, then compares broker and model.
    fn check(&mut self) {
        self.forward_letters();
        for kind in KINDS {
            self.model.overflow(kind.name);
            let mut last_tags = BTreeMap::new();
            loop {
                self.model.expire(kind.name);
                if !self.take_head(kind.name, &mut last_tags) {
                    break;
                }
            }
            self.forward_letters();
        }
        assert!(self.deliveries.is_empty(), "delivered out of turn: {:?}", self.deliveries);

        let mut waiting = BTreeSet::new();
        for info in self.broker.queue_infos() {
            let queue = &self.model.queues[info.name.as_str()];
            assert_eq!(info.ready, queue.ready.len() as u64, "ready messages of {}", info.name);
            assert_eq!(info.unacknowledged, queue.held as u64, "unacknowledged messages of {}", info.name);
            assert_eq!(
                info.published,
                info.acknowledged + info.dropped + info.ready + info.unacknowledged,
                "messages of {} that are unaccounted for",
                info.name
            );
            if info.ready > 0 {
                waiting.insert(info.name);
            }
        }
        for client in &self.clients {
            for channel in client.channels.values() {
                if let Some((published, confirmed)) = channel.confirms {
                    assert_eq!(published, confirmed, "every publish is confirmed");
                }
                assert!(
                    channel.prefetch == 0 || channel.unsettled(None) <= self.most(channel),
                    "channel prefetch"
                );
                for (tag, consumer) in &channel.consumers {
                    let unsettled = channel.unsettled(Some(tag));
                    assert!(
                        consumer.prefetch == 0 || unsettled <= usize::from(consumer.prefetch),
                        "prefetch"
                    );
                    assert!(
                        !waiting.contains(consumer.queue) || !channel.has_credit(tag, consumer),
                        "a consumer of {} was forgotten",
                        consumer.queue
                    );
                }
            }
        }
    }

    /// The channel's own limit, which may have been lowered below what was already out.
    fn most(&self, channel: &Channel) -> usize {
        usize::from(channel.prefetch).max(channel.most_allowed)
    }

    /// Fetches everything that is left; every queue must yield exactly what the model holds, in its order.
    fn drain(&mut self) {
        while self.clients.len() > 1 {
            self.disconnect(1);
            self.check();
        }
        self.disconnect(0);
        self.check();
        self.connect();
        for kind in KINDS {
            while let Some(item) = self.model.queues[kind.name].ready.values().next().cloned() {
                assert_eq!(self.get(0, 1, kind.name, true), Some(item.id));
                self.check();
            }
            assert_eq!(self.get(0, 1, kind.name, true), None);
        }
    }
}

/// Prints the seed when the test fails.
struct PrintSeed(u64);

impl Drop for PrintSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the simulation failed: SEED={}", self.0);
        }
    }
}

fn simulate(seed: u64, steps: usize) -> u64 {
    let _print = PrintSeed(seed);
    let mut simulation = Simulation::new(seed);
    for _ in 0..steps {
        simulation.step();
        simulation.check();
    }
    simulation.drain();
    simulation.digest.finish()
}

#[test]
fn random_clients() {
    if let Ok(seed) = std::env::var("SEED") {
        simulate(seed.parse().expect("SEED is a number"), 2_000);
        return;
    }
    for seed in 0..60 {
        simulate(seed, 400);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(30))]

    /// Seeds that nobody has chosen: other ones in every run.
    #[test]
    fn random_clients_with_random_seeds(seed: u64) {
        simulate(seed, 200);
    }
}

#[test]
fn equal_inputs_give_equal_outputs() {
    assert_eq!(simulate(7, 300), simulate(7, 300));
    assert_ne!(simulate(7, 300), simulate(8, 300));
}
