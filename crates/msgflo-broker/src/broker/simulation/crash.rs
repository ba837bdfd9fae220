//! The same broker with a disk that lags behind and a power that fails: whatever was promised holds afterwards.
//!
//! The disk takes batches of effects whenever chance wants it, and after a crash only those that it took are there. In
//! half of the seeds no message may stay in memory, so that each is read back from the disk, or from what is on its way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};

use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, queue, tx};
use amq_protocol::types::FieldTable;
use bytes::Bytes;

use super::PrintSeed;
use super::random::Random;
use crate::broker::{
    Broker, Command, ConnectionId, DEFAULT_VHOST, Definition, Effect, Limits, Memoir, Memory, Message, Name,
    Output, Pages, Peer, Progress, Publish, Put, QueueUid, RecordId, Recovered, Setup, Time,
};

const QUEUE: &str = "q";
/// The channel that publishes with confirms.
const CONFIRMING: u16 = 1;
/// The channel that gets and acknowledges.
const TAKING: u16 = 2;
/// The channel that publishes in transactions.
const TRANSACTIONAL: u16 = 3;

#[derive(Debug, Default)]
struct Disk(Mutex<BTreeMap<RecordId, Put>>);

impl Pages for Disk {
    fn read(&self, record: RecordId, _: &Memory) -> Option<Arc<Message>> {
        self.0.lock().expect("no panic").get(&record).map(|put| put.message.clone())
    }
}

/// What the clients know since they connected.
#[derive(Default)]
struct Session {
    connection: Option<ConnectionId>,
    /// On the confirming channel, in order.
    published: Vec<u64>,
    told: usize,
    /// In transactions whose commit is not answered.
    commits: VecDeque<Vec<u64>>,
    /// Held on the taking channel, by delivery tag.
    held: BTreeMap<u64, u64>,
    /// Acknowledged on the taking channel, which was not closed since.
    acknowledged: Vec<u64>,
    closing: bool,
}

