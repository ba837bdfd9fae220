//! Going on after the connection was cut, without anybody doing anything.

use futures_util::FutureExt;
use msgflo_core::{Binding, Error, Message, Participant, Sharing};

use crate::Bed;
use crate::bed::queue;
use crate::inbox::{Inbox, eventually, message};
use crate::proxy::Proxy;

/// How often each case cuts the wire: whatever works once must work again.
const CUTS: usize = 3;

/// A subscription takes what is sent while its connection is away and after.
pub async fn a_subscription_goes_on(bed: &Bed) {
    let proxy = Proxy::start(bed.url()).await;
    let (sender, receiver) = (bed.client().await, bed.client_at(&proxy.url()).await);
    let mut inbox = Inbox::open(&*receiver, &queue("a.IN"), Sharing::Shared, 10).await;
    for n in 0..CUTS {
        proxy.cut();
        sender.send_to_queue(&queue("a.IN"), message(&n.to_string())).await.expect("it is sent");
        // One that was on the wire when it was cut may come again.
        eventually(async || inbox.text().await, |text| *text == n.to_string(), "the new message").await;
    }
}

/// Deliveries that were not answered for come again; answering for the lost ones does no harm.
pub async fn what_was_unanswered_comes_again(bed: &Bed) {
    let proxy = Proxy::start(bed.url()).await;
    let (sender, receiver) = (bed.client().await, bed.client_at(&proxy.url()).await);
    let mut inbox = Inbox::open(&*receiver, &queue("a.IN"), Sharing::Shared, 2).await;
    sender.send_to_queue(&queue("a.IN"), message("1")).await.expect("it is sent");
    sender.send_to_queue(&queue("a.IN"), message("2")).await.expect("it is sent");
    let (first, second) = (inbox.next().await, inbox.next().await);
    proxy.cut();
    let again = inbox.next().await;
    assert!(again.message.redelivered, "it has been delivered before");
    // These belong to the lost connection. Were they taken for deliveries of the new one, messages would be lost.
    first.ack();
    second.nack();
    let other = inbox.next().await;
    let mut texts = [again.message.payload.clone(), other.message.payload.clone()];
    texts.sort();
    assert_eq!(texts, ["1", "2"]);
    drop((again, other));
    assert_eq!(inbox.sorted(2).await, ["1", "2"]);
}

/// What is sent is confirmed in the end, or the sender is told that it may be lost.
pub async fn sending_goes_on(bed: &Bed) {
    let proxy = Proxy::start(bed.url()).await;
    let (sender, receiver, broker) =
        (bed.client_at(&proxy.url()).await, bed.client().await, bed.broker().await);
    sender.create_outport(&queue("a.OUT")).await.expect("an outport is made");
    let mut inbox = Inbox::open(&*receiver, &queue("b.IN"), Sharing::Shared, 10).await;
    let binding = Binding::PubSub { source: queue("a.OUT"), target: queue("b.IN") };
    broker.add_binding(&binding).await.expect("it is bound");
    for n in 0..CUTS {
        proxy.cut();
        let text = n.to_string();
        let send = async || sender.send(&queue("a.OUT"), message(&text)).await;
        let sent =
            eventually(send, |sent| !matches!(sent, Err(error) if error.is_transient()), "sending").await;
        sent.expect("only the lost connection is an error");
        eventually(async || inbox.text().await, |got| *got == text, "the new message").await;
    }
}

/// A participant is told, since what it announced may have been missed.
pub async fn a_client_hears_of_it(bed: &Bed) {
    let proxy = Proxy::start(bed.url()).await;
    let client = bed.client_at(&proxy.url()).await;
    for _ in 0..CUTS {
        let mut reconnected = std::pin::pin!(client.reconnected());
        assert!(reconnected.as_mut().now_or_never().is_none(), "nothing was cut yet");
        proxy.cut();
        tokio::time::timeout(crate::inbox::PATIENCE, reconnected).await.expect("it is told in time");
        client.announce(&Participant::new("id", "role", "component")).await.expect("it is announced");
    }
}

/// An instance's own queue ended with its connection; it has a new one.
pub async fn an_instance_gets_broadcasts_again(bed: &Bed) {
    let proxy = Proxy::start(bed.url()).await;
    let (sender, receiver, broker) =
        (bed.client().await, bed.client_at(&proxy.url()).await, bed.broker().await);
    sender.create_outport(&queue("a.OUT")).await.expect("an outport is made");
    let mut inbox = Inbox::open(&*receiver, &queue("b.IN"), Sharing::Each, 10).await;
    let binding = Binding::Broadcast { source: queue("a.OUT"), target: queue("b.IN") };
    broker.add_binding(&binding).await.expect("it is bound");
    for n in 0..CUTS {
        let reconnected = receiver.reconnected();
        proxy.cut();
        tokio::time::timeout(crate::inbox::PATIENCE, reconnected).await.expect("it is told in time");
        sender.send(&queue("a.OUT"), message(&n.to_string())).await.expect("it is sent");
        // Where the queue outlives a short absence, one that was on the wire when it was cut may come again.
        eventually(async || inbox.text().await, |text| *text == n.to_string(), "the new message").await;
    }
}

/// Its taps and its view of discovery go on, and it binds.
pub async fn a_coordinator_goes_on(bed: &Bed) {
    let proxy = Proxy::start(bed.url()).await;
    let (client, broker) = (bed.client().await, bed.broker_at(&proxy.url()).await);
    client.create_outport(&queue("a.OUT")).await.expect("an outport is made");
    let mut inbox = Inbox::open(&*client, &queue("b.IN"), Sharing::Shared, 10).await;
    let mut tap = Inbox::new(broker.tap(&queue("a.OUT"), 1000).await.expect("the source is there"));
    let mut announcements = broker.watch_discovery().await.expect("discovery is watched");
    let binding = Binding::PubSub { source: queue("a.OUT"), target: queue("b.IN") };
    for n in 0..CUTS {
        proxy.cut();
        let bind = async || broker.add_binding(&binding).await;
        let is_settled = |bound: &Result<(), Error>| !matches!(bound, Err(error) if error.is_transient());
        eventually(bind, is_settled, "binding").await.expect("both ends are there");
        // A tap misses what is sent while it is away: send until it sees something.
        let text = n.to_string();
        let look = async || {
            client.send(&queue("a.OUT"), Message::new(text.clone())).await.expect("it is sent");
            assert_eq!(inbox.text().await, text);
            tokio::time::timeout(std::time::Duration::from_millis(100), tap.text()).await.ok()
        };
        eventually(look, |seen| seen.as_ref() == Some(&text), "the tap").await;
        let id = format!("id-{n}");
        client.announce(&Participant::new(id.as_str(), "role", "component")).await.expect("it is announced");
        let next = async || {
            let next = tokio::time::timeout(
                crate::inbox::PATIENCE,
                futures_util::StreamExt::next(&mut announcements),
            );
            let announcement = next.await.expect("it comes in time").expect("discovery goes on");
            announcement.expect("an announcement").participant.id
        };
        eventually(next, |seen| *seen == *id, "the new announcement").await;
    }
}
