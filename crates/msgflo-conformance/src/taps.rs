//! What a coordinator sees and does besides binding.

use msgflo_core::{Binding, Depth, Error, InportOptions, Sharing};

use crate::Bed;
use crate::bed::queue;
use crate::inbox::{Inbox, eventually, message};

/// Two taps and the worker get every message.
pub async fn a_tap_sees_copies_and_takes_nothing(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let (source, target) = (queue("a.OUT"), queue("b.IN"));
    client.create_outport(&source).await.expect("an outport is made");
    let mut inbox = Inbox::open(&*client, &target, Sharing::Shared, 10).await;
    let binding = Binding::PubSub { source: source.clone(), target };
    broker.add_binding(&binding).await.expect("it is bound");
    let mut first = Inbox::new(broker.tap(&source, 100).await.expect("the source is there"));
    let mut second = Inbox::new(broker.tap(&source, 100).await.expect("the source is there"));
    let mut sent = message("1");
    sent.headers.insert("kept".into(), "yes".into());
    client.send(&source, sent.clone()).await.expect("it is sent");
    client.send(&source, message("2")).await.expect("it is sent");
    assert_eq!(first.next().await.message, sent);
    assert_eq!(first.text().await, "2");
    assert_eq!(second.texts(2).await, ["1", "2"]);
    drop(first);
    client.send(&source, message("3")).await.expect("it is sent");
    assert_eq!(second.text().await, "3");
    assert_eq!(inbox.texts(3).await, ["1", "2", "3"]);
}

/// A tap that is not read loses messages; the worker gets them all, and what the tap gives is in order.
pub async fn a_slow_tap_holds_up_nobody(bed: &Bed) {
    const COUNT: usize = 200;
    let (client, broker) = (bed.client().await, bed.broker().await);
    let (source, target) = (queue("a.OUT"), queue("b.IN"));
    client.create_outport(&source).await.expect("an outport is made");
    let mut inbox = Inbox::open(&*client, &target, Sharing::Shared, 10).await;
    let binding = Binding::PubSub { source: source.clone(), target };
    broker.add_binding(&binding).await.expect("it is bound");
    let mut tap = Inbox::new(broker.tap(&source, 5).await.expect("the source is there"));
    let texts: Vec<String> = (0..COUNT).map(|n| format!("{n:03}")).collect();
    for text in &texts {
        client.send(&source, message(text)).await.expect("it is sent");
    }
    assert_eq!(inbox.texts(COUNT).await, texts);
    let mut seen = vec![tap.text().await];
    // Once it is read, it goes on: a later message is seen.
    while seen.last() != Some(&"later".to_owned()) {
        client.send(&source, message("later")).await.expect("it is sent");
        seen.push(tap.text().await);
    }
    let numbers: Vec<_> = seen.iter().filter(|text| *text != "later").collect();
    assert!(numbers.len() < COUNT, "a tap of 5 messages kept all {COUNT}");
    assert!(numbers.is_sorted(), "{numbers:?}");
}

/// And the connection goes on working.
pub async fn a_tap_on_nothing_is_not_found(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let Err(error) = broker.tap(&queue("nowhere"), 10).await else { panic!("there is nothing to tap") };
    assert!(matches!(&error, Error::NotFound { name } if *name == "nowhere"), "{error:?}");
    client.create_outport(&queue("a.OUT")).await.expect("an outport is made");
    let mut tap = Inbox::new(broker.tap(&queue("a.OUT"), 10).await.expect("the source is there"));
    client.send(&queue("a.OUT"), message("seen")).await.expect("it is sent");
    assert_eq!(tap.text().await, "seen");
}

/// What waits, what is unanswered as far as it is known, and who takes.
pub async fn a_queue_tells_its_depth(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let name = queue("a.IN");
    client.create_inport(&name, InportOptions::default()).await.expect("an inport is made");
    let depth = async || broker.depth(&name).await.expect("the queue is there");
    assert_eq!(depth().await.ready, 0);
    assert_eq!(depth().await.consumers, 0);
    for text in ["1", "2", "3"] {
        client.send_to_queue(&name, message(text)).await.expect("it is sent");
    }
    let told = eventually(depth, |depth: &Depth| depth.ready == 3, "three wait").await;
    assert!(told.unacknowledged.is_none_or(|count| count == 0), "{told:?}");
    let mut inbox = Inbox::open(&*client, &name, Sharing::Shared, 2).await;
    let held = (inbox.next().await, inbox.next().await);
    let told = eventually(depth, |depth: &Depth| depth.ready == 1, "one waits").await;
    assert_eq!(told.consumers, 1);
    assert!(told.unacknowledged.is_none_or(|count| count == 2), "{told:?}");
    drop(inbox);
    drop(held);
    eventually(depth, |depth: &Depth| depth.ready == 3 && depth.consumers == 0, "all are back").await;
}

/// It is an error, not zero.
pub async fn no_queue_has_no_depth(bed: &Bed) {
    let broker = bed.broker().await;
    for _ in 0..2 {
        let error = broker.depth(&queue("nowhere")).await.expect_err("there is no such queue");
        assert!(matches!(&error, Error::NotFound { name } if *name == "nowhere"), "{error:?}");
    }
}

/// It puts messages where a participant takes them, and takes them itself.
pub async fn a_coordinator_can_send_and_take(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let (inport, outport) = (queue("a.IN"), queue("a.OUT"));
    client.create_inport(&inport, InportOptions::default()).await.expect("an inport is made");
    client.create_outport(&outport).await.expect("an outport is made");
    let binding = Binding::PubSub { source: outport.clone(), target: inport.clone() };
    broker.add_binding(&binding).await.expect("it is bound");
    broker.send_to_queue(&inport, message("to the queue")).await.expect("it is sent");
    broker.send_to_exchange(&outport, message("to the exchange")).await.expect("it is sent");
    let mut inbox = Inbox::new(broker.consume(&inport, 1).await.expect("the queue is there"));
    assert_eq!(inbox.texts(2).await, ["to the queue", "to the exchange"]);
    let error =
        broker.send_to_queue(&queue("nowhere"), message("lost")).await.expect_err("there is no queue");
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    let Err(error) = broker.consume(&queue("nowhere"), 1).await else { panic!("there is no queue") };
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
}
