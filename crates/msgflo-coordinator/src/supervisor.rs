//! Starts processes, forwards what they write, and tells how they end.
//!
//! Each process leads a process group of its own, which is ended as a whole; it has ended when nothing of its group is left,
//! since a shell that leads it often goes first. It waits at a gate until the guard knows of it, so that there is no moment in
//! which it could be orphaned.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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
/// How often it is looked whether a group is gone that has lost its leader.
const LOOK: Duration = Duration::from_millis(50);
/// How long a group may be there after SIGKILL. What is left then hangs in the system, or nobody takes note of its end.
const KILLED: Duration = Duration::from_secs(2);

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
    groups: HashMap<Instance, Group>,
    events: mpsc::Sender<Input>,
}

/// A process and all that it has started.
#[derive(Clone)]
struct Group {
    leader: Pid,
    /// Cancelled when it was.
    killed: CancellationToken,
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
        let Some(group) = self.groups.get(instance) else { return };
        if let Err(error) = kill_process_group(group.leader, signal) {
            tracing::debug!(role = %instance.unit, %error, "a process had already ended");
        }
        if signal == Signal::KILL {
            group.killed.cancel();
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
        let leader = i32::try_from(id)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("no process id"))?;
        lock(&self.guard).add(id)?;
        let group = Group { leader, killed: CancellationToken::new() };
        self.groups.insert(instance.clone(), group.clone());
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
            if group.is_there() {
                // If the network has ended, so have its processes.
                let _ = events.send(Input::LeaderEnded { instance: instance.clone() }).await;
                group.gone().await;
            }
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

impl Group {
    /// Whether it has members. Its id is nobody else's for as long as it has.
    fn is_there(&self) -> bool {
        // As the first process of a container we have inherited those that have lost their parent, and they are members until
        // their parent has taken note of their end.
        while let Ok(Some(_)) = waitpgid(self.leader, WaitOptions::NOHANG) {}
        test_kill_process_group(self.leader) != Err(Errno::SRCH)
    }

    /// Waits until it is gone, and not for ever once it was killed.
    async fn gone(&self) {
        let gone = async {
            while self.is_there() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let lost = async {
            self.killed.cancelled().await;
            tokio::time::sleep(KILLED).await;
        };
        tokio::select! {
            biased;
            () = gone => {}
            () = lost => {
                tracing::warn!(group = %self.leader, "a process group is still there after SIGKILL; it is left alone");
            }
        }
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::desired::UnitName;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A supervisor with one process, which is up: it has made the file `up`.
    struct Bench {
        supervisor: Supervisor,
        happened: mpsc::Receiver<Input>,
        instance: Instance,
        _folder: tempfile::TempDir,
    }

    impl Bench {
        async fn start(command: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let guard = Guard::start(Path::new("/bin/sh"), &["-c", "exec cat > /dev/null"]).unwrap();
            let options = Options {
                environment: BTreeMap::new(),
                programs: Vec::new(),
                forward: Forward { stdout: false, stderr: false },
            };
            let (events, happened) = mpsc::channel(16);
            let mut supervisor = Supervisor::new(options, guard, events);
            let instance = Instance { unit: UnitName("resize".into()), number: 1 };
            let command = CommandLine { command: command.to_owned(), folder: folder.path().to_owned() };
            let started = supervisor.spawn(instance.clone(), &command);
            assert!(matches!(started, Input::Started { .. }), "{started:?}");
            let up = async {
                while !folder.path().join("up").exists() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::time::timeout(PATIENCE, up).await.expect("it comes up");
            Self { supervisor, happened, instance, _folder: folder }
        }

        async fn next(&mut self) -> Input {
            let next = tokio::time::timeout(PATIENCE, self.happened.recv()).await;
            next.expect("something happens").expect("it goes on")
        }
    }

    #[tokio::test]
    async fn a_process_has_ended_when_nothing_of_its_group_is_left() {
        let mut bench = Bench::start(
            "(trap 'sleep 1; echo end; exit' TERM; touch up; while :; do sleep 0.05; done); true",
        )
        .await;
        bench.supervisor.signal(&bench.instance, Signal::TERM);
        let Input::LeaderEnded { instance } = bench.next().await else { panic!("the shell has ended") };
        assert_eq!(instance, bench.instance);
        let Input::Exited { exit, .. } = bench.next().await else { panic!("the rest has ended") };
        // The shell may have told that what it ran was ended.
        assert_eq!(exit.to_string(), "signal 15: end");
    }

    #[tokio::test]
    async fn what_is_left_of_a_process_is_killed_with_its_group() {
        let mut bench = Bench::start("(trap '' TERM; touch up; while :; do sleep 0.05; done); true").await;
        let group = bench.supervisor.groups[&bench.instance].clone();
        bench.supervisor.signal(&bench.instance, Signal::TERM);
        assert!(matches!(bench.next().await, Input::LeaderEnded { .. }));
        assert!(group.is_there());
        bench.supervisor.signal(&bench.instance, Signal::KILL);
        assert!(matches!(bench.next().await, Input::Exited { .. }));
        assert!(!group.is_there());
    }
}
