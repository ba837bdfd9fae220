//! Starting one process, reading what it writes, and seeing how it and its group end.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, test_kill_process_group, waitpgid};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The most of a line that is forwarded, in bytes.
const LINE: u64 = 8 << 10;
/// The most of a process's last line that is told, in characters.
const TOLD: usize = 200;
/// How long the output of a process that has ended is read on: something else may hold it open.
const DRAIN: Duration = Duration::from_millis(500);
/// How often it is looked whether a group is gone that has lost its leader.
const LOOK: Duration = Duration::from_millis(50);
/// How long a group may be there after SIGKILL. What is left then hangs in the system, or nobody takes note of its end.
const KILLED: Duration = Duration::from_secs(2);

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
    Ok(Started { child, group })
}

/// What is left of a process whose leader has ended: perhaps others of its group, as the command that a shell had started.
pub(super) struct Rest {
    status: String,
    group: Pid,
    readers: [Option<JoinHandle<String>>; 2],
}

impl Started {
    /// Opens the gate, and waits for the end of the process that leads the group.
    pub(super) async fn run(mut self, name: String, forward: bool) -> Rest {
        let readers = [
            self.child.stdout.take().map(|from| tokio::spawn(read(from, name.clone(), forward))),
            self.child.stderr.take().map(|from| tokio::spawn(read(from, name, forward))),
        ];
        if let Some(mut gate) = self.child.stdin.take() {
            // If the gate cannot be opened, the process ends, and says so by its status.
            let _ = gate.write_all(b"\n").await;
        }
        let status = match self.child.wait().await {
            Ok(status) => describe(status),
            Err(error) => format!("its end could not be seen: {error}"),
        };
        Rest { status, group: self.group, readers }
    }
}

impl Rest {
    /// Whether others of its group are there.
    pub(super) fn is_there(&self) -> bool {
        is_there(self.group)
    }

    /// Waits until the group is gone, and not for ever once it was `killed`. Tells how the leader ended, with the last line
    /// that was written, rather an error.
    pub(super) async fn gone(self, killed: CancellationToken) -> String {
        let gone = async {
            while is_there(self.group) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let lost = async {
            killed.cancelled().await;
            tokio::time::sleep(KILLED).await;
        };
        tokio::select! {
            biased;
            () = gone => {}
            () = lost => tracing::warn!(group = %self.group, "a process group is still there after SIGKILL; it is left alone"),
        }
        let mut last = String::new();
        for reader in self.readers.into_iter().flatten() {
            let abort = reader.abort_handle();
            match tokio::time::timeout(DRAIN, reader).await {
                Ok(Ok(line)) if !line.is_empty() => last = line,
                Ok(_) => {}
                Err(_) => abort.abort(),
            }
        }
        if last.is_empty() { self.status } else { format!("{}: {last}", self.status) }
    }
}

/// Whether a group has members. Its id is nobody else's for as long as it has.
fn is_there(group: Pid) -> bool {
    // As the first process of a container we have inherited those that have lost their parent, and they are members until
    // their parent has taken note of their end.
    while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
    test_kill_process_group(group) != Err(Errno::SRCH)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first process of a container we have children that nobody else takes note of.
    #[test]
    #[expect(clippy::zombie_processes, reason = "it is what is tried")]
    fn one_that_has_ended_is_no_member_though_nobody_has_waited_for_it() {
        use std::os::unix::process::CommandExt;
        let child = std::process::Command::new("true").process_group(0).spawn().unwrap();
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while is_there(group) {
            assert!(std::time::Instant::now() < deadline, "it is waited for");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
