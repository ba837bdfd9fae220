//! The storage: a log on disk, written by one thread.
//!
//! The thread takes all effects that have gathered, writes them by one write, makes them safe by one sync, and tells
//! how far it has come; meanwhile the next ones gather. So the cost of a sync is shared by everybody who waits.
//! Acknowledgements alone are not synced until somebody waits for them.
//!
//! Without a folder the log has no names on disk and nothing is synced: it only holds messages that have left memory.
//!
//! A disk that fails (full, read-only, broken) stops nothing but the promises: the same batch is tried until it is
//! taken, and publishers are told to wait.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::broker::{Effect, Memoir, Pages, Pressure, Progress, Put, RecordId};

mod index;
mod log;
mod record;
mod recovery;
mod segment;
#[cfg(test)]
mod tests;

use self::log::{Log, Shelf};
use self::segment::Folder;

/// How long to wait before the disk is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How often it is tried when the broker ends.
const LAST_TRIES: u32 = 4;
/// A batch is cut when its messages take this much (bytes).
const BATCH: usize = 1 << 30;
/// Publishers wait when less is free, and at half of it also those that consume (bytes). Making room needs some: acknowledgements are appended, too, and what is
/// still wanted of a segment is written again before it goes.
const RESERVE: u64 = 64 * 1024 * 1024;
/// Publishers wait while messages of this size wait for the disk (bytes).
const CONGESTED: usize = 16 * 1024 * 1024;

/// What the storage has to tell.
#[derive(Debug)]
pub(crate) enum News {
    /// It has come so far.
    Progress(Progress),
    /// The disk does not take what it is given.
    Failed(io::Error),
    /// So little is left (bytes) that it is needed for making room.
    Short(Pressure, u64),
    /// Neither of the two any more.
    Recovered,
}

/// The storage as the broker's shell sees it. Dropping it writes what is left.
pub(crate) struct Storage {
    inbox: Arc<Inbox>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Inbox {
    state: Mutex<Waiting>,
    arrived: Condvar,
}

/// What waits for the thread.
#[derive(Default)]
struct Waiting {
    effects: Vec<Effect>,
    /// The number of the last one.
    last: u64,
    /// The size of the messages in it.
    bytes: usize,
    /// What the thread is busy with.
    writing: usize,
    closing: bool,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").finish_non_exhaustive()
    }
}

/// A log that is open, and has no thread yet.
#[derive(Debug)]
pub(crate) struct Opened {
    log: Log,
}

impl Opened {
    /// Opens the log in a folder, and says what it holds.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub(crate) fn folder(path: &Path) -> io::Result<(Self, Memoir)> {
        let (mut log, memoir) = recovery::open(path)?;
        // A folder that cannot be written to is found out now, and not by the first publisher.
        log.commit(&[], true)?;
        Ok((Self { log }, memoir))
    }

    /// A log that ends with the process. Nothing is made on disk before it is needed.
    pub(crate) fn scratch() -> Self {
        let log = Log {
            folder: Folder::Scratch,
            shelf: Arc::new(Shelf::default()),
            segments: VecDeque::new(),
            definitions: BTreeMap::new(),
            next_record: 1,
        };
        Self { log }
    }

    /// Where messages are read back.
    pub(crate) fn pages(&self) -> Arc<dyn Pages> {
        self.log.shelf.clone()
    }

    /// Starts the thread; it tells its news by calling `tell`.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(crate) fn start(self, tell: impl Fn(News) + Send + 'static) -> io::Result<Storage> {
        let inbox = Arc::new(Inbox::default());
        let writer = Writer {
            inbox: inbox.clone(),
            log: self.log,
            tell,
            progress: Progress::default(),
            pressure: Pressure::None,
        };
        let thread = thread::Builder::new().name("broker-storage".to_owned()).spawn(|| writer.run())?;
        Ok(Storage { inbox, thread: Mutex::new(Some(thread)) })
    }
}

impl Storage {
    /// Hands over what has gathered (and leaves `effects` empty); `last` is the number of the last of them.
    pub(crate) fn submit(&self, effects: &mut Vec<Effect>, last: u64) {
        if effects.is_empty() {
            return;
        }
        let mut waiting = self.inbox.lock();
        waiting.bytes += size(effects);
        if waiting.effects.is_empty() {
            mem::swap(&mut waiting.effects, effects);
        } else {
            waiting.effects.append(effects);
        }
        waiting.last = last;
        drop(waiting);
        self.inbox.arrived.notify_one();
    }

