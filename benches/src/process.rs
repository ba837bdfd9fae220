//! A program that is measured from outside.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running program. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn().context("a program starts")?;
        Ok(Self { child })
    }

    /// Starts it, and returns when it says the line `ready`.
    pub(crate) async fn start_ready(mut command: Command) -> Result<Self> {
        let mut process = Self::start({
            command.stdout(Stdio::piped());
            command
        })?;
        let output = process.child.stdout.take().context("its output is ours")?;
        match BufReader::new(output).lines().next_line().await? {
            Some(line) if line == "ready" => Ok(process),
            said => bail!("the program is not ready: {said:?}"),
        }
    }

    /// The time that it has computed.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let id = self.child.id().context("it runs")?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        let (_, after_name) = stat.rsplit_once(')').context("a process has a name")?;
        // User and system time are the 14th and the 15th field; the name is the second. A tick is 10 ms on Linux.
        let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<_, _>>()?;
        Ok(Duration::from_millis(10 * ticks))
    }

    /// The memory that it has at hand, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let id = self.child.id().context("it runs")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it has memory")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }
}
