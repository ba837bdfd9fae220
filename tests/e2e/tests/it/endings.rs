//! What is left when something ends that should not: the coordinator, or a participant.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::{Network, Programs, virtual_host};
use futures_util::StreamExt;
use msgflo_core::{BrokerOptions, Message, Transport};
use msgflo_transports::Amqp;
use serde_json::{Value, json};
use tokio::time::timeout;

const GRAPH: &str = "first(core/Repeat) OUT -> IN second(core/Repeat)";
const PATIENCE: Duration = Duration::from_secs(60);

fn library(repeat: &Path) -> Value {
    json!({ "components": { "core/Repeat": format!("{} --role #ROLE", repeat.display()) } })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_killed_coordinator_started_outlives_it() {
    let programs = Programs::build();
    let library = library(programs.path("msgflo-repeat"));
    let mut network = Network::run(programs.path("msgflo"), GRAPH, &library, "embedded:?port=0");
    network.wait_until_bound();
    let processes = network.processes();
    assert_eq!(processes.len(), 2);
    network.kill();
    network.wait_for("the end of the participants", || {
        processes.iter().all(|process| rustix::process::test_kill_process(*process).is_err()).then_some(())
    });
}

/// A request that is never finished holds nobody up: the network ends all the same, and at once when it is asked twice.
#[test]
fn a_request_that_is_never_finished_does_not_keep_a_network_from_its_end() {
    let programs = Programs::build();
    for times in [1, 2] {
        let network = Network::run(programs.path("msgflo"), "", &json!({}), "embedded:?port=0");
        let address = network.page().replace("http://", "");
        let mut stalled = TcpStream::connect(&address).expect("the interface is there");
        let head = "POST /api/packets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                    Content-Length: 1000\r\n\r\n{";
        stalled.write_all(head.as_bytes()).expect("it is read");
        // It is answered in turn: the one before has been begun.
        network.status();
        if times == 2 {
            network.ask_to_stop();
            network.wait_for("the end of the network", || network.log().contains("stopping").then_some(()));
        }
        let ended = network.stop();
        // 130: interrupted, so that what is under way is not waited for.
        assert_eq!(ended.code(), Some(if times == 2 { 130 } else { 0 }));
    }
}

/// A participant that nobody supervises; ended with the test.
struct Elsewhere(Child);

impl Elsewhere {
    fn start(repeat: &Path, role: &str, broker: &str) -> Self {
        let mut command = Command::new(repeat);
        command.args(["--role", role, "--broker", broker]).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().expect("the participant starts"))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Participants that were started elsewhere go on while the coordinator is away, and are adopted when it is back: each
/// message arrives once. (Not in order: a participant works on several at a time.)
#[tokio::test(flavor = "multi_thread")]
async fn messages_flow_on_while_the_coordinator_is_killed_and_started_again() {
    const MESSAGES: usize = 600;
    let (programs, broker) = (Programs::build(), virtual_host().await);
    let repeat = programs.path("msgflo-repeat");
    let mut network = Network::run_with(
        programs.path("msgflo"),
        GRAPH,
        &library(repeat),
        &broker,
        &["--ignore", "first,second"],
    );
    let _elsewhere = ["first", "second"].map(|role| Elsewhere::start(repeat, role, &broker));
    network.wait_until_bound();

    let url = broker.parse().expect("the broker has a URL");
    let observer = Amqp.broker(&url, BrokerOptions::default()).await.expect("the broker is there");
    let mut results = observer.tap(&"second.OUT".into(), 10_000).await.expect("the last outport is there");
    let mut seen = BTreeSet::new();
    for n in 0..MESSAGES {
        match n {
            200 => network.kill(),
            400 => network.start_again(),
            _ => {}
        }
        let message = Message::json(&n).expect("it is JSON");
        observer.send_to_queue(&"first.IN".into(), message).await.expect("the first inport is there");
    }
    network.wait_until_bound();
    while seen.len() < MESSAGES {
        let result =
            timeout(PATIENCE, results.next()).await.expect("a result comes").expect("the tap goes on");
        let n: usize = serde_json::from_slice(&result.message.payload).expect("a result is a number");
        assert!(seen.insert(n), "{n} came twice");
    }
    observer.close().await.expect("the observer leaves");
    assert!(network.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_dies_is_shown_with_its_status_and_last_words() {
    let programs = Programs::build();
    let library = json!({ "components": { "core/Repeat": "echo cannot find the thermometer >&2; exit 3" } });
    let network = Network::run(programs.path("msgflo"), GRAPH, &library, "embedded:?port=0");
    let exit = json!({ "status": "exit status 3", "output": ["cannot find the thermometer"] });
    network.wait_for("two failures, and why", || {
        let process = &network.status()["nodes"][0]["process"];
        (process["restarts"].as_u64() >= Some(2) && process["last_exit"] == exit).then_some(())
    });
    network.wait_for("what is said of it", || network.log().contains("a process ended").then_some(()));
    assert!(network.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_port_and_a_malformed_announcement_harm_nothing_else() {
    let programs = Programs::build();
    let graph = format!("{GRAPH}\nsecond OUT -> NOPE first");
    let library = library(programs.path("msgflo-repeat"));
    let network = Network::run(programs.path("msgflo"), &graph, &library, "embedded:?port=0");
    let url = network.broker().parse().expect("the broker has a URL");
    let observer = Amqp.broker(&url, BrokerOptions::default()).await.expect("the broker is there");
    for malformed in ["", "null", "[]", "{\"protocol\": \"discovery\", \"payload\": {\"id\": \"odd-1\"}}"] {
        let message = Message::new(malformed.as_bytes().to_vec());
        observer.send_to_queue(&"fbp".into(), message).await.expect("the queue is there");
    }
    let edges = network.wait_for("an edge that failed and one that is bound", || {
        let edges = network.status()["edges"].clone();
        (edges[1]["state"] == "failed" && edges[0]["state"] == "bound").then_some(edges)
    });
    assert_eq!(edges[1]["reason"], "`first` has no inport `NOPE`; it has: IN");
    let said = || network.log().lines().filter(|line| line.contains("an edge cannot be made")).count();
    network.wait_for("a line on the edge", || (said() == 1).then_some(()));
    network.wait_for("a line on the sender", || network.log().contains("odd-1").then_some(()));
    observer.close().await.expect("the observer leaves");
    assert!(network.stop().success());
}
