//! Starting one process, reading what it writes, and seeing how it ends.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// The most of a line that is forwarded, in bytes.
const LINE: u64 = 8 << 10;
/// The most of a process's last line that is told, in characters.
const TOLD: usize = 200;
/// How long the output of a process that has ended is read on: something else may hold it open.
const DRAIN: Duration = Duration::from_millis(500);

/// What one process is started with.
pub(super) struct Recipe<'a> {
    pub(super) command: &'a str,
    pub(super) folder: Option<&'a Path>,
    pub(super) environment: &'a BTreeMap<String, String>,
    /// Variables of this process alone.
    pub(super) own: [(&'a str, String); 3],
}

/// A process that waits at its gate: a shell that reads a line before it becomes the command, so that the guard knows of
/// it before anything runs.
pub(super) struct Started {
    child: Child,
    pub(super) group: Pid,
    pub(super) id: u32,
}

/// Starts a process, which leads a group of its own.
pub(super) fn spawn(recipe: &Recipe<'_>) -> io::Result<Started> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "read -r go && exec /bin/sh -c \"$1\" </dev/null", "sh", recipe.command])
        .envs(recipe.environment)
        .envs(recipe.own.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(folder) = recipe.folder {
        command.current_dir(folder);
    }
    let child = command.spawn()?;
    let id = child.id().ok_or_else(|| io::Error::other("it has already ended"))?;
    let group = i32::try_from(id).ok().and_then(Pid::from_raw);
    let group = group.ok_or_else(|| io::Error::other("it has no process id"))?;
    Ok(Started { child, group, id })
}

impl Started {
    /// Opens the gate, and waits for the end of the process; what it started and left behind goes with it. Tells how it ended,
    /// with the last line that it wrote, rather an error.
    pub(super) async fn run(mut self, name: String, forward: bool) -> String {
        let readers = [
            self.child.stdout.take().map(|from| tokio::spawn(read(from, name.clone(), forward))),
            self.child.stderr.take().map(|from| tokio::spawn(read(from, name, forward))),
        ];
        if let Some(mut gate) = self.child.stdin.take() {
            // If the gate cannot be opened, the process ends, and says so by its status.
            let _ = gate.write_all(b"\n").await;
        }
        let end = match self.child.wait().await {
            Ok(status) => describe(status),
            Err(error) => format!("its end could not be seen: {error}"),
        };
        // There may be nothing left.
        let _ = kill_process_group(self.group, Signal::KILL);
        let mut last = String::new();
        for reader in readers.into_iter().flatten() {
            let abort = reader.abort_handle();
            match tokio::time::timeout(DRAIN, reader).await {
                Ok(Ok(line)) if !line.is_empty() => last = line,
                Ok(_) => {}
                Err(_) => abort.abort(),
            }
        }
        if last.is_empty() { end } else { format!("{end}: {last}") }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}

/// Reads to the end, line by line, so that the process never waits for us. Lines that are too long are broken. Gives the last
/// line that says something.
async fn read(from: impl AsyncRead + Unpin, name: String, forward: bool) -> String {
    let mut reader = BufReader::new(from);
    let (mut line, mut last) = (Vec::new(), Vec::new());
    let mut out = forward.then(tokio::io::stderr);
    loop {
        line.clear();
        match (&mut reader).take(LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&last).trim().chars().take(TOLD).collect(),
            Ok(_) => {}
        }
        if !line.trim_ascii().is_empty() {
            last.clone_from(&line);
        }
        if let Some(stderr) = &mut out {
            let text = format!("{name} | {}\n", String::from_utf8_lossy(&line).trim_end());
            // Nobody reads our errors any more: go on without, and go on reading theirs.
            if stderr.write_all(text.as_bytes()).await.is_err() || stderr.flush().await.is_err() {
                out = None;
            }
        }
    }
}
