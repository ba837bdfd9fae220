//! Editors and test suites that others have written, on a running network.

use std::net::TcpListener;
use std::process::Command;

use e2e::{Network, Peers, Programs, provide_tls};
use serde_json::{Value, json};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/protocol");
const EMBEDDED: &str = "embedded:?port=0";

fn library(programs: &Programs) -> Value {
    let command = format!("{} --role #ROLE", programs.path("msgflo-repeat").display());
    let repeat = json!({"command": command, "inports": ["in"], "outports": ["out"]});
    json!({"namespace": "core", "components": {"Repeat": repeat, "Drop": {"command": command, "inports": ["in"]}}})
}

fn run(programs: &Programs) -> Network {
    Network::run(programs.path("msgflo"), "only(core/Repeat)", &library(programs), EMBEDDED)
}

fn succeeds(mut command: Command) -> String {
    let output = command.output().expect("the peer starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// The protocol's own conformance suite, unmodified. It starts the runtime itself.
#[test]
fn the_conformance_suite_passes() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("package.json"), library(&programs).to_string())
        .expect("it is written");
    // A port that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it has an address").port();
    drop(listener);
    let command = format!(
        "cd '{}' && exec '{}' run --port {port} --state state --broker {EMBEDDED}",
        folder.path().display(),
        programs.path("msgflo").display()
    );
    let config = json!({"name": "msgflo", "command": command, "host": "localhost", "port": port,
        "collection": "core", "version": "0.7"});
    std::fs::write(folder.path().join("fbp-config.json"), config.to_string()).expect("it is written");
    let mut suite = Command::new(&peers.node);
    suite
        .arg(peers.node_modules.join("fbp-protocol/bin/fbp-test"))
        // For mocha: one of the suite's limits is 4 s for starting us.
        .arg("--no-timeouts")
        .current_dir(peers.node_modules.join(".."))
        .env("PROJECT_HOME", folder.path())
        .env_remove("MSGFLO_BROKER");
    let out = succeeds(suite);
    assert!(out.contains("22 passing"), "{out}");
}

/// Every command, and every message that comes back against the protocol's schemas.
#[test]
fn every_message_is_as_the_schemas_say() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let network = run(&programs);
    let mut script = peers.node_script(&format!("{SCRIPTS}/schemas.cjs"));
    script.arg(network.socket());
    let out = succeeds(script);
    assert!(out.contains("kinds of messages checked"), "{out}");
    assert!(network.stop().success());
}

#[test]
fn a_strict_client_edits_a_network() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let network = run(&programs);
    let mut script = peers.node_script(&format!("{SCRIPTS}/editing.cjs"));
    script.arg(network.socket());
    succeeds(script);
    assert!(network.stop().success());
}

#[test]
fn suites_of_fbp_spec_pass_with_and_without_a_fixture() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let network = run(&programs);
    let mut suite = Command::new(&peers.node);
    suite
        .arg(peers.node_modules.join("fbp-spec/bin/fbp-spec"))
        // A machine that is busy with other tests is no failure.
        .args(["--start-timeout", "60", "--command-timeout", "60"])
        .args(["--address", &network.socket(), &format!("{SCRIPTS}/suite.yaml")])
        .current_dir(peers.node_modules.join(".."));
    succeeds(suite);
    assert!(network.stop().success());
}

/// What fbp-spec's own suites are to end with: of their cases, as many are made to fail.
const SUITES: [(&str, usize, usize); 4] = [
    ("simple-passing.yaml", 2, 0),
    ("multisuite-failandpass.yaml", 2, 2),
    ("predicates.yaml", 5, 5),
    ("jsonpath.yaml", 2, 2),
];

/// Our own runner: the suite that fbp-spec's passes, and fbp-spec's examples, of which each case says what becomes of it.
#[test]
fn msgflo_test_tells_what_passes_and_what_fails() {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let network = run(&programs);
    let test = |suite: &str| {
        let mut command = Command::new(programs.path("msgflo"));
        // A machine that is busy with other tests is no failure.
        command.args(["test", suite, "--json", "--timeout", "30000", "--address", &network.socket()]);
        let output = command.output().expect("msgflo starts");
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{suite}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), findings)
    };
    // With the ports that the library names, in whatever case, and with those that the participant announces: `IN` and `OUT`.
    for known in ["from the library", "from the participant"] {
        let (code, findings) = test(&format!("{SCRIPTS}/suite.yaml"));
        assert_eq!(code, Some(0), "ports known {known}: {findings:?}");
        assert_eq!(findings.len(), 3);
        network.wait_for("the participant", || (network.status()["nodes"][0]["state"] == "up").then_some(()));
    }
    for (suite, passing, failing) in SUITES {
        let path = peers.node_modules.join("fbp-spec/examples").join(suite);
        let (code, findings) = test(path.to_str().expect("a path is text"));
        assert_eq!(code, Some(i32::from(failing > 0)), "{suite}");
        for finding in &findings {
            let should_fail = finding["assertion"] == "should fail";
            assert_eq!(
                finding["verdict"],
                if should_fail { "failed" } else { "passed" },
                "{suite}: {finding}"
            );
        }
        let failed = findings.iter().filter(|finding| finding["verdict"] == "failed").count();
        assert_eq!((findings.len() - failed, failed), (passing, failing), "{suite}");
    }
    assert!(network.stop().success());
}

/// A page of a foreign site, whose name leads to this machine, reads nothing without a secret; programs that name an address do.
#[tokio::test(flavor = "multi_thread")]
async fn under_a_foreign_name_nothing_is_told_without_a_secret() {
    let programs = Programs::build();
    let network = Network::run(programs.path("msgflo"), "", &json!({}), "embedded:?port=0");
    let guarded =
        Network::run_with(programs.path("msgflo"), "", &json!({}), "embedded:?port=0", &["--secret", "it"]);
    provide_tls();
    let asker = reqwest::Client::new();
    let ask = async |network: &Network, path: &str, name: &str, value: &str| {
        let request = asker.get(format!("{}{path}", network.page())).header(name, value);
        request.send().await.expect("it answers").status().as_u16()
    };
    for path in ["/api/status", "/metrics", "/api/deadletters"] {
        for (name, value, status) in [
            ("host", "127.0.0.1:3569", 200),
            ("host", "10.0.0.7", 200),
            ("host", "localhost", 200),
            ("host", "rebound.example:3569", 401),
            ("origin", "https://evil.example", 401),
        ] {
            assert_eq!(ask(&network, path, name, value).await, status, "{path} {value}");
        }
        assert_eq!(ask(&guarded, path, "authorization", "Bearer it").await, 200, "{path}");
        assert_eq!(ask(&guarded, path, "host", "localhost").await, 401, "{path}");
    }
    assert_eq!(ask(&network, "/healthz", "host", "net.internal").await, 200);
    assert!(network.stop().success() && guarded.stop().success());
}
