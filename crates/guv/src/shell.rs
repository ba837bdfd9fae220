//! Running a command line of somebody's configuration to its end.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// The most of its output, and of its errors, that is read.
const LONGEST: u64 = 1 << 20;

/// How a command ended.
pub(crate) struct Ran {
    /// What it wrote.
    pub(crate) output: Vec<u8>,
    /// Its exit status, unless a signal ended it.
    pub(crate) status: Option<i32>,
    /// How it failed, if it did, to be put after its name: "ends with exit status 3: no such file".
    pub(crate) failure: Option<String>,
}

/// Its process group, ended when this is dropped before the command has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself just now.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a command line by a shell. When this is dropped, the command is ended with everything that it started.
pub(crate) async fn run(
    command: &str,
    environment: &[(&str, &str)],
    input: Option<&[u8]>,
) -> io::Result<Ran> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .envs(environment.iter().copied())
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let mut group = Group(id);
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // One that does not read it may have ended; how it ended says more.
        let _ = stdin.write_all(input).await;
    }
    let ran = wait(&mut child).await;
    group.0 = None;
    ran
}

async fn wait(child: &mut Child) -> io::Result<Ran> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (output, errors, status) = tokio::join!(read(stdout), read(stderr), child.wait());
    let status = status?;
    let failure = (!status.success()).then(|| {
        let end = match (status.code(), status.signal()) {
            (Some(code), _) => format!("ends with exit status {code}"),
            (None, Some(signal)) => format!("ends by signal {signal}"),
            (None, None) => "ends in an unknown way".to_owned(),
        };
        let errors = String::from_utf8_lossy(&errors);
        match errors.lines().rfind(|line| !line.trim().is_empty()) {
            Some(line) => format!("{end}: {}", line.trim()),
            None => end,
        }
    });
    Ok(Ran { output, status: status.code(), failure })
}

async fn read(from: Option<impl tokio::io::AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What cannot be read is the end of it.
        let _ = from.take(LONGEST).read_to_end(&mut bytes).await;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn output_failure_and_input() {
        let ran = run("cat; printf \"%s\" \"$ROLE\"", &[("ROLE", "r")], Some(b"in ")).await.unwrap();
        assert_eq!((ran.output.as_slice(), ran.failure), (&b"in r"[..], None));
        let ran = run("echo 5; echo why >&2; exit 3", &[], None).await.unwrap();
        assert_eq!(ran.failure.as_deref(), Some("ends with exit status 3: why"));
    }

    #[tokio::test]
    async fn what_it_started_ends_with_it() {
        let (told, path) = (tempfile::tempdir().unwrap(), "started");
        let file = told.path().join(path);
        let command = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let running = run(&command, &[], None);
        let child = async {
            loop {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                if let (true, Ok(pid)) = (text.ends_with('\n'), text.trim().parse()) {
                    return Pid::from_raw(pid).unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let child = tokio::select! {
            _ = running => panic!("it does not end by itself"),
            child = child => child,
        };
        while rustix::process::test_kill_process(child).is_ok() && !is_zombie(child) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn is_zombie(process: Pid) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
        stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
    }
}
