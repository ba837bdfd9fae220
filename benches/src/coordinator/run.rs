//! A `msgflo run` that is measured, and its counterpart of npm.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::crowd::role;
use crate::process::Process;

/// How long something that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Our coordinator.
pub(super) struct Run {
    process: Process,
    url: String,
    broker: String,
    http: reqwest::Client,
    /// Its graph, its state, its log.
    _folder: TempDir,
}

/// A chain of nodes.
fn graph(nodes: usize) -> String {
    let line = |n: usize| format!("{}(bench/Any) OUT -> IN {}(bench/Any)\n", role(n), role(n + 1));
    (0..nodes - 1).map(line).chain([format!("{}(bench/Any)\n", role(nodes - 1))]).collect()
}

/// The program that was built beside this one.
fn msgflo() -> Result<PathBuf> {
    let beside = std::env::current_exe().context("finding this program")?.with_file_name("msgflo");
    if !beside.exists() {
        bail!("{} is not there: build it, or use `cargo xtask bench`, which does", beside.display());
    }
    Ok(beside)
}

impl Run {
    /// Starts a network whose nodes are somebody else's to start. Returns when its interface answers.
    pub(super) async fn start(nodes: usize, broker: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        let at = |name: &str| folder.path().join(name);
        fs::write(at("network.fbp"), graph(nodes))?;
        fs::write(at("package.json"), json!({}).to_string())?;
        let ignored: Vec<_> = (0..nodes).map(role).collect();
        let log = File::create(at("log"))?;
        let mut command = Command::new(msgflo()?);
        command
            .args(["run", "network.fbp", "--port", "0", "--url-file", "url", "--state", "state"])
            .args(["--broker", broker, "--ignore", &ignored.join(",")])
            .current_dir(folder.path())
            .env_remove("MSGFLO_BROKER")
            .stdout(Stdio::null())
            .stderr(log);
        let process = Process::start(command)?;
        let deadline = Instant::now() + PATIENCE;
        let url = loop {
            match fs::read_to_string(at("url")) {
                Ok(url) if url.ends_with('\n') => break url.trim().to_owned(),
                _ if Instant::now() < deadline => sleep(PAUSE / 4).await,
                _ => bail!("msgflo does not come up: {}", fs::read_to_string(at("log"))?),
            }
        };
        e2e::provide_tls();
        let http = reqwest::Client::new();
        Ok(Self { process, url, broker: broker.to_owned(), http, _folder: folder })
    }

    async fn status(&self) -> Result<Value> {
        let asked = self.http.get(format!("{}/api/status?queues=false", self.url)).send().await?;
        Ok(asked.error_for_status()?.json().await?)
    }

    /// The URL of its broker, with the credentials that everybody knows.
    pub(super) async fn broker(&self) -> Result<String> {
        if !self.broker.starts_with("embedded:") {
            return Ok(self.broker.clone());
        }
        let status = self.status().await?;
        let shown = status["broker"].as_str().context("the status names the broker")?;
        Ok(shown.replacen("://", "://guest:guest@", 1))
    }

    /// Returns when every connection is made.
    pub(super) async fn bound(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status().await?;
            let edges = status["edges"].as_array().context("there are edges")?;
            let bound = edges.iter().filter(|edge| edge["state"] == "bound").count();
            if bound == edges.len() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{bound} of {} are bound after {PATIENCE:?}", edges.len());
            }
            sleep(PAUSE).await;
        }
    }

    /// The time that it has computed.
    pub(super) fn cpu(&self) -> Result<Duration> {
        self.process.cpu()
    }

    /// Its memory, in bytes.
    pub(super) fn memory(&self) -> Result<u64> {
        self.process.memory()
    }
}

/// The coordinator of npm's `msgflo`.
pub(super) struct Original {
    process: Process,
    _folder: TempDir,
}

impl Original {
    /// Starts one with a graph of one node.
    pub(super) fn start(broker: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        fs::write(folder.path().join("network.fbp"), graph(1))?;
        fs::write(folder.path().join("package.json"), json!({"name": "bench"}).to_string())?;
        let peers = e2e::Peers::installed();
        let mut command = Command::new(peers.node);
        command
            .arg(peers.node_modules.join("msgflo/bin/msgflo"))
            .args(["--graph", "network.fbp", "--port", "0", "--broker", broker, "--ignore", &role(0)])
            .current_dir(folder.path())
            .env("NODE_NO_WARNINGS", "1")
            .stdout(Stdio::null());
        Ok(Self { process: Process::start(command)?, _folder: folder })
    }

    /// Its memory, in bytes.
    pub(super) fn memory(&self) -> Result<u64> {
        self.process.memory()
    }
}
