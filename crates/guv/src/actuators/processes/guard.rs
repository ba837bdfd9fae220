//! Nothing outlives us, however we end.
//!
//! The guard is a small shell script in a process of its own, which reads a pipe that we alone write to. It is told of
//! every process group that is started, with its grace, and has ended; when we are gone, even by SIGKILL, it reads the end of
//! the pipe, ends the groups that are left, and exits.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

const SCRIPT: &str = include_str!("guard.sh");

pub(super) struct Guard {
    pipe: ChildStdin,
    child: Child,
}

impl Guard {
    pub(super) fn start() -> io::Result<Self> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own, so that Ctrl-C in a terminal does not reach it.
            .process_group(0)
            .spawn()?;
        let pipe = child.stdin.take().ok_or_else(|| io::Error::other("the guard has no standard input"))?;
        Ok(Self { pipe, child })
    }

    /// From now on this process group is ended when we end; it then has `grace`, in whole seconds, after SIGTERM.
    pub(super) async fn add(&mut self, group: Pid, grace: Duration) -> io::Result<()> {
        let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
        self.pipe.write_all(format!("+ {group} {seconds}\n").as_bytes()).await?;
        self.pipe.flush().await
    }

    /// This process group has ended.
    pub(super) async fn remove(&mut self, group: Pid) -> io::Result<()> {
        self.pipe.write_all(format!("- {group}\n").as_bytes()).await?;
        self.pipe.flush().await
    }

    /// Lets the guard end what is left, and waits for it.
    pub(super) async fn stop(self) -> io::Result<()> {
        let Self { pipe, mut child } = self;
        drop(pipe);
        child.wait().await.map(drop)
    }
}
