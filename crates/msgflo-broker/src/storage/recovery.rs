//! The log as it is found: which messages and definitions count, and what is damaged.
//!
//! Segments are read in their order. What was written together counts only as a whole where the writing was cut
//! short, which can only be at the end of the last segment. Damage anywhere else costs the records that it hit: each
//! is reported with its file and place, and what is whole is kept. A damaged length, which would hide what follows, is
//! found again by the checksum. Where that fails, what cannot be read is kept in a file beside the segment: records are not
//! looked for in the middle of bytes, since a message may hold bytes that look like some.
//!
//! What was written last may have reached the disk in any order. So where a batch of the last segment is damaged, nothing is
//! taken away by it: a message that moved comes twice rather than never. And where anything is damaged, messages without a queue
//! may be those of one that was hit: the broker goes on without them, and their segments are kept beside.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::index::{Index, Place};
use super::log::{Log, Shelf};
use super::record::{self, Found, Kind};
use super::segment::{Folder, MAGIC, Segment};
use crate::broker::{Definition, Memoir, QueueUid, RecordId, Recovered};
use crate::pack::Malformed;

/// So many messages may be gone before they are sifted out.
const SIFT: usize = 100_000;

/// What was found beside messages and definitions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    /// Records that are lost.
    pub(super) records: u64,
    /// Bytes at the end of the log that had not counted yet.
    pub(super) cut: u64,
}

/// What has been read so far.
struct Reader {
    /// Messages in the order of the log; those that the index does not place there are gone.
    messages: Vec<(Recovered, Place)>,
    /// How many were left when the others were last sifted out.
    sifted: usize,
    index: Index,
    definitions: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Read, and not known to count yet.
    pending: Vec<Change>,
    next_record: u64,
    clean: bool,
    damage: Damage,
}

enum Change {
    Put(Recovered, Place),
    Removed(Vec<RecordId>),
    Returned(RecordId, u32),
    Define(Vec<u8>, Option<Vec<u8>>),
    Snapshot(u64, BTreeMap<Vec<u8>, Vec<u8>>),
    Clean,
}

impl Change {
    /// Whether something is gone by it.
    fn takes_away(&self) -> bool {
        matches!(self, Self::Removed(_) | Self::Define(_, None))
    }
}

/// How much of a segment counts.
struct Counted {
    /// Bytes that count, 0 if it is no segment.
    length: u64,
    /// Where bytes begin that cannot be read, and may have counted.
    hidden: Option<usize>,
}

/// Opens the log in a folder.
///
/// # Errors
/// When the folder cannot be used, or holds segments of a form, or definitions of a kind, that we do not know.
pub(super) fn open(path: &Path) -> io::Result<(Log, Memoir)> {
    let folder = Folder::open(path)?;
    let mut reader = Reader {
        messages: Vec::new(),
        sifted: 0,
        index: Index::default(),
        definitions: BTreeMap::new(),
        pending: Vec::new(),
        next_record: 1,
        clean: true,
        damage: Damage::default(),
    };
    let (mut segments, mut bytes) = (VecDeque::new(), Vec::new());
    let numbers = folder.list()?;
    for (index, &number) in numbers.iter().enumerate() {
        let file = folder.open_segment(number)?;
        let is_last = index + 1 == numbers.len();
        bytes.clear();
        (&file).read_to_end(&mut bytes)?;
        let path = folder.path(number);
        let Counted { length, hidden } = reader.segment(&path, number, &file, &mut bytes, is_last)?;
        if let Some(place) = hidden {
            let kept = folder.keep_aside(number, &bytes[place..])?;
            tracing::error!(
                file = %path.display(),
                place,
                kept = %kept.display(),
                "the log is damaged, and what follows cannot be read; it is kept in a file beside, and the broker goes on \
                 without it: check the disk, and remove that file when nothing in it is missed"
            );
        }
        if length == 0 {
            folder.remove(number)?;
            continue;
        }
        if is_last {
            // Another segment will follow, and then this would no longer be the end of the log.
            if length < file.metadata()?.len() {
                file.set_len(length)?;
            }
            // Of what a killed broker wrote the system may have kept a part in memory.
            file.sync_all()?;
        }
        // Each start begins a segment of its own, so that a damaged end is never written behind.
        let file = Arc::new(file);
        segments.push_back(Segment { number, file, length, synced: length, sealed: true, live: 0 });
    }
    reader.sift();
    let Reader { messages, index, definitions, next_record, clean, damage, .. } = reader;
    if damage.cut > 0 {
        tracing::warn!(path = %path.display(), bytes = damage.cut, "the log was cut short; its end was promised to nobody");
    }
    let shelf = Arc::new(Shelf::default());
    {
        let mut shelf = shelf.lock();
        shelf.index = index;
        shelf.files = segments.iter().map(|segment| (segment.number, segment.file.clone())).collect();
    }
    drop(bytes);
    let mut log = Log { folder, shelf, segments, definitions, next_record };
    let mut memoir =
        Memoir { crashed: !clean, next_record: NonZeroU64::new(next_record), ..Memoir::default() };
    let mut queues = HashSet::new();
    for (key, value) in &log.definitions {
        let definition = Definition::decode(key, value).map_err(|Malformed| unknown_definition())?;
        if let Definition::Queue { uid, .. } = &definition {
            // Queues are numbered from the same sequence.
            memoir.next_record = memoir.next_record.max(NonZeroU64::new(uid.0 + 1));
            queues.insert(*uid);
        }
        memoir.definitions.push(definition);
    }
    if damage.records > 0 {
        let homeless = messages.iter().filter(|(message, _)| !queues.contains(&message.queue));
        keep_homeless(&log.folder, homeless.map(|(_, place)| place.segment))?;
    }
    memoir.messages.reserve_exact(messages.len());
    for (message, place) in messages {
        log.count_in(place);
        memoir.messages.push(message);
    }
    Ok((log, memoir))
}

