//! What the broker wants to be remembered: effects, in their order, and which of them are safe by now.
//!
//! The broker never waits for the storage. It appends effects; the shell hands them to the storage, which tells back
//! how far it has come. What was promised to a client (a confirm, tx.commit-ok, the answer to a declaration) is held
//! back until then.
//!
//! Invariants: the effects of one command stay together, so that the storage can make them atomic; record numbers are
//! given out in growing order and never twice, not even after a restart.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use super::memory::Memory;
use super::value::{Message, Time};

/// A message of a queue, as the storage knows it. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordId(pub(crate) NonZeroU64);

/// A durable queue, as the storage knows it. Never used again, unlike its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QueueUid(pub(crate) u64);

impl QueueUid {
    /// What belongs to no durable queue: nobody will look for it after a restart.
    pub(crate) const NONE: Self = Self(0);
}

/// A message to be stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Put {
    pub(crate) record: RecordId,
    pub(crate) queue: QueueUid,
    /// Its place in the queue.
    pub(crate) position: u64,
    pub(crate) expires: Option<Time>,
    /// How often it came back after a delivery.
    pub(crate) returns: u32,
    pub(crate) message: Arc<Message>,
}

/// Something to be remembered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// A message is there: a persistent one in a durable queue, or one that leaves memory (queue [`QueueUid::NONE`]).
    Put(Put),
    /// A message is gone.
    Remove(RecordId),
    /// A message came back after a delivery, for the so-manieth time.
    Returned { record: RecordId, returns: u32 },
    /// An exchange, a queue or a binding is there, or (without a value) gone. See `definition`.
    Define { key: Vec<u8>, value: Option<Vec<u8>> },
    /// Somebody waits for everything before this.
    Sync,
}

impl Effect {
    /// Whether the effect must survive the process.
    fn is_durable(&self) -> bool {
        !matches!(self, Self::Put(Put { queue: QueueUid::NONE, .. }))
    }

    /// Whether the storage makes it safe by itself. Acknowledgements and what has only left memory may get lost with the
    /// power, until somebody waits.
    pub(crate) fn is_made_safe(&self) -> bool {
        match self {
            Self::Put(put) => put.queue != QueueUid::NONE,
            Self::Define { .. } | Self::Sync => true,
            Self::Remove(_) | Self::Returned { .. } => false,
        }
    }
}

/// How far the storage has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// So many effects can be read back.
    pub(crate) written: u64,
    /// So many effects survive a loss of power.
    pub(crate) synced: u64,
    /// Messages up to this one can be read back.
    pub(crate) record: Option<RecordId>,
}

/// Where messages are read back that have left memory.
///
/// Reading is a pure function of the record as far as the broker can see. It may touch the disk; queues are read in
/// the order in which they were written, so mostly the system has read ahead.
pub(crate) trait Pages: fmt::Debug + Send + Sync {
    /// The message of a record that was written; `None` when it cannot be read, which was reported then.
    fn read(&self, record: RecordId, memory: &Memory) -> Option<Arc<Message>>;
}

/// The pages of a broker that has no storage: nothing was ever written.
#[cfg(any(test, feature = "fuzzing"))]
#[derive(Debug)]
pub(crate) struct NoPages;

#[cfg(any(test, feature = "fuzzing"))]
impl Pages for NoPages {
    fn read(&self, _: RecordId, _: &Memory) -> Option<Arc<Message>> {
        None
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Journal {
    /// Durable things are to be remembered; otherwise only messages that leave memory are stored.
    durable: bool,
    pages: Arc<dyn Pages>,
    effects: Vec<Effect>,
    /// Effects so far.
    emitted: u64,
    /// The number of the last effect that must survive.
    last_durable: u64,
    /// The number of the last one that the storage makes safe by itself.
    last_made_safe: u64,
    progress: Progress,
    next_record: NonZeroU64,
    /// Messages that have left memory and cannot be read back yet.
    unwritten: BTreeMap<RecordId, Arc<Message>>,
}

impl Journal {
    pub(crate) fn new(durable: bool, pages: Arc<dyn Pages>, next_record: NonZeroU64) -> Self {
        Self {
            durable,
            pages,
            effects: Vec::new(),
            emitted: 0,
            last_durable: 0,
            last_made_safe: 0,
            progress: Progress::default(),
            next_record,
            unwritten: BTreeMap::new(),
        }
    }

    /// Whether durable things are remembered.
    pub(crate) fn is_durable(&self) -> bool {
        self.durable
    }

    /// A number for a new queue.
    pub(crate) fn queue_uid(&mut self) -> QueueUid {
        QueueUid(self.next_record().0.get())
    }

    /// A number for a new message.
    pub(crate) fn next_record(&mut self) -> RecordId {
        let record = RecordId(self.next_record);
        self.next_record = record.0.saturating_add(1);
        record
    }

    pub(crate) fn emit(&mut self, effect: Effect) {
        self.emitted += 1;
        if effect.is_durable() {
            self.last_durable = self.emitted;
        }
        if effect.is_made_safe() {
            self.last_made_safe = self.emitted;
        }
        self.effects.push(effect);
    }

    /// The number of the last effect that must survive: whoever promises something waits for it.
    pub(crate) fn last_durable(&self) -> u64 {
        self.last_durable
    }

    /// The number of the last effect that becomes safe without anybody asking for it.
    pub(crate) fn last_made_safe(&self) -> u64 {
        self.last_made_safe
    }

    /// Effects so far.
    pub(crate) fn emitted(&self) -> u64 {
        self.emitted
    }

    /// Whether everything up to this effect was handed over to the disk.
    pub(crate) fn is_written(&self, effect: u64) -> bool {
        effect <= self.progress.written
    }

    /// Whether everything up to this effect survives a loss of power.
    pub(crate) fn is_safe(&self, effect: u64) -> bool {
        effect <= self.progress.synced
    }

    /// Asks for all that must survive to be made safe; the effect to wait for, or `None` when all is safe.
    pub(crate) fn promise(&mut self) -> Option<u64> {
        if self.is_safe(self.last_durable) {
            return None;
        }
        if self.effects.last() != Some(&Effect::Sync) {
            self.emit(Effect::Sync);
        }
        Some(self.last_durable)
    }

    /// The storage has come so far.
    pub(crate) fn advance(&mut self, progress: Progress) {
        self.progress = progress;
        if let Some(record) = progress.record {
            let later = self.unwritten.split_off(&RecordId(record.0.saturating_add(1)));
            self.unwritten = later;
        }
    }

    /// Takes note that nobody but the storage holds this message any more.
    pub(crate) fn evict(&mut self, record: RecordId, message: Arc<Message>) {
        if self.progress.record.is_none_or(|written| written < record) {
            self.unwritten.insert(record, message);
        }
    }

    pub(crate) fn read(&self, record: RecordId, memory: &Memory) -> Option<Arc<Message>> {
        match self.unwritten.get(&record) {
            Some(message) => Some(message.clone()),
            None => self.pages.read(record, memory),
        }
    }

    /// Moves the effects since the last call into `into`; returns how many there are in all.
    pub(crate) fn take(&mut self, into: &mut Vec<Effect>) -> u64 {
        into.append(&mut self.effects);
        self.emitted
    }
}
