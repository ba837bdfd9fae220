//! Connecting ports in the broker.

use msgflo_core::{Binding, Broker, Client, Confirmation, Error, QueueName, Sharing};

use crate::Bed;
use crate::bed::queue;
use crate::inbox::{Inbox, message};

fn pubsub(source: &str, target: &str) -> Binding {
    Binding::PubSub { source: queue(source), target: queue(target) }
}

async fn outport(client: &dyn Client, name: &str) -> QueueName {
    client.create_outport(&queue(name)).await.expect("an outport is made");
    queue(name)
}

async fn inport(client: &dyn Client, name: &str) -> Inbox {
    Inbox::open(client, &queue(name), Sharing::Shared, 10).await
}

async fn send(client: &dyn Client, source: &str, text: &str) {
    client.send(&queue(source), message(text)).await.expect("it is sent");
}

async fn put(client: &dyn Client, target: &str, text: &str) {
    client.send_to_queue(&queue(target), message(text)).await.expect("it is sent");
}

async fn bind(broker: &dyn Broker, binding: &Binding) {
    broker.add_binding(binding).await.expect("it is bound");
}

async fn listed(broker: &dyn Broker) -> Vec<Binding> {
    let mut bindings: Vec<_> = broker
        .list_bindings()
        .await
        .expect("they are listed")
        .into_iter()
        .map(|known| {
            assert_ne!(known.confirmation, Confirmation::Absent, "{} is in the broker", known.binding);
            known.binding
        })
        .collect();
    bindings.sort();
    bindings
}

/// However often it is made, and by whom.
pub async fn a_binding_carries_messages_once(bed: &Bed) {
    let (client, broker, other) = (bed.client().await, bed.broker().await, bed.broker().await);
    outport(&*client, "a.OUT").await;
    let mut inbox = inport(&*client, "b.IN").await;
    for broker in [&broker, &broker, &other] {
        bind(&**broker, &pubsub("a.OUT", "b.IN")).await;
    }
    for text in ["1", "2", "3"] {
        send(&*client, "a.OUT", text).await;
    }
    assert_eq!(inbox.texts(3).await, ["1", "2", "3"]);
    assert_eq!(listed(&*broker).await, [pubsub("a.OUT", "b.IN")]);
}

/// Removing it twice is the same as once.
pub async fn a_removed_binding_carries_nothing(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    outport(&*client, "a.OUT").await;
    let mut inbox = inport(&*client, "b.IN").await;
    let binding = pubsub("a.OUT", "b.IN");
    bind(&*broker, &binding).await;
    send(&*client, "a.OUT", "bound").await;
    broker.remove_binding(&binding).await.expect("it is removed");
    broker.remove_binding(&binding).await.expect("it is removed already");
    send(&*client, "a.OUT", "unbound").await;
    put(&*client, "b.IN", "end").await;
    assert_eq!(inbox.texts(2).await, ["bound", "end"]);
    assert_eq!(listed(&*broker).await, []);
    bind(&*broker, &binding).await;
    send(&*client, "a.OUT", "bound again").await;
    assert_eq!(inbox.text().await, "bound again");
}

/// Both get every message, and removing one binding leaves the other.
pub async fn one_source_serves_two_targets(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    outport(&*client, "a.OUT").await;
    let (mut left, mut right) = (inport(&*client, "b.IN").await, inport(&*client, "c.IN").await);
    bind(&*broker, &pubsub("a.OUT", "b.IN")).await;
    bind(&*broker, &pubsub("a.OUT", "c.IN")).await;
    send(&*client, "a.OUT", "both").await;
    assert_eq!((left.text().await, right.text().await), ("both".into(), "both".into()));
    broker.remove_binding(&pubsub("a.OUT", "b.IN")).await.expect("it is removed");
    send(&*client, "a.OUT", "right").await;
    put(&*client, "b.IN", "left").await;
    assert_eq!((left.text().await, right.text().await), ("left".into(), "right".into()));
}

