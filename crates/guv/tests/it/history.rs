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

/// A record as it is kept: estimates and rates to five digits.
fn kept(record: &Record) -> serde_json::Value {
    fn round(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Number(number) if number.is_f64() => {
                *value = format!("{:.4e}", number.as_f64().unwrap()).into();
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(round),
            serde_json::Value::Object(values) => values.values_mut().for_each(round),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(record).unwrap();
    round(&mut value);
    // Times are kept exactly.
    value["at"] = serde_json::to_value(record.at).unwrap();
    value
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
    let kept = |records: &[Record]| -> Vec<serde_json::Value> { records.iter().map(kept).collect() };
    assert_eq!(kept(&back), kept(&expected));

    // Only what changed something; the newest of one role; the one in force at a time.
    let changes = read(&history, &Query { changes: true, ..all() });
    assert!(changes.iter().all(|record| record.decision.target.is_some()) && changes.len() >= 3);
    let one = read(&history, &Query { role: Some(Role::new("work")), limit: 1, ..all() });
    let work = || expected.iter().filter(|record| record.role.as_str() == "work");
    assert_eq!(kept(&one), kept(&[work().next_back().unwrap().clone()]));
    let second = work().nth(1).unwrap();
    let reader = history.reader().unwrap();
    let found = reader.at(&Role::new("work"), second.at + Duration::from_secs(1)).unwrap();
    assert_eq!(kept(&[found.unwrap()]), kept(std::slice::from_ref(second)));
    assert_eq!(reader.at(&Role::new("work"), Timestamp::from_unix_seconds(5)).unwrap(), None);
}

/// What was seen until ten minutes ago is known to a governor that begins now.
#[tokio::test(start_paused = true)]
async fn a_governor_that_begins_knows_what_was_known_before() {
    let (folder, mut records) = (TempDir::new().unwrap(), records().await);
    for record in records.iter_mut().map(Arc::make_mut) {
        record.at = Timestamp::since_epoch(record.at.as_duration() - Duration::from_secs(600));
        record.decision.at = record.at;
    }
    let history = History::open(&folder.path().join("h.sqlite"), Retention::default()).unwrap();
    history.record(&records).await.unwrap();
    let estimates = async |recorders: Vec<Arc<dyn Recorder>>| {
        let queues = Queues::default();
        queues.set("work", Queue::Holds(0));
        let text = "'*': {history: 300}\nwork: {min: 0, max: 9, policy: proportional}";
        let options = Options { recorders, ..Options::default() };
        let governed = Governed::start(text, queues, Platform::running(&[("work", 5)]), options);
        governed.cycle(1).await.roles[0].decision.inputs.window.clone()
    };
    assert!(estimates(Vec::new()).await.len() <= 1);
    let known = estimates(vec![Arc::new(history)]).await;
    assert!(known.len() > 3 && known.contains(&9), "of the six looks that saw something: {known:?}");
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
    let left = read(&history, &all());
    assert_eq!(left.iter().map(kept).collect::<Vec<_>>(), [kept(&late)]);
    let (from, to) = (Timestamp::from_unix_seconds(0), Timestamp::from_unix_seconds(4_000_000_000));
    let points = history.reader().unwrap().chart(&Role::new("work"), from, to, 100_000_000).unwrap();
    assert!(points.series.at.len() >= 2, "{points:?}");
}

/// After a while what changed something is kept with the decision after it, and one in five minutes.
#[tokio::test(start_paused = true)]
async fn what_is_getting_old_is_thinned_out() {
    let (folder, records) = (TempDir::new().unwrap(), records().await);
    let retention = Retention { every_decision: Duration::from_secs(3600), ..Retention::default() };
    let history = History::open(&folder.path().join("h.sqlite"), retention).unwrap();
    let (quiet, change) = (&records[0], records.iter().find(|record| record.decision.target.is_some()));
    let mut quiet = Record::clone(quiet);
    quiet.decision.target = None;
    // Polls from full five minutes on; the fourth changes something.
    let begin = Timestamp::from_unix_seconds(300_000_000);
    let poll = |number: u64| {
        let mut record = if number == 3 { Record::clone(change.unwrap()) } else { quiet.clone() };
        record.at = begin + Duration::from_secs(number * 30);
        record.role = quiet.role.clone();
        (record.decision.at, record.decision.role) = (record.at, record.role.clone());
        Arc::new(record)
    };
    for number in 0..260 {
        history.record(&[poll(number)]).await.unwrap();
    }
    let mut seconds: Vec<_> =
        read(&history, &all()).iter().map(|record| record.at.saturating_since(begin).as_secs()).collect();
    seconds.sort_unstable();
    // The last pruning was at the end of the second hour: what was older than an hour then is thinned out.
    let expected = (0..3600).step_by(300).chain([90, 120]).chain((3600..7800).step_by(30));
    let mut expected: Vec<u64> = expected.collect();
    expected.sort_unstable();
    assert_eq!(seconds, expected);
}

/// A record of `work` like another, so many hours after a beginning.
fn later(like: &Record, hours: u32) -> Arc<Record> {
    let mut record = like.clone();
    record.at = Timestamp::from_unix_seconds(300_000_000) + Duration::from_secs(3600) * hours;
    (record.decision.at, record.role) = (record.at, Role::new("work"));
    record.decision.role = record.role.clone();
    Arc::new(record)
}

/// What records have in common is kept once, and goes with the last of them; then it comes again.
#[tokio::test(start_paused = true)]
async fn what_was_pruned_away_may_come_again() {
    let (folder, records) = (TempDir::new().unwrap(), records().await);
    let path = folder.path().join("h.sqlite");
    let retention = Retention { decisions: Duration::from_secs(3600), ..Retention::default() };
    let open = || History::open(&path, retention).unwrap();
    let (history, other) = (open(), open());
    let change = records.iter().find(|record| record.decision.target.is_some()).unwrap();
    let quiet = records.iter().find(|record| record.decision.target.is_none()).unwrap();
    for (like, hours) in [(quiet, 0), (change, 1), (quiet, 30), (change, 31)] {
        history.record(&[later(like, hours)]).await.unwrap();
    }
    let left = |history| read(history, &all()).iter().map(kept).collect::<Vec<_>>();
    assert_eq!(left(&history), [kept(&later(quiet, 30)), kept(&later(change, 31))]);
    // Also when another guv on the same file has pruned it.
    other.record(&[later(quiet, 40)]).await.unwrap();
    history.record(&[later(change, 41)]).await.unwrap();
    assert_eq!(left(&history), [kept(&later(quiet, 40)), kept(&later(change, 41))]);

    let chart = |hours: [u32; 2]| {
        let [from, to] = hours.map(|hours| later(quiet, hours).at);
        history.reader().unwrap().chart(&Role::new("work"), from, to, 10_000).unwrap()
    };
    assert_eq!(chart([40, 42]).totals.changes, 1.0);
    // One that is lost all the same, as in files of before, is left out alone.
    let file = rusqlite::Connection::open(&path).unwrap();
    let sql = "DELETE FROM shapes WHERE id = (SELECT shape FROM decisions ORDER BY at DESC LIMIT 1)";
    assert_eq!(file.execute(sql, []).unwrap(), 1);
    let chart = chart([40, 42]);
    assert_eq!((chart.series.at.len(), chart.totals.changes), (1, 0.0));
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
