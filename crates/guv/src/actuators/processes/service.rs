//! The task that owns the processes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use guv_model::{Role, WorkerCount, WorkerName};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Options;
use super::guard::Guard;
use super::slots::{Number, Slots, Step};
use super::spawn::{Recipe, Rest, Started, spawn};

/// What the handle can ask for.
pub(super) enum Command {
    /// With how long one takes to boot.
    Count {
        workers: Vec<(WorkerName, Duration)>,
        reply: oneshot::Sender<Vec<WorkerCount>>,
    },
    /// What is wrong with them.
    Failing {
        workers: Vec<WorkerName>,
        reply: oneshot::Sender<Vec<Option<String>>>,
    },
    /// Starts those that wait to be started again.
    Retry {
        workers: Vec<WorkerName>,
    },
    Set {
        wish: Wish,
        reply: oneshot::Sender<()>,
    },
    /// Ends those of all other kinds.
    Keep {
        workers: HashSet<WorkerName>,
        reply: oneshot::Sender<()>,
    },
}

/// So many processes of a kind.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) worker: WorkerName,
    pub(super) command: String,
    pub(super) role: Role,
    pub(super) number: u32,
    pub(super) grace: Duration,
}

/// The end of the task: when all processes have ended.
#[derive(Debug)]
pub struct Ended(JoinHandle<()>);

impl Ended {
    /// Waits until every process has ended.
    pub async fn wait(self) {
        if let Err(error) = self.0.await {
            tracing::error!(%error, "the task that owns the processes has crashed; its guard ends them");
        }
    }
}

/// The processes of one kind, and what they are started with.
struct Unit {
    wish: Wish,
    slots: Slots,
    /// How the last one ended that nobody had told to.
    end: String,
}

impl Unit {
    fn failing(&self, now: Instant) -> Option<String> {
        match self.slots.failing(now) {
            0 => None,
            1 => Some(format!("a process does not stay up: {}", self.end)),
            failing => Some(format!("{failing} processes do not stay up: {}", self.end)),
        }
    }
}

/// Which process of which kind.
type Process = (WorkerName, Number);

/// A process and all that it has started.
struct Group {
    leader: Pid,
    /// Cancelled when it was.
    killed: CancellationToken,
}

/// What became of a process.
enum Happened {
    /// It has ended. Others of its group may be left.
    Ended(Process, Rest),
    /// Nothing of its group is left. How it ended.
    Gone(Process, String),
}

pub(super) struct Service {
    options: Options,
    /// Started before the first process.
    guard: Option<Guard>,
    units: BTreeMap<WorkerName, Unit>,
    groups: HashMap<Process, Group>,
    running: JoinSet<Happened>,
}

impl Service {
    /// Starts the task.
    pub(super) fn start(
        options: Options,
        commands: mpsc::Receiver<Command>,
        cancel: CancellationToken,
    ) -> Ended {
        let service = Self {
            options,
            guard: None,
            units: BTreeMap::new(),
            groups: HashMap::new(),
            running: JoinSet::new(),
        };
        Ended(tokio::spawn(service.run(commands, cancel)))
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>, cancel: CancellationToken) {
        let mut ending = false;
        while !(ending && self.units.values().all(|unit| unit.slots.is_empty())) {
            let wake = self.units.values().filter_map(|unit| unit.slots.wake()).min();
            // Every branch is cancel-safe: what is not taken now is there the next time. Whoever asks comes before what
            // there is to do.
            tokio::select! {
                biased;
                () = cancel.cancelled(), if !ending => {
                    ending = true;
                    for unit in self.units.values_mut() {
                        unit.slots.want(0, unit.wish.grace);
                    }
                }
                // While it ends, nobody is answered: the senders see that it has ended.
                Some(command) = commands.recv(), if !ending => self.command(command),
                Some(Ok(happened)) = self.running.join_next() => match happened {
                    Happened::Ended(process, rest) => self.ended(process, rest),
                    Happened::Gone(process, end) => self.gone(process, end).await,
                },
                () = sleep_until(wake) => {}
            }
            self.act().await;
            // With much to do it would never wait: others have their turn.
            tokio::task::yield_now().await;
        }
        if let Some(guard) = self.guard
            && let Err(error) = guard.stop().await
        {
            tracing::warn!(%error, "the guard did not end");
        }
    }

