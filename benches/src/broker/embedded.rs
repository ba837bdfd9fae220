//! The embedded broker as a process of its own, so that its memory and its start can be measured.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use msgflo_broker::{Options, Server};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::client::Client;

/// Runs the broker until its standard input ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    #[arg(long)]
    data: Option<PathBuf>,
    #[arg(long)]
    memory_limit: usize,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<()> {
        let any = ([127, 0, 0, 1], 0).into();
        let options =
            Options { listen: any, data: self.data, memory_limit: self.memory_limit, ..Options::default() };
        let broker = Server::start(options).await?;
        println!("{}", broker.addr());
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
        broker.shutdown().await;
        Ok(())
    }
}

/// A broker that runs.
pub(super) struct Embedded {
    process: Child,
    pub(super) address: String,
    /// From the start of the process to the first connection that is open.
    pub(super) start: Duration,
}

/// The memory limit of every measurement (bytes).
pub(super) const LIMIT: usize = 256 << 20;

impl Embedded {
    /// In memory, or in a folder.
    pub(super) async fn start(data: Option<&TempDir>) -> Result<Self> {
        let begin = Instant::now();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["broker-serve", "--memory-limit", &LIMIT.to_string()]);
        if let Some(data) = data {
            command.arg("--data").arg(data.path());
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting")?;
        let mut lines = BufReader::new(process.stdout.take().context("a pipe")?).lines();
        let address = lines.next_line().await?.context("the broker did not start")?;
        Client::open(&address).await?;
        Ok(Self { process, address, start: begin.elapsed() })
    }

    /// Memory in use, and the most so far (bytes).
    pub(super) fn memory(&self) -> Result<(u64, u64)> {
        let id = self.process.id().context("the broker has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
        };
        Ok((field("VmRSS:").context("no VmRSS")?, field("VmHWM:").context("no VmHWM")?))
    }

    /// Ends it as it should end.
    pub(super) async fn stop(mut self) -> Result<()> {
        drop(self.process.stdin.take());
        self.process.wait().await?;
        Ok(())
    }

    /// Ends it as a power cut would.
    pub(super) async fn kill(mut self) -> Result<()> {
        self.process.kill().await?;
        Ok(())
    }
}
