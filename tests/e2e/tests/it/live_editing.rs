//! A network that is rewired while a thousand messages a second flow through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::{Network, Programs, virtual_host};
use futures_util::StreamExt;
use msgflo_core::{Client, InportOptions, Participant, Port, Transport};
use msgflo_transports::Amqp;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::editor::Editor;
use crate::numbers::{self, END};

const PATIENCE: Duration = Duration::from_secs(60);
const REWIRES: usize = 200;
const PER_SECOND: u32 = 1000;
/// The pause between two rewires, so that messages flow meanwhile.
const PACE: Duration = Duration::from_millis(25);
/// Roles that edges come and go to.
const OTHERS: usize = 5;

fn participant(role: &str, port: &str, is_sink: bool) -> Participant {
    let mut participant = Participant::new(format!("{role}-1"), role, "live/Any");
    let port = Port::new(port, Some(format!("{role}.{port}").as_str().into()));
    if is_sink {
        participant.inports.push(port)
    } else {
        participant.outports.push(port)
    }
    participant
}

/// Takes sequence numbers in the order in which they come, until `end` has come.
async fn collect(client: &dyn Client, queue: &str, end: u64) -> JoinHandle<Vec<u64>> {
    let mut messages = client.subscribe(&queue.into(), 0).await.expect("the queue is there");
    tokio::spawn(async move {
        let mut numbers = Vec::new();
        loop {
            let delivery =
                timeout(PATIENCE, messages.next()).await.expect("a message comes").expect("more come");
            let number: u64 = serde_json::from_slice(&delivery.message.payload).expect("it is a number");
            delivery.ack();
            numbers.push(number);
            if number == end {
                return numbers;
            }
        }
    })
}

/// Edges that are not touched deliver every message once and in order, whatever happens to the others, and while the
/// coordinator is killed and started again.
#[tokio::test(flavor = "multi_thread")]
async fn edges_that_stay_deliver_every_message_once_and_in_order() {
    let (programs, broker) = (Programs::build(), virtual_host().await);
    let mut graph = "source(live/Any) OUT -> IN kept(live/Any)\n".to_owned();
    let mut ignored = vec!["source".to_owned(), "kept".to_owned()];
    for n in 0..OTHERS {
        graph.push_str(&format!("other{n}(live/Any)\n"));
        ignored.push(format!("other{n}"));
    }
    let further = ["--ignore", &ignored.join(",")];
    let mut network = Network::run_with(programs.path("msgflo"), &graph, &json!({}), &broker, &further);

    let url = broker.parse().expect("the broker has a URL");
    let client = Amqp.client(&url).await.expect("the broker is there");
    client.create_outport(&"source.OUT".into()).await.expect("the exchange is made");
    client.announce(&participant("source", "OUT", false)).await.expect("it is announced");
    for role in &ignored[1..] {
        let queue = format!("{role}.IN");
        client
            .create_inport(&queue.as_str().into(), InportOptions::default())
            .await
            .expect("the queue is made");
        client.announce(&participant(role, "IN", true)).await.expect("it is announced");
    }
    network.wait_until_bound();

    let kept = collect(&*client, "kept.IN", END).await;
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let sending =
        numbers::send(Amqp.client(&url).await.expect("the broker is there"), PER_SECOND, stop.clone());

    let mut editor = Editor::connect(&network).await;
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut wired = [false; OTHERS];
    let mut slowest = Duration::ZERO;
    let mut pace = tokio::time::interval(PACE);
    for rewire in 0..REWIRES {
        pace.tick().await;
        if rewire == REWIRES / 2 {
            editor.ask("network", "persist", json!({})).await;
            network.kill();
            network.start_again();
            editor = Editor::connect(&network).await;
            // As participants do every half a minute.
            client.announce(&participant("source", "OUT", false)).await.expect("it is announced");
            for role in &ignored[1..] {
                client.announce(&participant(role, "IN", true)).await.expect("it is announced");
            }
        }
        let n = random.usize(..OTHERS);
        let edge = json!({"src": {"node": "source", "port": "OUT"}, "tgt": {"node": format!("other{n}"), "port": "IN"}});
        let asked = Instant::now();
        match (wired[n], random.u8(..10)) {
            (true, _) => drop(editor.ask("graph", "removeedge", edge).await),
            (false, 0) => {
                let node = json!({"id": format!("extra{rewire}"), "component": "live/Any"});
                editor.ask("graph", "addnode", node.clone()).await;
                editor.ask("graph", "removenode", node).await;
                continue;
            }
            (false, _) => drop(editor.ask("graph", "addedge", edge).await),
        }
        wired[n] = !wired[n];
        slowest = slowest.max(asked.elapsed());
    }
    network.wait_until_bound();
    stop.store(true, Ordering::SeqCst);
    let span = begun.elapsed();
    let (sent, confirmed) = timeout(PATIENCE, sending).await.expect("it stops").expect("it did well");
    assert_eq!(confirmed.len() as u64, sent, "the broker was there all the time");
    let mut numbers = timeout(PATIENCE, kept).await.expect("all come").expect("it did well");
    assert_eq!(numbers.pop(), Some(END));
    let expected: Vec<u64> = (0..sent).collect();
    assert!(
        numbers == expected,
        "seed {seed}: {} sent, {} came, in another order or not once",
        sent,
        numbers.len()
    );
    let rate = sent as f64 / span.as_secs_f64();
    eprintln!(
        "{sent} messages, {rate:.0} a second, {REWIRES} rewires, the slowest acknowledged after {slowest:?}"
    );
    client.close().await.expect("the participants leave");
    assert!(network.stop().success());
}

