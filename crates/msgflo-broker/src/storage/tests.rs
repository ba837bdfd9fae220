//! The log against real files: what was safe comes back, whatever was cut, damaged or full.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use amq_protocol::types::FieldTable;
use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::log::Log;
use super::segment::Segment;
use super::{News, Opened, recovery};
use crate::broker::{
    Charge, Definition, Effect, Memoir, Memory, Message, Name, Pages, Put, QueueUid, RecordId,
};

const QUEUE: QueueUid = QueueUid(1_000_000);

fn id(number: u64) -> RecordId {
    RecordId(number.try_into().expect("not zero"))
}

fn put(number: u64, body: &[u8]) -> Effect {
    let message = Message {
        exchange: Name::new("x"),
        routing_key: Name::new("k"),
        extra_keys: Vec::new(),
        properties: Bytes::from_static(&[0, 0]),
        body: Bytes::copy_from_slice(body),
        priority: 0,
        persistent: true,
        expiration: None,
        charge: Charge::default(),
    };
    Effect::Put(Put {
        record: id(number),
        queue: QUEUE,
        position: number,
        expires: None,
        returns: 0,
        message: Arc::new(message),
    })
}

fn define() -> Effect {
    let definition = Definition::VirtualHost(Name::new("v"));
    Effect::Define { key: definition.key(), value: Some(definition.value()) }
}

/// The queue of all messages here.
fn define_queue() -> Effect {
    let (vhost, name, arguments) = (Name::new("/"), Name::new("q"), FieldTable::default());
    let definition = Definition::Queue { vhost, name, uid: QUEUE, auto_delete: false, arguments };
    Effect::Define { key: definition.key(), value: Some(definition.value()) }
}

fn remove(number: u64) -> Effect {
    Effect::Remove(id(number))
}

fn open(folder: &Path) -> (Log, Memoir) {
    recovery::open(folder).expect("the log can be opened")
}

fn numbers(memoir: &Memoir) -> Vec<u64> {
    let mut numbers: Vec<_> = memoir.messages.iter().map(|message| message.record.0.get()).collect();
    numbers.sort_unstable();
    numbers
}

fn body(log: &Log, number: u64) -> Option<Vec<u8>> {
    log.shelf.read(id(number), &Memory::default()).map(|message| message.body.to_vec())
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    files(folder, "segment")
}

fn files(folder: &Path, wanted: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == wanted))
        .collect();
    paths.sort();
    paths
}

#[test]
fn what_was_committed_comes_back() {
    let folder = TempDir::new().unwrap();
    let (mut log, memoir) = open(folder.path());
    assert_eq!((numbers(&memoir), memoir.crashed), (vec![], false));
    log.commit(&[define(), put(1, b"a"), put(2, b"b")], true).unwrap();
    log.commit(&[remove(1), Effect::Returned { record: id(2), returns: 3 }, put(3, b"c"), remove(3)], true)
        .unwrap();
    drop(log);
    for _ in 0..3 {
        let (log, memoir) = open(folder.path());
        assert_eq!((numbers(&memoir), memoir.crashed), (vec![2], true));
        assert_eq!(memoir.messages[0].returns, 3);
        // The third left no trace.
        assert_eq!(memoir.next_record.map(|number| number.get()), Some(3));
        assert_eq!(body(&log, 2).as_deref(), Some(&b"b"[..]));
        assert_eq!(log.definitions.len(), 1);
    }
    let (mut log, _) = open(folder.path());
    log.finish().unwrap();
    drop(log);
    assert!(!open(folder.path()).1.crashed);
}

#[test]
fn a_folder_belongs_to_one_broker() {
    let folder = TempDir::new().unwrap();
    let (_log, _) = open(folder.path());
    let error = recovery::open(folder.path()).unwrap_err();
    assert_eq!(error.to_string(), "another broker uses it");
}

