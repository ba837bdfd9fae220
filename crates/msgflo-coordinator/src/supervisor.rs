//! Starts processes, forwards what they write, and tells how they end.
//!
//! Each process leads a process group of its own, which is ended as a whole. It waits at a gate until the guard knows
//! of it, so that there is no moment in which it could be orphaned.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::guard::Guard;
use crate::library::CommandLine;
use crate::network::Input;
use crate::processes::{Exit, Instance};

/// The variable that may hold the secret of our own interface.
const SECRET: &str = "MSGFLO_SECRET";
/// How many of a process's last lines are kept.
const TAIL: usize = 20;
/// The most of a line that is kept and forwarded, in bytes.
const LINE: usize = 8 << 10;
/// How long the output of a process that has ended is read on: something else may hold it open.
const DRAIN: Duration = Duration::from_millis(500);

/// What is forwarded of what processes write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Their standard output, to ours.
    pub stdout: bool,
    /// Their standard error, to ours.
    pub stderr: bool,
}

/// What processes are started with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) environment: BTreeMap<String, String>,
    /// Folders in which commands are looked for after those of `PATH`.
    pub(crate) programs: Vec<PathBuf>,
    pub(crate) forward: Forward,
}

/// The processes that we have started.
pub(crate) struct Supervisor {
    options: Options,
    guard: Arc<Mutex<Guard>>,
    groups: HashMap<Instance, Pid>,
    events: mpsc::Sender<Input>,
}

impl Supervisor {
    /// What happens is told to `events`.
    pub(crate) fn new(options: Options, guard: Guard, events: mpsc::Sender<Input>) -> Self {
        Self { options, guard: Arc::new(Mutex::new(guard)), groups: HashMap::new(), events }
    }

    /// Starts a process.
    pub(crate) fn spawn(&mut self, instance: Instance, command: &CommandLine) -> Input {
        match self.start(&instance, command) {
            Ok(pid) => Input::Started { instance, pid },
            Err(error) => {
                let status = format!("`{command}` could not be started: {error}");
                Input::Exited { instance, exit: Exit { status, output: Vec::new() } }
            }
        }
    }

    /// Sends a signal to the group of a process, if it is there.
    pub(crate) fn signal(&self, instance: &Instance, signal: Signal) {
        if let Some(group) = self.groups.get(instance)
            && let Err(error) = kill_process_group(*group, signal)
        {
            tracing::debug!(role = %instance.unit, %error, "a process had already ended");
        }
    }

    /// Forgets a process that has ended.
    pub(crate) fn forget(&mut self, instance: &Instance) {
        self.groups.remove(instance);
    }

    /// Ends what is left.
    pub(crate) async fn stop(self) {
        let Some(guard) = Arc::into_inner(self.guard) else { return };
        let guard = guard.into_inner().unwrap_or_else(PoisonError::into_inner);
        let stopped = tokio::task::spawn_blocking(|| guard.stop()).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "the guard did not end");
        }
    }

    fn start(&mut self, instance: &Instance, command: &CommandLine) -> io::Result<u32> {
        let mut child = self.command(command)?.spawn()?;
        let id = child.id().ok_or_else(|| io::Error::other("it has already ended"))?;
        let group = i32::try_from(id)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("no process id"))?;
        lock(&self.guard).add(id)?;
        self.groups.insert(instance.clone(), group);
        let label = match instance.number {
            1 => instance.unit.to_string(),
            number => format!("{}.{number}", instance.unit),
        };
        let tail = Tail::default();
        let Forward { stdout, stderr } = self.options.forward;
        let gate = child.stdin.take();
        let readers = [
            child.stdout.take().map(|from| {
                let sink = stdout.then(tokio::io::stdout);
                tokio::spawn(forward(from, sink, label.clone(), tail.clone()))
            }),
            child.stderr.take().map(|from| {
                let sink = stderr.then(tokio::io::stderr);
                tokio::spawn(forward(from, sink, label, tail.clone()))
            }),
        ];
        let (events, guard, instance) = (self.events.clone(), self.guard.clone(), instance.clone());
        tokio::spawn(async move {
            let status = run(&mut child, gate).await;
            // The leader has ended; what it started and left behind goes with it.
            let _ = kill_process_group(group, Signal::KILL);
            if let Err(error) = lock(&guard).remove(id) {
                tracing::error!(%error, "the guard is gone: processes may outlive this one");
            }
            drop(guard);
            for reader in readers.into_iter().flatten() {
                let abort = reader.abort_handle();
                if tokio::time::timeout(DRAIN, reader).await.is_err() {
                    abort.abort();
                }
            }
            let _ =
                events.send(Input::Exited { instance, exit: Exit { status, output: tail.lines() } }).await;
        });
        Ok(id)
    }

    /// The process, behind a gate: a shell that reads a line before it becomes the command.
    fn command(&self, line: &CommandLine) -> io::Result<Command> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg("read -r go && exec \"$@\"").arg("sh");
        match shell_words::split(&line.command) {
            Ok(words) if !words.is_empty() && !needs_shell(&line.command) => command.args(words),
            _ => command.args(["/bin/sh", "-c", &line.command]),
        };
        command
            .current_dir(&line.folder)
            // What protects us from others is no business of theirs.
            .env_remove(SECRET)
            .envs(&self.options.environment)
            .env("PATH", self.path()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        Ok(command)
    }

    fn path(&self) -> io::Result<OsString> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(self.options.programs.iter().cloned());
        std::env::join_paths(folders).map_err(io::Error::other)
    }
}

/// Whether a command uses more of the shell than words and quotes.
fn needs_shell(command: &str) -> bool {
    let assigns = command.split_whitespace().next().is_some_and(|word| word.contains('='));
    assigns || command.contains(['|', '&', ';', '<', '>', '(', ')', '$', '`', '*', '?', '[', '{', '~', '\n'])
}

/// Opens the gate and waits for the end.
async fn run(child: &mut Child, gate: Option<tokio::process::ChildStdin>) -> String {
    if let Some(mut gate) = gate {
        // If the gate cannot be opened, the process ends, and says so by its status.
        let _ = gate.write_all(b"\n").await;
    }
    match child.wait().await {
        Ok(status) => describe(status),
        Err(error) => format!("its end could not be seen: {error}"),
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}

/// The last lines of a process.
#[derive(Clone, Default)]
struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    fn push(&self, line: String) {
        let mut lines = lock(&self.0);
        if lines.len() == TAIL {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn lines(&self) -> Vec<String> {
        lock(&self.0).iter().cloned().collect()
    }
}

/// Reads to the end, line by line. Lines that are too long are broken.
async fn forward(
    from: impl AsyncRead + Unpin,
    mut sink: Option<impl tokio::io::AsyncWrite + Unpin>,
    label: String,
    tail: Tail,
) {
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = u64::try_from(LINE).unwrap_or(u64::MAX);
        match (&mut reader).take(limit).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if let Some(out) = &mut sink {
            let forwarded = out.write_all(format!("{label} | {text}\n").as_bytes()).await;
            // Nobody reads our output any more: go on without, and go on reading theirs.
            if forwarded.is_err() || out.flush().await.is_err() {
                sink = None;
            }
        }
        tail.push(text);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
