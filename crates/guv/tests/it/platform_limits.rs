//! A limit of the platform is learnt, not run against for ever.

use guv::ActuatorError;
use guv::governor::Options;

use crate::doubles::{Governed, Platform, Queue, Queues};

fn busy(names: &[&str]) -> Queues {
    let queues = Queues::default();
    names.iter().for_each(|name| queues.set(name, Queue::Holds(10_000)));
    queues
}

/// Refuses whole batches, as Heroku does.
fn limited(platform: Platform, limit: u32) -> Platform {
    platform.refuse(move |change, highest| match (change.target > limit, highest > limit) {
        (true, _) => Some(ActuatorError::Limit { limit, what: "upgrade the plan".to_owned() }),
        (false, true) => Some(ActuatorError::Bystander),
        (false, false) => None,
    });
    platform
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_taken_in_the_same_cycle_and_then_kept_to() {
    let platform = limited(Platform::running(&[("big", 1), ("small", 1)]), 10);
    let text = "big: {max: 40, app: a}\nsmall: {max: 4, app: a}";
    let governed = Governed::start(text, busy(&["big", "small"]), platform, Options::default());
    governed.cycle(1).await;
    assert_eq!(governed.platform.batches(), ["a: big=40 small=4", "a: big=10 small=4"]);
    assert_eq!((governed.platform.workers("big"), governed.platform.workers("small")), (10, 4));
    assert_eq!(governed.outcome("big"), "Applied { workers: 10 }");

    governed.cycle(20).await;
    assert!(governed.platform.batches().is_empty());
    let words = governed.handle.snapshot().roles[0].decision.to_string();
    assert!(words.contains("at most the 10 that the platform runs"), "{words}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_tried_again_when_the_plan_may_have_changed() {
    let platform = limited(Platform::running(&[("big", 1)]), 10);
    let governed = Governed::start("big: {max: 40}", busy(&["big"]), platform, Options::default());
    governed.cycle(1).await;
    governed.platform.batches();
    limited(governed.platform.clone(), 40);
    // A quarter of an hour in cycles of 30 seconds.
    governed.cycle(30).await;
    assert!(governed.platform.batches().is_empty());
    governed.cycle(31).await;
    assert_eq!(governed.platform.batches(), ["-: big=40"]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_reached_already_is_not_asked_for() {
    let platform = limited(Platform::running(&[("big", 10)]), 10);
    let governed = Governed::start("big: {max: 40}", busy(&["big"]), platform, Options::default());
    governed.cycle(1).await;
    assert!(governed.outcome("big").contains("the platform runs at most 10 workers"));
    governed.cycle(2).await;
    assert_eq!(governed.outcome("big"), "Unchanged");
    assert_eq!(governed.platform.batches(), ["-: big=40"]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_over_all_roles_keeps_each_where_it_is() {
    let platform = Platform::running(&[("big", 3)]);
    platform.refuse(|_, _| Some(ActuatorError::Limit { limit: 100, what: "100 in all".to_owned() }));
    let governed = Governed::start("big: {max: 40}", busy(&["big"]), platform, Options::default());
    governed.cycle(5).await;
    assert_eq!(governed.platform.batches(), ["-: big=40"]);
    assert_eq!(governed.platform.workers("big"), 3);
}