#[test]
fn a_file_of_somebody_else_is_named_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("0000000000.segment");
    fs::write(&path, "precious").unwrap();
    let error = recovery::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("0000000000.segment"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

/// Fills segments until there are several, keeping every hundredth message.
fn grow(log: &mut Log, kept: &mut Vec<u64>, from: u64, count: u64) {
    let large = vec![b'x'; 100_000];
    for number in from..from + count {
        log.commit(&[put(number, &large)], false).unwrap();
        if number % 100 == 0 {
            kept.push(number);
        } else {
            log.commit(&[remove(number)], false).unwrap();
        }
        log.reclaim().unwrap();
    }
}

#[test]
fn room_is_given_back_and_nothing_wanted_is_lost() {
    let folder = TempDir::new().unwrap();
    let (mut log, _) = open(folder.path());
    let mut kept = Vec::new();
    grow(&mut log, &mut kept, 1, 3_000);
    let size: u64 = segments(folder.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(size < 150 << 20, "300 MB were written, 3 MB are wanted, and {size} bytes are kept");
    for &number in &kept {
        assert_eq!(body(&log, number).map(|body| body.len()), Some(100_000), "message {number}");
    }
    drop(log);
    let (log, memoir) = open(folder.path());
    assert_eq!(numbers(&memoir), kept);
    for &number in &kept {
        assert_eq!(
            body(&log, number).map(|body| body.len()),
            Some(100_000),
            "message {number} after a restart"
        );
    }
}

/// What a loss of power leaves at the worst: of each file what was made safe.
fn lose_power(folder: &Path, log: Log) {
    for Segment { number, synced, .. } in &log.segments {
        let file = OpenOptions::new().write(true).open(log.folder.path(*number)).unwrap();
        file.set_len(*synced).unwrap();
    }
    drop(log);
    assert!(!segments(folder).is_empty());
}

#[test]
fn definitions_outlive_the_segment_that_they_were_made_in() {
    let folder = TempDir::new().unwrap();
    let (mut log, _) = open(folder.path());
    log.commit(&[define()], true).unwrap();
    drop(log);
    let (mut log, _) = open(folder.path());
    log.commit(&[remove(7)], false).unwrap();
    assert!(log.reclaim().unwrap());
    assert_eq!(segments(folder.path()).len(), 1);
    lose_power(folder.path(), log);
    let (log, _) = open(folder.path());
    assert_eq!(log.definitions.len(), 1);
}

#[test]
fn a_segment_that_the_disk_has_failed_takes_no_acknowledgement_with_it() {
    let folder = TempDir::new().unwrap();
    let (mut log, _) = open(folder.path());
    log.commit(&[put(1, b"a"), put(2, b"b")], true).unwrap();
    log.commit(&[remove(1)], false).unwrap();
    let mut reached = Vec::new();
    for _ in 0..2 {
        let last = log.segments.back_mut().unwrap();
        last.sealed = true;
        reached.push(last.synced);
        log.commit(&[], false).unwrap();
        assert!(!log.is_safe());
    }
    log.commit(&[], true).unwrap();
    assert!(log.is_safe());
    for (segment, synced) in log.segments.iter_mut().zip(reached) {
        segment.synced = synced;
    }
    lose_power(folder.path(), log);
    assert_eq!(numbers(&open(folder.path()).1), [2]);
}

#[test]
fn a_scratch_log_does_not_lie_where_memory_may_be() {
    let Opened { mut log } = Opened::scratch();
    log.roll().unwrap();
    let link = format!("/proc/self/fd/{}", log.segments[0].file.as_raw_fd());
    let wanted = std::env::var_os("TMPDIR").unwrap_or("/var/tmp".into());
    let place = fs::read_link(link).unwrap();
    assert!(place.starts_with(wanted), "{}", place.display());
}

#[test]
fn a_scratch_log_gives_room_back_too() {
    let Opened { mut log } = Opened::scratch();
    let mut kept = Vec::new();
    grow(&mut log, &mut kept, 1, 2_000);
    let size: u64 = log.segments.iter().map(|segment| segment.length).sum();
    assert!(size < 150 << 20, "{size} bytes are kept");
    for number in kept {
        assert!(body(&log, number).is_some(), "message {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Wherever the writing was cut short: every batch counts as a whole or not at all, and what follows is fine.
    #[test]
    fn a_log_that_was_cut_short_keeps_whole_batches(
        batches in prop::collection::vec(prop::collection::vec((any::<bool>(), 1_u64..40), 1..8), 1..12),
        cut in any::<prop::sample::Index>(),
        garbage in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let folder = TempDir::new().unwrap();
        let (mut log, _) = open(folder.path());
        let mut wanted = std::collections::BTreeSet::new();
        let mut states = vec![(0, wanted.clone())];
        log.commit(&[], true).unwrap();
        states[0].0 = log.segments[0].length;
        let mut used = std::collections::BTreeSet::new();
        for batch in batches {
            let mut effects = Vec::new();
            for (is_put, number) in batch {
                if is_put && used.insert(number) {
                    effects.push(put(number, &number.to_be_bytes()));
                    wanted.insert(number);
                } else if wanted.remove(&number) {
                    effects.push(remove(number));
                }
            }
            log.commit(&effects, true).unwrap();
            states.push((log.segments[0].length, wanted.clone()));
        }
        drop(log);
        let path = &segments(folder.path())[0];
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let (first, length) = (states[0].0, file.metadata().unwrap().len());
        let cut = first + cut.index((length - first + 1) as usize) as u64;
        file.set_len(cut).unwrap();
        file.write_all_at(&garbage, cut).unwrap();
        let expected = &states.iter().rev().find(|(length, _)| *length <= cut).unwrap().1;
        for _ in 0..2 {
            let (mut log, memoir) = open(folder.path());
            prop_assert_eq!(&numbers(&memoir).into_iter().collect::<std::collections::BTreeSet<_>>(), expected);
            for &number in expected {
                prop_assert_eq!(body(&log, number), Some(number.to_be_bytes().to_vec()));
            }
            log.commit(&[], true).unwrap();
            prop_assert!(files(folder.path(), "damaged").is_empty(), "nothing is missed");
        }
    }
}

/// A folder with three messages, and where the head of the second one lies.
fn three_messages() -> (TempDir, PathBuf, usize) {
    let folder = TempDir::new().unwrap();
    let (mut log, _) = open(folder.path());
    for number in 1..=3 {
        log.commit(&[put(number, &[b'0' + number as u8; 100])], true).unwrap();
    }
    let place = log.shelf.lock().index.get(id(2)).unwrap();
    drop(log);
    let path = segments(folder.path()).remove(0);
    (folder, path, place.offset as usize)
}

#[test]
fn a_damaged_length_hides_nothing() {
    for length in [0_u32, 1, 70, 150, 300, u32::MAX] {
        for is_last in [true, false] {
            let (folder, path, place) = three_messages();
            if !is_last {
                open(folder.path()).0.commit(&[put(4, b"4")], true).unwrap();
            }
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&length.to_be_bytes(), place as u64).unwrap();
            for _ in 0..2 {
                let (mut log, memoir) = open(folder.path());
                assert_eq!(numbers(&memoir)[..3], [1, 2, 3], "length {length}");
                assert_eq!(body(&log, 2), Some(vec![b'2'; 100]));
                log.commit(&[], true).unwrap();
            }
            assert!(files(folder.path(), "damaged").is_empty());
        }
    }
}

#[test]
fn what_damage_hides_is_kept_aside() {
    for is_last in [true, false] {
        let (folder, path, place) = three_messages();
        if !is_last {
            open(folder.path()).0.commit(&[put(4, b"4")], true).unwrap();
        }
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0; 20], place as u64).unwrap();
        let damaged = fs::read(&path).unwrap();
        for _ in 0..2 {
            let (mut log, memoir) = open(folder.path());
            assert_eq!(numbers(&memoir), if is_last { vec![1] } else { vec![1, 4] });
            log.commit(&[], true).unwrap();
            let kept = fs::read(path.with_extension("damaged")).unwrap();
            assert_eq!(kept, damaged[damaged.len() - kept.len()..]);
            assert!(kept.windows(100).any(|window| window == [b'3'; 100]));
        }
    }
}

#[test]
fn damage_costs_only_what_it_hits() {
    let folder = TempDir::new().unwrap();
    let (mut log, _) = open(folder.path());
    for number in 1..=3 {
        log.commit(&[put(number, &[b'0' + number as u8; 100])], true).unwrap();
    }
    drop(log);
    let path = &segments(folder.path())[0];
    let bytes = fs::read(path).unwrap();
    let place = bytes.windows(50).position(|window| window == [b'2'; 50]).unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(b"?", place as u64).unwrap();
    let (log, memoir) = open(folder.path());
    assert_eq!(numbers(&memoir), [1, 3]);
    assert!(body(&log, 1).is_some() && body(&log, 3).is_some());
    // Damage that comes later is found when the message is read.
    let place = bytes.windows(50).position(|window| window == [b'3'; 50]).unwrap();
    file.write_all_at(b"?", place as u64).unwrap();
    assert!(body(&log, 3).is_none());
    assert!(body(&log, 1).is_some());
}

/// Damages a byte of a file where these bytes are.
fn damage(path: &Path, wanted: &[u8]) {
    let bytes = fs::read(path).unwrap();
    let place = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[!wanted[0]], place as u64).unwrap();
}

