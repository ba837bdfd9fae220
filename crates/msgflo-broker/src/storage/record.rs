//! Records: the bytes of a segment.
//!
//! A record is its length, a checksum (CRC-32 of kind and payload), its kind, and its payload. What was handed over
//! together ends with a [`Kind::Commit`]; after a crash nothing behind the last one counts.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::broker::{Charge, Memory, Message, Name, Put, QueueUid, RecordId, Recovered, Time};
use crate::pack::{self, Malformed, Unpack};

/// Length and checksum before the kind (bytes).
pub(super) const HEAD: usize = 8;
/// Where the number of returns lies in a [`Kind::Put`] (bytes after the head).
const RETURNS: usize = 1 + 8;
/// The largest record that is believed in (bytes): a message of the largest size with all that belongs to it.
pub(super) const RECORD_MAX: usize = 512 * 1024 * 1024;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message is there.
    Put,
    /// Messages are gone.
    Removed,
    /// A message came back after a delivery.
    Returned,
    /// Something is defined, or not any more.
    Define,
    /// All definitions there are, and the next free number. The first record of each segment.
    Snapshot,
    /// Everything before this counts.
    Commit,
    /// The broker ended as it should.
    Clean,
}

impl Kind {
    fn parse(byte: u8) -> Result<Self, Malformed> {
        Ok(match byte {
            b'p' => Self::Put,
            b'r' => Self::Removed,
            b'b' => Self::Returned,
            b'd' => Self::Define,
            b's' => Self::Snapshot,
            b'c' => Self::Commit,
            b'e' => Self::Clean,
            _ => return Err(Malformed),
        })
    }

    fn byte(self) -> u8 {
        match self {
            Self::Put => b'p',
            Self::Removed => b'r',
            Self::Returned => b'b',
            Self::Define => b'd',
            Self::Snapshot => b's',
            Self::Commit => b'c',
            Self::Clean => b'e',
        }
    }
}

/// Appends a record.
pub(super) fn append(out: &mut Vec<u8>, kind: Kind, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    out.push(kind.byte());
    payload(out);
    seal(&mut out[start..]);
}

/// Writes length and checksum of a whole record.
fn seal(record: &mut [u8]) {
    let length = u32::try_from(record.len() - HEAD).expect("a record is smaller than 4 GB");
    let checksum = crc32fast::hash(&record[HEAD..]);
    record[..4].copy_from_slice(&length.to_be_bytes());
    record[4..HEAD].copy_from_slice(&checksum.to_be_bytes());
}

/// What stands at some place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole record: its kind and payload, and its size with the head.
    Record(Kind, &'a [u8], usize),
    /// A record whose length makes sense and whose content does not; its size with the head.
    Damaged(usize),
    /// No record: the end, or damage that hides where the next one begins.
    Nothing,
}

/// Reads the record at the front of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Found<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Found::Nothing };
    let Some((checksum, rest)) = rest.split_first_chunk::<4>() else { return Found::Nothing };
    let length = u32::from_be_bytes(*length) as usize;
    if length == 0 || length > RECORD_MAX {
        return Found::Nothing;
    }
    let Some(content) = rest.get(..length) else { return Found::Nothing };
    let (kind, payload) = (content[0], &content[1..]);
    match Kind::parse(kind) {
        Ok(kind) if crc32fast::hash(content) == u32::from_be_bytes(*checksum) => {
            Found::Record(kind, payload, HEAD + length)
        }
        _ => Found::Damaged(HEAD + length),
    }
}

/// Whether a record or the end follows.
pub(super) fn goes_on(bytes: &[u8]) -> bool {
    bytes.is_empty() || matches!(read(bytes), Found::Record(..))
}

/// The length of the record at the front of `bytes` if only its length is damaged: that for which the checksum speaks, and
/// behind which the log goes on.
pub(super) fn true_length(bytes: &[u8]) -> Option<u32> {
    let (_, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, content) = rest.split_first_chunk::<4>()?;
    let checksum = u32::from_be_bytes(*checksum);
    Kind::parse(*content.first()?).ok()?;
    let mut hasher = crc32fast::Hasher::new();
    (1..=content.len().min(RECORD_MAX)).find_map(|length| {
        hasher.update(&content[length - 1..length]);
        let is_it = hasher.clone().finalize() == checksum && goes_on(&content[length..]);
        is_it.then(|| u32::try_from(length).expect("limited just now"))
    })
}

/// Makes whole records damaged ones, for good, in their file and in its `bytes`.
pub(super) fn spoil(file: &File, bytes: &mut [u8], places: &[usize]) -> io::Result<()> {
    for &place in places {
        let checksum = &mut bytes[place + 4..place + HEAD];
        checksum.iter_mut().for_each(|byte| *byte = !*byte);
        file.write_all_at(checksum, place as u64 + 4)?;
    }
    file.sync_data()
}

