//! Networks on MQTT: participants of all languages, devices, and two brokers at once.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::{Device, Mosquitto, Network, Peers, Programs, virtual_host};
use futures_util::StreamExt;
use msgflo_core::{Broker, BrokerOptions, Deliveries, Message, QueueName, Transport};
use msgflo_transports::{Amqp, Mqtt};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::timeout;

const PYPI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mqtt/repeat_pypi.py");
const OUR_PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/python");
const MESSAGES: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);

/// Participants in Rust, in Node on `msgflo-nodejs`, in Python on PyPI's `msgflo` and on ours, one behind the other.
const CHAIN: &str = "
rust(all/Rust) OUT -> IN node(all/Node)
node OUT -> IN pypi(all/PyPI)
pypi OUT -> IN python(all/Python)
";

fn library(programs: &Programs, peers: &Peers) -> Value {
    let python = peers.python.display();
    json!({ "name": "all", "msgflo": { "components": {
        "Rust": format!("{} --role #ROLE", programs.path("msgflo-repeat").display()),
        "Node": peers.node_participant(),
        "PyPI": format!("{python} {PYPI} #ROLE"),
        "Python": format!("PYTHONPATH={OUR_PYTHON} {python} {OUR_PYTHON}/examples/repeat.py #ROLE"),
    }}})
}

async fn observer(url: &str) -> Arc<dyn Broker> {
    let url = url.parse().expect("a URL");
    Mqtt.broker(&url, BrokerOptions::default()).await.expect("the broker is there")
}

async fn next(deliveries: &mut Deliveries) -> Value {
    let delivery = timeout(PATIENCE, deliveries.next()).await.expect("a message comes");
    let delivery = delivery.expect("the subscription goes on");
    let value = serde_json::from_slice(&delivery.message.payload).expect("JSON");
    delivery.ack();
    value
}

