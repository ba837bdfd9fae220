//! The routers, each in a process of its own, and what they use.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use msgflo::core::{Binding, BrokerOptions, Transport};
use msgflo_transports::Mqtt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running router. Dropped, it is killed.
pub(super) struct Process {
    child: Child,
}

impl Process {
    pub(super) async fn ours(url: &str, source: &str, target: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command.args(["router-process", url, source, target]);
        Self::start(command).await
    }

    pub(super) async fn nodejs(url: &str, source: &str, target: &str) -> Result<Self> {
        let peers = e2e::Peers::installed();
        let mut command = Command::new(peers.node);
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/router.js"))
            .args([url, source, target])
            .env("NODE_PATH", peers.node_modules)
            .env("NODE_NO_WARNINGS", "1");
        Self::start(command).await
    }

    /// Returns when it carries: it says a line then.
    async fn start(mut command: Command) -> Result<Self> {
        let mut child =
            command.stdout(Stdio::piped()).kill_on_drop(true).spawn().context("a router starts")?;
        let output = child.stdout.take().context("its output is ours")?;
        match BufReader::new(output).lines().next_line().await? {
            Some(line) if line == "ready" => Ok(Self { child }),
            said => bail!("the router is not ready: {said:?}"),
        }
    }

    /// The time that it has computed.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let id = self.child.id().context("it runs")?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        let (_, after_name) = stat.rsplit_once(')').context("a process has a name")?;
        // User and system time are the 14th and the 15th field; the name is the second. A tick is 10 ms on Linux.
        let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<_, _>>()?;
        Ok(Duration::from_millis(10 * ticks))
    }

    /// The memory that it has at hand, in bytes.
    pub(super) fn memory(&self) -> Result<u64> {
        let id = self.child.id().context("it runs")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it has memory")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }
}

/// Carries until it is killed.
pub(super) async fn route(url: &str, source: &str, target: &str) -> Result<()> {
    let broker = Mqtt.broker(&url.parse()?, BrokerOptions::default()).await?;
    let binding = Binding::PubSub { source: source.into(), target: target.into() };
    broker.add_binding(&binding).await?;
    println!("ready");
    std::future::pending().await
}