/// The pages of a batch reach the disk in any order. A message that moved must not be gone from both its places.
#[test]
fn a_batch_with_a_hole_takes_nothing_away() {
    for is_followed in [false, true] {
        let folder = TempDir::new().unwrap();
        let (mut log, _) = open(folder.path());
        log.commit(&[define(), put(1, &[b'1'; 100]), put(2, &[b'2'; 100])], true).unwrap();
        log.commit(&[remove(2)], true).unwrap();
        let Effect::Define { key, .. } = define() else { unreachable!("that is what it makes") };
        let undefine = Effect::Define { key, value: None };
        log.commit(&[undefine, put(3, &[b'3'; 100]), put(4, &[b'4'; 100]), remove(1)], true).unwrap();
        if is_followed {
            log.commit(&[put(5, &[b'5'; 100]), remove(4)], true).unwrap();
        }
        drop(log);
        damage(&segments(folder.path())[0], &[b'3'; 100]);
        // Also when that is no longer the last segment.
        for _ in 0..3 {
            let (mut log, memoir) = open(folder.path());
            assert_eq!(numbers(&memoir), if is_followed { [1, 5] } else { [1, 4] });
            assert_eq!(log.definitions.len(), 1);
            assert_eq!(body(&log, 1), Some(vec![b'1'; 100]));
            log.commit(&[], true).unwrap();
        }
        // What is removed later is gone.
        open(folder.path()).0.commit(&[remove(1)], true).unwrap();
        assert!(!numbers(&open(folder.path()).1).contains(&1));
    }
}

