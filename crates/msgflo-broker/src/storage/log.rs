//! The log: batches of effects are appended to the last segment, and the oldest one goes when nothing in it counts.
//!
//! Segments go in their order only, so that a removal is never forgotten before the message that it removes. When
//! what is no longer wanted takes more room than what is, the messages of the oldest segment that are still wanted
//! are written again at the end. So the log takes about twice the room of its messages, whatever stays in it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;

use super::index::{Index, Place};
use super::record::{self, Found, HEAD, Kind};
use super::segment::{Folder, MAGIC, Segment};
use crate::broker::{Effect, Memory, Message, Pages, Put, RecordId};

/// A segment that has grown to this is followed by another one (bytes).
const SEGMENT: u64 = 32 * 1024 * 1024;
/// What is no longer wanted may take this much room in any case (bytes).
const GARBAGE: u64 = 2 * SEGMENT;

/// Where messages are, shared with those who read them.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    state: Mutex<Shelved>,
}

#[derive(Debug, Default)]
pub(super) struct Shelved {
    pub(super) index: Index,
    pub(super) files: BTreeMap<u32, Arc<File>>,
}

impl Shelf {
    pub(super) fn lock(&self) -> MutexGuard<'_, Shelved> {
        // Nothing in there can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages for Shelf {
    fn read(&self, record: RecordId, memory: &Memory) -> Option<Arc<Message>> {
        let (place, file) = {
            let shelf = self.lock();
            let place = shelf.index.get(record)?;
            let Some(file) = shelf.files.get(&place.segment) else {
                tracing::error!(
                    segment = place.segment,
                    "a message was in a damaged part of the log and is lost"
                );
                return None;
            };
            (place, file.clone())
        };
        let read = read_message(&file, place, memory);
        if let Err(error) = &read {
            let Place { segment, offset, .. } = place;
            tracing::error!(segment, offset, %error, "a message cannot be read back and is lost");
        }
        read.ok()
    }
}

fn read_message(file: &File, place: Place, memory: &Memory) -> io::Result<Arc<Message>> {
    let mut bytes = BytesMut::zeroed(place.size as usize);
    file.read_exact_at(&mut bytes, place.offset.into())?;
    match record::read(&bytes) {
        Found::Record(Kind::Put, ..) => {}
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "the record is damaged")),
    }
    let payload = bytes.split_off(HEAD + 1);
    record::message(payload, memory).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// See the module.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) folder: Folder,
    pub(super) shelf: Arc<Shelf>,
    /// Oldest first; the last one is written to.
    pub(super) segments: VecDeque<Segment>,
    pub(super) definitions: BTreeMap<Vec<u8>, Vec<u8>>,
    /// No record has this number or a higher one.
    pub(super) next_record: u64,
}

/// What becomes of the index when a batch is written.
struct Plan {
    bytes: Vec<u8>,
    places: Vec<(RecordId, Place)>,
    removed: Vec<RecordId>,
}

impl Log {
    /// Writes a batch; when this returns, it can be read back, and has become safe if `sync` was asked for.
    ///
    /// # Errors
    /// When the disk does not take it. Then nothing of it counts, and it may be tried again.
    pub(super) fn commit(&mut self, batch: &[Effect], sync: bool) -> io::Result<()> {
        self.roll()?;
        let plan = self.plan(batch);
        self.append(&plan.bytes, sync)?;
        self.apply(batch, &plan);
        Ok(())
    }

