//! The page, in a browser, on what guv scales: alone, and within a network.

use std::process::Command;

use e2e::{Peers, Programs};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ui");

/// Runs a script in the browser, which starts what it needs. Every step has to be there.
fn browse(script: &str, steps: usize) {
    let (programs, peers) = (Programs::build(), Peers::installed());
    let mut command: Command = peers.node_script(&format!("{SCRIPTS}/{script}"));
    command
        .env("GUV", programs.path("guv"))
        .env("MSGFLO", programs.path("msgflo"))
        .env_remove("MSGFLO_BROKER")
        .env_remove("CLOUDAMQP_URL");
    let output = command.output().expect("Node starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{out}");
    assert!(output.status.success(), "{}\n{err}", output.status);
    assert_eq!(out.matches("ok  ").count(), steps, "{out}");
}

#[test]
fn somebody_adds_an_application_watches_it_and_takes_over() {
    browse("guv.mjs", 12);
}

#[test]
fn a_network_shows_how_it_is_scaled_and_why() {
    browse("scaled.mjs", 4);
}