#[test]
fn messages_of_a_queue_that_damage_hides_are_kept_aside() {
    let folder = TempDir::new().unwrap();
    open(folder.path()).0.commit(&[define_queue()], true).unwrap();
    let (mut log, _) = open(folder.path());
    log.commit(&[put(7, &[b'7'; 100])], true).unwrap();
    assert!(log.reclaim().unwrap());
    drop(log);
    let (log, memoir) = open(folder.path());
    assert_eq!((numbers(&memoir), memoir.definitions.len()), (vec![7], 1));
    drop(log);
    let path = segments(folder.path()).remove(0);
    // In the only snapshot there is.
    damage(&path, &QUEUE.0.to_be_bytes());
    let damaged = fs::read(&path).unwrap();
    let (mut log, memoir) = open(folder.path());
    assert!(memoir.definitions.is_empty());
    log.commit(&[remove(7)], true).unwrap();
    while log.reclaim().unwrap() {}
    assert!(!path.exists());
    let kept = files(folder.path(), "damaged");
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read(&kept[0]).unwrap(), damaged);
}

#[test]
fn without_damage_a_message_without_a_queue_is_no_matter() {
    let folder = TempDir::new().unwrap();
    open(folder.path()).0.commit(&[put(7, b"of a queue that was deleted")], true).unwrap();
    assert_eq!(numbers(&open(folder.path()).1), [7]);
    assert!(files(folder.path(), "damaged").is_empty());
}

#[test]
fn a_definition_of_another_version_is_refused_and_nothing_is_touched() {
    let folder = TempDir::new().unwrap();
    let define = Effect::Define { key: b"?".to_vec(), value: Some(b"v".to_vec()) };
    open(folder.path()).0.commit(&[define, put(1, b"a")], true).unwrap();
    let path = segments(folder.path()).remove(0);
    let before = fs::read(&path).unwrap();
    for _ in 0..2 {
        let error = recovery::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("start the version that wrote it"), "{error}");
    }
    assert_eq!((segments(folder.path()).len(), fs::read(&path).unwrap()), (1, before));
}

#[test]
fn the_thread_tells_when_everything_is_safe() {
    let folder = TempDir::new().unwrap();
    let (opened, _) = Opened::folder(folder.path()).unwrap();
    let (sender, receiver) = mpsc::channel();
    let storage = opened.start(move |news| sender.send(news).unwrap()).unwrap();
    storage.submit(&mut vec![put(1, b"a"), put(2, b"b")], 2);
    storage.submit(&mut vec![remove(1)], 3);
    let mut safe = 0;
    while safe < 2 {
        let News::Progress(progress) = receiver.recv().unwrap() else { panic!("the disk works") };
        assert_eq!(progress.record, Some(id(2)));
        safe = progress.synced;
    }
    // Acknowledgements alone are not hurried, until somebody waits.
    storage.submit(&mut vec![Effect::Sync], 4);
    while safe < 4 {
        let News::Progress(progress) = receiver.recv().unwrap() else { panic!("the disk works") };
        safe = progress.synced;
    }
    drop(storage);
    let (_, memoir) = open(folder.path());
    assert_eq!((numbers(&memoir), memoir.crashed), (vec![2], false));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_refused_at_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    fs::File::create(&path).unwrap().write_all(b"no folder").unwrap();
    assert!(Opened::folder(&path).is_err());
}