    /// Says that the broker ends as it should.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if !self.folder.is_kept() {
            return Ok(());
        }
        self.roll()?;
        let mut bytes = Vec::new();
        record::append(&mut bytes, Kind::Clean, |_| {});
        record::append(&mut bytes, Kind::Commit, |_| {});
        self.append(&bytes, true)
    }

    /// Whether everything so far survives what it has to survive.
    pub(super) fn is_safe(&self) -> bool {
        // A segment is safe before another one follows.
        !self.folder.is_kept() || self.segments.back().is_none_or(Segment::is_safe)
    }

    /// Begins another segment if the last one is full.
    pub(super) fn roll(&mut self) -> io::Result<()> {
        let last = self.segments.back();
        let number = last.map_or(0, |segment| segment.number + 1);
        if last.is_some_and(|segment| !segment.sealed && segment.length < SEGMENT) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        record::snapshot(&mut bytes, self.next_record, self.definitions.iter());
        if let Some(last) = self.segments.back_mut().filter(|_| self.folder.is_kept()) {
            if last.sealed {
                append_unsafe(last, &mut bytes)?;
            } else {
                last.sync()?;
            }
        }
        record::append(&mut bytes, Kind::Commit, |_| {});
        let mut segment = self.folder.create(number)?;
        segment.append(&bytes)?;
        if let Some(last) = self.segments.back_mut() {
            last.synced = last.length;
        }
        self.shelf.lock().files.insert(number, segment.file.clone());
        self.segments.push_back(segment);
        Ok(())
    }

    fn last(&self) -> &Segment {
        self.segments.back().expect("roll() comes first")
    }

    /// Encodes a batch. A message that comes and goes within it is not written at all.
    fn plan(&self, batch: &[Effect]) -> Plan {
        let mut removed: Vec<_> = batch
            .iter()
            .filter_map(|effect| if let Effect::Remove(record) = effect { Some(*record) } else { None })
            .collect();
        removed.sort_unstable();
        let gone: HashSet<_> = removed.iter().copied().collect();
        let (segment, base) = (self.last().number, self.last().length);
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        let mut never_written = HashSet::new();
        for effect in batch {
            let start = bytes.len();
            match effect {
                Effect::Put(Put { record, .. }) if gone.contains(record) => {
                    never_written.insert(*record);
                }
                Effect::Put(put) => {
                    record::put(&mut bytes, put);
                    let offset = place(base, start);
                    let size = u32::try_from(bytes.len() - start).expect("a record is smaller than 4 GB");
                    places.push((put.record, Place { segment, offset, size, returns: put.returns }));
                }
                Effect::Returned { record, .. } if gone.contains(record) => {}
                Effect::Returned { record, returns } => record::returned(&mut bytes, *record, *returns),
                Effect::Define { key, value } => record::define(&mut bytes, key, value.as_deref()),
                Effect::Remove(_) | Effect::Sync => {}
            }
        }
        removed.retain(|record| !never_written.contains(record));
        // Messages that had only left memory end with the process anyway, and so do their removals; but the numbers
        // do not tell which they are, and a few bytes do no harm.
        if !removed.is_empty() {
            record::removed(&mut bytes, &removed);
        }
        if !bytes.is_empty() {
            record::append(&mut bytes, Kind::Commit, |_| {});
        }
        Plan { bytes, places, removed }
    }

    /// Appends to the last segment: all of it counts, and is safe if `sync` was asked for, or none does.
    fn append(&mut self, bytes: &[u8], sync: bool) -> io::Result<()> {
        let sync = sync && self.folder.is_kept();
        let last = self.segments.back_mut().expect("roll() comes first");
        let before = last.length;
        last.append(bytes)?;
        let safe = if sync { last.sync() } else { Ok(()) };
        if safe.is_err() {
            last.take_back(before);
        }
        safe
    }

    fn apply(&mut self, batch: &[Effect], plan: &Plan) {
        let shelf = self.shelf.clone();
        let mut shelf = shelf.lock();
        for (record, place) in &plan.places {
            self.next_record = self.next_record.max(record.0.get() + 1);
            self.enter(&mut shelf, *record, *place);
        }
        for record in &plan.removed {
            self.next_record = self.next_record.max(record.0.get() + 1);
            if let Some(place) = shelf.index.remove(*record) {
                self.count_out(place);
            }
        }
        for effect in batch {
            match effect {
                Effect::Returned { record, returns } => shelf.index.returned(*record, *returns),
                Effect::Define { key, value: Some(value) } => {
                    self.definitions.insert(key.clone(), value.clone());
                }
                Effect::Define { key, value: None } => {
                    self.definitions.remove(key);
                }
                Effect::Put(_) | Effect::Remove(_) | Effect::Sync => {}
            }
        }
    }

    /// Notes where a message is, which may have been elsewhere before.
    pub(super) fn enter(&mut self, shelf: &mut Shelved, record: RecordId, place: Place) {
        if let Some(old) = shelf.index.insert(record, place) {
            self.count_out(old);
        }
        self.count_in(place);
    }

    pub(super) fn count_in(&mut self, place: Place) {
        if let Some(segment) = self.segment_mut(place.segment) {
            segment.live += u64::from(place.size);
        }
    }

    pub(super) fn count_out(&mut self, place: Place) {
        if let Some(segment) = self.segment_mut(place.segment) {
            segment.live -= u64::from(place.size);
        }
    }

    fn segment_mut(&mut self, number: u32) -> Option<&mut Segment> {
        let place = self.segments.binary_search_by_key(&number, |segment| segment.number).ok()?;
        self.segments.get_mut(place)
    }

    /// Gives room back: one segment at most, so that nobody waits for long. Returns whether there may be more.
    ///
    /// # Errors
    /// When the disk cannot; nothing is lost by that.
    pub(super) fn reclaim(&mut self) -> io::Result<bool> {
        if self.segments.len() < 2 {
            return Ok(false);
        }
        let total: u64 = self.segments.iter().map(|segment| segment.length).sum();
        let live: u64 = self.segments.iter().map(|segment| segment.live).sum();
        let oldest = &self.segments[0];
        if oldest.live > 0 {
            let many = self.segments.len() as u64 > 8 + 2 * total / SEGMENT;
            if total - live <= live.max(GARBAGE) && !many {
                return Ok(false);
            }
            self.copy_forward()?;
        }
        self.remove_oldest()?;
        Ok(true)
    }

    /// Removes the oldest segment, when what follows it is safe: the definitions stand there, too, and nowhere else.
    fn remove_oldest(&mut self) -> io::Result<()> {
        if self.folder.is_kept()
            && let Some(last) = self.segments.back_mut()
        {
            last.sync()?;
        }
        let Some(oldest) = self.segments.pop_front() else { return Ok(()) };
        self.shelf.lock().files.remove(&oldest.number);
        self.folder.remove(oldest.number)
    }

    /// Writes again what is still wanted of the oldest segment.
    fn copy_forward(&mut self) -> io::Result<()> {
        self.roll()?;
        let (number, base) = (self.last().number, self.last().length);
        let mut oldest = vec![0; usize::try_from(self.segments[0].length).map_err(io::Error::other)?];
        self.segments[0].file.read_exact_at(&mut oldest, 0)?;
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        let mut cursor = MAGIC.len();
        while let Found::Record(_, _, size) | Found::Damaged(size) = record::read(&oldest[cursor..]) {
            let whole = &oldest[cursor..cursor + size];
            cursor += size;
            let Found::Record(Kind::Put, payload, _) = record::read(whole) else { continue };
            let Ok(known) = record::recovered(payload) else { continue };
            let Some(place_now) = self.shelf.lock().index.get(known.record) else { continue };
            let is_here =
                place_now.segment == self.segments[0].number && place_now.offset as usize == cursor - size;
            if is_here {
                let start = bytes.len();
                record::with_returns(whole, place_now.returns, &mut bytes);
                places
                    .push((known.record, Place { segment: number, offset: place(base, start), ..place_now }));
            }
        }
        record::append(&mut bytes, Kind::Commit, |_| {});
        self.append(&bytes, true)?;
        let shelf = self.shelf.clone();
        let mut shelf = shelf.lock();
        for (record, place) in places {
            self.enter(&mut shelf, record, place);
        }
        Ok(())
    }
}

/// Appends again what counts in a sealed segment and may not survive there. Messages do: what holds one that must
/// survive counts only when it is safe.
fn append_unsafe(sealed: &Segment, out: &mut Vec<u8>) -> io::Result<()> {
    let start = sealed.synced.max(MAGIC.len() as u64);
    let mut bytes = vec![0; usize::try_from(sealed.length - start).map_err(io::Error::other)?];
    sealed.file.read_exact_at(&mut bytes, start)?;
    let mut rest = bytes.as_slice();
    while let Found::Record(kind, _, size) = record::read(rest) {
        if matches!(kind, Kind::Removed | Kind::Returned) {
            out.extend_from_slice(&rest[..size]);
        }
        rest = &rest[size..];
    }
    if !rest.is_empty() {
        tracing::error!(
            segment = sealed.number,
            "the disk has lost acknowledgements; their messages may come again after a restart"
        );
    }
    Ok(())
}

fn place(base: u64, start: usize) -> u32 {
    u32::try_from(base + start as u64)
        .expect("a batch is cut at 1 GB, and a segment ends with the one that makes it larger than 32 MB")
}