/// Whether something was committed in there, or looks so.
pub(super) fn holds_commit(bytes: &[u8]) -> bool {
    let mut commit = Vec::new();
    append(&mut commit, Kind::Commit, |_| {});
    bytes.windows(commit.len()).any(|window| window == commit)
}

/// Appends a message.
pub(super) fn put(out: &mut Vec<u8>, put: &Put) {
    let message = &put.message;
    out.reserve(message.footprint());
    append(out, Kind::Put, |out| {
        out.extend_from_slice(&put.record.0.get().to_be_bytes());
        out.extend_from_slice(&put.returns.to_be_bytes());
        out.extend_from_slice(&put.queue.0.to_be_bytes());
        out.extend_from_slice(&put.position.to_be_bytes());
        pack::optional(out, put.expires.map(|time| time.0));
        out.push(message.priority);
        out.push(u8::from(message.persistent));
        pack::optional(out, message.expiration);
        out.extend_from_slice(&length(&message.body).to_be_bytes());
        pack::bytes(out, message.exchange.as_str().as_bytes());
        pack::bytes(out, message.routing_key.as_str().as_bytes());
        pack::short(out, message.extra_keys.len() as u64);
        for key in &message.extra_keys {
            pack::bytes(out, key.as_str().as_bytes());
        }
        pack::bytes(out, &message.properties);
        out.extend_from_slice(&message.body);
    });
}

fn length(body: &Bytes) -> u32 {
    u32::try_from(body.len()).expect("bodies are smaller than 4 GB")
}

/// The part of a message's payload that a queue needs to know.
pub(super) fn recovered(payload: &[u8]) -> Result<Recovered, Malformed> {
    entry(&mut Unpack(payload)).map(|(entry, _, _)| entry)
}

fn entry(fields: &mut Unpack<'_>) -> Result<(Recovered, bool, Option<u64>), Malformed> {
    let record = record_id(fields.u64()?)?;
    let returns = fields.u32()?;
    let (queue, position) = (QueueUid(fields.u64()?), fields.u64()?);
    let expires = fields.optional()?.map(Time);
    let (priority, persistent) = (fields.u8()?, fields.flag()?);
    let expiration = fields.optional()?;
    let size = fields.u32()?;
    Ok((Recovered { queue, position, record, size, priority, returns, expires }, persistent, expiration))
}

/// The message in a payload, which stays in one piece of memory with it.
pub(super) fn message(payload: BytesMut, memory: &Memory) -> Result<Arc<Message>, Malformed> {
    let payload = payload.freeze();
    let mut fields = Unpack(&payload);
    let (entry, persistent, expiration) = entry(&mut fields)?;
    let exchange = Name::new(fields.text()?);
    let routing_key = Name::new(fields.text()?);
    let keys = fields.short()?;
    let extra_keys = (0..keys).map(|_| fields.text().map(Name::new)).collect::<Result<_, _>>()?;
    let properties = payload.slice_ref(fields.bytes()?);
    let body = payload.slice_ref(fields.0);
    if body.len() != entry.size as usize {
        return Err(Malformed);
    }
    let priority = entry.priority;
    let charge = Charge::default();
    let message = Message {
        exchange,
        routing_key,
        extra_keys,
        properties,
        body,
        priority,
        persistent,
        expiration,
        charge,
    };
    Ok(message.charged(memory))
}

/// The same record of a message, which has come back so often by now.
pub(super) fn with_returns(record: &[u8], returns: u32, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(record);
    let place = start + HEAD + RETURNS;
    out[place..place + 4].copy_from_slice(&returns.to_be_bytes());
    seal(&mut out[start..]);
}

/// Appends that messages are gone; their numbers must be sorted.
pub(super) fn removed(out: &mut Vec<u8>, records: &[RecordId]) {
    append(out, Kind::Removed, |out| {
        let mut last = 0;
        for record in records {
            pack::short(out, record.0.get() - last);
            last = record.0.get();
        }
    });
}

/// Calls back with each message that is gone.
pub(super) fn each_removed(payload: &[u8], mut each: impl FnMut(RecordId)) -> Result<(), Malformed> {
    let (mut fields, mut last) = (Unpack(payload), 0_u64);
    while !fields.is_empty() {
        last = last.checked_add(fields.short()?).ok_or(Malformed)?;
        each(record_id(last)?);
    }
    Ok(())
}

/// Appends that a message came back.
pub(super) fn returned(out: &mut Vec<u8>, record: RecordId, returns: u32) {
    append(out, Kind::Returned, |out| {
        out.extend_from_slice(&record.0.get().to_be_bytes());
        out.extend_from_slice(&returns.to_be_bytes());
    });
}

