//! Ends what we have started, however we end.
//!
//! The guard is this program once more, in a process group of its own, so that a Ctrl-C does not reach it. It reads, from
//! a pipe that only we hold, what is to be ended and removed. When we finish, panic or are killed the pipe closes, and the
//! guard does its work. So there is one way to clean up, and it needs neither handlers nor our cooperation.

use std::fs;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// The argument that makes this program a guard.
pub(crate) const CHORE: &str = "guard";

/// How long a process may take to end after SIGTERM, before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// How a process is ended.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    /// It is asked to, and has time for it: it holds what outlives it otherwise, such as shared memory.
    Gentle,
    /// It is killed: all that it holds is in a folder that is removed.
    Sudden,
}

/// The hold on a guard. Dropping it ends everything that was handed over, and returns when that is done.
pub(crate) struct Guard {
    process: Child,
    orders: Option<ChildStdin>,
    /// The children must be waited for, or they stay in their groups as zombies and the guard waits in vain.
    waiters: Mutex<Vec<thread::JoinHandle<()>>>,
}

/// A process that the guard ends.
#[derive(Clone)]
pub(crate) struct Guarded {
    ended: Arc<Mutex<Option<ExitStatus>>>,
}

impl Guarded {
    /// How the process ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    /// Starts a guard.
    pub(crate) fn start() -> Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut process = Command::new(program)
            .arg(CHORE)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting the guard process")?;
        let orders = process.stdin.take();
        Ok(Self { process, orders, waiters: Mutex::default() })
    }

    /// Starts `command` in a process group of its own, which is ended with us.
    pub(crate) fn spawn(&self, command: &mut Command, ending: Ending) -> Result<Guarded> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.process_group(0).spawn().with_context(|| format!("starting {name}"))?;
        let verb = match ending {
            Ending::Gentle => "end",
            Ending::Sudden => "kill",
        };
        self.order(&format!("{verb} {}", child.id()))?;
        let ended = Arc::new(Mutex::new(None));
        let guarded = Guarded { ended: Arc::clone(&ended) };
        let waiter = thread::spawn(move || {
            let status = child.wait().ok();
            *ended.lock().unwrap_or_else(PoisonError::into_inner) = status;
        });
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner).push(waiter);
        Ok(guarded)
    }

    /// Runs `command` in the foreground: a Ctrl-C reaches it as it does us, and we outlive it to report how it ended.
    pub(crate) fn run(&self, command: &mut Command) -> Result<ExitStatus> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let handler = signal_hook::flag::register(signal_hook::consts::SIGINT, interrupted)
            .context("watching for Ctrl-C")?;
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
        self.order(&format!("stop {}", child.id()))?;
        let status = child.wait().with_context(|| format!("waiting for {name}"))?;
        self.order(&format!("forget {}", child.id()))?;
        signal_hook::low_level::unregister(handler);
        Ok(status)
    }

    /// A new folder in the machine's folder for temporary ones, which is removed with us.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("msgflo-{name}-"))
            .tempdir()
            .context("making a temporary folder")?
            .keep();
        self.order(&format!("remove {}", folder.display()))?;
        Ok(folder)
    }

    fn order(&self, order: &str) -> Result<()> {
        let mut orders = self.orders.as_ref().context("the guard was dismissed")?;
        // One write a line: servers are started from several threads.
        orders.write_all(format!("{order}\n").as_bytes()).context("handing over to the guard process")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.orders.take());
        let waiters = std::mem::take(&mut *self.waiters.lock().unwrap_or_else(PoisonError::into_inner));
        for waiter in waiters {
            // A waiter that panicked has nothing left to wait for.
            let _ = waiter.join();
        }
        if let Err(error) = self.process.wait() {
            eprintln!("xtask: the guard process cannot be waited for: {error}");
        }
    }
}

/// What a guard has been told.
#[derive(Default)]
struct Duties {
    /// Process groups to be ended, each with the signal to begin with.
    groups: Vec<(Pid, Signal)>,
    /// The process in the foreground. It is in our group, and may have children in others, which it must end itself.
    foreground: Option<Pid>,
    /// Folders to be removed.
    folders: Vec<PathBuf>,
}

impl Duties {
    fn add(&mut self, order: &str) {
        let Some((verb, object)) = order.split_once(' ') else { return };
        let pid = || object.parse().ok().and_then(Pid::from_raw);
        match verb {
            "end" => self.groups.extend(pid().map(|group| (group, Signal::TERM))),
            "kill" => self.groups.extend(pid().map(|group| (group, Signal::KILL))),
            "stop" => self.foreground = pid(),
            "forget" => self.foreground = None,
            "remove" => self.folders.push(object.into()),
            _ => {}
        }
    }

    fn carry_out(&self) {
        // Whatever has ended already is as we want it.
        if let Some(process) = self.foreground {
            let _ = rustix::process::kill_process(process, Signal::TERM);
        }
        for &(group, signal) in &self.groups {
            let _ = rustix::process::kill_process_group(group, signal);
        }
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline && self.groups.iter().any(|&(group, _)| is_alive(group)) {
            thread::sleep(Duration::from_millis(20));
        }
        for &(group, _) in self.groups.iter().filter(|(group, _)| is_alive(*group)) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        for folder in &self.folders {
            if let Err(error) = fs::remove_dir_all(folder) {
                eprintln!("xtask: {} cannot be removed: {error}", folder.display());
            }
        }
    }
}

fn is_alive(group: Pid) -> bool {
    rustix::process::test_kill_process_group(group) != Err(Errno::SRCH)
}

/// The guard's own life: it collects orders until the pipe closes, then carries them out.
pub(crate) fn stand() -> ExitCode {
    let mut duties = Duties::default();
    for order in std::io::stdin().lock().lines().map_while(Result::ok) {
        duties.add(&order);
    }
    duties.carry_out();
    ExitCode::SUCCESS
}
