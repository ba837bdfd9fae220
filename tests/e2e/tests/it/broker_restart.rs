//! Networks whose broker is stopped and started again: a RabbitMQ, while they are rewired, and a broker that forgets everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::{Network, OwnBroker, OwnRabbitMq, Programs};
use futures_util::StreamExt;
use msgflo_core::{BrokerOptions, Client, InportOptions, Message, Participant, Port, Transport};
use msgflo_transports::Amqp;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::editor::Editor;
use crate::numbers::{self, END};

const PATIENCE: Duration = Duration::from_secs(120);
const GRAPH: &str = "source(live/Any) OUT -> IN kept(live/Any)\nother(live/Any)\n";
const ROLES: [&str; 3] = ["source", "kept", "other"];
const PER_SECOND: u32 = 500;
/// How long messages flow before the broker is stopped, while it is stopped, and after it is back.
const SPAN: Duration = Duration::from_secs(2);
/// Rewires before the broker is stopped, and after it is back.
const REWIRES: usize = 10;

async fn play(client: &dyn Client) {
    client.create_outport(&"source.OUT".into()).await.expect("the exchange is made");
    for role in ROLES {
        let mut participant = Participant::new(format!("{role}-1"), role, "live/Any");
        if role == "source" {
            participant.outports.push(Port::new("OUT", Some("source.OUT".into())));
        } else {
            let queue = format!("{role}.IN");
            client
                .create_inport(&queue.as_str().into(), InportOptions::default())
                .await
                .expect("the queue is made");
            participant.inports.push(Port::new("IN", Some(queue.as_str().into())));
        }
        client.announce(&participant).await.expect("it is announced");
    }
}

/// How often each number came, and how often of that as a redelivery.
async fn collect(client: Arc<dyn Client>) -> JoinHandle<BTreeMap<u64, (u64, u64)>> {
    let mut messages = client.subscribe(&"kept.IN".into(), 50).await.expect("the queue is there");
    tokio::spawn(async move {
        let mut came: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        loop {
            let delivery =
                timeout(PATIENCE, messages.next()).await.expect("a message comes").expect("more come");
            let number: u64 = serde_json::from_slice(&delivery.message.payload).expect("it is a number");
            let (times, again) = came.entry(number).or_default();
            *times += 1;
            *again += u64::from(delivery.message.redelivered);
            delivery.ack();
            if number == END {
                return came;
            }
        }
    })
}

async fn rewire(editor: &mut Editor) {
    let edge = json!({"src": {"node": "source", "port": "OUT"}, "tgt": {"node": "other", "port": "IN"}});
    for rewire in 0..REWIRES {
        let command = if rewire % 2 == 0 { "addedge" } else { "removeedge" };
        editor.ask("graph", command, edge.clone()).await;
        tokio::time::sleep(SPAN / 20).await;
    }
}