/// A message that came back, and how often it has by now.
pub(super) fn parse_returned(payload: &[u8]) -> Result<(RecordId, u32), Malformed> {
    let mut fields = Unpack(payload);
    Ok((record_id(fields.u64()?)?, fields.u32()?))
}

/// Appends that something is defined (or, without a value, not any more).
pub(super) fn define(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    append(out, Kind::Define, |out| {
        pack::bytes(out, key);
        if let Some(value) = value {
            pack::bytes(out, value);
        }
    });
}

/// The key of a definition, and its value if it is there.
pub(super) fn parse_define(payload: &[u8]) -> Result<(&[u8], Option<&[u8]>), Malformed> {
    let mut fields = Unpack(payload);
    let key = fields.bytes()?;
    let value = if fields.is_empty() { None } else { Some(fields.bytes()?) };
    Ok((key, value))
}

/// Appends all definitions and the next free number.
pub(super) fn snapshot<'a>(
    out: &mut Vec<u8>,
    next_record: u64,
    definitions: impl Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>,
) {
    append(out, Kind::Snapshot, |out| {
        out.extend_from_slice(&next_record.to_be_bytes());
        for (key, value) in definitions {
            pack::bytes(out, key);
            pack::bytes(out, value);
        }
    });
}

/// A key and its value.
pub(super) type KeyValue<'a> = (&'a [u8], &'a [u8]);

/// The next free number and all definitions.
pub(super) fn parse_snapshot(payload: &[u8]) -> Result<(u64, Vec<KeyValue<'_>>), Malformed> {
    let mut fields = Unpack(payload);
    let next_record = fields.u64()?;
    let mut definitions = Vec::new();
    while !fields.is_empty() {
        definitions.push((fields.bytes()?, fields.bytes()?));
    }
    Ok((next_record, definitions))
}

fn record_id(number: u64) -> Result<RecordId, Malformed> {
    number.try_into().map(RecordId).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u64) -> RecordId {
        RecordId(number.try_into().expect("not zero"))
    }

    proptest! {
        #[test]
        fn messages_come_back(
            numbers: (u64, u64, u32, u8),
            texts: (String, Vec<String>),
            contents: (Vec<u8>, Vec<u8>),
            times: (Option<u64>, Option<u64>),
        ) {
            let message = Message {
                exchange: Name::new(&texts.0),
                routing_key: Name::new("key"),
                extra_keys: texts.1.iter().map(|text| Name::new(text)).collect(),
                properties: contents.0.into(),
                body: contents.1.into(),
                priority: numbers.3,
                persistent: true,
                expiration: times.1,
                charge: Charge::default(),
            };
            let memory = Memory::default();
            let stored = Put {
                record: id(7),
                queue: QueueUid(numbers.0),
                position: numbers.1,
                expires: times.0.map(Time),
                returns: 0,
                message: message.charged(&memory),
            };
            let mut out = vec![1, 2, 3];
            put(&mut out, &stored);
            let mut later = Vec::new();
            with_returns(&out[3..], numbers.2, &mut later);
            for (bytes, returns) in [(&out[3..], 0), (&later[..], numbers.2)] {
                let Found::Record(Kind::Put, payload, size) = read(bytes) else { panic!("not found") };
                prop_assert_eq!(size, bytes.len());
                let known = recovered(payload).unwrap();
                prop_assert_eq!((known.queue, known.position, known.record), (stored.queue, numbers.1, id(7)));
                prop_assert_eq!((known.expires, known.returns), (stored.expires, returns));
                let again = super::message(payload.into(), &memory).unwrap();
                prop_assert_eq!(&again, &stored.message);
            }
            for place in [0, 5, HEAD, out.len() - 4] {
                let mut damaged = out[3..].to_vec();
                damaged[place] ^= 0x10;
                prop_assert!(!matches!(read(&damaged), Found::Record(..)), "damage at {place}");
            }
        }

        #[test]
        fn removals_come_back(numbers in prop::collection::btree_set(1_u64.., 0..50)) {
            let records: Vec<_> = numbers.into_iter().map(id).collect();
            let mut out = Vec::new();
            removed(&mut out, &records);
            let Found::Record(Kind::Removed, payload, _) = read(&out) else { panic!("not found") };
            let mut found = Vec::new();
            each_removed(payload, |record| found.push(record)).unwrap();
            prop_assert_eq!(found, records);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
            match read(&bytes) {
                Found::Record(_, _, size) | Found::Damaged(size) => prop_assert!(size <= bytes.len()),
                Found::Nothing => {}
            }
            let _ = (recovered(&bytes), parse_define(&bytes), parse_snapshot(&bytes), parse_returned(&bytes));
            let _ = message(bytes.as_slice().into(), &Memory::default());
            let _ = each_removed(&bytes, |_| {});
        }
    }
}