    fn command(&mut self, command: Command) {
        let now = Instant::now();
        // Whoever asked may have gone.
        match command {
            Command::Count { workers, reply } => {
                let count = |(worker, boot): &(WorkerName, Duration)| match self.units.get(worker) {
                    Some(unit) => unit.slots.count(*boot, now),
                    None => Slots::default().count(*boot, now),
                };
                let _ = reply.send(workers.iter().map(count).collect());
            }
            Command::Failing { workers, reply } => {
                let failing = |worker: &WorkerName| self.units.get(worker)?.failing(now);
                let _ = reply.send(workers.iter().map(failing).collect());
            }
            Command::Retry { workers } => {
                for (_, unit) in self.units.iter_mut().filter(|(worker, _)| workers.contains(worker)) {
                    unit.slots.retry(now);
                }
            }
            Command::Set { wish, reply } => {
                let unit = self.units.entry(wish.worker.clone());
                let unit = unit.or_insert_with(|| Unit {
                    wish: wish.clone(),
                    slots: Slots::default(),
                    end: String::new(),
                });
                unit.slots.want(wish.number, wish.grace);
                unit.wish = wish;
                let _ = reply.send(());
            }
            Command::Keep { workers, reply } => {
                for (worker, unit) in self.units.iter_mut().filter(|(worker, _)| !workers.contains(worker)) {
                    let left = unit.slots.staying();
                    if left > 0 {
                        tracing::info!(
                            worker = worker.as_str(),
                            left,
                            "nobody governs it any more; its processes end"
                        );
                    }
                    unit.slots.want(0, unit.wish.grace);
                }
                let _ = reply.send(());
            }
        }
    }

    /// Does what there is to do now.
    async fn act(&mut self) {
        let now = Instant::now();
        let planned = |(worker, unit): (&WorkerName, &mut Unit)| {
            unit.slots.plan(now).into_iter().map(|step| (worker.clone(), step)).collect::<Vec<_>>()
        };
        let steps: Vec<_> = self.units.iter_mut().flat_map(planned).collect();
        for (worker, step) in steps {
            match step {
                Step::Spawn(number) => self.spawn(worker, number).await,
                Step::Terminate(number) => self.signal(&(worker, number), Signal::TERM),
                Step::Kill(number) => self.signal(&(worker, number), Signal::KILL),
            }
        }
    }

    async fn spawn(&mut self, worker: WorkerName, number: Number) {
        let Some(unit) = self.units.get_mut(&worker) else { return };
        let recipe = Recipe {
            command: &unit.wish.command,
            folder: self.options.folder.as_deref(),
            environment: &self.options.environment,
            own: [
                ("ROLE", unit.wish.role.to_string()),
                ("WORKER", worker.to_string()),
                ("WORKER_NUMBER", number.to_string()),
            ],
        };
        let started = match guarded(&mut self.guard, &recipe, unit.wish.grace).await {
            Ok(started) => started,
            Err(error) => {
                tracing::warn!(worker = worker.as_str(), %error, "a process could not be started");
                unit.slots.exited(number, Instant::now());
                unit.end = format!("it could not be started: {error}");
                return;
            }
        };
        let (name, forward) = (format!("{worker}.{number}"), self.options.forward);
        let process = (worker, number);
        let group = Group { leader: started.group, killed: CancellationToken::new() };
        self.groups.insert(process.clone(), group);
        self.running.spawn(async move { Happened::Ended(process, started.run(name, forward).await) });
    }

    fn signal(&self, process: &Process, signal: Signal) {
        let Some(group) = self.groups.get(process) else { return };
        if let Err(error) = kill_process_group(group.leader, signal) {
            let (worker, number) = process;
            tracing::debug!(worker = worker.as_str(), number, %error, "a process had already ended");
        }
        if signal == Signal::KILL {
            group.killed.cancel();
        }
    }

    /// Its number is free when nothing of its group is left.
    fn ended(&mut self, process: Process, rest: Rest) {
        let (worker, number) = &process;
        let unit = self.units.get_mut(worker);
        if rest.is_there() && unit.is_some_and(|unit| unit.slots.leader_ended(*number, Instant::now())) {
            tracing::info!(
                worker = worker.as_str(),
                number,
                "a process has ended by itself; what it has left behind is ended, too"
            );
            self.signal(&process, Signal::TERM);
        }
        let killed = self.groups.get(&process).map(|group| group.killed.clone()).unwrap_or_default();
        self.running.spawn(async move { Happened::Gone(process, rest.gone(killed).await) });
    }

    async fn gone(&mut self, process: Process, end: String) {
        if let Some(group) = self.groups.remove(&process)
            && let Some(guard) = &mut self.guard
            && let Err(error) = guard.remove(group.leader).await
        {
            tracing::error!(%error, "the guard is gone: processes may outlive this one");
        }
        let (worker, number) = process;
        let Some(unit) = self.units.get_mut(&worker) else { return };
        if let Some(pause) = unit.slots.exited(number, Instant::now()) {
            tracing::warn!(
                worker = worker.as_str(),
                number,
                end,
                pause_s = pause.as_secs_f64(),
                "a process has ended by itself; it is started again after a pause"
            );
            unit.end = end;
        }
    }
}

/// Starts a process that the guard knows of. Without a guard none is started: it could be left behind.
async fn guarded(guard: &mut Option<Guard>, recipe: &Recipe<'_>, grace: Duration) -> io::Result<Started> {
    let mut own = match guard.take() {
        Some(guard) => guard,
        None => Guard::start()?,
    };
    let started = match spawn(recipe) {
        Ok(started) => started,
        Err(error) => {
            // The guard would end the others.
            *guard = Some(own);
            return Err(error);
        }
    };
    // Dropped before its gate is opened, it ends; a guard that is gone is replaced the next time.
    own.add(started.group, grace).await?;
    *guard = Some(own);
    Ok(started)
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
