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
use super::spawn::{Recipe, Started, spawn};

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

/// How a process ended.
struct Exit {
    worker: WorkerName,
    number: Number,
    id: u32,
    end: String,
}

pub(super) struct Service {
    options: Options,
    /// Started before the first process.
    guard: Option<Guard>,
    units: BTreeMap<WorkerName, Unit>,
    groups: HashMap<(WorkerName, Number), Pid>,
    running: JoinSet<Exit>,
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
                Some(Ok(exit)) = self.running.join_next() => self.exited(exit).await,
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
                Step::Terminate(number) => self.signal(worker, number, Signal::TERM),
                Step::Kill(number) => self.signal(worker, number, Signal::KILL),
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
        let started = match guarded(&mut self.guard, &recipe).await {
            Ok(started) => started,
            Err(error) => {
                tracing::warn!(worker = worker.as_str(), %error, "a process could not be started");
                unit.slots.exited(number, Instant::now());
                unit.end = format!("it could not be started: {error}");
                return;
            }
        };
        self.groups.insert((worker.clone(), number), started.group);
        let (name, forward, id) = (format!("{worker}.{number}"), self.options.forward, started.id);
        self.running.spawn(async move {
            let end = started.run(name, forward).await;
            Exit { worker, number, id, end }
        });
    }

    fn signal(&self, worker: WorkerName, number: Number, signal: Signal) {
        if let Some(group) = self.groups.get(&(worker.clone(), number))
            && let Err(error) = kill_process_group(*group, signal)
        {
            tracing::debug!(worker = worker.as_str(), number, %error, "a process had already ended");
        }
    }

    async fn exited(&mut self, exit: Exit) {
        let Exit { worker, number, id, end } = exit;
        if let Some(guard) = &mut self.guard
            && let Err(error) = guard.remove(id).await
        {
            tracing::error!(%error, "the guard is gone: processes may outlive this one");
        }
        self.groups.remove(&(worker.clone(), number));
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
async fn guarded(guard: &mut Option<Guard>, recipe: &Recipe<'_>) -> io::Result<Started> {
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
    own.add(started.id).await?;
    *guard = Some(own);
    Ok(started)
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
