//! What the queues must hold, kept by a second and much simpler formulation: ordered maps, no credit, no indices.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use amq_protocol::types::{AMQPValue, FieldTable};

/// A message in a model queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: u64,
    pub(super) priority: u8,
    pub(super) expires: Option<u64>,
    pub(super) requeued: bool,
}

/// The line of a queue: higher priority first, then arrival.
pub(super) type Place = (Reverse<u8>, u64);

/// How a queue of the simulation is declared. Dead letters of a queue go to `dead`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) ttl: Option<u64>,
    pub(super) max_length: Option<usize>,
    pub(super) levels: Option<u8>,
    pub(super) dead: Option<&'static str>,
}

const PLAIN: Kind = Kind { name: "plain", ttl: None, max_length: None, levels: None, dead: None };

/// Every queue of the simulation. Each producer of dead letters has its own queue for them, so that their order is
/// determined.
pub(super) const KINDS: [Kind; 8] = [
    PLAIN,
    Kind { name: "work", dead: Some("rejected"), ..PLAIN },
    Kind { name: "rejected", ..PLAIN },
    Kind { name: "short-lived", ttl: Some(50), dead: Some("expired"), ..PLAIN },
    Kind { name: "expired", ..PLAIN },
    Kind { name: "short", max_length: Some(4), dead: Some("overflow"), ..PLAIN },
    Kind { name: "overflow", ..PLAIN },
    Kind { name: "levels", levels: Some(3), ..PLAIN },
];

impl Kind {
    pub(super) fn arguments(&self) -> FieldTable {
        let mut table = FieldTable::default();
        let mut set = |key: &str, value| {
            table.insert(key.into(), value);
        };
        let number = |value: u64| AMQPValue::LongLongInt(i64::try_from(value).expect("small"));
        if let Some(ttl) = self.ttl {
            set("x-message-ttl", number(ttl));
        }
        if let Some(length) = self.max_length {
            set("x-max-length", number(length as u64));
        }
        if let Some(levels) = self.levels {
            set("x-max-priority", number(levels.into()));
        }
        if let Some(dead) = self.dead {
            set("x-dead-letter-exchange", AMQPValue::LongString("".into()));
            set("x-dead-letter-routing-key", AMQPValue::LongString(dead.into()));
        }
        table
    }
}

/// A queue as it must be.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) kind: Kind,
    /// Which declaration of it this is; deliveries of older ones count no more.
    pub(super) generation: u64,
    pub(super) ready: BTreeMap<Place, Item>,
    pub(super) held: usize,
    arrivals: u64,
}

/// All queues by name, and the dead letters on their way.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) queues: BTreeMap<&'static str, Queue>,
    pub(super) now: u64,
    /// Dead letters go on after everything that the command itself publishes: queue, message, priority.
    pub(super) letters: Vec<(&'static str, u64, u8)>,
    pub(super) generations: u64,
}

impl Model {
    pub(super) fn declare(&mut self, kind: Kind) {
        self.generations += 1;
        let queue =
            Queue { kind, generation: self.generations, ready: BTreeMap::new(), held: 0, arrivals: 0 };
        self.queues.insert(kind.name, queue);
    }

    /// A message arrives.
    pub(super) fn arrive(&mut self, name: &'static str, id: u64, priority: u8) {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(name) else { return };
        queue.arrivals += 1;
        let level = priority.min(queue.kind.levels.unwrap_or(0));
        let item = Item { id, priority, expires: queue.kind.ttl.map(|ttl| now + ttl), requeued: false };
        queue.ready.insert((Reverse(level), queue.arrivals), item);
    }

    /// A delivery comes back.
    pub(super) fn put_back(&mut self, name: &'static str, place: Place, mut item: Item) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        item.requeued = true;
        queue.held -= 1;
        queue.ready.insert(place, item);
    }

    /// A message leaves its queue for the dead-letter queue, if there is one.
    pub(super) fn bury(&mut self, name: &'static str, item: &Item) {
        if let Some(dead) = self.queues.get(name).and_then(|queue| queue.kind.dead) {
            self.letters.push((dead, item.id, item.priority));
        }
    }

    /// Drops what is over its time, at the head only.
    pub(super) fn expire(&mut self, name: &'static str) {
        while let Some(queue) = self.queues.get_mut(name)
            && let Some(head) = queue.ready.first_entry()
            && head.get().expires.is_some_and(|expires| expires <= self.now)
        {
            let item = head.remove();
            self.bury(name, &item);
        }
    }

    /// Drops what is too much, at the head.
    pub(super) fn overflow(&mut self, name: &'static str) {
        while let Some(queue) = self.queues.get_mut(name)
            && queue.kind.max_length.is_some_and(|max| queue.ready.len() > max)
            && let Some((_, item)) = queue.ready.pop_first()
        {
            self.bury(name, &item);
        }
    }
}