    /// Whether publishers should wait until the disk has caught up.
    pub(crate) fn is_congested(&self) -> bool {
        let waiting = self.inbox.lock();
        waiting.bytes + waiting.writing > CONGESTED
    }

    /// Writes what is left and ends the thread. Blocks.
    pub(crate) fn close(&self) {
        self.inbox.lock().closing = true;
        self.inbox.arrived.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the storage ended by a panic");
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(effects: &[Effect]) -> usize {
    effects.iter().map(|effect| if let Effect::Put(put) = effect { put.message.footprint() } else { 0 }).sum()
}

struct Writer<F> {
    inbox: Arc<Inbox>,
    log: Log,
    tell: F,
    progress: Progress,
    /// How little is free on the disk, as was told last.
    pressure: Pressure,
}

impl<F: Fn(News)> Writer<F> {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let last = {
                let mut waiting = self.inbox.lock();
                waiting.writing = 0;
                while waiting.effects.is_empty() && !waiting.closing && !self.pressure.is_any() {
                    waiting = self.inbox.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
                if waiting.effects.is_empty() && !waiting.closing {
                    // Room may come from elsewhere.
                    let waited = self.inbox.arrived.wait_timeout(waiting, RETRY);
                    waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                mem::swap(&mut waiting.effects, &mut batch);
                waiting.writing = mem::take(&mut waiting.bytes);
                if batch.is_empty() && waiting.closing {
                    break;
                }
                waiting.last
            };
            if batch.is_empty() {
                self.look();
                continue;
            }
            if !self.write(&batch, last) {
                return;
            }
            // What it held in memory is free before anybody is told.
            batch.clear();
            self.inbox.lock().writing = 0;
            (self.tell)(News::Progress(self.progress));
            self.reclaim();
            self.look();
        }
        if let Err(error) = self.log.finish() {
            tracing::error!(%error, "the log could not be ended as it should; nothing that was promised is lost");
        }
    }

    /// Writes a batch, however often it takes; false if the broker ends before that.
    fn write(&mut self, batch: &[Effect], last: u64) -> bool {
        let mut tries = 0;
        let mut rest = batch;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cut(rest));
            match self.log.commit(now, now.iter().any(Effect::is_made_safe)) {
                Ok(()) => {
                    rest = later;
                    self.note(now);
                }
                Err(error) => {
                    if tries == 0 {
                        self.pressure = Pressure::Severe;
                        (self.tell)(News::Failed(error));
                    }
                    tries += 1;
                    let closing = self.inbox.lock().closing;
                    if closing && tries >= LAST_TRIES {
                        tracing::error!(
                            "the disk has not taken the last changes; they were promised to nobody"
                        );
                        return false;
                    }
                    thread::sleep(RETRY);
                }
            }
        }
        self.progress.written = last;
        if self.log.is_safe() {
            self.progress.synced = last;
        }
        true
    }

    fn note(&mut self, batch: &[Effect]) {
        let newest = |effect: &Effect| match effect {
            Effect::Put(Put { record, .. }) => Some(*record),
            _ => None,
        };
        let record: Option<RecordId> = batch.iter().rev().find_map(newest);
        self.progress.record = record.or(self.progress.record);
    }

    /// Looks at how much is free on the disk.
    fn look(&mut self) {
        let was = self.pressure;
        let free = self.log.folder.free().unwrap_or(u64::MAX);
        let is_below = |mark: u64, was: bool| free < if was { mark + mark / 2 } else { mark };
        self.pressure = if is_below(RESERVE / 2, was == Pressure::Severe) {
            Pressure::Severe
        } else if is_below(RESERVE, was.is_any()) {
            Pressure::High
        } else {
            Pressure::None
        };
        if self.pressure != was {
            (self.tell)(match self.pressure {
                Pressure::None => News::Recovered,
                pressure => News::Short(pressure, free),
            });
        }
    }

    fn reclaim(&mut self) {
        if let Err(error) = self.log.reclaim() {
            tracing::warn!(%error, "the log could not be made smaller");
        }
    }
}

/// Where a batch is cut if it is too large. Only a transaction of that size is then no longer taken as a whole.
fn cut(batch: &[Effect]) -> usize {
    let mut bytes = 0;
    let too_much = batch.iter().position(|effect| {
        bytes += size(std::slice::from_ref(effect));
        bytes > BATCH
    });
    too_much.map_or(batch.len(), |place| place.max(1))
}
