//! Taking messages, and answering for them.

use futures_util::FutureExt;
use msgflo_core::{Client, Depth, Sharing};

use crate::Bed;
use crate::bed::queue;
use crate::inbox::{Inbox, eventually, message};

async fn send(client: &dyn Client, texts: &[&str]) {
    for text in texts {
        client.send_to_queue(&queue("role.IN"), message(text)).await.expect("it is sent");
    }
}

async fn open(client: &dyn Client, prefetch: u16) -> Inbox {
    Inbox::open(client, &queue("role.IN"), Sharing::Shared, prefetch).await
}

/// No more messages are handed out than were asked for, until one is answered.
pub async fn at_most_prefetch_are_unanswered(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let mut inbox = open(&*client, 3).await;
    send(&*client, &["1", "2", "3", "4", "5"]).await;
    let (first, _second, _third) = (inbox.next().await, inbox.next().await, inbox.next().await);
    let depth = async || broker.depth(&queue("role.IN")).await.expect("the queue is there");
    eventually(depth, |depth: &Depth| depth.ready == 2, "two wait in the queue").await;
    assert!(inbox.next().now_or_never().is_none(), "a fourth message came while three were unanswered");
    first.ack();
    assert_eq!(inbox.text().await, "4");
}

/// It does not come again.
pub async fn what_is_acknowledged_is_gone(bed: &Bed) {
    let client = bed.client().await;
    let mut inbox = open(&*client, 1).await;
    send(&*client, &["1", "2"]).await;
    inbox.next().await.ack();
    // With a prefetch of one, the second can come only when the first is answered for.
    let second = inbox.next().await;
    drop(inbox);
    drop(second);
    let mut inbox = open(&*client, 1).await;
    send(&*client, &["3"]).await;
    assert_eq!(inbox.texts(2).await, ["2", "3"]);
}

/// A delivery that nobody answered for goes back to its queue, and comes marked.
pub async fn what_is_dropped_comes_back(bed: &Bed) {
    let client = bed.client().await;
    let mut inbox = open(&*client, 1).await;
    send(&*client, &["1"]).await;
    let delivery = inbox.next().await;
    assert!(!delivery.message.redelivered, "nobody has had it before");
    drop(delivery);
    let again = inbox.next().await;
    assert_eq!(again.message.payload, "1");
    assert!(again.message.redelivered, "it has been delivered before");
    again.ack();
}

/// A refused message does not come again.
pub async fn what_is_refused_is_gone(bed: &Bed) {
    let client = bed.client().await;
    let mut inbox = open(&*client, 1).await;
    send(&*client, &["bad", "good", "better"]).await;
    inbox.next().await.nack();
    assert_eq!(inbox.texts(2).await, ["good", "better"]);
    drop(inbox);
    let mut inbox = open(&*client, 1).await;
    send(&*client, &["last"]).await;
    assert_eq!(inbox.text().await, "last");
}

/// Also what it had fetched and not yet handed out.
pub async fn what_a_dropped_subscription_held_goes_back(bed: &Bed) {
    let client = bed.client().await;
    let mut inbox = open(&*client, 10).await;
    send(&*client, &["1", "2", "3"]).await;
    let first = inbox.next().await;
    drop(inbox);
    drop(first);
    let mut inbox = open(&*client, 10).await;
    assert_eq!(inbox.sorted(3).await, ["1", "2", "3"]);
}

/// A participant that leaves takes nothing along.
pub async fn what_a_closed_client_held_goes_back(bed: &Bed) {
    let (leaving, staying) = (bed.client().await, bed.client().await);
    let mut inbox = open(&*leaving, 10).await;
    send(&*leaving, &["1", "2", "3"]).await;
    let held = inbox.next().await;
    leaving.close().await.expect("it closes");
    let mut inbox = open(&*staying, 10).await;
    assert_eq!(inbox.sorted(3).await, ["1", "2", "3"]);
    drop(held);
}

/// Answers in any order, of both kinds, reach the messages that they are for.
pub async fn many_unanswered_are_answered_in_any_order(bed: &Bed) {
    let client = bed.client().await;
    let mut inbox = open(&*client, 100).await;
    let texts: Vec<String> = (0..100).map(|n| format!("{n:02}")).collect();
    send(&*client, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(inbox.next().await);
    }
    // In an order that is neither theirs nor its reverse; every seventh goes back.
    let mut returned = Vec::new();
    for step in 0..100 {
        let delivery = std::mem::replace(
            &mut held[step * 37 % 100],
            msgflo_core::Delivery::unacknowledged(msgflo_core::Message::default()),
        );
        if step % 7 == 0 {
            returned.push(String::from_utf8_lossy(&delivery.message.payload).into_owned());
        } else {
            delivery.ack();
        }
    }
    returned.sort();
    assert_eq!(inbox.sorted(returned.len()).await, returned);
    drop(inbox);
    let mut inbox = open(&*client, 100).await;
    send(&*client, &["end"]).await;
    assert_eq!(inbox.text().await, "end", "everything else is gone");
}

/// Each message of a shared inport goes to one of its instances.
pub async fn instances_compete(bed: &Bed) {
    let (first, second) = (bed.client().await, bed.client().await);
    let (mut left, mut right) = (open(&*first, 1).await, open(&*second, 1).await);
    send(&*first, &["1", "2"]).await;
    // With a prefetch of one and none answered, each must get one of them.
    let (one, other) = (left.next().await, right.next().await);
    let mut texts = [one.message.payload.clone(), other.message.payload.clone()];
    texts.sort();
    assert_eq!(texts, ["1", "2"]);
    one.ack();
    other.ack();
    send(&*first, &["3"]).await;
    let next = tokio::select! {
        delivery = left.next() => delivery,
        delivery = right.next() => delivery,
    };
    assert_eq!(next.message.payload, "3", "and none twice");
}

/// What is sent while no instance is there waits.
pub async fn queues_outlive_their_participants(bed: &Bed) {
    let (staying, leaving) = (bed.client().await, bed.client().await);
    drop(open(&*leaving, 1).await);
    leaving.close().await.expect("it closes");
    send(&*staying, &["1", "2"]).await;
    let mut inbox = open(&*staying, 1).await;
    assert_eq!(inbox.texts(2).await, ["1", "2"]);
}
