//! The loop that looks, decides, acts and records.
//!
//! [`Governor::start`] starts it as a task and gives a [`Handle`]. The task ends when its token is cancelled, or
//! after one cycle with [`Options::oneshot`]; nothing that a queue or a platform does ends it.

mod clock;
mod fleet;
mod job;
mod journal;
mod recall;
mod service;
mod settle;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use guv_model::{Config, Manual, Role, Timestamp};
use serde::Serialize;
use tokio::sync::{broadcast, mpsc, oneshot, watch as latest};
use tokio_util::sync::CancellationToken;

use crate::{Record, Recorder, Registry, Unserved, Wake};

use clock::Clock;
use fleet::Fleet;
use journal::Journal;
use service::{Command, Service};

/// Records that a subscriber may lag behind before it loses the oldest ones.
const SUBSCRIBER_BACKLOG: usize = 4096;

/// Commands that may wait while a cycle runs; the sender of a further one waits.
const COMMAND_BACKLOG: usize = 8;

/// How to govern.
#[derive(Clone)]
pub struct Options {
    /// Decide and record, but change nothing.
    pub dry_run: bool,
    /// End after one cycle.
    pub oneshot: bool,
    /// How long one call of a source, an actuator or a recorder may take.
    pub patience: Duration,
    /// Who keeps the records.
    pub recorders: Vec<Arc<dyn Recorder>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { dry_run: false, oneshot: false, patience: Duration::from_secs(20), recorders: Vec::new() }
    }
}

/// Why governing could not be started, or did not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Some roles cannot be served; none is governed until that is settled.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Unserved(Vec<Unserved>),
    /// There is no such role.
    #[error("there is no role `{0}`")]
    UnknownRole(Role),
    /// The governor has ended.
    #[error("the governor has ended")]
    Ended,
    /// The governor's task has ended by a fault in the program.
    #[error("the governor has ended by an internal fault; its last log lines tell more")]
    Crashed,
}

/// The latest record of every role.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Cycles completed since the start.
    pub cycle: u64,
    /// When the last one was completed; `None` before the first.
    pub at: Option<Timestamp>,
    /// Whether nothing is ever changed.
    pub dry_run: bool,
    /// Whether the governor has ended as it should.
    pub ended: bool,
    /// The latest record of each role, in the order of the configuration.
    pub roles: Vec<Arc<Record>>,
}

/// Starts governing.
pub struct Governor;

impl Governor {
    /// Starts governing as a task of the current tokio runtime. The first cycle begins at once.
    ///
    /// # Errors
    /// [`Error::Unserved`] when a role has no source, or, unless this is a dry run, no actuator.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(
        config: Config,
        registry: Registry,
        options: Options,
        cancel: CancellationToken,
    ) -> Result<Handle, Error> {
        let poll_interval = config.poll_interval;
        let fleet = Fleet::new(config.clone(), &registry, options.dry_run, options.oneshot)?;
        let config = Arc::new(config);
        options.recorders.iter().for_each(|recorder| recorder.configured(&config));
        let (configs, config_receiver) = latest::channel(config);
        let (commands, command_receiver) = mpsc::channel(COMMAND_BACKLOG);
        let (records, _) = broadcast::channel(SUBSCRIBER_BACKLOG);
        let snapshot = Snapshot { dry_run: options.dry_run, ..Snapshot::default() };
        let (snapshots, snapshot_receiver) = latest::channel(Arc::new(snapshot));
        let wake = Wake::default();
        let journal = Journal::new(records.clone(), snapshots);
        let clock = Clock::start();
        let service = Service::new(fleet, registry.clone(), options, clock, wake.clone(), journal, configs);
        let task = tokio::spawn(service.run(poll_interval, command_receiver, cancel));
        tokio::spawn(async move {
            if let Err(fault) = task.await
                && fault.is_panic()
            {
                tracing::error!(%fault, "a governor has ended by an internal fault; its roles are left as they are until guv is started again");
            }
        });
        let (snapshots, configs) = (snapshot_receiver, config_receiver);
        Ok(Handle { commands, clock, wake, records, snapshots, configs, registry })
    }
}