/// A whole record that we cannot read was written by another version. Without it its queue, and what is in that, would be gone.
fn unknown_definition() -> io::Error {
    let text = "it holds a definition that means nothing to this version of the broker: start the version that wrote it, or use \
                another folder";
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Keeps the segments of messages beside that are not in any queue, which may be because of the damage.
fn keep_homeless(folder: &Folder, segments: impl Iterator<Item = u32>) -> io::Result<()> {
    let (mut count, mut numbers) = (0_usize, BTreeSet::new());
    for number in segments {
        count += 1;
        numbers.insert(number);
    }
    for number in numbers {
        let kept = folder.keep_copy(number)?;
        tracing::error!(
            messages = count,
            kept = %kept.display(),
            "the log is damaged, and holds messages of queues that it does not know, maybe for that; they are kept in files beside, \
             and the broker goes on without them: check the disk, and remove those files when nothing in them is missed"
        );
    }
    Ok(())
}

impl Reader {
    /// Reads a segment, and mends in its file what can be mended.
    fn segment(
        &mut self,
        path: &Path,
        number: u32,
        file: &File,
        bytes: &mut [u8],
        is_last: bool,
    ) -> io::Result<Counted> {
        if !bytes.starts_with(&MAGIC) {
            // Made, and nothing reached the disk.
            if bytes.iter().all(|byte| *byte == 0) {
                if !is_last {
                    self.damage.records += 1;
                    tracing::error!(file = %path.display(), "a part of the log is empty; what it held is lost");
                }
                return Ok(Counted { length: 0, hidden: None });
            }
            let text = format!("{} is no log of this version of the broker", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut cursor = MAGIC.len();
        let mut counted = cursor;
        let mut damaged = Vec::new();
        // Of the batch that is being read: whether it is whole so far, and where something is taken away by it.
        let (mut is_torn, mut takings) = (false, Vec::new());
        while cursor < bytes.len() {
            let rest = &bytes[cursor..];
            let is_hidden = match record::read(rest) {
                Found::Record(..) => false,
                Found::Damaged(size) => !record::goes_on(&rest[size..]),
                Found::Nothing => true,
            };
            if is_hidden && let Some(length) = record::true_length(rest) {
                tracing::warn!(file = %path.display(), place = cursor, "a damaged length in the log was found again");
                bytes[cursor..cursor + 4].copy_from_slice(&length.to_be_bytes());
                file.write_all_at(&length.to_be_bytes(), cursor as u64)?;
                file.sync_data()?;
            }
            let size = match record::read(&bytes[cursor..]) {
                Found::Record(kind, payload, size) => {
                    let place = u32::try_from(cursor).map_err(io::Error::other)?;
                    match self.record(kind, payload, number, place, size) {
                        Ok(true) => {
                            if is_last && is_torn && !takings.is_empty() {
                                tracing::warn!(file = %path.display(), place = counted, "what was removed together with a damaged record comes again");
                                self.pending.retain(|change| !change.takes_away());
                                record::spoil(file, bytes, &takings)?;
                            }
                            self.apply();
                            (is_torn, counted) = (false, cursor + size);
                            takings.clear();
                        }
                        Ok(false) if self.pending.last().is_some_and(Change::takes_away) => {
                            takings.push(cursor);
                        }
                        Ok(false) => {}
                        Err(Malformed) => {
                            damaged.push(cursor);
                            is_torn = true;
                        }
                    }
                    size
                }
                Found::Damaged(size) => {
                    damaged.push(cursor);
                    is_torn = true;
                    size
                }
                Found::Nothing => break,
            };
            cursor += size;
        }
        // What stands behind the last commit was never promised to anybody.
        self.pending.clear();
        let mut hidden = None;
        if is_last {
            if record::holds_commit(&bytes[cursor..]) {
                hidden = Some(counted);
            } else {
                self.damage.cut += (bytes.len() - counted) as u64;
            }
            damaged.retain(|place| *place < counted);
        } else if cursor < bytes.len() {
            hidden = Some(cursor);
        }
        for place in damaged {
            self.damage.records += 1;
            tracing::error!(file = %path.display(), place, "a part of the log is damaged; what it held is lost");
        }
        self.damage.records += u64::from(hidden.is_some());
        Ok(Counted { length: counted as u64, hidden })
    }

    /// Takes note of a record; returns whether it says that everything up to here counts.
    fn record(
        &mut self,
        kind: Kind,
        payload: &[u8],
        segment: u32,
        offset: u32,
        size: usize,
    ) -> Result<bool, Malformed> {
        let change = match kind {
            Kind::Put => {
                let message = record::recovered(payload)?;
                let size = u32::try_from(size).map_err(|_| Malformed)?;
                let place = Place { segment, offset, size, returns: message.returns };
                Change::Put(message, place)
            }
            Kind::Removed => {
                let mut records = Vec::new();
                record::each_removed(payload, |record| records.push(record))?;
                Change::Removed(records)
            }
            Kind::Returned => {
                let (record, returns) = record::parse_returned(payload)?;
                Change::Returned(record, returns)
            }
            Kind::Define => {
                let (key, value) = record::parse_define(payload)?;
                Change::Define(key.to_vec(), value.map(<[u8]>::to_vec))
            }
            Kind::Snapshot => {
                let (next_record, definitions) = record::parse_snapshot(payload)?;
                let owned = definitions.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec()));
                Change::Snapshot(next_record, owned.collect())
            }
            Kind::Clean => Change::Clean,
            Kind::Commit => return Ok(true),
        };
        self.pending.push(change);
        Ok(false)
    }

    /// Forgets the messages that are gone, and notes how often the others came back.
    fn sift(&mut self) {
        let index = &self.index;
        self.messages.retain_mut(|(message, place)| {
            let wanted = index.get(message.record);
            let here = wanted.filter(|now| (now.segment, now.offset) == (place.segment, place.offset));
            if let Some(now) = here {
                message.returns = now.returns;
            }
            here.is_some()
        });
        self.sifted = self.messages.len();
    }

    /// What was read counts.
    fn apply(&mut self) {
        for change in mem::take(&mut self.pending) {
            self.clean = false;
            match change {
                Change::Put(message, place) => {
                    self.saw(message.record);
                    // Messages that had only left memory ended with their broker.
                    if message.queue != QueueUid::NONE {
                        self.index.insert(message.record, place);
                        self.messages.push((message, place));
                    }
                }
                Change::Removed(records) => {
                    for record in records {
                        self.saw(record);
                        self.index.remove(record);
                    }
                }
                Change::Returned(record, returns) => {
                    self.index.returned(record, returns);
                }
                Change::Define(key, Some(value)) => {
                    self.definitions.insert(key, value);
                }
                Change::Define(key, None) => {
                    self.definitions.remove(&key);
                }
                Change::Snapshot(next_record, definitions) => {
                    self.next_record = self.next_record.max(next_record);
                    self.definitions = definitions;
                }
                Change::Clean => self.clean = true,
            }
        }
        if self.messages.len() > 2 * self.sifted + SIFT {
            self.sift();
        }
    }

    fn saw(&mut self, record: RecordId) {
        self.next_record = self.next_record.max(record.0.get() + 1);
    }
}
