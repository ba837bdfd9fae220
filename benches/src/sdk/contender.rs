//! Who is measured.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

/// A program that takes messages and sends them on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contender {
    /// A plain loop over the AMQP client that the SDK is built on.
    Lapin,
    /// The SDK.
    Sdk,
    /// The SDK's predecessor in Node, unmodified.
    Nodejs,
}

impl Contender {
    pub(crate) const ALL: [Self; 3] = [Self::Lapin, Self::Sdk, Self::Nodejs];

    /// The role that it plays.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Lapin => "bench-lapin",
            Self::Sdk => "bench-sdk",
            Self::Nodejs => "bench-nodejs",
        }
    }

    pub(crate) fn start(self, broker: &str, prefetch: u16) -> Result<Child> {
        let prefetch = prefetch.to_string();
        let mut command = match self {
            Self::Lapin | Self::Sdk => {
                let kind = if self == Self::Lapin { "lapin" } else { "sdk" };
                let mut command = Command::new(std::env::current_exe().context("finding this program")?);
                command.args([
                    "worker",
                    kind,
                    "--broker",
                    broker,
                    "--role",
                    self.role(),
                    "--prefetch",
                    &prefetch,
                ]);
                command
            }
            Self::Nodejs => {
                let mut command = Command::new(node());
                command
                    .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/repeat.js"))
                    .args([broker, self.role(), &prefetch])
                    .env("NODE_PATH", node_modules()?)
                    .env("NODE_NO_WARNINGS", "1");
                command
            }
        };
        command.kill_on_drop(true).spawn().with_context(|| format!("starting {self}"))
    }
}

/// The Node that runs the peer.
pub(crate) fn node() -> PathBuf {
    std::env::var_os("MSGFLO_E2E_NODE").unwrap_or_else(|| "node".into()).into()
}

/// Where the peer is installed.
pub(crate) fn node_modules() -> Result<PathBuf> {
    let folder = std::env::var_os("MSGFLO_E2E_NODE_MODULES");
    folder.map(PathBuf::from).context("MSGFLO_E2E_NODE_MODULES is not set: run this by `cargo xtask bench`")
}

/// Has it leave in order.
pub(crate) async fn stop(mut process: Child) -> Result<()> {
    let pid = process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    if let Some(pid) = pid {
        rustix::process::kill_process(pid, Signal::TERM).context("stopping a contender")?;
    }
    process.wait().await.map(drop).context("waiting for a contender")
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lapin => "plain lapin loop",
            Self::Sdk => "msgflo (Rust SDK)",
            Self::Nodejs => "msgflo-nodejs",
        })
    }
}
