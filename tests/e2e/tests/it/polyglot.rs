//! A network of participants in three languages, none of which knows of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::{Network, Peers, Programs, virtual_host};
use futures_util::StreamExt;
use msgflo_core::{BrokerOptions, Message, Transport};
use msgflo_transports::Amqp;
use serde_json::{Value, json};
use tokio::time::timeout;

const GRAPH: &str = "
rust(polyglot/RustRepeat) OUT -> IN node(polyglot/NodeRepeat)
node OUT -> IN python(polyglot/Shout)
";
const SHOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/polyglot/shout.py");
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/python");
const MESSAGES: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq() {
    carries_every_message_through_three_languages(&virtual_host().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_embedded_broker() {
    carries_every_message_through_three_languages("embedded:?port=0").await;
}

/// Its queue is `work/in`, and the scaling's file says `work.IN`.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_in_python_is_scaled_by_the_queue_that_it_announced() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let command = format!(
        "env PYTHONPATH={SDK} PYTHONDONTWRITEBYTECODE=1 {} {SDK}/examples/repeat.py #ROLE",
        peers.python.display()
    );
    let library = json!({"components": {"my/Work": command}});
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("scale.yaml");
    // What waits decides, with nothing learned and little remembered.
    let text = "'*': {pollinterval: 1, policy: proportional, history: 10}\n\
                work: {queue: work.IN, deadline: 10, processing: 0.1, min: 0, max: 2}\n";
    std::fs::write(&file, text).expect("it is written");
    let further = ["--scale", file.to_str().expect("a path of text")];
    let network =
        Network::run_with(programs.path("msgflo"), "work(my/Work)", &library, "embedded:?port=0", &further);
    let wait_until = |state: &str| {
        network.wait_for(state, || (network.status()["nodes"][0]["state"] == state).then_some(()));
    };
    wait_until("idle");
    // What is sent to one that still ends, it may do.
    network.wait_for("nobody", || {
        let process = &network.status()["nodes"][0]["process"];
        (process["running"] == 0 && process["stopping"] == 0).then_some(())
    });
    let url = network.broker().parse().expect("the broker has a URL");
    let observer = Amqp.broker(&url, BrokerOptions::default()).await.expect("the broker is there");
    let message = Message::json(&json!(1)).expect("it is JSON");
    observer.send_to_queue(&"work/in".into(), message).await.expect("the queue is there");
    wait_until("up");
    observer.close().await.expect("the observer leaves");
    assert!(network.stop().success());
}

async fn carries_every_message_through_three_languages(broker: &str) {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let library = json!({ "name": "polyglot", "msgflo": { "components": {
        "RustRepeat": format!("{} --role #ROLE", programs.path("msgflo-repeat").display()),
        "NodeRepeat": peers.node_participant(),
        "Shout": format!("{} {SHOUT} #ROLE", peers.python.display()),
    }}});
    let network = Network::run(programs.path("msgflo"), GRAPH, &library, broker);
    network.wait_until_bound();
    let processes = network.processes();
    assert_eq!(processes.len(), 3, "each of the three has a process");

    let url = network.broker().parse().expect("the broker has a URL");
    let observer = Amqp.broker(&url, BrokerOptions::default()).await.expect("the broker is there");
    let mut results = observer.tap(&"python/out".into(), 1000).await.expect("the last outport is there");
    for n in 0..MESSAGES {
        let job = json!({ "n": n, "text": "größer", "by": ["test"] });
        let message = Message::json(&job).expect("it is JSON");
        observer.send_to_queue(&"rust.IN".into(), message).await.expect("the first inport is there");
    }
    let mut seen = BTreeMap::new();
    for _ in 0..MESSAGES {
        let result =
            timeout(PATIENCE, results.next()).await.expect("a result comes").expect("the tap goes on");
        let result: Value = serde_json::from_slice(&result.message.payload).expect("a result is JSON");
        assert_eq!((&result["text"], &result["by"]), (&json!("GRÖSSER"), &json!(["test", "python"])));
        *seen.entry(result["n"].as_u64()).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), MESSAGES, "each message came once: {seen:?}");

    observer.close().await.expect("the observer leaves");
    let ended = network.stop();
    assert!(ended.success(), "msgflo ends well: {ended}");
    for process in processes {
        let gone = rustix::process::test_kill_process(process);
        assert!(gone.is_err(), "process {process:?} outlived msgflo");
    }
}
