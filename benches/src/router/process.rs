//! The routers, each in a process of its own.

use anyhow::{Context, Result};
use msgflo::core::{Binding, BrokerOptions, Transport};
use msgflo_transports::Mqtt;
use tokio::process::Command;

use crate::process::Process;

/// Our router.
pub(super) async fn ours(url: &str, source: &str, target: &str) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.args(["router-process", url, source, target]);
    Process::start_ready(command).await
}

/// The router of npm's packages.
pub(super) async fn nodejs(url: &str, source: &str, target: &str) -> Result<Process> {
    let peers = e2e::Peers::installed();
    let mut command = Command::new(peers.node);
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/router.js"))
        .args([url, source, target])
        .env("NODE_PATH", peers.node_modules)
        .env("NODE_NO_WARNINGS", "1");
    Process::start_ready(command).await
}

/// Carries until it is killed.
pub(super) async fn route(url: &str, source: &str, target: &str) -> Result<()> {
    let broker = Mqtt.broker(&url.parse()?, BrokerOptions::default()).await?;
    let binding = Binding::PubSub { source: source.into(), target: target.into() };
    broker.add_binding(&binding).await?;
    println!("ready");
    std::future::pending().await
}
