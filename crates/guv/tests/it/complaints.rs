//! What users of autoscalers complain about most, one test each.

use guv::governor::Options;
use guv::{Sample, WorkerCount};

use crate::doubles::{Governed, Platform, Queue, Queues};

fn says(ready: u64, held: u64) -> Queue {
    Queue::Says(Sample { ready: Some(ready), unacknowledged: Some(held), ..Sample::default() })
}

fn governed(text: &str, queue: Queue, workers: u32) -> Governed {
    let queues = Queues::default();
    queues.set("work", queue);
    Governed::start(text, queues, Platform::running(&[("work", workers)]), Options::default())
}

const NO_HISTORY: &str = "'*': {history: 0}\n";

#[tokio::test(start_paused = true)]
async fn unacknowledged_messages_are_ignored_so_that_running_work_is_killed() {
    let text = format!("{NO_HISTORY}work: {{policy: proportional, min: 0, max: 9}}");
    let governed = governed(&text, says(0, 5), 5);
    governed.cycle(5).await;
    assert_eq!(governed.platform.workers("work"), 5);
}

#[tokio::test(start_paused = true)]
async fn scaling_down_kills_busy_workers() {
    // Three jobs would need one worker, but three workers are busy with them.
    let text = format!("{NO_HISTORY}work: {{min: 0, max: 9, deadline: 600}}");
    let busy = governed(&text, says(0, 3), 8);
    busy.cycle(2).await;
    assert_eq!(busy.platform.workers("work"), 3);
    let told = busy.handle.snapshot().roles[0].decision.to_string();
    assert!(told.contains("no change") || told.contains("not fewer than the 3 that are busy"), "{told}");

    // Somebody may say otherwise.
    let text = text.replace("min: 0", "min: 0, stop_busy: true");
    let told = governed(&text, says(0, 3), 8);
    told.cycle(2).await;
    assert_eq!(told.platform.workers("work"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_down_or_blind_is_read_as_zero() {
    for queue in [Queue::Missing, Queue::Forgotten, Queue::Silent, Queue::Says(Sample::default())] {
        let governed = governed(&format!("{NO_HISTORY}work: {{min: 0, max: 9}}"), queue, 7);
        governed.cycle(3).await;
        assert_eq!(governed.platform.workers("work"), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_no_notion_of_a_deadline() {
    let tight = governed("work: {policy: proportional, max: 100, deadline: 60}", says(200, 0), 1);
    let loose = governed("work: {policy: proportional, max: 100, deadline: 600}", says(200, 0), 1);
    tight.cycle(1).await;
    loose.cycle(1).await;
    assert_eq!((tight.platform.workers("work"), loose.platform.workers("work")), (53, 4));
}

#[tokio::test(start_paused = true)]
async fn it_flaps_while_it_keeps_up() {
    let governed = governed("work: {policy: proportional, min: 0, max: 9}", says(30, 0), 0);
    governed.cycle(1).await;
    for cycle in 2..40 {
        // Never two polls alike.
        governed.queues.set("work", says(if cycle % 2 == 0 { 5 } else { 30 }, 0));
        governed.cycle(cycle).await;
    }
    assert_eq!(governed.platform.batches().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_understands_the_cooldown() {
    // It holds back only the way down, from the last change on, and says how long still.
    let governed = governed("'*': {history: 0}\nwork: {min: 0, max: 9, cooldown: 100}", says(1000, 0), 1);
    governed.cycle(1).await;
    governed.queues.set("work", says(0, 0));
    governed.cycle(2).await;
    let told = governed.handle.snapshot().roles[0].decision.to_string();
    assert!(told.contains("none taken away for 70 s more after the last change"), "{told}");
    governed.cycle(4).await;
    assert_eq!(governed.platform.workers("work"), 9);
    governed.cycle(5).await;
    assert_eq!(governed.platform.workers("work"), 0);
    // Up is at once all the same.
    governed.queues.set("work", says(1000, 0));
    governed.cycle(6).await;
    assert_eq!(governed.platform.workers("work"), 9);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_is_none_and_nothing_is_explained() {
    let queues = Queues::default();
    queues.set("work", says(40, 0));
    let options = Options { dry_run: true, ..Options::default() };
    let platform = Platform::running(&[("work", 3)]);
    let governed = Governed::start("work: {policy: proportional, max: 40}", queues, platform, options);
    let snapshot = governed.cycle(2).await;
    assert!(governed.platform.batches().is_empty());
    let explained = guv::explain::explain(&snapshot.roles[0]);
    insta::assert_snapshot!(explained, @r"
    role       work
    seen       40 ready, 0 in flight, ? consumers, oldest not known, in not known, out not known
    workers    3
    policy     proportional: deadline 60 s, processing 10 s, target 48.368 s, available 38.368 s, concurrency 1, 1 to 40 workers
    window     11
    decision   40 jobs (40 ready + 0 in flight), 40 × 10 s in 38.368 s = 11 workers; 3 workers now: up at once → 11
    because    up at once
    outcome    would be changed to 11; this was a dry run
    expected   11 workers finish the jobs at hand in 58 s
    ");
}

#[tokio::test(start_paused = true)]
async fn many_queues_of_one_worker_cannot_be_added_up() {
    // The double answers for the first queue alone; that sources add up all of them is in their own tests.
    let one = Sample { ready: Some(3), unacknowledged: Some(1), consumers: Some(2), ..Sample::default() };
    let blind = Sample { ready: Some(3), ..Sample::default() };
    let both = Sample::sum([one.clone(), one.clone()]).unwrap();
    assert_eq!((both.ready, both.unacknowledged, both.consumers), (Some(6), Some(2), Some(4)));
    assert_eq!(Sample::sum([one, blind]).unwrap().unacknowledged, None);
    assert_eq!(Sample::sum([]), None);
}

#[tokio::test(start_paused = true)]
async fn prefetch_hides_work() {
    // Nothing is ready, but a worker holds ten jobs, four at once: three workers' worth.
    let governed = governed(
        "work: {policy: proportional, min: 0, max: 9, concurrency: 4, processing: 30, deadline: 80}",
        says(0, 10),
        1,
    );
    governed.cycle(1).await;
    assert!(governed.platform.workers("work") > 1);
}

#[test]
fn workers_that_boot_are_counted() {
    // What is compared with the estimate includes those that boot: they are not asked for again.
    let count = WorkerCount { booting: Some(4), ..WorkerCount::running(5) };
    assert_eq!(count.current, 5);
}
