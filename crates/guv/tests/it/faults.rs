//! Faults of every kind: no worker is stopped by mistake, and one cycle later all is as it should be.

use std::sync::Arc;
use std::time::Duration;

use guv::ActuatorError;
use guv::governor::Options;
use guv::history::{History, Retention};

use crate::doubles::{Governed, Platform, Queue, Queues};

fn start(queue: Queue, workers: u32) -> Governed {
    let queues = Queues::default();
    queues.set("work", queue);
    let text = "'*': {pollinterval: 30, history: 60}\nwork: {min: 0, max: 9}";
    Governed::start(text, queues, Platform::running(&[("work", workers)]), Options::default())
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_away_for_ten_minutes() {
    let governed = start(Queue::Holds(1000), 0);
    governed.cycle(1).await;
    for queue in [Queue::Missing, Queue::Silent] {
        governed.queues.set("work", queue);
        let cycle = governed.handle.snapshot().cycle;
        governed.cycle(cycle + 20).await;
        assert_eq!(governed.platform.workers("work"), 9);
    }
    governed.queues.set("work", Queue::Holds(0));
    let cycle = governed.handle.snapshot().cycle;
    governed.cycle(cycle + 4).await;
    assert_eq!(governed.platform.workers("work"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_can_be_read_again_is_told_to_who_runs_the_workers() {
    let governed = start(Queue::Holds(0), 0);
    governed.cycle(2).await;
    for (queue, cycle) in
        [(Queue::Forgotten, 4), (Queue::Holds(0), 6), (Queue::Missing, 7), (Queue::Holds(0), 8)]
    {
        governed.queues.set("work", queue);
        governed.cycle(cycle).await;
    }
    assert_eq!(governed.platform.back(), ["work"], "once, and not for a queue that came later");
}

#[tokio::test(start_paused = true)]
async fn workers_that_do_not_stay_up_are_a_failure_until_they_do() {
    let governed = start(Queue::Holds(0), 0);
    governed.cycle(1).await;
    governed.platform.fail(Some("a process does not stay up: exit status 3: boom"));
    governed.cycle(3).await;
    assert_eq!(
        governed.outcome("work"),
        r#"Failed { error: "a process does not stay up: exit status 3: boom" }"#
    );
    governed.queues.set("work", Queue::Holds(1000));
    governed.cycle(5).await;
    assert_eq!(governed.platform.workers("work"), 9, "it is scaled all the same");
    governed.platform.fail(None);
    governed.cycle(7).await;
    assert_eq!(governed.outcome("work"), "Unchanged");
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_has_had_enough_requests() {
    let governed = start(Queue::Holds(1000), 1);
    governed.platform.refuse(|_, _| {
        let after = Some(Duration::from_secs(70));
        Some(ActuatorError::Retry { what: "too many requests".to_owned(), after, source: None })
    });
    governed.cycle(3).await;
    // It was asked once, and then left alone as it wished.
    assert_eq!(governed.platform.batches().len(), 1);
    governed.platform.refuse(|_, _| None);
    governed.cycle(5).await;
    assert_eq!(governed.platform.workers("work"), 9);
}

#[tokio::test(start_paused = true)]
async fn half_of_the_calls_are_never_answered() {
    let governed = start(Queue::Holds(1000), 1);
    governed.platform.leave_unanswered(Some(2));
    for (cycle, jobs) in (1..40).zip([1000, 1000, 0, 0, 0, 20, 20, 1000, 0, 0, 0].into_iter().cycle()) {
        governed.queues.set("work", Queue::Holds(jobs));
        governed.cycle(cycle).await;
        // Up is never late by more than the one call that was not answered.
        if jobs == 1000 && governed.platform.workers("work") < 9 {
            governed.cycle(cycle + 1).await;
        }
    }
    governed.platform.leave_unanswered(None);
    governed.queues.set("work", Queue::Holds(1000));
    let cycle = governed.handle.snapshot().cycle;
    governed.cycle(cycle + 1).await;
    assert_eq!(governed.platform.workers("work"), 9);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full() {
    // Every write to this device fails as on a full disk; SQLite wants a file beside it too.
    let history = History::open("/dev/full".as_ref(), Retention::default());
    assert!(history.is_err(), "it is told at the start");

    // A history that breaks while it is in use: its file is no longer what it was.
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("history.sqlite");
    let history = History::open(&path, Retention::default()).unwrap();
    let queues = Queues::default();
    queues.set("work", Queue::Holds(1000));
    let options = Options { recorders: vec![Arc::new(history)], ..Options::default() };
    let governed = Governed::start("work: {max: 9}", queues, Platform::running(&[("work", 1)]), options);
    governed.cycle(1).await;
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    governed.platform.set("work", 1);
    governed.cycle(2).await;
    assert_eq!(governed.platform.workers("work"), 9);
}

#[tokio::test(start_paused = true)]
async fn an_end_in_the_middle_of_a_change_leaves_nothing_half_done() {
    // The first governor dies after the platform has got the change, before it is answered.
    let governed = start(Queue::Holds(1000), 1);
    governed.platform.leave_unanswered(Some(1));
    while governed.platform.workers("work") != 9 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(governed.handle);
    // Whoever comes after it sees what there is, and neither repeats nor undoes the change.
    governed.platform.leave_unanswered(None);
    governed.platform.batches();
    let text = "'*': {pollinterval: 30, history: 60}\nwork: {min: 0, max: 9}";
    let again = Governed::start(text, governed.queues.clone(), governed.platform.clone(), Options::default());
    again.cycle(1).await;
    assert!(again.platform.batches().is_empty());
    assert_eq!(again.platform.workers("work"), 9);
}
