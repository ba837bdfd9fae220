//! Refused messages that are tried again after a delay, and parked when that has not helped.

use std::collections::BTreeMap;
use std::time::Duration;

use msgflo_core::{Binding, Broker, Client, Error, Headers, Retry, Sharing};
use serde_json::Value;
use tokio::time::Instant;

use crate::Bed;
use crate::bed::queue;
use crate::inbox::{Inbox, eventually, message};

const DELAY: Duration = Duration::from_millis(200);
/// Long enough to be seen waiting, on a busy machine too.
const LONG: Duration = Duration::from_secs(5);

fn tried_again(delay: Duration, times: u8) -> Binding {
    let retry = Some(Retry { delay, times });
    Binding::RoundRobin {
        source: queue("a.OUT"),
        target: queue("b.IN"),
        deadletter: Some(queue("dead.IN")),
        retry,
    }
}

/// The ports `a.OUT`, `b.IN` and `dead.IN`.
async fn ports(client: &dyn Client) -> (Inbox, Inbox) {
    client.create_outport(&queue("a.OUT")).await.expect("an outport is made");
    let worker = Inbox::open(client, &queue("b.IN"), Sharing::Shared, 10).await;
    (worker, Inbox::open(client, &queue("dead.IN"), Sharing::Shared, 10).await)
}

async fn send(client: &dyn Client, text: &str) {
    client.send(&queue("a.OUT"), message(text)).await.expect("it is sent");
}

async fn wait_until_waiting(broker: &dyn Broker, name: &str) {
    let waiting = async || broker.depth(&queue(name)).await.expect("it is there").ready;
    eventually(waiting, |waiting| *waiting == 1, "the message waits").await;
}

/// How often `queue` has refused a message, as the broker counts.
fn refusals(headers: &Headers, queue: &str) -> Option<u64> {
    let deaths = headers.get("x-death")?.as_array()?;
    let of_queue = |death: &&Value| death["queue"] == queue && death["reason"] == "rejected";
    // By queue and exchange, and so by where it came from.
    Some(deaths.iter().filter(of_queue).filter_map(|death| death["count"].as_u64()).sum())
}

/// As often as was said, each time after the delay; none is lost, none comes once more than that.
pub async fn refused_messages_are_tried_again_and_then_parked(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let (mut worker, mut dead) = ports(&*client).await;
    broker.add_binding(&tried_again(DELAY, 2)).await.expect("it is bound");
    broker.add_binding(&tried_again(DELAY, 2)).await.expect("once more changes nothing");
    const JOBS: usize = 5;
    for job in 0..JOBS {
        send(&*client, &format!("job {job}")).await;
    }
    let mut seen: BTreeMap<Vec<u8>, Vec<Instant>> = BTreeMap::new();
    for _ in 0..3 * JOBS {
        let delivery = worker.next().await;
        seen.entry(delivery.message.payload.to_vec()).or_default().push(Instant::now());
        delivery.nack();
    }
    for (job, times) in &seen {
        assert_eq!(times.len(), 3, "{}", String::from_utf8_lossy(job));
        // A broker counts whole milliseconds.
        let is_late = |pair: &[Instant]| pair[1] - pair[0] + Duration::from_millis(2) >= DELAY;
        assert!(times.windows(2).all(is_late), "{times:?}");
    }
    let mut parked = Vec::new();
    for _ in 0..JOBS {
        let delivery = dead.next().await;
        assert_eq!(refusals(&delivery.message.headers, "b.IN"), Some(3), "{:?}", delivery.message.headers);
        parked.push(delivery.message.payload.to_vec());
        delivery.ack();
    }
    parked.sort();
    assert_eq!(parked, seen.into_keys().collect::<Vec<_>>());
    let depth = broker.depth(&queue("b.IN")).await.expect("it is there");
    assert_eq!(depth.ready, 0);
}

/// It is parked only if it is refused every time, and tried as often as the first time when it is put back.
pub async fn what_succeeds_when_it_is_tried_again_is_done(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let (mut worker, mut dead) = ports(&*client).await;
    broker.add_binding(&tried_again(DELAY, 1)).await.expect("it is bound");
    send(&*client, "good in the end").await;
    worker.next().await.nack();
    assert_eq!(worker.text().await, "good in the end");
    // By the queue's own name, as it is put back by hand.
    client.send_to_queue(&queue("b.IN"), message("put back")).await.expect("it is sent");
    worker.next().await.nack();
    worker.next().await.nack();
    assert_eq!(dead.text().await, "put back", "and nothing before it");
}

/// The old one goes when nothing waits in it any more.
pub async fn another_delay_takes_over_while_messages_wait(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let (mut worker, mut dead) = ports(&*client).await;
    let (old, new) = (tried_again(LONG, 1), tried_again(DELAY, 2));
    broker.add_binding(&old).await.expect("it is bound");
    send(&*client, "job").await;
    worker.next().await.nack();
    wait_until_waiting(&*broker, "retry-1-5000ms-b.IN").await;
    broker.add_binding(&new).await.expect("it is bound");
    let busy = broker.remove_binding(&old).await.expect_err("a message waits");
    assert!(matches!(busy, Error::Busy { .. }), "{busy:?}");
    // It has waited once, the old delay; now it waits the new one.
    worker.next().await.nack();
    worker.next().await.nack();
    assert_eq!(dead.text().await, "job");
    let removed = async || broker.remove_binding(&old).await.is_ok();
    eventually(removed, |removed| *removed, "nothing waits").await;
    send(&*client, "another").await;
    assert_eq!(worker.text().await, "another");
}

/// Nothing of it is left, and what still waited has come.
pub async fn a_round_robin_that_goes_leaves_no_message_behind(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let (mut worker, mut dead) = ports(&*client).await;
    let binding = tried_again(LONG, 1);
    broker.add_binding(&binding).await.expect("it is bound");
    send(&*client, "job").await;
    worker.next().await.nack();
    wait_until_waiting(&*broker, "retry-1-5000ms-b.IN").await;
    let busy = broker.remove_binding(&binding).await.expect_err("a message waits");
    assert!(matches!(busy, Error::Busy { .. }), "{busy:?}");
    send(&*client, "nobody wants it any more").await;
    worker.next().await.nack();
    assert_eq!(dead.text().await, "job");
    let removed = async || broker.remove_binding(&binding).await.is_ok();
    eventually(removed, |removed| *removed, "nothing waits").await;
    assert!(broker.list_bindings().await.expect("they are listed").is_empty());
    for name in ["retry-b.IN", "retry-first-b.IN", "retry-again-b.IN", "out-a.OUT"] {
        let gone = broker.send_to_exchange(&queue(name), message("anybody?")).await;
        assert!(matches!(gone, Err(Error::NotFound { .. })), "{name}: {gone:?}");
    }
}
