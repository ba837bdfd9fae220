//! The network of the demonstration: `msgflo run`, in a folder that goes with it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// What allows the demonstration to edit the network, and to write components.
pub(crate) const SECRET: &str = "thermometer";
/// How long something that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running network. Dropped, it is killed, and its own guard ends what it has started.
pub(crate) struct Network {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
    socket: String,
    _folder: TempDir,
}

impl Network {
    /// Starts it, and returns when editors can connect.
    pub(crate) async fn start(msgflo: Option<PathBuf>, python: &Path, broker: &str) -> Result<Self> {
        let ours = std::env::current_exe().context("finding this program")?;
        let beside = ours.parent().context("this program is in no folder")?.to_owned();
        let msgflo = msgflo.unwrap_or_else(|| beside.join("msgflo"));
        let folder = tempfile::tempdir().context("making a folder")?;
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("thermometer.fbp"), include_str!("../../thermometer.fbp"))?;
        std::fs::write(at("package.json"), include_str!("../../package.json"))?;
        std::fs::create_dir(at("components"))?;
        let programs = super::python::runner(folder.path(), python)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [programs, beside].into_iter().chain(std::env::split_paths(&path));
        let mut process = Command::new(&msgflo)
            .args(["run", "thermometer.fbp", "--componentdir", "components", "--state", "state"])
            .args(["--port", "0", "--url-file", "url", "--secret", SECRET, "--broker", broker])
            .env("PATH", std::env::join_paths(folders).context("extending the PATH")?)
            .env_remove("MSGFLO_BROKER")
            .env("MSGFLO_LOG", "warn")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}; `make build` makes it", msgflo.display()))?;
        let output = process.stdout.take().context("its output is ours")?;
        let output = BufReader::new(output).lines();
        let socket = wait_for_url(&mut process, &at("url")).await?;
        Ok(Self { process, output, socket, _folder: folder })
    }

    /// Where editors connect.
    pub(crate) fn socket(&self) -> &str {
        &self.socket
    }

    /// Waits until the display shows `text`, and says so.
    pub(crate) async fn shows(&mut self, text: &str) -> Result<()> {
        let shown = async {
            while let Some(line) = self.output.next_line().await? {
                // As `display | text`.
                let Some((_, shown)) = line.split_once("display | ") else { continue };
                println!("  display: {shown}");
                if shown == text {
                    return Ok(());
                }
            }
            bail!("the network has ended")
        };
        timeout(PATIENCE, shown).await.with_context(|| format!("the display does not show `{text}`"))?
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let id = self.process.id().context("the network has ended")?;
        let asked = Command::new("kill").arg(id.to_string()).status().await.context("asking it to stop")?;
        if !asked.success() {
            bail!("the network could not be asked to stop");
        }
        let ended = async {
            // Read to its end, so that nobody waits for us.
            while self.output.next_line().await?.is_some() {}
            self.process.wait().await.map_err(anyhow::Error::from)
        };
        let status = timeout(PATIENCE, ended).await.context("the network does not stop")??;
        if !status.success() {
            bail!("the network ended with {status}");
        }
        Ok(())
    }
}

async fn wait_for_url(process: &mut Child, file: &Path) -> Result<String> {
    let written = async {
        loop {
            if let Some(status) = process.try_wait()? {
                bail!("msgflo ended with {status} instead of starting");
            }
            match tokio::fs::read_to_string(file).await {
                Ok(url) if url.ends_with('\n') => return Ok(url.trim().replacen("http", "ws", 1)),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(PATIENCE, written).await.context("msgflo does not start")?
}