struct World {
    random: Random,
    paging: bool,
    broker: Broker,
    disk: Arc<Disk>,
    definitions: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Handed over and not written, each with the number of its last effect.
    batches: VecDeque<(Vec<Effect>, u64)>,
    /// So many effects survive a loss of power.
    synced: u64,
    session: Session,
    next: u64,
    now: u64,
    confirmed: BTreeSet<u64>,
    transient: BTreeSet<u64>,
    /// Acknowledged at some time, whether or not the disk knows.
    taken: BTreeSet<u64>,
    /// Acknowledged, and that was answered for.
    answered: BTreeSet<u64>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let (disk, paging) = (Arc::new(Disk::default()), random.chance(50));
        let mut world = Self {
            random,
            paging,
            broker: broker(&disk, NonZeroU64::MIN, paging),
            disk,
            definitions: BTreeMap::new(),
            batches: VecDeque::new(),
            synced: 0,
            session: Session::default(),
            next: 0,
            now: 1,
            confirmed: BTreeSet::new(),
            transient: BTreeSet::new(),
            taken: BTreeSet::new(),
            answered: BTreeSet::new(),
        };
        world.connect();
        let declare = queue::Declare {
            queue: QUEUE.into(),
            passive: false,
            durable: true,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: FieldTable::default(),
        };
        world.method(TAKING, AMQPClass::Queue(queue::AMQPMethod::Declare(declare)));
        world.write(usize::MAX);
        world
    }

    fn connect(&mut self) {
        let peer = Peer { channel_max: 10, ..Peer::inside(Name::new("guest"), Name::new(DEFAULT_VHOST)) };
        let connection = self.broker.connect(peer).expect("the virtual host is there");
        self.session = Session { connection: Some(connection), ..Session::default() };
        for channel in [CONFIRMING, TAKING, TRANSACTIONAL] {
            self.method(channel, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})));
        }
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: true });
        self.method(CONFIRMING, AMQPClass::Confirm(select));
        self.method(TRANSACTIONAL, AMQPClass::Tx(tx::AMQPMethod::Select(tx::Select {})));
    }

    fn method(&mut self, channel: u16, class: AMQPClass) {
        self.command(channel, Command::Method(class));
    }

    fn command(&mut self, channel: u16, command: Command) {
        self.now += 1;
        let connection = self.session.connection.expect("connected");
        self.broker.handle(connection, channel, command, Time(self.now));
        self.listen();
    }

    /// Takes what the broker has for the disk, and for the client.
    fn listen(&mut self) {
        let mut effects = Vec::new();
        let last = self.broker.take_effects(&mut effects);
        if !effects.is_empty() {
            self.batches.push_back((effects, last));
        }
        let connection = self.session.connection.expect("connected");
        let mut outputs = Vec::new();
        self.broker.take_output(connection, &mut outputs, Time(self.now));
        for output in outputs {
            self.hear(output);
        }
    }

    fn hear(&mut self, output: Output) {
        match output {
            Output::Confirm { tag, multiple, ack, .. } => {
                let tag = usize::try_from(tag).expect("small");
                assert!(ack && tag > self.session.told && (multiple || tag == self.session.told + 1));
                self.confirmed.extend(&self.session.published[self.session.told..tag]);
                self.session.told = tag;
            }
            Output::Got { tag, message, .. } => {
                let id = u64::from_be_bytes(message.body[..].try_into().expect("eight bytes"));
                assert!(!self.answered.contains(&id), "message {id} came back");
                self.session.held.insert(tag, id);
            }
            Output::Method(TRANSACTIONAL, AMQPClass::Tx(tx::AMQPMethod::CommitOk(_))) => {
                self.confirmed.extend(self.session.commits.pop_front().expect("a commit is under way"));
            }
            Output::Method(TAKING, AMQPClass::Channel(channel::AMQPMethod::CloseOk(_))) => {
                self.answered.extend(self.session.acknowledged.drain(..));
                self.session.closing = false;
                self.method(TAKING, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})));
            }
            _ => {}
        }
    }

    fn publish(&mut self, channel: u16, persistent: bool) -> u64 {
        self.next += 1;
        let id = self.next;
        if !persistent {
            self.transient.insert(id);
        }
        // Flags: delivery mode only.
        let properties = Bytes::copy_from_slice(&[0b0001_0000, 0, if persistent { 2 } else { 1 }]);
        let publish = Publish {
            exchange: Name::new(""),
            routing_key: Name::new(QUEUE),
            mandatory: false,
            immediate: false,
            properties,
            body: Bytes::copy_from_slice(&id.to_be_bytes()),
        };
        if channel == CONFIRMING {
            self.session.published.push(id);
        }
        self.command(channel, Command::Publish(publish));
        id
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..40 => {
                let persistent = self.random.chance(80);
                self.publish(CONFIRMING, persistent);
            }
            40..48 => {
                let ids = (0..self.random.below(4)).map(|_| self.publish(TRANSACTIONAL, true)).collect();
                self.session.commits.push_back(ids);
                self.method(TRANSACTIONAL, AMQPClass::Tx(tx::AMQPMethod::Commit(tx::Commit {})));
            }
            48..65 if !self.session.closing => {
                let get = basic::Get { queue: QUEUE.into(), no_ack: false };
                self.method(TAKING, AMQPClass::Basic(basic::AMQPMethod::Get(get)));
            }
            65..80 if !self.session.closing => self.settle(),
            80..84 if !self.session.closing => {
                self.session.closing = true;
                self.session.held.clear();
                let close =
                    channel::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 };
                self.method(TAKING, AMQPClass::Channel(channel::AMQPMethod::Close(close)));
            }
            84..97 => {
                let some = 1 + self.random.below(6);
                self.write(some);
            }
            99 => self.crash(),
            _ => {}
        }
    }

    fn settle(&mut self) {
        let tags: Vec<u64> = self.session.held.keys().copied().collect();
        let Some(&tag) = self.random.pick(&tags) else { return };
        let id = self.session.held.remove(&tag).expect("picked among them");
        let method = if self.random.chance(70) {
            self.session.acknowledged.push(id);
            self.taken.insert(id);
            basic::AMQPMethod::Ack(basic::Ack { delivery_tag: tag, multiple: false })
        } else {
            basic::AMQPMethod::Reject(basic::Reject { delivery_tag: tag, requeue: true })
        };
        self.method(TAKING, AMQPClass::Basic(method));
    }

    /// The disk takes some batches.
    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let Some((batch, last)) = self.batches.pop_front() else { return };
            let mut newest = None;
            let is_made_safe = batch.iter().any(Effect::is_made_safe);
            for effect in batch {
                let mut messages = self.disk.0.lock().expect("no panic");
                match effect {
                    Effect::Put(put) => {
                        newest = Some(put.record);
                        messages.insert(put.record, put);
                    }
                    Effect::Remove(record) => {
                        messages.remove(&record);
                    }
                    Effect::Returned { record, returns } => {
                        if let Some(put) = messages.get_mut(&record) {
                            put.returns = returns;
                        }
                    }
                    Effect::Define { key, value: Some(value) } => {
                        self.definitions.insert(key, value);
                    }
                    Effect::Define { key, value: None } => {
                        self.definitions.remove(&key);
                    }
                    Effect::Sync => {}
                }
            }
            if is_made_safe {
                self.synced = last;
            }
            let progress = Progress { written: last, synced: self.synced, record: newest };
            self.broker.advance(progress, Time(self.now));
            self.listen();
        }
    }

    /// The power fails; then there is another broker, with what the disk has.
    fn crash(&mut self) {
        self.batches.clear();
        self.synced = 0;
        let mut memoir = Memoir { crashed: true, ..Memoir::default() };
        for (key, value) in &self.definitions {
            memoir.definitions.push(Definition::decode(key, value).expect("as it was encoded"));
        }
        let mut next = 1_000_000 + self.now;
        {
            let mut messages = self.disk.0.lock().expect("no panic");
            messages.retain(|_, put| put.queue != QueueUid::NONE);
            for put in messages.values() {
                next = next.max(put.record.0.get() + 1);
                memoir.messages.push(Recovered {
                    queue: put.queue,
                    position: put.position,
                    record: put.record,
                    size: u32::try_from(put.message.body.len()).expect("small"),
                    priority: put.message.priority,
                    returns: put.returns,
                    expires: put.expires,
                });
            }
        }
        self.broker = broker(&self.disk, NonZeroU64::new(next).expect("not zero"), self.paging);
        self.broker.restore(memoir);
        self.connect();
        let found = self.everything();
        assert!(found.is_sorted(), "out of order: {found:?}");
        let found: BTreeSet<u64> = found.into_iter().collect();
        for id in self.confirmed.iter().filter(|id| !self.transient.contains(id)) {
            assert!(found.contains(id) || self.taken.contains(id), "message {id} was confirmed and is lost");
        }
        // What is back was not taken after all; what is not will not come any more.
        self.taken.retain(|id| !found.contains(id));
        self.confirmed.retain(|id| found.contains(id));
    }

    /// Gets all there is, and gives it back.
    fn everything(&mut self) -> Vec<u64> {
        loop {
            let before = self.session.held.len();
            let get = basic::Get { queue: QUEUE.into(), no_ack: false };
            self.method(TAKING, AMQPClass::Basic(basic::AMQPMethod::Get(get)));
            if self.session.held.len() == before {
                break;
            }
        }
        let recover = basic::Recover { requeue: true };
        self.method(TAKING, AMQPClass::Basic(basic::AMQPMethod::Recover(recover)));
        std::mem::take(&mut self.session.held).into_values().collect()
    }

    /// In the end the disk takes everything: all promises are kept, and what was not taken is there.
    fn finish(mut self) {
        self.write(usize::MAX);
        assert!(self.session.commits.is_empty() && self.session.told == self.session.published.len());
        assert!(!self.session.closing);
        let held: Vec<u64> = self.session.held.values().copied().collect();
        self.session.held.clear();
        let recover = basic::Recover { requeue: true };
        self.method(TAKING, AMQPClass::Basic(basic::AMQPMethod::Recover(recover)));
        let found = self.everything();
        assert!(found.is_sorted(), "out of order: {found:?}");
        let found: BTreeSet<u64> = found.into_iter().collect();
        assert!(held.iter().all(|id| found.contains(id)), "a message that was held is lost");
        for id in self.confirmed.iter().filter(|id| !self.taken.contains(id)) {
            assert!(found.contains(id), "message {id} is lost");
        }
    }
}

fn broker(disk: &Arc<Disk>, next_record: NonZeroU64, paging: bool) -> Broker {
    let page = if paging { 0 } else { usize::MAX };
    Broker::new(Setup {
        limits: Limits { page, memory: usize::MAX },
        durable: true,
        pages: disk.clone(),
        next_record,
        ..Setup::in_memory(0, Time(1))
    })
}

fn simulate(seed: u64, steps: usize) {
    let _print = PrintSeed(seed);
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
    }
    world.finish();
}

#[test]
fn promises_survive_crashes() {
    if let Ok(seed) = std::env::var("SEED") {
        simulate(seed.parse().expect("SEED is a number"), 2_000);
        return;
    }
    for seed in 0..60 {
        simulate(seed, 500);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(30))]

    /// Seeds that nobody has chosen: other ones in every run.
    #[test]
    fn promises_survive_crashes_of_random_seeds(seed: u64) {
        simulate(seed, 300);
    }
}