async fn carries_through_all_languages(network: Network, url: &str) {
    network.wait_until_bound();
    let observer = observer(url).await;
    let mut results = observer.tap(&"python/out".into(), 1000).await.expect("a tap");
    let inport = QueueName::from("rust.IN");
    let mut seen = BTreeSet::new();
    for n in 0..MESSAGES {
        let message = Message::json(&json!({ "n": n, "text": "größer" })).expect("JSON");
        observer.send_to_queue(&inport, message).await.expect("it is sent");
        // PyPI's `msgflo` loses messages when they come faster than it goes round: one at a time.
        seen.insert(next(&mut results).await["n"].as_u64());
    }
    assert_eq!(seen.len(), MESSAGES);
    observer.close().await.expect("the observer leaves");
    let ended = network.stop();
    assert!(ended.success(), "msgflo ends well: {ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_languages_on_mosquitto() {
    let (programs, peers, broker) = (Programs::build(), Peers::installed(), Mosquitto::start());
    let library = library(&programs, &peers);
    let network = Network::run(programs.path("msgflo"), CHAIN, &library, &broker.url());
    carries_through_all_languages(network, &broker.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_languages_on_the_embedded_broker() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let library = library(&programs, &peers);
    let network = Network::run(programs.path("msgflo"), CHAIN, &library, "embedded+mqtt:?port=0");
    let url = network.status()["broker"].as_str().expect("it names its broker").to_owned();
    carries_through_all_languages(network, &url).await;
}

/// As the library for Arduino and the one for C++ announce themselves: topics by their own conventions, and nothing that is
/// not needed.
fn announcement(role: &str, inports: &[(&str, &str)], outports: &[(&str, &str)]) -> Value {
    let ports = |ports: &[(&str, &str)]| -> Vec<Value> {
        ports.iter().map(|(id, queue)| json!({"id": id, "type": "string", "queue": queue})).collect()
    };
    json!({ "id": format!("{role}4711"), "role": role, "component": "device/Board", "label": "", "icon": "cog",
            "inports": ports(inports), "outports": ports(outports) })
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_wired_as_they_are() {
    let (programs, broker) = (Programs::build(), Mosquitto::start());
    let graph = "
        button(device/Board) pressed -> in bell(device/Board)
        button pressed -> IN motor(device/Board)
    ";
    let network = Network::run_with(
        programs.path("msgflo"),
        graph,
        &json!({"name": "devices", "msgflo": {"components": {}}}),
        &broker.url(),
        &["--ignore", "button,bell,motor"],
    );
    // Arduino: `role/port`. C++: `role.PORT`.
    let mut button = Device::connect(&broker.url(), "button");
    let (mut bell, mut motor) =
        (Device::connect(&broker.url(), "bell"), Device::connect(&broker.url(), "motor"));
    bell.subscribe("bell/in");
    motor.subscribe("motor.IN");
    button.announce(&announcement("button", &[], &[("pressed", "button/pressed")]));
    bell.announce(&announcement("bell", &[("in", "bell/in")], &[]));
    motor.announce(&announcement("motor", &[("IN", "motor.IN")], &[]));
    network.wait_until_bound();
    for payload in [&b"true"[..], b"", b"\x00\xff no JSON"] {
        button.publish("button/pressed", payload);
        assert_eq!(bell.receive(), ("bell/in".to_owned(), payload.to_vec()));
        assert_eq!(motor.receive(), ("motor.IN".to_owned(), payload.to_vec()));
    }
}

/// A device on MQTT wired straight to a worker on AMQP, and its results straight back.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_and_a_worker_on_another_broker() {
    const COUNT: usize = 1000;
    let (programs, mosquitto) = (Programs::build(), Mosquitto::start());
    let rabbitmq = virtual_host().await;
    let graph = "
        sensor(device/Board) reading -> IN worker(all/Worker)
        worker OUT -> in lamp(device/Board)
    ";
    let worker = format!("{} --role #ROLE", programs.path("msgflo-repeat").display());
    let library = json!({"name": "all", "msgflo": {"components": {"Worker": worker}}});
    let more = ["--ignore", "sensor,lamp", "--broker", &mosquitto.url()];
    let mut network = Network::run_with(programs.path("msgflo"), graph, &library, &rabbitmq, &more);
    let mut lamp = Device::connect(&mosquitto.url(), "lamp");
    lamp.subscribe("lamp/in");
    lamp.announce(&announcement("lamp", &[("in", "lamp/in")], &[]));
    lamp.announce(&announcement("sensor", &[], &[("reading", "sensor/reading")]));
    let status = network.wait_until_bound();
    let worker = status["nodes"].as_array().expect("nodes").iter().find(|node| node["role"] == "worker");
    assert_eq!(
        worker.expect("the worker")["inports"][0]["queue"],
        "worker.IN",
        "the first broker's names stay"
    );
    let observer = observer(&mosquitto.url()).await;
    let topic = QueueName::from("sensor/reading");
    let numbers = |range: std::ops::Range<usize>| {
        let (observer, topic) = (Arc::clone(&observer), topic.clone());
        async move {
            for n in range {
                let message = Message::new(n.to_string());
                observer.send_to_exchange(&topic, message).await.expect("it is sent");
            }
        }
    };
    let got = |lamp: &mut Device, count: usize| -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        while seen.len() < count {
            let (_, payload) = lamp.receive();
            seen.insert(String::from_utf8(payload).expect("text").parse().expect("a number"));
        }
        seen
    };
    numbers(0..COUNT).await;
    assert_eq!(got(&mut lamp, COUNT), (0..COUNT).collect());
    // Killed, and started again: what was sent meanwhile has waited, with a broker each.
    network.kill();
    numbers(COUNT..COUNT + 100).await;
    network.start_again();
    let mut seen = got(&mut lamp, 100);
    // Some that were on their way when it was killed may come again.
    while seen.iter().filter(|n| **n >= COUNT).count() < 100 {
        seen.extend(got(&mut lamp, 1));
    }
    let amqp =
        Amqp.broker(&rabbitmq.parse().expect("a URL"), BrokerOptions::default()).await.expect("RabbitMQ");
    assert_eq!(amqp.depth(&"worker.IN".into()).await.expect("its queue").ready, 0);
    assert!(network.stop().success());
}

/// A message that the broker would end the connection for is refused, and hinders none of the others.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_a_broker_is_refused_and_not_sent_again_for_ever() {
    const MOST: usize = 5000;
    let mosquitto = Mosquitto::start_with(&format!("max_packet_size {MOST}\n"));
    let broker = observer(&mosquitto.url()).await;
    let topic = QueueName::from("large");
    let mut taken = broker.tap(&topic, 10).await.expect("a tap");
    let sized = |size: usize| Message::new(vec![b'x'; size]);
    for size in [MOST, 10 * MOST] {
        let refused = broker.send_to_queue(&topic, sized(size)).await.expect_err("it is too large");
        assert!(!refused.is_transient(), "{refused:?}");
        let reason = std::error::Error::source(&refused).expect("it has a reason").to_string();
        assert!(reason.contains("takes at most 5000"), "{reason}");
    }
    for size in [0, MOST / 2, MOST - 100] {
        broker.send_to_queue(&topic, sized(size)).await.expect("it is taken");
        let delivery = timeout(PATIENCE, taken.next()).await.expect("it comes").expect("the tap goes on");
        assert_eq!(delivery.message.payload.len(), size);
        delivery.ack();
    }
}