/// No message that the broker has confirmed is lost; what comes twice says so. The network is rewired before and after, and
/// what was asked while the broker was away is done when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_broker_loses_nothing() {
    let (programs, mut rabbitmq) = (Programs::build(), OwnRabbitMq::start());
    let ignored = ["--ignore", &ROLES.join(",")];
    let network = Network::run_with(programs.path("msgflo"), GRAPH, &json!({}), &rabbitmq.url(), &ignored);
    let url = rabbitmq.url().parse().expect("it is a URL");
    let receiver = Amqp.client(&url).await.expect("the broker is there");
    let sender = Amqp.client(&url).await.expect("the broker is there");
    play(&*receiver).await;
    network.wait_until_bound();

    let came = collect(receiver.clone()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let sent = numbers::send(sender.clone(), PER_SECOND, stop.clone());
    let mut editor = Editor::connect(&network).await;
    rewire(&mut editor).await;
    tokio::time::sleep(SPAN).await;
    let mut rabbitmq = tokio::task::spawn_blocking(move || {
        rabbitmq.stop();
        rabbitmq
    })
    .await
    .expect("it stops");
    // An edge that is asked for while the broker is away.
    let edge = json!({"src": {"node": "source", "port": "OUT"}, "tgt": {"node": "other", "port": "IN"}});
    editor.ask("graph", "addedge", edge.clone()).await;
    tokio::time::sleep(SPAN).await;
    network.wait_for("word of the outage", || (network.status()["broker_connected"] == false).then_some(()));
    let rabbitmq = tokio::task::spawn_blocking(move || {
        rabbitmq.start_again();
        rabbitmq
    })
    .await
    .expect("it starts");
    let status = network.wait_until_bound();
    assert_eq!(status["broker_connected"], true);
    assert_eq!(status["edges"].as_array().map(Vec::len), Some(2), "{}", status["edges"]);
    editor.ask("graph", "removeedge", edge).await;
    rewire(&mut editor).await;
    tokio::time::sleep(SPAN).await;
    network.wait_until_bound();
    stop.store(true, Ordering::SeqCst);

    let (sent, confirmed) = timeout(PATIENCE, sent).await.expect("it stops").expect("it did well");
    let came = timeout(PATIENCE, came).await.expect("all come").expect("it did well");
    let lost: Vec<_> = confirmed.iter().filter(|number| !came.contains_key(number)).collect();
    assert!(lost.is_empty(), "{} confirmed messages were lost: {lost:?}", lost.len());
    let unflagged: Vec<_> = came.iter().filter(|(_, (times, again))| times - again > 1).collect();
    assert!(unflagged.is_empty(), "repeats without the flag: {unflagged:?}");
    let repeated = came.values().filter(|(times, _)| *times > 1).count();
    let came = came.len() - 1;
    eprintln!("{sent} sent, {} confirmed, {came} came, {repeated} of them more than once", confirmed.len());
    receiver.close().await.expect("the participants leave");
    sender.close().await.expect("the participants leave");
    assert!(network.stop().success());
    drop(rabbitmq);
}

/// A broker that has forgotten everything has all its bindings again soon: what is sent to a fanout exchange without any is
/// confirmed, and lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_has_forgotten_everything_has_its_bindings_again_soon() {
    /// Less than the time after which what is bound is looked after without a reason.
    const SOON: Duration = Duration::from_secs(40);
    let programs = Programs::build();
    let mut broker = OwnBroker::start(programs.path("msgflo"));
    let graph = "first(core/Repeat) OUT -> IN second(core/Repeat)";
    let repeat = format!("{} --role #ROLE", programs.path("msgflo-repeat").display());
    let library = json!({ "components": { "core/Repeat": repeat } });
    let network = Network::run(programs.path("msgflo"), graph, &library, &broker.url());
    network.wait_until_bound();
    broker.kill();
    network.wait_for("word of the outage", || (network.status()["broker_connected"] == false).then_some(()));
    broker.start_again();
    let back = Instant::now();

    let url = broker.url().parse().expect("it is a URL");
    let observer = Amqp.broker(&url, BrokerOptions::default()).await.expect("the broker is there");
    let mut number = 0;
    let results = timeout(SOON, async {
        // Until the participants have made their ports again.
        let mut results = loop {
            match observer.tap(&"second.OUT".into(), 1000).await {
                Ok(results) => break results,
                Err(_) => tokio::time::sleep(SPAN / 20).await,
            }
        };
        loop {
            number += 1;
            let message = Message::json(&number).expect("it is JSON");
            // The first participant may not have made its queue again yet.
            let _ = observer.send_to_queue(&"first.IN".into(), message).await;
            if let Ok(Some(result)) = timeout(SPAN / 20, results.next()).await {
                return result;
            }
        }
    })
    .await;
    assert!(results.is_ok(), "{number} messages were lost:\n{}", network.log());
    eprintln!("messages arrive {:?} after the broker is back", back.elapsed());
    observer.close().await.expect("the observer leaves");
    assert!(network.stop().success());
}