/// It gets the messages of both.
pub async fn two_sources_serve_one_target(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    outport(&*client, "a.OUT").await;
    outport(&*client, "b.OUT").await;
    let mut inbox = inport(&*client, "c.IN").await;
    bind(&*broker, &pubsub("a.OUT", "c.IN")).await;
    bind(&*broker, &pubsub("b.OUT", "c.IN")).await;
    send(&*client, "a.OUT", "a").await;
    send(&*client, "b.OUT", "b").await;
    assert_eq!(inbox.sorted(2).await, ["a", "b"]);
    assert_eq!(listed(&*broker).await, [pubsub("a.OUT", "c.IN"), pubsub("b.OUT", "c.IN")]);
}

/// The binding is not remembered, and the same connection goes on working.
pub async fn a_missing_end_is_not_found_and_hurts_nobody(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    outport(&*client, "a.OUT").await;
    let mut inbox = inport(&*client, "b.IN").await;
    bind(&*broker, &pubsub("a.OUT", "b.IN")).await;
    let mut copies = Inbox::new(broker.tap(&queue("a.OUT"), 10).await.expect("the source is there"));
    for (missing, name) in [
        (pubsub("a.OUT", "nowhere.IN"), "nowhere.IN"),
        (pubsub("nowhere.OUT", "b.IN"), "nowhere.OUT"),
        (Binding::Broadcast { source: queue("a.OUT"), target: queue("nowhere") }, "nowhere"),
    ] {
        let error = broker.add_binding(&missing).await.expect_err("an end is missing");
        assert!(matches!(&error, Error::NotFound { name: found } if *found == *name), "{missing}: {error:?}");
        broker.remove_binding(&missing).await.expect("what is not there is removed");
    }
    assert_eq!(listed(&*broker).await, [pubsub("a.OUT", "b.IN")]);
    send(&*client, "a.OUT", "on and on").await;
    assert_eq!((inbox.text().await, copies.text().await), ("on and on".into(), "on and on".into()));
}

/// Each instance has a queue of its own.
pub async fn every_instance_gets_a_broadcast(bed: &Bed) {
    let (first, second, broker) = (bed.client().await, bed.client().await, bed.broker().await);
    outport(&*first, "a.OUT").await;
    let mut left = Inbox::open(&*first, &queue("b.IN"), Sharing::Each, 10).await;
    let broadcast = Binding::Broadcast { source: queue("a.OUT"), target: queue("b.IN") };
    bind(&*broker, &broadcast).await;
    bind(&*broker, &broadcast).await;
    // An instance that comes after the binding is served too.
    let mut right = Inbox::open(&*second, &queue("b.IN"), Sharing::Each, 10).await;
    send(&*first, "a.OUT", "1").await;
    send(&*first, "a.OUT", "2").await;
    assert_eq!(left.texts(2).await, ["1", "2"]);
    assert_eq!(right.texts(2).await, ["1", "2"]);
    second.close().await.expect("it closes");
    broker.remove_binding(&broadcast).await.expect("it is removed");
    send(&*first, "a.OUT", "3").await;
    send(&*first, "b.IN", "end").await;
    assert_eq!(left.text().await, "end");
}

/// To its target, once, and no more after it is removed.
pub async fn a_round_robin_carries_messages(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    outport(&*client, "a.OUT").await;
    let mut inbox = inport(&*client, "b.IN").await;
    let binding =
        Binding::RoundRobin { source: queue("a.OUT"), target: queue("b.IN"), deadletter: None, retry: None };
    bind(&*broker, &binding).await;
    bind(&*broker, &binding).await;
    send(&*client, "a.OUT", "1").await;
    send(&*client, "a.OUT", "2").await;
    assert_eq!(inbox.texts(2).await, ["1", "2"]);
    assert_eq!(listed(&*broker).await, std::slice::from_ref(&binding));
    broker.remove_binding(&binding).await.expect("it is removed");
    broker.remove_binding(&binding).await.expect("it is removed already");
    send(&*client, "a.OUT", "unbound").await;
    put(&*client, "b.IN", "end").await;
    assert_eq!(inbox.text().await, "end");
}