/// A graph of a thousand nodes, whose participants all announce themselves at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_nodes_are_bound() {
    const NODES: usize = 1000;
    let programs = Programs::build();
    let roles: Vec<String> = (0..NODES).map(|n| format!("n{n}")).collect();
    let line = |pair: &[String]| format!("{}(live/Any) OUT -> IN {}(live/Any)\n", pair[0], pair[1]);
    let graph: String = roles.windows(2).map(line).collect();
    let further = ["--ignore", &roles.join(",")];
    let network =
        Network::run_with(programs.path("msgflo"), &graph, &json!({}), "embedded:?port=0", &further);
    let url = network.broker().parse().expect("the broker has a URL");
    let client = Amqp.client(&url).await.expect("the broker is there");
    for role in &roles {
        client.create_outport(&format!("{role}.OUT").as_str().into()).await.expect("the exchange is made");
        let queue = format!("{role}.IN");
        client
            .create_inport(&queue.as_str().into(), InportOptions::default())
            .await
            .expect("the queue is made");
    }
    let begun = Instant::now();
    for role in &roles {
        let mut participant = participant(role, "IN", true);
        participant.outports.push(Port::new("OUT", Some(format!("{role}.OUT").as_str().into())));
        client.announce(&participant).await.expect("it is announced");
    }
    let status = network.wait_until_bound();
    eprintln!("{NODES} nodes bound after {:?}", begun.elapsed());
    assert_eq!(status["edges"].as_array().map(Vec::len), Some(NODES - 1));
    client.close().await.expect("the participants leave");
    assert!(network.stop().success());
}

/// What was saved while it was edited starts again, also with a node that nobody can start.
#[tokio::test(flavor = "multi_thread")]
async fn a_graph_with_a_missing_component_is_saved_and_starts_again() {
    let (programs, broker) = (Programs::build(), virtual_host().await);
    let library = json!({"components": {"live/Sleep": "sleep 1000"}});
    let mut network =
        Network::run_with(programs.path("msgflo"), "here(live/Sleep)\n", &library, &broker, &["--auto-save"]);
    let mut editor = Editor::connect(&network).await;
    editor.ask("graph", "addnode", json!({"id": "there", "component": "live/Nowhere"})).await;
    let there = |network: &Network| {
        let status = network.status();
        status["nodes"].as_array()?.iter().find(|node| node["role"] == "there").cloned()
    };
    let shown = network.wait_for("the node", || there(&network));
    assert_eq!(shown["state"], "missing", "{shown}");
    network.wait_for("the saved graph", || network.graph().contains("live/Nowhere").then_some(()));
    network.kill();
    network.start_again();
    let shown = network.wait_for("the node", || there(&network));
    assert_eq!(shown["state"], "missing", "{shown}");
    assert!(shown["reason"].as_str().is_some_and(|reason| reason.contains("live/Nowhere")), "{shown}");
    assert_eq!(network.processes().len(), 1, "the others are started");
    assert!(network.log().contains("component `live/Nowhere`"), "{}", network.log());
}
