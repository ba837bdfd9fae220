//! Processes of this machine: guv starts them, watches over them, and ends them.
//!
//! What to run is the role's `command`, else the line of a Procfile with the worker's name. Each process leads a process
//! group, which is ended as a whole: SIGTERM, the role's grace, SIGKILL. It has ended when nothing of its group is left: the
//! shell that leads it often goes first. One that ends by itself is started again, at once if it had lived a while, else with
//! growing pauses, which end when the role's source can be read again; what it has left behind is ended before. Those of roles
//! that are not governed any more end. However guv ends, also by SIGKILL, no process outlives it: a guard ends those that are
//! left.
//!
//! [`Processes`] is the handle of a task, `service`, that owns them; which process is in which state is
//! kept by `slots`, which is pure.

mod guard;
mod procfile;
mod service;
mod slots;
mod spawn;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use guv_model::{AppName, Role, RoleConfig, WorkerCount, WorkerName};
use rustix::process::{Resource, getrlimit};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use procfile::{Procfile, ProcfileError};
pub use service::Ended;

use crate::{Actuator, ActuatorError, Answers, Change};
use service::{Command, Service, Wish};

const KIND: &str = "processes";

/// The most processes of one kind that are started.
const MOST: u32 = 1000;
/// Open files that are left for all else when processes are started: each takes two of ours, for what it writes.
const OTHER_FILES: u64 = 128;

/// Commands that may wait; the sender of a further one waits.
const COMMAND_BACKLOG: usize = 16;

/// How processes are run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What to run for roles that have no command of their own.
    pub procfile: Procfile,
    /// Where to run it; `None` is the current folder.
    pub folder: Option<PathBuf>,
    /// Variables besides those that we have ourselves.
    pub environment: BTreeMap<String, String>,
    /// Whether what processes write is forwarded to our standard error, each line after the process's name.
    pub forward: bool,
}

/// Runs processes. Clones speak to the same ones.
#[derive(Clone)]
pub struct Processes {
    procfile: Procfile,
    commands: mpsc::Sender<Command>,
}

impl Processes {
    /// Starts the task that owns the processes; it ends them, and itself, when `cancel` is cancelled. Wait for
    /// [`Ended`] before the runtime ends.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(options: Options, cancel: CancellationToken) -> (Self, Ended) {
        let procfile = options.procfile.clone();
        let (commands, receiver) = mpsc::channel(COMMAND_BACKLOG);
        let ended = Service::start(options, receiver, cancel);
        (Self { procfile, commands }, ended)
    }

    /// What to run for a role.
    fn command<'a>(&'a self, role: &'a RoleConfig) -> Option<&'a str> {
        let own = role.actuator.as_ref().and_then(|part| part.text("command"));
        own.or_else(|| self.procfile.command(&role.worker))
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, ActuatorError> {
        let (reply, answer) = oneshot::channel();
        let ended = |_| ActuatorError::fatal("the processes are being ended");
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| ActuatorError::fatal("the processes are being ended"))?;
        answer.await.map_err(ended)
    }
}

fn names(roles: &[&RoleConfig]) -> Vec<WorkerName> {
    roles.iter().map(|role| role.worker.clone()).collect()
}

/// The most processes of one kind that there can be here.
fn most() -> u32 {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let processes = files.saturating_sub(OTHER_FILES).max(2) / 2;
    u32::try_from(processes).map_or(MOST, |processes| processes.min(MOST))
}

#[async_trait]
impl Actuator for Processes {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        match &role.actuator {
            Some(other) if other.kind() != KIND => {
                Err(format!("the role asks for `actuator: {}`", other.kind()))
            }
            _ if self.command(role).is_some() => Ok(()),
            Some(_) => Err(format!(
                "there is no command for it; set `command:` in `actuator:`, or write `{}: …` into the Procfile",
                role.worker
            )),
            None => Err(format!("the Procfile has no `{}`", role.worker)),
        }
    }

    async fn count(
        &self,
        _: Option<&AppName>,
        roles: &[&RoleConfig],
    ) -> Answers<Option<WorkerCount>, ActuatorError> {
        let workers = roles.iter().map(|role| (role.worker.clone(), role.boot)).collect();
        match self.ask(|reply| Command::Count { workers, reply }).await {
            Ok(counts) => {
                let counts = counts.into_iter().map(|count| Ok(Some(count)));
                roles.iter().map(|role| role.role.clone()).zip(counts).collect()
            }
            Err(_) => {
                let ended = || ActuatorError::fatal("the processes are being ended");
                roles.iter().map(|role| (role.role.clone(), Err(ended()))).collect()
            }
        }
    }

    async fn failing(&self, _: Option<&AppName>, roles: &[&RoleConfig]) -> HashMap<Role, String> {
        let workers = names(roles);
        // If it has ended, counting has told of it.
        let failing = self.ask(|reply| Command::Failing { workers, reply }).await.unwrap_or_default();
        let failing = roles.iter().zip(failing);
        failing.filter_map(|(role, failing)| Some((role.role.clone(), failing?))).collect()
    }

    fn source_is_back(&self, roles: &[&RoleConfig]) {
        // With so many commands that this one has no place, the pauses go on.
        let _ = self.commands.try_send(Command::Retry { workers: names(roles) });
    }

    async fn apply(&self, _: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError> {
        let mut answers = Answers::new();
        for change in changes {
            let role = change.role;
            let answer = match self.command(role) {
                Some(_) if change.target > most() => Err(ActuatorError::Limit {
                    limit: most(),
                    what: format!(
                        "guv starts no more than {MOST} processes of one kind, and each takes two of its open files (`ulimit -n`)"
                    ),
                }),
                Some(command) => {
                    let wish = Wish {
                        worker: role.worker.clone(),
                        command: command.to_owned(),
                        role: role.role.clone(),
                        number: change.target,
                        grace: role.grace.max(Duration::from_millis(1)),
                    };
                    self.ask(|reply| Command::Set { wish, reply }).await
                }
                None => Err(ActuatorError::fatal(format!("there is no command for `{}`", role.worker))),
            };
            answers.insert(role.role.clone(), answer);
        }
        answers
    }

    async fn configured(&self, roles: &[&RoleConfig]) {
        let workers = names(roles).into_iter().collect();
        // If it has ended, so have the processes.
        let _ = self.ask(|reply| Command::Keep { workers, reply }).await;
    }
}
