//! A network of thirty roles, as a house full of makers has it: devices, programs in Python, programs in Node, all on one
//! broker of MQTT, and nobody waits for anybody.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use e2e::{Device, Mosquitto, Network, Peers, Programs};
use serde_json::{Value, json};

/// Roles of each kind.
const EACH: usize = 10;
/// Seconds within which participants are heard of.
const PERIOD: &str = "4";
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/python");

/// Door by door: what a device reports goes through a program in Python and one in Node to another device's topic.
fn graph() -> String {
    (0..EACH).map(|n| format!("door{n}(house/Board) opened -> in log{n}(house/Log)\nlog{n} out -> IN rule{n}(house/Rule)\nrule{n} OUT -> light door{}\n", (n + 1) % EACH)).collect()
}

fn commands(peers: &Peers) -> BTreeMap<&'static str, String> {
    let python = format!(
        "PYTHONPATH={SDK} PYTHONDONTWRITEBYTECODE=1 {} {SDK}/examples/repeat.py #ROLE",
        peers.python.display()
    );
    BTreeMap::from([("Log", python), ("Rule", peers.node_participant())])
}

/// The devices of the house, each with a light; they announce themselves until `stop`.
fn announce(url: &str, stop: &AtomicBool) {
    let mut device = Device::connect(url, "announcer");
    while !stop.load(Ordering::Relaxed) {
        for n in 0..EACH {
            let port = |id: &str| json!([{"id": id, "type": "any", "queue": format!("/house/door{n}/{id}")}]);
            device.announce(
                &json!({"id": format!("door{n}-1"), "role": format!("door{n}"), "component": "house/Board",
                "inports": port("light"), "outports": port("opened")}),
            );
        }
        thread::sleep(Duration::from_secs(1));
    }
}

/// Processes that the test has started itself. Dropped, they are ended.
struct Processes(Vec<Child>);

impl Processes {
    fn start(commands: &BTreeMap<&str, String>, url: &str) -> Self {
        let start = |component: &str, role: String| {
            let line = format!("exec env {}", commands[component].replace("#ROLE", &role));
            let mut command = Command::new("sh");
            command.args(["-c", &line]).env("MSGFLO_BROKER", url).env("MSGFLO_DISCOVERY_PERIOD", PERIOD);
            command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a participant starts")
        };
        let each =
            (0..EACH).flat_map(|n| [start("Log", format!("log{n}")), start("Rule", format!("rule{n}"))]);
        Self(each.collect())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.0 {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn run(programs: &Programs, library: &Value, url: &str, ignored: &str) -> Network {
    Network::run_with(programs.path("msgflo"), &graph(), library, url, &["--ignore", ignored])
}

/// Every report of a door lights the next one's light.
fn works(network: &Network, url: &str) {
    let status = network.wait_until_bound();
    assert_eq!(status["nodes"].as_array().map(Vec::len), Some(3 * EACH));
    assert_eq!(status["edges"].as_array().map(Vec::len), Some(3 * EACH));
    let mut house = Device::connect(url, "house");
    for n in 0..EACH {
        house.subscribe(&format!("/house/door{n}/light"));
    }
    for n in 0..EACH {
        let report = json!({"door": n, "open": true}).to_string();
        house.publish(&format!("/house/door{n}/opened"), report.as_bytes());
        let (topic, payload) = house.receive();
        assert_eq!(topic, format!("/house/door{}/light", (n + 1) % EACH));
        assert_eq!(
            serde_json::from_slice::<Value>(&payload).expect("JSON"),
            json!({"door": n, "open": true})
        );
    }
}

fn in_order(coordinator_first: bool) {
    let (programs, peers, broker) = (Programs::build(), Peers::installed(), Mosquitto::start());
    let (url, commands) = (broker.url(), commands(&peers));
    let library = json!({"name": "house", "msgflo": {"components": commands.clone()}});
    let doors: Vec<_> = (0..EACH).map(|n| format!("door{n}")).collect();
    let others = (0..EACH).flat_map(|n| [format!("log{n}"), format!("rule{n}")]);
    let everybody: Vec<_> = doors.iter().cloned().chain(others).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // Ends the devices also when something fails.
        let _ended = End(&stop);
        if coordinator_first {
            let network = run(&programs, &library, &url, &doors.join(","));
            scope.spawn(|| announce(&url, &stop));
            works(&network, &url);
            assert!(network.stop().success());
        } else {
            scope.spawn(|| announce(&url, &stop));
            let _processes = Processes::start(&commands, &url);
            let network = run(&programs, &library, &url, &everybody.join(","));
            works(&network, &url);
            assert!(network.stop().success());
        }
    });
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn comes_up_when_the_coordinator_is_first() {
    in_order(true);
}

#[test]
fn comes_up_when_the_coordinator_is_last() {
    in_order(false);
}
