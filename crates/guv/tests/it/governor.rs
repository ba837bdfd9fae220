//! The loop: when cycles happen, what they do, and what is told about them.

use std::sync::Arc;
use std::time::Duration;

use guv::governor::{Error, Governor, Options};
use guv::{Outcome, Registry, Sample, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::doubles::{Book, Governed, Platform, Queue, Queues, config};

#[tokio::test(start_paused = true)]
async fn the_number_of_workers_follows_the_queue_up_at_once_and_down_with_the_window() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(1000));
    // Four estimates of history.
    let text = "'*': {pollinterval: 0.5, history: 2}\nwork: {policy: proportional, min: 0, max: 25}";
    let governed = Governed::start(text, queues, Platform::running(&[("work", 0)]), Options::default());
    governed.cycle(1).await;
    assert_eq!(governed.platform.workers("work"), 25);

    governed.queues.set("work", Queue::Holds(0));
    governed.cycle(4).await;
    assert_eq!(governed.platform.workers("work"), 25);
    // The one high estimate leaves the window of four before the sixth cycle.
    governed.cycle(6).await;
    assert_eq!(governed.platform.workers("work"), 0);
    assert_eq!(governed.platform.batches(), ["-: work=25", "-: work=0"]);
}

#[tokio::test(start_paused = true)]
async fn cycles_come_at_the_interval_and_when_woken() {
    let queues = Queues::default();
    let text = "'*': {pollinterval: 0.25}\nwork: {}";
    let governed = Governed::start(text, queues, Platform::running(&[("work", 1)]), Options::default());
    governed.cycle(1).await;
    let first = Instant::now();
    governed.cycle(5).await;
    assert_eq!(first.elapsed(), Duration::from_secs(1));

    governed.queues.set("work", Queue::Holds(1000));
    governed.handle.wake().await.unwrap();
    governed.cycle(6).await;
    assert_eq!((first.elapsed(), governed.platform.workers("work")), (Duration::from_secs(1), 5));
    // The next one comes a whole interval later.
    governed.cycle(7).await;
    assert_eq!(first.elapsed(), Duration::from_millis(1250));
}

