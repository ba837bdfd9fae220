//! Messages whose time is over leave their queues, at the heads of the lines.
//!
//! Those of a queue with a dead-letter exchange go on, and for that each is needed in memory: read back from the disk, perhaps,
//! and held until the storage has it at its new place. So they go in rounds. A round ends when it has moved so much; the next
//! one begins when the storage has written all that the last one left behind. Between two rounds such a queue gives nothing
//! away: what comes first is over its time, and what comes after it must wait.

use super::Broker;
use super::dead_letter::Reason;
use super::queue::QueueId;

/// Most messages that go on in one round.
const MESSAGES: usize = 1_000;
/// A round ends when the bodies take so much (bytes).
const BYTES: u64 = 8 * 1024 * 1024;

/// What has gone on since the storage had written everything.
#[derive(Debug, Default)]
pub(super) struct Round {
    messages: usize,
    bytes: u64,
    /// More has gone on than the last effect covers.
    open: bool,
    /// The last effect of what has gone on.
    effect: u64,
    /// Queues that have more for the next round.
    waiting: Vec<QueueId>,
}

impl Round {
    fn is_over(&self) -> bool {
        self.messages >= MESSAGES || self.bytes >= BYTES
    }
}

impl Broker {
    /// Takes expired messages from the heads of the lines; false if some are left for the next round.
    pub(super) fn expire_heads(&mut self, id: QueueId) -> bool {
        let now = self.now;
        while let Some(queue) = self.queues.get_mut(id.0).filter(|queue| queue.is_expired(now)) {
            let goes_on = queue.arguments().dead_letter_exchange.is_some();
            if goes_on && self.round.is_over() {
                if !queue.expiring {
                    queue.expiring = true;
                    self.round.waiting.push(id);
                }
                return false;
            }
            let Some(entry) = queue.pop_expired(now) else {
                break;
            };
            if goes_on {
                self.round.messages += 1;
                self.round.bytes += u64::from(entry.size);
                self.round.open = true;
            }
            self.drop_entry(id, entry, Reason::Expired);
        }
        true
    }

    /// Notes where the storage must come to before there is another round.
    pub(super) fn note_round(&mut self) {
        if std::mem::take(&mut self.round.open) {
            self.round.effect = self.journal.emitted();
        }
    }

    /// Whether queues wait for a round, and it may begin.
    pub(super) fn round_is_due(&self) -> bool {
        !self.round.waiting.is_empty() && self.journal.is_written(self.round.effect)
    }

