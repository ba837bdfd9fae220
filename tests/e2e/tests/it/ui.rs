//! The page, in a browser, on networks that run: what people do, what they see, and who may.

use std::fmt::Write;
use std::process::Command;

use e2e::{Network, Peers, Programs};
use serde_json::{Value, json};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ui");
const EMBEDDED: &str = "embedded:?port=0";
const SECRET: &str = "open sesame";

/// What the sensor measures goes nowhere yet; jobs that are refused have a place.
const GRAPH: &str = "
'22.3333333' -> SET inside(thermometer/Sensor)
display(thermometer/Display)
source(ui/Source) OUT -> IN jobs(msgflo/RoundRobin) OUT -> IN worker(ui/Worker)
jobs DEADLETTER -> IN failed(ui/Failed)
ghost(ui/Ghost) OUT -> TEXT display
";

/// Runs a script in the browser; what it said.
fn browse(peers: &Peers, script: &str, arguments: &[&str]) -> String {
    let mut command = peers.node_script(&format!("{SCRIPTS}/{script}"));
    let output = command.args(arguments).output().expect("Node starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{out}");
    assert!(output.status.success(), "{}\n{err}", output.status);
    out.into_owned()
}

fn thermometer(programs: &Programs) -> Value {
    let program = programs.path("thermometer").display().to_string();
    json!({"namespace": "thermometer", "components": {
        "Sensor": {"command": format!("{program} sensor --role #ROLE"), "icon": "thermometer-half",
            "description": "Measures what it was last told", "inports": ["SET"], "outports": ["TEMPERATURE"]},
        "Display": {"command": format!("{program} display --role #ROLE"), "icon": "desktop",
            "description": "Shows what comes in", "inports": ["TEXT"]},
    }})
}

#[test]
fn a_person_sees_and_changes_a_network_and_looks_into_its_messages() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let library = thermometer(&programs);
    let ignored = ["--ignore", "source,worker,failed,ghost"];
    let network = Network::run_with(programs.path("msgflo"), GRAPH, &library, EMBEDDED, &ignored);
    let out = browse(&peers, "network.mjs", &[&network.page(), &network.broker()]);
    assert_eq!(out.matches("ok  ").count(), 16, "{out}");
    assert!(network.stop().success());
}

#[test]
fn the_door_opens_to_those_who_know_the_secret() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let command = format!("{} --role #ROLE", programs.path("msgflo-repeat").display());
    let library = json!({"namespace": "core", "components": {"Repeat": command}});
    let further = ["--secret", SECRET, "--componentdir", "parts"];
    let network =
        Network::run_with(programs.path("msgflo"), "only(core/Repeat)", &library, EMBEDDED, &further);
    let out = browse(&peers, "access.mjs", &[&network.page(), SECRET]);
    assert_eq!(out.matches("ok  ").count(), 6, "{out}");
    assert!(network.stop().success());
}

#[test]
fn nothing_little_and_forbidden_are_shown_as_what_they_are() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let command = format!("{} --role #ROLE", programs.path("msgflo-repeat").display());
    let library = json!({"namespace": "core", "components": {"Repeat": command}});
    let folder = tempfile::tempdir().expect("a temporary folder");
    let permissions = folder.path().join("permissions.json");
    let reading =
        ["graph:readonly", "network:status", "network:data", "protocol:component", "component:getsource"];
    let changing = [
        "protocol:graph",
        "protocol:network",
        "network:persist",
        "protocol:runtime",
        "protocol:component",
        "component:getsource",
    ];
    std::fs::write(&permissions, json!({"": changing, SECRET: reading}).to_string()).expect("it is written");
    let further = ["--permissions", permissions.to_str().expect("a path of text")];
    let network = Network::run_with(programs.path("msgflo"), "", &library, EMBEDDED, &further);
    let out = browse(&peers, "states.mjs", &[&network.page(), SECRET]);
    assert_eq!(out.matches("ok  ").count(), 6, "{out}");
    assert!(network.stop().success());
}

/// The thermometer: connected, a Python component written and put between, changed, broken and repaired.
#[test]
fn a_network_is_rewired_by_hand_while_it_runs() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let mut library = thermometer(&programs);
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/python");
    let handler = format!("env PYTHONPATH={sdk} {} #FILENAME #ROLE", peers.python.display());
    library["handlers"] = json!({".py": handler});
    let graph = "'22.3333333' -> SET inside(thermometer/Sensor)\ndisplay(thermometer/Display)\n";
    let further = ["--secret", SECRET, "--componentdir", "parts"];
    let network = Network::run_with(programs.path("msgflo"), graph, &library, EMBEDDED, &further);
    let out = browse(&peers, "by_hand.mjs", &[&network.page(), SECRET]);
    assert_eq!(out.matches("ok  ").count(), 6, "{out}");
    assert!(network.stop().success());
}

#[test]
fn three_hundred_nodes_stay_fluent() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let mut graph = String::new();
    for n in 0..300 {
        writeln!(graph, "node{n}(ui/Anybody)").expect("text takes text");
    }
    for n in 0..500 {
        let (from, port) = (n % 300, n / 300);
        let to = (from + 10 + (n * 7) % 9).min(299);
        writeln!(graph, "node{from} OUT{port} -> IN node{to}").expect("text takes text");
    }
    let ignored: Vec<String> = (0..300).map(|n| format!("node{n}")).collect();
    let further = ["--ignore", &ignored.join(",")];
    let network = Network::run_with(programs.path("msgflo"), &graph, &json!({}), EMBEDDED, &further);
    let out = browse(&peers, "large.mjs", &[&network.page()]);
    assert_eq!(out.matches("ok  ").count(), 2, "{out}");
    assert!(network.stop().success());
}

/// What is no browser gets words, and what is no page gets no page.
#[test]
fn the_page_is_served_beside_everything_else() {
    let programs = Programs::build();
    let network = Network::run(programs.path("msgflo"), "", &json!({}), EMBEDDED);
    let get = |path: &str, accept: &str| {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--include", "--header", &format!("Accept: {accept}")])
            .arg(format!("{}{path}", network.page()))
            .output()
            .expect("curl starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let page = get("/", "text/html");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("content-security-policy: default-src 'none'"));
    assert!(page.contains("<div id=\"root\">"), "it was built: {page}");
    assert!(get("/", "*/*").contains("FBP runtime protocol"));
    assert!(get("/nothing", "text/html").starts_with("HTTP/1.1 404"));
    assert!(get("/.vite/manifest.json", "*/*").starts_with("HTTP/1.1 404"));
    assert!(network.stop().success());
}