/// Two of one source share an exchange; removing one does not take it from the other.
pub async fn one_round_robin_leaves_the_other(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    outport(&*client, "a.OUT").await;
    let (mut left, mut right) = (inport(&*client, "b.IN").await, inport(&*client, "c.IN").await);
    let to = |target: &str| Binding::RoundRobin {
        source: queue("a.OUT"),
        target: queue(target),
        deadletter: None,
        retry: None,
    };
    bind(&*broker, &to("b.IN")).await;
    bind(&*broker, &to("c.IN")).await;
    send(&*client, "a.OUT", "both").await;
    assert_eq!((left.text().await, right.text().await), ("both".into(), "both".into()));
    broker.remove_binding(&to("b.IN")).await.expect("it is removed");
    send(&*client, "a.OUT", "right").await;
    put(&*client, "b.IN", "left").await;
    assert_eq!((left.text().await, right.text().await), ("left".into(), "right".into()));
}

/// Byte for byte, with its headers; what is acknowledged does not go there.
pub async fn a_round_robin_sends_what_is_refused_to_the_deadletter(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    outport(&*client, "a.OUT").await;
    let mut inbox = inport(&*client, "b.IN").await;
    let mut dead = inport(&*client, "dead.IN").await;
    let deadletter = Some(queue("dead.IN"));
    bind(
        &*broker,
        &Binding::RoundRobin { source: queue("a.OUT"), target: queue("b.IN"), deadletter, retry: None },
    )
    .await;
    let mut bad = message("bad");
    bad.payload = vec![0, 0xff, 0].into();
    bad.headers.insert("kept".into(), "yes".into());
    send(&*client, "a.OUT", "good").await;
    client.send(&queue("a.OUT"), bad.clone()).await.expect("it is sent");
    assert_eq!(inbox.text().await, "good");
    inbox.next().await.nack();
    let refused = dead.next().await;
    assert_eq!(refused.message.payload, bad.payload);
    assert_eq!(refused.message.headers.get("kept"), bad.headers.get("kept"));
    refused.ack();
}

/// Data flow on while no coordinator is there.
pub async fn bindings_outlive_the_coordinator(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    outport(&*client, "a.OUT").await;
    let mut inbox = inport(&*client, "b.IN").await;
    bind(&*broker, &pubsub("a.OUT", "b.IN")).await;
    broker.close().await.expect("it closes");
    drop(broker);
    send(&*client, "a.OUT", "still bound").await;
    assert_eq!(inbox.text().await, "still bound");
}

/// The ledger survives a coordinator; a second life can remove what the first one bound.
pub async fn a_coordinator_knows_its_bindings_again(bed: &Bed) {
    let client = bed.client().await;
    outport(&*client, "a.OUT").await;
    let mut inbox = inport(&*client, "b.IN").await;
    inport(&*client, "dead.IN").await;
    let deadletter = Some(queue("dead.IN"));
    let round_robin =
        Binding::RoundRobin { source: queue("a.OUT"), target: queue("b.IN"), deadletter, retry: None };
    let bindings = [pubsub("a.OUT", "b.IN"), round_robin];
    let first = bed.broker_with(bed.file("ledger.json")).await;
    for binding in &bindings {
        bind(&*first, binding).await;
    }
    // Dropped, not closed: as when a program is killed.
    drop(first);
    let second = bed.broker_with(bed.file("ledger.json")).await;
    assert_eq!(listed(&*second).await, bindings);
    for binding in &bindings {
        second.remove_binding(binding).await.expect("it is removed");
    }
    send(&*client, "a.OUT", "unbound").await;
    put(&*client, "b.IN", "end").await;
    assert_eq!(inbox.text().await, "end");
    let third = bed.broker_with(bed.file("ledger.json")).await;
    assert_eq!(listed(&*third).await, []);
}
