//! Nothing outlives us, however we end.
//!
//! A guard is a small process that holds the reading end of a pipe. It is told of every process group that is started
//! (`+PGID`) and has ended (`-PGID`), a line each. The writing end is ours alone: when we are gone, even by `kill -9`, the
//! guard reads the end of the pipe, ends the groups that are left, and exits.
//!
//! A guard that dies itself, as when memory is short, is replaced by one that is told of all groups that there are.
//!
//! The program calls [`watch`] in a subcommand of its own; `Guard::start` runs that.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use crate::processes::GRACE;

/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(50);

/// Our end of the pipe. A guard that has died is replaced as soon as it is to be told something.
#[derive(Debug)]
pub(crate) struct Guard {
    program: PathBuf,
    arguments: &'static [&'static str],
    /// The groups that are to be ended with us.
    groups: BTreeSet<u32>,
    pipe: ChildStdin,
    child: Child,
}

impl Guard {
    /// Starts `program ARGUMENTS`, which must call [`watch`].
    pub(crate) fn start(program: &Path, arguments: &'static [&'static str]) -> io::Result<Self> {
        let (child, pipe) = start(program, arguments)?;
        Ok(Self { program: program.to_owned(), arguments, groups: BTreeSet::new(), pipe, child })
    }

    /// From now on the process group is ended when we end.
    pub(crate) fn add(&mut self, group: u32) -> io::Result<()> {
        self.groups.insert(group);
        let told = self.tell('+', group);
        if told.is_err() {
            self.groups.remove(&group);
        }
        told
    }

    /// The process group has ended.
    pub(crate) fn remove(&mut self, group: u32) -> io::Result<()> {
        self.groups.remove(&group);
        self.tell('-', group)
    }

    fn tell(&mut self, sign: char, group: u32) -> io::Result<()> {
        match self.pipe.write_all(format!("{sign}{group}\n").as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.replace(),
            told => told,
        }
    }

    /// Starts another one, which is told of all groups that there are.
    fn replace(&mut self) -> io::Result<()> {
        let (child, mut pipe) = start(&self.program, self.arguments)?;
        let groups: String = self.groups.iter().map(|group| format!("+{group}\n")).collect();
        pipe.write_all(groups.as_bytes())?;
        self.pipe = pipe;
        let mut dead = std::mem::replace(&mut self.child, child);
        let status = dead.wait()?;
        tracing::warn!(%status, "the guard had ended; another one has taken its place");
        Ok(())
    }

    /// Lets the guard end what is left, and waits for it.
    pub(crate) fn stop(self) -> io::Result<()> {
        let Self { pipe, mut child, .. } = self;
        drop(pipe);
        child.wait().map(drop)
    }
}

fn start(program: &Path, arguments: &[&str]) -> io::Result<(Child, ChildStdin)> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    // A group of its own, so that Ctrl-C in a terminal does not reach it.
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
    let mut child = command.spawn()?;
    let pipe = child.stdin.take().ok_or_else(|| io::Error::other("the guard has no standard input"))?;
    Ok((child, pipe))
}

/// The guard's own work: reads until the end, then ends the process groups that are left.
pub fn watch(input: impl Read) {
    let mut groups = left(input);
    signal(&mut groups, Signal::TERM);
    let deadline = Instant::now() + GRACE;
    while !groups.is_empty() && Instant::now() < deadline {
        std::thread::sleep(LOOK);
        groups.retain(|group| test_kill_process_group(*group).is_ok());
    }
    signal(&mut groups, Signal::KILL);
}

/// Reads to the end. What cannot be read or understood is the end.
fn left(input: impl Read) -> HashSet<Pid> {
    let mut groups = HashSet::new();
    for line in BufReader::new(input).lines() {
        let Ok(line) = line else { break };
        let Some((sign, group)) = line.split_at_checked(1) else { continue };
        // Group 1 is the whole system's, and a negative number means something else to kill.
        let Some(group) = group.parse().ok().filter(|group| *group > 1).and_then(Pid::from_raw) else {
            continue;
        };
        match sign {
            "+" => groups.insert(group),
            _ => groups.remove(&group),
        };
    }
    groups
}

/// Signals the groups, and forgets those that are not there.
fn signal(groups: &mut HashSet<Pid>, signal: Signal) {
    groups.retain(|group| kill_process_group(*group, signal).is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_did_not_end_is_left() {
        let told = b"+101\n+102\n-101\n+1\n+-7\n+0\n+x\n\n+103\n";
        let mut groups: Vec<_> =
            left(&told[..]).into_iter().map(|group| group.as_raw_nonzero().get()).collect();
        groups.sort_unstable();
        assert_eq!(groups, [102, 103]);
    }

    #[test]
    fn one_that_has_died_is_replaced_by_one_that_knows_all() {
        // It writes down what it is told, each time into a file of its own, and is one process: a child would live on.
        let folder = tempfile::tempdir().unwrap();
        let script = format!("exec cat > {}/$$", folder.path().display());
        let arguments: &[&str] = Box::leak(Box::new(["-c", &*script.leak()]));
        let mut guard = Guard::start(Path::new("/bin/sh"), arguments).unwrap();
        guard.add(101).unwrap();
        guard.add(102).unwrap();
        guard.child.kill().unwrap();
        guard.child.wait().unwrap();
        guard.remove(101).unwrap();
        guard.add(103).unwrap();
        let id = guard.child.id();
        guard.stop().unwrap();
        let told = std::fs::read_to_string(folder.path().join(id.to_string())).unwrap();
        assert_eq!(told, "+102\n+103\n");
    }

    #[test]
    fn it_ends_what_is_left() {
        use std::os::unix::process::{CommandExt, ExitStatusExt};
        let mut child = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let told = format!("+{}\n", child.id());
        // It is there until somebody takes note of its end.
        let ended = std::thread::spawn(move || child.wait().unwrap().signal());
        watch(told.as_bytes());
        assert_eq!(ended.join().unwrap(), Some(15));
    }
}
