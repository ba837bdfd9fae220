//! One role's trouble is its own, and what is not known changes nothing.

use std::time::Duration;

use guv::ActuatorError;
use guv::governor::Options;

use crate::doubles::{Governed, Platform, Queue, Queues};

const THREE: &str = "good: {min: 0, max: 9}\nbad: {min: 0, max: 9}\nalso: {min: 0, max: 9}";

fn three() -> Platform {
    Platform::running(&[("good", 1), ("bad", 7), ("also", 1)])
}

#[tokio::test(start_paused = true)]
async fn a_missing_queue_stops_nobody_else() {
    for trouble in [Queue::Missing, Queue::Forgotten] {
        let queues = Queues::default();
        ["good", "also"].iter().for_each(|name| queues.set(name, Queue::Holds(1000)));
        queues.set("bad", trouble);
        let governed = Governed::start(THREE, queues, three(), Options::default());
        governed.cycle(8).await;
        assert_eq!((governed.platform.workers("good"), governed.platform.workers("also")), (9, 9));
        // Far past the history, and still as it was.
        assert_eq!(governed.platform.workers("bad"), 7);
        assert!(governed.outcome("bad").starts_with("Blind"), "{}", governed.outcome("bad"));
        let decision = &governed.handle.snapshot().roles[1].decision;
        assert!(decision.estimate.is_none() && decision.inputs.window.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_away_is_not_an_empty_queue() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(1000));
    let governed = Governed::start(
        "work: {policy: proportional, min: 0, max: 9}",
        queues,
        Platform::running(&[("work", 0)]),
        Options::default(),
    );
    governed.cycle(1).await;
    governed.queues.set("work", Queue::Silent);
    governed.cycle(20).await;
    assert_eq!(governed.platform.workers("work"), 9);
    assert!(governed.outcome("work").contains("did not answer within 20 s"));

    // Back again, and the backlog of before is still within the window: failed cycles have not displaced it.
    governed.queues.set("work", Queue::Holds(0));
    governed.cycle(21).await;
    assert_eq!((governed.platform.workers("work"), governed.outcome("work").as_str()), (9, "Unchanged"));
}

#[tokio::test(start_paused = true)]
async fn a_worker_type_that_the_platform_lacks_stops_nobody_else() {
    let queues = Queues::default();
    ["good", "bad", "also"].iter().for_each(|name| queues.set(name, Queue::Holds(1000)));
    let platform = Platform::running(&[("good", 1), ("also", 1)]);
    let governed = Governed::start(THREE, queues, platform, Options::default());
    governed.cycle(1).await;
    assert_eq!(governed.platform.batches(), ["-: also=9 good=9"]);
    assert_eq!(governed.outcome("bad"), r#"Failed { error: "there is no such worker" }"#);
}

#[tokio::test(start_paused = true)]
async fn workers_that_cannot_be_counted_are_not_changed() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(1000));
    let governed =
        Governed::start("work: {max: 9}", queues, Platform::running(&[("work", 1)]), Options::default());
    governed.platform.uncountable(|| ActuatorError::retry("away"));
    governed.cycle(3).await;
    assert!(governed.platform.batches().is_empty());
    governed.platform.countable();
    governed.cycle(4).await;
    assert_eq!(governed.platform.batches(), ["-: work=9"]);
}

#[tokio::test(start_paused = true)]
async fn one_refused_change_stops_nobody_else() {
    let queues = Queues::default();
    ["good", "bad", "also"].iter().for_each(|name| queues.set(name, Queue::Holds(1000)));
    let platform = three();
    platform.refuse(|change, _| {
        (change.role.role.as_str() == "bad").then(|| ActuatorError::fatal("it is locked"))
    });
    let governed = Governed::start(THREE, queues, platform, Options::default());
    governed.cycle(1).await;
    assert_eq!((governed.platform.workers("good"), governed.platform.workers("also")), (9, 9));
    assert_eq!(governed.platform.workers("bad"), 7);
    assert_eq!(governed.platform.batches().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_wants_to_be_left_alone_is_left_alone() {
    let queues = Queues::default();
    queues.set("work", Queue::Holds(1000));
    let governed =
        Governed::start("work: {max: 9}", queues, Platform::running(&[("work", 1)]), Options::default());
    governed.platform.uncountable(|| ActuatorError::Retry {
        what: "too many requests".to_owned(),
        after: Some(Duration::from_secs(100)),
        source: None,
    });
    governed.cycle(1).await;
    governed.platform.countable();
    // At 30, 60 and 90 seconds it is not asked at all.
    governed.cycle(4).await;
    assert_eq!(governed.platform.counts(), 1);
    assert!(governed.outcome("work").contains("left alone for 10 s more"), "{}", governed.outcome("work"));
    governed.cycle(5).await;
    assert_eq!((governed.platform.counts(), governed.platform.workers("work")), (2, 9));
}
