//! The history: what goes in comes out, and what is old goes.

use std::sync::Arc;
use std::time::Duration;

use guv::governor::Options;
use guv::history::{self, History, Query, Retention};
use guv::{Record, Recorder, Role, Timestamp};
use tempfile::TempDir;

use crate::doubles::{Book, Governed, Platform, Queue, Queues};

/// Records of a governor that scaled up, could see nothing, and scaled down.
async fn records() -> Vec<Arc<Record>> {
    let (queues, book) = (Queues::default(), Book::default());
    queues.set("work", Queue::Holds(1000));
    let options = Options { recorders: vec![Arc::new(book.clone())], ..Options::default() };
    let text = "'*': {history: 60}\nwork: {min: 0, max: 9}\nother: {policy: ratio, min: 0}";
    let platform = Platform::running(&[("work", 0), ("other", 3)]);
    let governed = Governed::start(text, queues, platform, options);
    governed.cycle(2).await;
    governed.queues.set("work", Queue::Missing);
    governed.cycle(3).await;
    governed.queues.set("work", Queue::Holds(0));
    governed.cycle(7).await;
    book.records.lock().unwrap().clone()
}

fn all() -> Query {
    let (from, to) = (Timestamp::from_unix_seconds(0), Timestamp::from_unix_seconds(1 << 40));
    Query { role: None, from, to, changes: false, limit: usize::MAX }
}

fn read(history: &History, query: &Query) -> Vec<Record> {
    let mut read = Vec::new();
    let each = |record| {
        read.push(record);
        Ok::<_, history::Error>(())
    };
    history.reader().unwrap().for_each(query, each).unwrap();
    read
}

#[tokio::test(start_paused = true)]
async fn every_record_comes_back_as_it_was() {
    let (folder, records) = (TempDir::new().unwrap(), records().await);
    let history = History::open(&folder.path().join("h.sqlite"), Retention::default()).unwrap();
    history.record(&records).await.unwrap();
    let mut back = read(&history, &all());
    assert_eq!(back.len(), records.len());
    back.sort_by(|a, b| (a.at, &a.role).cmp(&(b.at, &b.role)));
    let mut expected: Vec<Record> = records.iter().map(|record| (**record).clone()).collect();
    expected.sort_by(|a, b| (a.at, &a.role).cmp(&(b.at, &b.role)));
    assert_eq!(back, expected);

    // Only what changed something; the newest of one role; the one in force at a time.
    let changes = read(&history, &Query { changes: true, ..all() });
    assert!(changes.iter().all(|record| record.decision.target.is_some()) && changes.len() >= 3);
    let one = read(&history, &Query { role: Some(Role::new("work")), limit: 1, ..all() });
    let work = || expected.iter().filter(|record| record.role.as_str() == "work");
    assert_eq!(one, [work().next_back().unwrap().clone()]);
    let second = work().nth(1).unwrap();
    let reader = history.reader().unwrap();
    let found = reader.at(&Role::new("work"), second.at + Duration::from_secs(1)).unwrap();
    assert_eq!(found.as_ref(), Some(second));
    assert_eq!(reader.at(&Role::new("work"), Timestamp::from_unix_seconds(5)).unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn usage_and_charts_come_from_what_was_recorded() {
    let (folder, records) = (TempDir::new().unwrap(), records().await);
    let history = History::open(&folder.path().join("h.sqlite"), Retention::default()).unwrap();
    history.record(&records).await.unwrap();
    let reader = history.reader().unwrap();
    let (from, to) = (Timestamp::from_unix_seconds(0), Timestamp::from_unix_seconds(1 << 40));
    let usage = reader.usage(from, to).unwrap();
    let work = usage.iter().find(|used| used.role.as_str() == "work").unwrap();
    assert_eq!((work.most, work.changes), (9, 2));
    // Six intervals of half a minute.
    assert!((work.hours - 180.0 / 3600.0).abs() < 1e-3, "{work:?}");
    assert!(work.worker_hours > 0.0 && work.worker_hours < 9.0 * work.hours, "{work:?}");

    let points =
        reader.chart(&Role::new("work"), from, Timestamp::from_unix_seconds(4_000_000_000), 100_000_000);
    let points = points.unwrap();
    let most = |column: &[Option<f64>]| column.iter().flatten().copied().fold(0.0, f64::max);
    assert_eq!((most(&points.series.ready_max), most(&points.series.workers_max)), (1000.0, 9.0));
    // The totals are the usage, and a chart from roll-ups tells the same as one from decisions.
    let totals = points.totals;
    assert!((totals.hours - work.hours).abs() < 1e-6, "{totals:?}");
    assert_eq!((totals.changes, totals.failures), (2.0, 1.0), "{totals:?}");
    assert!(totals.worker_hours < totals.constant_hours, "{totals:?}");
    assert!((0.0..=1.0).contains(&totals.hit_rate.unwrap()), "{totals:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_old_is_pruned_and_the_roll_ups_stay() {
    let (folder, records) = (TempDir::new().unwrap(), records().await);
    let retention = Retention { decisions: Duration::from_secs(3600), ..Retention::default() };
    let history = History::open(&folder.path().join("h.sqlite"), retention).unwrap();
    history.record(&records).await.unwrap();
    let mut late = Record::clone(&records[0]);
    late.at = late.at + Duration::from_secs(2 * 3600);
    late.decision.at = late.at;
    history.record(&[Arc::new(late.clone())]).await.unwrap();
    assert_eq!(read(&history, &all()), [late]);
    let (from, to) = (Timestamp::from_unix_seconds(0), Timestamp::from_unix_seconds(4_000_000_000));
    let points = history.reader().unwrap().chart(&Role::new("work"), from, to, 100_000_000).unwrap();
    assert!(points.series.at.len() >= 2, "{points:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_no_history_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "not a database, but somebody's notes").unwrap();
    let error = History::open(&path, Retention::default()).err().expect("it is none");
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"not a database, but somebody's notes");
}
