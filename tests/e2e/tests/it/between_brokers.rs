//! Two brokers as one, while one of them is away.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use e2e::{OwnBroker, Programs};
use msgflo_core::{Binding, Broker, BrokerOptions, Client, Error, InportOptions, Message, Transport};
use msgflo_transports::{Amqp, Joint, Member};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Both brokers as one that remembers its bindings in `folder`.
async fn joined(near: &OwnBroker, far: &OwnBroker, folder: &Path) -> Arc<dyn Broker> {
    let mut members = Vec::new();
    for (label, broker) in [("near", near), ("far", far)] {
        let ledger = Some(folder.join(label));
        let options = BrokerOptions { ledger, ..BrokerOptions::default() };
        let broker = Amqp.broker(&url(broker), options).await.expect("the broker is there");
        members.push(Member { label: label.to_owned(), broker });
    }
    let joint = Joint::open(Some(folder.join("between"))).expect("a ledger");
    joint.join(members).await
}

fn url(broker: &OwnBroker) -> msgflo_core::BrokerUrl {
    broker.url().parse().expect("it is a URL")
}

async fn client(broker: &OwnBroker) -> Arc<dyn Client> {
    Amqp.client(&url(broker)).await.expect("the broker is there")
}

async fn send(client: &dyn Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let message = Message::json(&number).expect("it is JSON");
        client.send(&"source.OUT".into(), message).await.expect("it is confirmed");
    }
}

/// Waits until so many messages are in the far queue.
async fn wait_for(broker: &dyn Broker, ready: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let depth = broker.depth(&"far:sink.IN".into()).await;
        if depth.as_ref().is_ok_and(|depth| depth.ready >= ready) {
            return;
        }
        assert!(Instant::now() < deadline, "{ready} messages did not come: {depth:?}");
        sleep(PAUSE).await;
    }
}

fn edge() -> Binding {
    Binding::PubSub { source: "source.OUT".into(), target: "far:sink.IN".into() }
}

async fn play(near: &OwnBroker, far: &OwnBroker) -> Arc<dyn Client> {
    let sink = client(far).await;
    sink.create_inport(&"sink.IN".into(), InportOptions::default()).await.expect("the queue is made");
    sink.close().await.expect("the participant leaves");
    let source = client(near).await;
    source.create_outport(&"source.OUT".into()).await.expect("the exchange is made");
    source
}

/// A broker that has forgotten everything has what is carried from it again when the binding is looked after.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_carried_from_a_broker_that_has_forgotten_it_is_carried_again() {
    let (programs, folder) = (Programs::build(), tempfile::tempdir().expect("a folder"));
    let mut near = OwnBroker::start(programs.path("msgflo"));
    let far = OwnBroker::start(programs.path("msgflo"));
    let source = play(&near, &far).await;
    let broker = joined(&near, &far, folder.path()).await;
    broker.add_binding(&edge()).await.expect("both ends are there");
    send(&*source, 0..1).await;
    wait_for(&*broker, 1).await;
    source.close().await.expect("the participant leaves");

    near.kill();
    while broker.is_connected() {
        sleep(PAUSE).await;
    }
    near.start_again();
    while !broker.is_connected() {
        sleep(PAUSE).await;
    }
    broker.add_binding(&edge()).await.expect_err("the source is not there yet");
    let source = play(&near, &far).await;
    broker.add_binding(&edge()).await.expect("both ends are there again");
    send(&*source, 1..2).await;
    let looked_after = async {
        loop {
            sleep(PAUSE).await;
            // The source's broker may be away for another moment.
            let _ = broker.add_binding(&edge()).await;
        }
    };
    tokio::select! {
        () = wait_for(&*broker, 2) => {}
        () = looked_after => {}
    }
    broker.close().await.expect("the brokers are left");
}

/// What waits for a broker that is away is not deleted with the last connection of its source: neither what a router holds
/// nor what waits for it, though the router is started anew.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_broker_that_is_away_outlives_its_connection() {
    /// More than a router takes at a time, and fewer.
    const MESSAGES: [usize; 2] = [100, 1500];
    let programs = Programs::build();
    for messages in MESSAGES {
        let folder = tempfile::tempdir().expect("a folder");
        let near = OwnBroker::start_durable(programs.path("msgflo"));
        let mut far = OwnBroker::start_durable(programs.path("msgflo"));
        let source = play(&near, &far).await;
        let broker = joined(&near, &far, folder.path()).await;
        broker.add_binding(&edge()).await.expect("both ends are there");
        far.kill();
        while broker.is_connected() {
            sleep(PAUSE).await;
        }
        send(&*source, 0..messages).await;
        for _ in 0..2 {
            let removed = broker.remove_binding(&edge()).await;
            assert!(matches!(removed, Err(Error::Busy { .. })), "{removed:?}");
        }
        send(&*source, 0..1).await;
        drop(broker);

        far.start_again();
        let broker = joined(&near, &far, folder.path()).await;
        wait_for(&*broker, messages as u64).await;
        while let Err(error) = broker.remove_binding(&edge()).await {
            assert!(matches!(error, Error::Busy { .. }), "{error:?}");
        }
        let came = broker.depth(&"far:sink.IN".into()).await.expect("the queue is there").ready;
        assert_eq!(came, messages as u64, "what was sent after the connection was removed did not come");
        broker.close().await.expect("the brokers are left");
        source.close().await.expect("the participant leaves");
    }
}