#[tokio::test(start_paused = true)]
async fn all_roles_of_an_app_are_changed_in_one_request() {
    let queues = Queues::default();
    ["a", "b", "c"].iter().for_each(|name| queues.set(name, Queue::Holds(1000)));
    let text = "a: {app: one}\nb: {app: one, max: 3}\nc: {app: two}";
    let platform = Platform::running(&[("a", 1), ("b", 1), ("c", 1)]);
    let governed = Governed::start(text, queues, platform, Options::default());
    governed.cycle(1).await;
    let mut batches = governed.platform.batches();
    batches.sort();
    assert_eq!(batches, ["one: a=5 b=3", "two: c=5"]);
    // What is as it should be is not asked for again.
    governed.cycle(2).await;
    assert!(governed.platform.batches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_decides_everything_and_changes_nothing() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(1000));
    let options = Options { dry_run: true, ..Options::default() };
    let governed = Governed::start("work: {}", queues, Platform::running(&[("work", 1)]), options);
    let snapshot = governed.cycle(3).await;
    assert!(snapshot.dry_run);
    assert_eq!(snapshot.roles[0].outcome, Outcome::Planned { workers: 5 });
    assert!(governed.platform.batches().is_empty());
    assert_eq!(governed.platform.workers("work"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_needs_no_actuator_and_a_real_one_does() {
    let start = |dry_run| {
        let registry = Registry::new().with_source("queues", Arc::new(Queues::default()));
        let options = Options { dry_run, oneshot: true, ..Options::default() };
        Governor::start(
            config("a: {}\nb: {q: elsewhere}\nc: {}"),
            registry,
            options,
            CancellationToken::new(),
        )
    };
    insta::assert_snapshot!(start(false).err().expect("no actuator"), @r"
    role `a` has no actuator: none is registered
    role `b` has no source: queues: it is elsewhere
    role `c` has no actuator: none is registered
    ");
    insta::assert_snapshot!(start(true).err().expect("no source for b"), @"role `b` has no source: queues: it is elsewhere");
}

#[tokio::test(start_paused = true)]
async fn oneshot_ends_after_one_cycle() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(1000));
    let options = Options { oneshot: true, ..Options::default() };
    let governed = Governed::start("work: {}", queues, Platform::running(&[("work", 1)]), options);
    governed.handle.finished().await.unwrap();
    let snapshot = governed.handle.snapshot();
    assert_eq!((snapshot.cycle, snapshot.ended), (1, true));
    assert_eq!(governed.platform.workers("work"), 5);
    assert!(matches!(governed.handle.wake().await, Err(Error::Ended)));
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_it_even_while_a_source_is_silent() {
    let queues = Queues::default();
    queues.set("work", Queue::Silent);
    let governed = Governed::start("work: {}", queues, Platform::running(&[("work", 1)]), Options::default());
    tokio::task::yield_now().await;
    let before = Instant::now();
    governed.cancel.cancel();
    governed.handle.finished().await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn every_decision_is_recorded_with_all_its_inputs() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(40));
    let book = Book::default();
    let options = Options {
        recorders: vec![Arc::new(Book { broken: true, ..Book::default() }), Arc::new(book.clone())],
        ..Options::default()
    };
    let text =
        "work: {policy: proportional, max: 40, app: ours, apikey: hunter2, broker: 'amqp://u:hunter2@h'}";
    let governed = Governed::start(text, queues, Platform::running(&[("work", 3)]), options);
    let mut decisions = governed.handle.decisions();
    governed.cycle(1).await;

    let records = book.records.lock().unwrap().clone();
    let [record] = records.as_slice() else { panic!("one record, though the other recorder is broken") };
    assert_eq!(decisions.recv().await.unwrap(), *record);
    assert_eq!(governed.handle.snapshot().roles[0], *record);

    let text = serde_json::to_string(record).unwrap();
    assert!(!text.contains("hunter2"));
    let mut back: guv::Record = serde_json::from_str(&text).unwrap();
    assert_eq!(back, **record);
    // The only values that are not the same every time.
    (back.at, back.decision.at) = (Timestamp::from_unix_seconds(1), Timestamp::from_unix_seconds(1));
    insta::assert_json_snapshot!(back);
}

#[tokio::test(start_paused = true)]
async fn a_reload_takes_effect_at_once_and_a_bad_one_changes_nothing() {
    let queues = Queues::default();
    ["a", "b"].iter().for_each(|name| queues.set(name, Queue::Holds(1000)));
    let platform = Platform::running(&[("a", 1), ("b", 1)]);
    let governed = Governed::start("a: {max: 3}", queues, platform, Options::default());
    governed.cycle(1).await;
    assert_eq!(governed.platform.workers("a"), 3);

    let refused = governed.handle.reload(config("a: {max: 9}\nb: {q: elsewhere}")).await;
    assert!(matches!(refused, Err(Error::Unserved(_))));
    governed.cycle(2).await;
    assert_eq!((governed.platform.workers("a"), governed.platform.workers("b")), (3, 1));

    let before = Instant::now();
    governed.handle.reload(config("'*': {pollinterval: 1}\na: {max: 6}\nb: {max: 7}")).await.unwrap();
    governed.cycle(3).await;
    assert_eq!((governed.platform.workers("a"), governed.platform.workers("b")), (6, 7));
    assert_eq!(before.elapsed(), Duration::ZERO);
    governed.cycle(4).await;
    assert_eq!(before.elapsed(), Duration::from_secs(1));

    governed.handle.reload(config("b: {max: 7}")).await.unwrap();
    assert_eq!(governed.platform.configured(), ["a b", "b"], "the actuator knows whom it serves");
    assert_eq!(governed.platform.workers("a"), 6, "a platform's workers stay");
}

#[tokio::test(start_paused = true)]
async fn changes_made_by_others_are_seen_and_put_right() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(1000));
    let governed =
        Governed::start("work: {max: 8}", queues, Platform::running(&[("work", 1)]), Options::default());
    governed.cycle(1).await;
    governed.platform.set("work", 2);
    governed.cycle(2).await;
    assert_eq!(governed.platform.batches(), ["-: work=8", "-: work=8"]);
    let current = governed.handle.snapshot().roles[0].decision.inputs.observation.workers.map(|w| w.current);
    assert_eq!(current, Some(2));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_tells_how_many_workers_there_are_the_first_number_stops_no_busy_one_and_is_told_once() {
    let queues = Queues::default();
    let held = |ready, held| {
        Queue::Says(Sample { ready: Some(ready), unacknowledged: Some(held), ..Sample::default() })
    };
    // One worker would do for what is left, but six are at it.
    queues.set("work", held(0, 6));
    let text = "'*': {pollinterval: 10, history: 10}\nwork: {policy: proportional, min: 0, max: 25, processing: 1, deadline: 60}";
    let platform = Platform::running(&[("work", 8)]);
    platform.tells_nothing();
    let governed = Governed::start(text, queues, platform, Options::default());
    governed.cycle(4).await;
    assert_eq!(governed.platform.batches(), ["-: work=6"]);
    governed.queues.set("work", held(400, 6));
    governed.cycle(5).await;
    assert_eq!(governed.platform.batches(), ["-: work=8"], "what was accepted counts");
    governed.queues.set("work", held(0, 0));
    governed.cycle(8).await;
    assert_eq!(governed.platform.batches(), ["-: work=0"]);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_tells_how_many_workers_there_are_that_none_is_needed_is_told_too() {
    let platform = Platform::running(&[("work", 8)]);
    platform.tells_nothing();
    let governed = Governed::start("work: {min: 0}", Queues::default(), platform, Options::default());
    governed.cycle(3).await;
    assert_eq!(governed.platform.batches(), ["-: work=0"]);
}
