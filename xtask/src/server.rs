//! A server that is started for a run, and what its log says when it does not come up.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::guard::{Ending, Guard, Guarded};

/// How long a server may take until it accepts connections. A busy machine with two cores takes 6 s for RabbitMQ.
const STARTUP: Duration = Duration::from_secs(120);

/// A started server.
pub(crate) struct Server {
    name: &'static str,
    process: Guarded,
    log: PathBuf,
}

impl Server {
    /// Starts `command`; what it prints goes to a file in `folder`.
    pub(crate) fn start(
        guard: &Guard,
        name: &'static str,
        command: &mut Command,
        folder: &Path,
        ending: Ending,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let errors = output.try_clone().with_context(|| format!("making {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let process = guard.spawn(command, ending)?;
        Ok(Self { name, process, log })
    }

    /// Waits until `is_up` holds.
    ///
    /// # Errors
    /// With the log's last lines when the server ends instead, or takes too long.
    pub(crate) fn wait_until(&self, is_up: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + STARTUP;
        while !is_up() {
            if let Some(status) = self.process.ended() {
                bail!("{} ended ({status}) instead of starting:\n{}", self.name, self.last_lines());
            }
            if Instant::now() > deadline {
                bail!("{} is not up after {STARTUP:?}:\n{}", self.name, self.last_lines());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn last_lines(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// Whether somebody listens there.
pub(crate) fn accepts(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