/// A running governor, seen from outside. Clones speak to the same one; dropping them does not end it.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    clock: Clock,
    wake: Wake,
    records: broadcast::Sender<Arc<Record>>,
    snapshots: latest::Receiver<Arc<Snapshot>>,
    configs: latest::Receiver<Arc<Config>>,
    registry: Registry,
}

impl Handle {
    /// Now, by the clock that the governor goes by: it began with the machine's, and is not disturbed when that is set.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Every record from now on, one per role and round, those that no recorder gets included. A subscriber that lags too far behind loses the oldest
    /// ones and is told how many.
    pub fn decisions(&self) -> broadcast::Receiver<Arc<Record>> {
        self.records.subscribe()
    }

    /// The latest record of every role.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.configs.borrow().clone()
    }

    /// The latest records whenever they change; only the newest is kept.
    pub fn snapshots(&self) -> latest::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Whether a configuration could be taken into force.
    ///
    /// # Errors
    /// [`Error::Unserved`] when a role cannot be served.
    pub fn check(&self, config: &Config) -> Result<(), Error> {
        let dry_run = self.snapshots.borrow().dry_run;
        self.registry.assign_all(&config.roles, dry_run).map(drop).map_err(Error::Unserved)
    }

    /// Takes another configuration into force and begins a cycle. Roles that stay keep what is remembered.
    ///
    /// # Errors
    /// [`Error::Unserved`] when a role cannot be served: the configuration before stays in force. [`Error::Ended`]
    /// when there is no governor any more.
    pub async fn reload(&self, config: Config) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Reload { config: Box::new(config), reply })
            .await
            .map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| Error::Ended)?
    }

    /// Begins a cycle now instead of at the next tick, for instance because jobs have just been queued.
    ///
    /// # Errors
    /// [`Error::Ended`] when there is no governor any more.
    pub async fn wake(&self) -> Result<(), Error> {
        self.commands.send(Command::Wake).await.map_err(|_| Error::Ended)
    }

    /// Looks at one role at once, for instance because a job has just been queued; never blocks. A role that is
    /// not governed is no error.
    pub fn notify(&self, role: &Role) {
        self.wake.role(role);
    }

    /// Sets the number of workers of a role by hand, for a time; `None` gives it back to the policy. It is forgotten
    /// when the governor ends.
    ///
    /// # Errors
    /// [`Error::UnknownRole`] when there is no such role, [`Error::Ended`] when there is no governor any more.
    pub async fn set_manual(&self, role: &Role, manual: Option<Manual>) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Manual { role: role.clone(), manual, reply };
        self.commands.send(command).await.map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| Error::Ended)?
    }

    /// Leaves the number of workers of a role as it is until a time, whatever the policy says; `None` ends that. What the
    /// configuration pauses stays paused. It is forgotten when the governor ends.
    ///
    /// # Errors
    /// [`Error::UnknownRole`] when there is no such role, [`Error::Ended`] when there is no governor any more.
    pub async fn pause(&self, role: &Role, until: Option<Timestamp>) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Pause { role: role.clone(), until, reply };
        self.commands.send(command).await.map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| Error::Ended)?
    }

    /// Whether the governor has ended by a fault in the program: nothing is decided any more.
    pub fn has_crashed(&self) -> bool {
        self.commands.is_closed() && !self.snapshots.borrow().ended
    }

    /// Waits until the governor has ended.
    ///
    /// # Errors
    /// [`Error::Crashed`] when it has not ended as it should.
    pub async fn finished(&self) -> Result<(), Error> {
        let mut snapshots = self.snapshots.clone();
        while snapshots.changed().await.is_ok() {}
        let ended = snapshots.borrow().ended;
        if ended { Ok(()) } else { Err(Error::Crashed) }
    }
}