    /// Begins another round if the storage has written what the last one left behind.
    pub(super) fn begin_round(&mut self) {
        if !self.journal.is_written(self.round.effect) {
            return;
        }
        for id in std::mem::take(&mut self.round).waiting {
            if let Some(queue) = self.queues.get_mut(id.0) {
                queue.expiring = false;
                self.mark_dirty(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::Arc;

    use amq_protocol::types::{AMQPValue, FieldTable};
    use bytes::Bytes;

    use super::super::{
        Charge, DEFAULT_VHOST, Definition, Effect, Limits, Memoir, Memory, Message, Name, Pages, Progress,
        QueueUid, RecordId, Recovered, Setup, Time,
    };
    use super::*;

    const BODY: &[u8] = &[7; 100_000];
    const COUNT: u64 = 2_500;

    /// A disk that has every message.
    #[derive(Debug)]
    struct Library;

    impl Pages for Library {
        fn read(&self, _: RecordId, memory: &Memory) -> Option<Arc<Message>> {
            let message = Message {
                exchange: Name::new(""),
                routing_key: Name::new("short"),
                extra_keys: Vec::new(),
                properties: Bytes::from_static(&[0, 0]),
                body: Bytes::from_static(BODY),
                priority: 0,
                persistent: true,
                expiration: None,
                charge: Charge::default(),
            };
            Some(message.charged(memory))
        }
    }

    /// A queue of which the dead letters go to the queue `dead`, if to any.
    fn queue(name: &str, uid: u64, dead: Option<&str>) -> Definition {
        let mut arguments = FieldTable::default();
        if let Some(dead) = dead {
            arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
            arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(dead.into()));
        }
        let (vhost, name) = (Name::new(DEFAULT_VHOST), Name::new(name));
        Definition::Queue { vhost, name, uid: QueueUid(uid), auto_delete: false, arguments }
    }

    /// A broker after a restart, with a long queue of which all but the last message have expired meanwhile.
    fn restored(memory: &Memory, dead: Option<&str>) -> Broker {
        let message = |number| Recovered {
            queue: QueueUid(1),
            position: number,
            record: RecordId(NonZeroU64::new(number).unwrap()),
            size: BODY.len() as u32,
            priority: 0,
            returns: 0,
            expires: (number <= COUNT).then_some(Time(500)),
        };
        let mut broker = Broker::new(Setup {
            limits: Limits { page: 0, memory: usize::MAX },
            durable: true,
            pages: Arc::new(Library),
            memory: memory.clone(),
            next_record: NonZeroU64::new(1_000_000).unwrap(),
            ..Setup::in_memory(0, Time(1_000))
        });
        broker.restore(Memoir {
            definitions: vec![queue("short", 1, dead), queue("dead", 2, None)],
            messages: (1..=COUNT + 1).map(message).collect(),
            ..Memoir::default()
        });
        broker
    }

    fn ready(broker: &Broker, name: &str) -> u64 {
        broker.queue_by_name(name).unwrap().ready
    }

    #[test]
    fn a_long_queue_goes_to_its_dead_letters_in_rounds() {
        let memory = Memory::default();
        let mut broker = restored(&memory, Some("dead"));
        let mut effects: Vec<Effect> = Vec::new();
        let mut rounds = 0;
        while ready(&broker, "short") > 1 {
            rounds += 1;
            assert!(memory.used() < 2 * BYTES as usize, "{} bytes in round {rounds}", memory.used());
            // Nothing more moves before the storage has written what has moved.
            let (short, deadline) = (ready(&broker, "short"), broker.next_deadline());
            broker.tick(Time(2_000));
            assert_eq!((ready(&broker, "short"), deadline), (short, None));
            let written = broker.take_effects(&mut effects);
            let newest = effects.iter().rev().find_map(|effect| match effect {
                Effect::Put(put) => Some(put.record),
                _ => None,
            });
            effects.clear();
            broker.advance(Progress { written, synced: written, record: newest }, Time(2_000));
        }
        assert!(rounds > 10, "{rounds} rounds");
        assert_eq!((ready(&broker, "short"), ready(&broker, "dead")), (1, COUNT));
    }

    #[test]
    fn what_goes_nowhere_goes_at_once() {
        let memory = Memory::default();
        let broker = restored(&memory, None);
        assert_eq!((ready(&broker, "short"), memory.used()), (1, 0));
    }

    /// Where nothing is stored a round may follow at once; the rest of the world has its turn in between.
    #[test]
    fn in_memory_the_next_round_is_due_at_once() {
        let mut broker = Broker::new(Setup::in_memory(0, Time(0)));
        broker.restore(Memoir {
            definitions: vec![queue("short", 1, Some("dead")), queue("dead", 2, None)],
            ..Memoir::default()
        });
        let id = *broker.vhosts[0].queues.get(&Name::new("short")).unwrap();
        let message = Message {
            exchange: Name::new(""),
            routing_key: Name::new("short"),
            extra_keys: Vec::new(),
            properties: Bytes::from_static(&[0, 0]),
            body: Bytes::new(),
            priority: 0,
            persistent: false,
            expiration: Some(500),
            charge: Charge::default(),
        };
        let message = Arc::new(message);
        for _ in 0..COUNT {
            broker.enqueue(id, &message);
        }
        broker.settle();
        assert_eq!(broker.next_deadline(), Some(Time(500)));
        for left in [COUNT - 1_000, COUNT - 2_000, 0] {
            broker.tick(Time(600));
            assert_eq!(ready(&broker, "short"), left);
            assert_eq!(broker.next_deadline(), (left > 0).then_some(Time(600)));
        }
        assert_eq!(ready(&broker, "dead"), COUNT);
    }
}
