//! Participants in all languages, ours and those of others, each on every broker that it speaks to.

use std::sync::OnceLock;
use std::time::Duration;

use e2e::{Mosquitto, Peers, Programs, virtual_host};
use futures_util::StreamExt;
use msgflo_conformance::participant::{Allowances, repeats};
use msgflo_core::{BrokerOptions, BrokerUrl, Registry, Transport};
use msgflo_transports::{Amqp, Mqtt};
use tokio::process::Command;

const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/python");
const PYPI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mqtt/repeat_pypi.py");
const ROLE: &str = "repeat";

fn rust() -> (Command, Allowances) {
    let mut command = Command::new(Programs::build().path("msgflo-repeat"));
    command.args(["--role", ROLE]);
    (command, Allowances::default())
}

fn python() -> (Command, Allowances) {
    let mut command = Command::new(Peers::installed().python);
    command.arg(format!("{SDK}/examples/repeat.py")).arg(ROLE).env("PYTHONPATH", SDK);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    (command, Allowances::default())
}

/// `msgflo-nodejs` of npm, unmodified.
fn node() -> (Command, Allowances) {
    let mut command = Command::new("sh");
    let line = Peers::installed().node_participant().replace("#ROLE", ROLE);
    // The program itself is to get the signal.
    command.args(["-c", &line.replacen("NODE_PATH=", "exec env NODE_PATH=", 1)]);
    (command, Allowances { only_json: true, ends_by_signal: true, silent: true, ..Allowances::default() })
}

/// Our SDK for Node, compiled here from its TypeScript.
fn typescript() -> (Command, Allowances) {
    const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/node");
    static BUILT: OnceLock<tempfile::TempDir> = OnceLock::new();
    let peers = Peers::installed();
    let built = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink(&peers.node_modules, at("node_modules")).expect("a link is made");
        for name in ["src", "examples", "package.json", "tsconfig.json"] {
            let copied = std::process::Command::new("cp")
                .arg("-r")
                .arg(format!("{SDK}/{name}"))
                .arg(at(name))
                .status();
            assert!(copied.expect("`cp` starts").success(), "{name} is copied");
        }
        let mut compiler = std::process::Command::new(&peers.node);
        compiler.arg(peers.node_modules.join("typescript/bin/tsc")).current_dir(folder.path());
        let output = compiler.output().expect("the compiler starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        folder
    });
    let mut command = Command::new(&peers.node);
    command.arg(built.path().join("examples/repeat.mjs")).arg(ROLE);
    (command, Allowances::default())
}

/// `msgflo` of PyPI, unmodified; its AMQP side is for Python 2 only.
fn pypi() -> (Command, Allowances) {
    let mut command = Command::new(Peers::installed().python);
    command.args([PYPI, ROLE]);
    let allowances = Allowances {
        only_json: true,
        ends_by_signal: true,
        fixed_period: true,
        one_at_a_time: true,
        silent: true,
    };
    (command, allowances)
}

async fn check(url: &str, (command, allowances): (Command, Allowances)) {
    let registry = Registry::default().with(Amqp).with(Mqtt);
    let address = url.parse().expect("a URL");
    let transport = registry.transport(&address).expect("its scheme is spoken");
    let broker = transport.broker(&address, BrokerOptions::default()).await.expect("the broker is there");
    repeats(broker, url, ROLE, command, allowances).await;
}

async fn on_rabbitmq(participant: (Command, Allowances)) {
    check(&virtual_host().await, participant).await;
}

async fn on_the_embedded_broker(participant: (Command, Allowances)) {
    let options = msgflo_broker::Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let broker = msgflo_broker::Server::start(options).await.expect("the embedded broker starts");
    check(&broker.url().to_string(), participant).await;
    broker.shutdown().await;
}

async fn on_mosquitto(participant: (Command, Allowances)) {
    check(&Mosquitto::start().url(), participant).await;
}

async fn on_the_embedded_mqtt_broker(participant: (Command, Allowances)) {
    let options = msgflo_mqtt_broker::Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let broker = msgflo_mqtt_broker::Server::start(options).await.expect("the embedded broker starts");
    check(&broker.url(), participant).await;
    broker.shutdown().await;
}

macro_rules! participants {
    ($($participant:ident: $($broker:ident),+;)+) => {
        $(mod $participant {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $broker() {
                super::$broker(super::$participant()).await;
            })+
        })+
    };
}

participants! {
    rust: on_rabbitmq, on_the_embedded_broker, on_mosquitto, on_the_embedded_mqtt_broker;
    python: on_rabbitmq, on_the_embedded_broker, on_mosquitto, on_the_embedded_mqtt_broker;
    typescript: on_rabbitmq, on_the_embedded_broker, on_mosquitto, on_the_embedded_mqtt_broker;
    node: on_rabbitmq, on_the_embedded_broker, on_mosquitto, on_the_embedded_mqtt_broker;
    pypi: on_mosquitto, on_the_embedded_mqtt_broker;
}

/// Whoever is asked to end while there is no broker ends as well as with one; and waits for one that is not there yet.
async fn leaves_without_a_broker((mut command, _): (Command, Allowances)) {
    let options = || msgflo_broker::Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let broker = msgflo_broker::Server::start(options()).await.expect("the embedded broker starts");
    let url: BrokerUrl = broker.url().to_string().parse().expect("a URL");
    let port = url.expose().port().expect("it has a port");
    broker.shutdown().await;

    command.env("MSGFLO_BROKER", format!("amqp://guest:guest@127.0.0.1:{port}"));
    let mut child = command.kill_on_drop(true).spawn().expect("the participant starts");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(child.try_wait().expect("it is ours"), None, "it waits");
    let again = msgflo_broker::Options { listen: ([127, 0, 0, 1], port).into(), ..Default::default() };
    let broker = msgflo_broker::Server::start(again).await.expect("the embedded broker starts again");
    let address = format!("amqp://guest:guest@127.0.0.1:{port}").parse().expect("a URL");
    let watching = Amqp.broker(&address, BrokerOptions::default()).await.expect("the broker is there");
    let mut announcements = watching.watch_discovery().await.expect("discovery is watched");
    let heard = tokio::time::timeout(Duration::from_secs(60), announcements.next()).await;
    heard.expect("it announces itself").expect("discovery goes on").expect("it is an announcement");
    broker.shutdown().await;

    tokio::time::sleep(Duration::from_secs(1)).await;
    let id = child.id().expect("it still runs").to_string();
    assert!(Command::new("kill").arg(id).status().await.expect("`kill` starts").success());
    let ended = tokio::time::timeout(Duration::from_secs(40), child.wait()).await;
    let status = ended.expect("it ends when it is asked to").expect("it has a status");
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_in_python_leaves_without_a_broker() {
    leaves_without_a_broker(python()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_in_typescript_leaves_without_a_broker() {
    leaves_without_a_broker(typescript()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_in_rust_leaves_without_a_broker() {
    leaves_without_a_broker(rust()).await;
}
