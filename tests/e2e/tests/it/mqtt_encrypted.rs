//! A network on MQTT over TLS.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use e2e::{Device, Mosquitto, Network, Programs};
use serde_json::json;

const GRAPH: &str = "one(tls/Repeat) OUT -> IN two(tls/Repeat)\n";

/// Coordinator and participants speak to a port that takes TLS only; a device beside them sees what they do.
#[test]
fn a_network_speaks_tls_and_trusts_the_certificate_that_it_is_told() {
    let programs = Programs::build();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate is made");
    std::fs::write(file("cert.pem"), made.cert.pem()).expect("it is written");
    std::fs::write(file("key.pem"), made.signing_key.serialize_pem()).expect("it is written");
    // A port that was free a moment ago.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let port = listener.local_addr().expect("it has an address").port();
    drop(listener);
    let mut broker = Mosquitto::start_with(&format!(
        "listener {port} 127.0.0.1\ncertfile {}\nkeyfile {}",
        file("cert.pem"),
        file("key.pem")
    ));
    broker.wait_for(port);
    let encrypted = format!("mqtts://localhost:{port}");

    let participants = |trusted: Option<String>| {
        let mut command = Command::new(programs.path("msgflo"));
        command.args(["participants", "--wait", "1", "--broker", &encrypted]).env_remove("SSL_CERT_FILE");
        command.envs(trusted.map(|file| ("SSL_CERT_FILE", file))).output().expect("msgflo starts")
    };
    let refused = participants(None);
    assert!(!refused.status.success(), "an unknown certificate is not trusted");
    let said = String::from_utf8_lossy(&refused.stderr).to_lowercase();
    assert!(said.contains("certificate"), "{said}");

    let library = json!({"name": "tls", "msgflo": {"components": {
        "Repeat": format!("{} --role #ROLE", programs.path("msgflo-repeat").display())}}});
    let trusted = file("cert.pem");
    let environment = [("SSL_CERT_FILE", trusted.as_str())];
    let network = Network::run_in(programs.path("msgflo"), GRAPH, &library, &encrypted, &[], &environment);
    network.wait_until_bound();
    assert!(participants(Some(trusted.clone())).status.success());
    let mut device = Device::connect(&broker.url(), "device");
    device.subscribe("two.OUT");
    for payload in [&b"{\"a\":1}"[..], b"[1,2,3]"] {
        device.publish("one.IN", payload);
        assert_eq!(device.receive(), ("two.OUT".to_owned(), payload.to_vec()));
    }
    assert!(network.stop().success());
}
