//! Budgets: what several applications have together, though each has rounds of its own.

use std::time::Duration;

use guv::Sample;
use guv::governor::Options;
use tokio::time::Instant;

use crate::doubles::{Governed, Platform, Queue, Queues, config};

const TWO: &str = "'*': {policy: proportional, pollinterval: 600, min: 0, max: 10, budget: {workers: 10}}
slow: {app: one}
quick: {app: two}";

/// Both want all that they can get; one has 8 already, which work, and it takes a while until that is known.
fn start(text: &str, options: Options) -> Governed {
    let queues = Queues::default();
    let busy = Sample { ready: Some(1000), unacknowledged: Some(8), ..Sample::default() };
    queues.set("slow", Queue::Says(busy));
    queues.set("quick", Queue::Holds(1000));
    let platform = Platform::running(&[("slow", 8), ("quick", 0)]);
    platform.counts_slowly("slow", Duration::from_secs(2));
    Governed::start(text, queues, platform, options)
}

fn workers(governed: &Governed) -> [u32; 2] {
    ["slow", "quick"].map(|name| governed.platform.workers(name))
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_more_before_it_is_known_what_the_others_have() {
    let governed = start(TWO, Options::default());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(workers(&governed), [8, 0]);
    // Then at once, not at the next poll.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(workers(&governed).iter().sum::<u32>(), 10, "{:?}", workers(&governed));
}

#[tokio::test(start_paused = true)]
async fn whoever_looks_once_waits_until_it_is_known_what_the_others_have() {
    let governed = start(TWO, Options { oneshot: true, ..Options::default() });
    governed.handle.finished().await.unwrap();
    assert_eq!(workers(&governed).iter().sum::<u32>(), 10, "{:?}", workers(&governed));
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_new_at_a_reload_may_have_workers() {
    let governed = start(&TWO.replace("slow: {app: one}\n", ""), Options::default());
    governed.queues.set("quick", Queue::Holds(0));
    governed.cycle(1).await;
    governed.queues.set("quick", Queue::Holds(1000));
    governed.handle.reload(config(TWO)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(workers(&governed), [8, 0]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(workers(&governed).iter().sum::<u32>(), 10, "{:?}", workers(&governed));
}

/// Who cannot be looked at holds the others up for as long as somebody waits for an answer, not longer.
#[tokio::test(start_paused = true)]
async fn a_silent_source_does_not_hold_the_others_for_ever() {
    let governed = start(TWO, Options::default());
    governed.queues.set("slow", Queue::Silent);
    let before = Instant::now();
    while workers(&governed)[1] == 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(before.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(workers(&governed), [8, 2]);
}
