//! Between two polls: what wakes the governor, and how soon it acts.

use std::sync::Arc;
use std::time::Duration;

use guv::governor::Options;
use guv::model::Manual;
use guv::{Outcome, Role, Timestamp};
use tokio::time::Instant;

use crate::doubles::{Book, Governed, Platform, Queue, Queues};

async fn settled(governed: &Governed, wanted: impl Fn(&Platform) -> bool) {
    let mut snapshots = governed.handle.snapshots();
    let wait = async {
        while !wanted(&governed.platform) {
            snapshots.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), wait).await.expect("it becomes so");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_notified_of_has_its_worker_within_a_second() {
    let queues = Queues::default();
    let text = "'*': {pollinterval: 600}\nwork: {min: 0}\nother: {min: 0}";
    let platform = Platform::running(&[("work", 0), ("other", 0)]);
    let governed = Governed::start(text, queues, platform, Options::default());
    governed.cycle(1).await;
    let before = Instant::now();
    governed.queues.set("work", Queue::Holds(1));
    governed.handle.notify(&Role::new("work"));
    settled(&governed, |platform| platform.workers("work") == 1).await;
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    assert_eq!(governed.platform.workers("other"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_flips_asks_the_platform_and_is_recorded_once_a_second() {
    let book = Book::default();
    let options = Options { recorders: vec![Arc::new(book.clone())], ..Options::default() };
    let text = "'*': {pollinterval: 600}\nwork: {min: 1, max: 5}";
    let governed = Governed::start(text, Queues::default(), Platform::running(&[("work", 1)]), options);
    governed.cycle(1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut decisions = governed.handle.decisions();
    for flip in 0..50 {
        governed.queues.set("work", Queue::Holds(flip % 2));
        governed.handle.notify(&Role::new("work"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(decisions.len() > 40, "each is looked at: {}", decisions.len());
    let (counts, records) = (governed.platform.counts(), book.records.lock().unwrap().len());
    assert!((4..=7).contains(&counts) && (4..=7).contains(&records), "{counts} {records}");

    // What changes something is neither late nor left out.
    while decisions.try_recv().is_ok() {}
    governed.queues.set("work", Queue::Holds(1000));
    governed.handle.notify(&Role::new("work"));
    let changed = decisions.recv().await.unwrap();
    assert_eq!(changed.outcome, Outcome::Applied { workers: 5 });
    assert_eq!(book.records.lock().unwrap().last(), Some(&changed));
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_of_one_application_delays_no_other() {
    let queues = Queues::default();
    queues.set("stuck", Queue::Silent);
    queues.set("work", Queue::Holds(100));
    let text = "'*': {pollinterval: 600}\nwork: {min: 0, app: one}\nstuck: {app: two}";
    let platform = Platform::running(&[("work", 0), ("stuck", 1)]);
    let governed = Governed::start(text, queues, platform, Options::default());
    let before = Instant::now();
    settled(&governed, |platform| platform.workers("work") == 5).await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    governed.queues.set("work", Queue::Holds(0));
    assert_eq!(governed.platform.workers("stuck"), 1);
}

#[tokio::test(start_paused = true)]
async fn after_the_last_job_the_workers_go_when_the_delay_is_over_unless_a_job_comes() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(60));
    let text = "'*': {pollinterval: 600}\nwork: {policy: ratio, min: 0, max: 5, down_delay: 30}";
    let governed = Governed::start(text, queues, Platform::running(&[("work", 0)]), Options::default());
    settled(&governed, |platform| platform.workers("work") == 3).await;

    let notify = |jobs| {
        governed.queues.set("work", Queue::Holds(jobs));
        governed.handle.notify(&Role::new("work"));
    };
    // The last job is done; ten seconds later another one comes, and cancels the delay.
    notify(0);
    tokio::time::sleep(Duration::from_secs(10)).await;
    notify(1);
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!(governed.platform.workers("work"), 3);

    let before = Instant::now();
    notify(0);
    settled(&governed, |platform| platform.workers("work") == 0).await;
    let after = before.elapsed();
    assert!(after >= Duration::from_secs(30) && after < Duration::from_secs(31), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn the_same_number_is_not_sent_twice_within_five_seconds() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(100));
    let text = "'*': {pollinterval: 1}\nwork: {max: 5}";
    let governed = Governed::start(text, queues, Platform::running(&[("work", 1)]), Options::default());
    // A platform that accepts and does nothing.
    governed.cycle(1).await;
    for cycle in 2..=11 {
        governed.platform.set("work", 1);
        governed.cycle(cycle).await;
    }
    let batches = governed.platform.batches();
    assert!(batches.len() <= 3, "{batches:?}");
}

#[tokio::test(start_paused = true)]
async fn a_manual_setting_holds_for_its_time_and_then_the_policy_again() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(100));
    let governed =
        Governed::start("work: {max: 5}", queues, Platform::running(&[("work", 1)]), Options::default());
    let snapshot = governed.cycle(1).await;
    let role = Role::new("work");
    let now = snapshot.at.expect("a cycle has been completed");
    let manual = Manual { workers: 2, until: now + Duration::from_secs(100) };
    governed.handle.set_manual(&role, Some(manual)).await.unwrap();
    settled(&governed, |platform| platform.workers("work") == 2).await;
    governed.cycle(4).await;
    assert_eq!(governed.platform.workers("work"), 2);
    governed.cycle(6).await;
    assert_eq!(governed.platform.workers("work"), 5);
    let nobody = governed.handle.set_manual(&Role::new("nobody"), None).await;
    assert_eq!(nobody.unwrap_err().to_string(), "there is no role `nobody`");
    assert!(now > Timestamp::from_unix_seconds(0));
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_kept_at_every_moment_and_the_deadline_that_can_be_kept_is_kept() {
    let queues = Queues::default();
    queues.set("big", Queue::Holds(10_000));
    let text = "'*': {policy: proportional, min: 0, max: 100, pollinterval: 10, history: 10, budget: {workers: 6}}\nbig: {app: a}\nsmall: {app: b}";
    let platform = Platform::running(&[("big", 0), ("small", 0)]);
    let governed = Governed::start(text, queues, platform, Options::default());
    governed.cycle(1).await;
    assert_eq!((governed.platform.workers("big"), governed.platform.workers("small")), (6, 0));
    // Two workers' worth for the other: they go from the one to the other, never both at once.
    governed.queues.set("small", Queue::Holds(7));
    for cycle in 2..=6 {
        governed.cycle(cycle).await;
        let (big, small) = (governed.platform.workers("big"), governed.platform.workers("small"));
        assert!(big + small <= 6, "{big} + {small}");
    }
    assert_eq!((governed.platform.workers("big"), governed.platform.workers("small")), (4, 2));
}

#[tokio::test(start_paused = true)]
async fn a_budget_counts_what_a_platform_is_being_asked_for() {
    let text = "'*': {policy: proportional, min: 0, max: 100, pollinterval: 10, history: 10, budget: {workers: 6}}\nbig: {app: a}\nsmall: {app: b}";
    let platform = Platform::running(&[("big", 0), ("small", 0)]);
    let governed = Governed::start(text, Queues::default(), platform, Options::default());
    for queue in ["big", "small"] {
        governed.queues.set(queue, Queue::Holds(0));
    }
    governed.cycle(1).await;
    governed.platform.take(Duration::from_secs(5));
    // Both want more at once, and neither has it before the other is decided for.
    for queue in ["big", "small"] {
        governed.queues.set(queue, Queue::Holds(10_000));
    }
    for cycle in 2..=5 {
        governed.cycle(cycle).await;
        let (big, small) = (governed.platform.workers("big"), governed.platform.workers("small"));
        assert!(big + small <= 6, "{big} + {small}");
    }
    assert_eq!(governed.platform.workers("big") + governed.platform.workers("small"), 6);
}

/// Between two counts of the platform: who was just asked for does not work yet, and who was told to stop is still there.
#[tokio::test(start_paused = true)]
async fn what_was_asked_for_boots_until_the_platform_is_asked_again() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(1000));
    let text = "'*': {pollinterval: 600}\nwork: {policy: proportional, min: 0, max: 9}";
    let platform = Platform::running(&[("work", 1)]);
    platform.tells_phases();
    let governed = Governed::start(text, queues, platform, Options::default());
    let mut decisions = governed.handle.decisions();
    let seen = |record: &guv::Record| {
        let workers = record.decision.inputs.observation.workers.unwrap();
        (workers.current, workers.booting, workers.draining)
    };
    let first = decisions.recv().await.unwrap();
    assert_eq!(
        (first.outcome.clone(), seen(&first)),
        (Outcome::Applied { workers: 9 }, (1, Some(0), Some(0)))
    );
    governed.handle.notify(&Role::new("work"));
    assert_eq!(seen(&decisions.recv().await.unwrap()), (9, Some(8), Some(0)));

    let manual = Manual { workers: 3, until: Timestamp::from_unix_seconds(1 << 40) };
    governed.handle.set_manual(&Role::new("work"), Some(manual)).await.unwrap();
    assert_eq!(decisions.recv().await.unwrap().outcome, Outcome::Applied { workers: 3 });
    governed.handle.notify(&Role::new("work"));
    assert_eq!(seen(&decisions.recv().await.unwrap()), (3, Some(2), Some(6)));
    assert_eq!(governed.platform.counts(), 1);
}
