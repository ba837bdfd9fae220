//! A queue source and a platform that do as they are told, and remember what they were asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use guv::governor::{Governor, Handle, Options};
use guv::{
    Actuator, ActuatorError, Answers, AppName, Change, Config, Environment, Record, RecordError, Recorder,
    Registry, Role, RoleConfig, Sample, Source, SourceError, WorkerCount,
};
use tokio_util::sync::CancellationToken;

/// What a queue is like.
#[derive(Clone)]
pub(crate) enum Queue {
    /// So many messages are ready, none is in flight.
    Holds(u64),
    /// All that a source can say.
    Says(Sample),
    Missing,
    /// The source gives no answer for it.
    Forgotten,
    /// The source never answers at all.
    Silent,
    /// There is a fault in the source.
    Faulty,
}

/// The queues by name; those not named hold nothing.
#[derive(Clone, Default)]
pub(crate) struct Queues(Arc<Mutex<HashMap<String, Queue>>>);

impl Queues {
    pub(crate) fn set(&self, name: &str, queue: Queue) {
        self.lock().insert(name.to_owned(), queue);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Queue>> {
        self.0.lock().expect("no holder panics")
    }
}

#[guv::async_trait]
impl Source for Queues {
    fn accepts(&self, role: &RoleConfig) -> Result<(), String> {
        if role.queues.first().as_str() == "elsewhere" { Err("it is elsewhere".to_owned()) } else { Ok(()) }
    }

    async fn sample(&self, roles: &[&RoleConfig]) -> Answers<Sample, SourceError> {
        let mut answers = HashMap::new();
        for role in roles {
            let queue = self.lock().get(role.queues.first().as_str()).cloned().unwrap_or(Queue::Holds(0));
            let answer = match queue {
                Queue::Holds(ready) => {
                    Ok(Sample { ready: Some(ready), unacknowledged: Some(0), ..Sample::default() })
                }
                Queue::Says(sample) => Ok(sample),
                Queue::Missing => Err(SourceError::Missing { queue: role.queues.first().clone() }),
                Queue::Forgotten => continue,
                Queue::Silent => std::future::pending().await,
                Queue::Faulty => panic!("a fault in the source"),
            };
            answers.insert(role.role.clone(), answer);
        }
        answers
    }
}

type Refusal = Box<dyn Fn(&Change<'_>, u32) -> Option<ActuatorError> + Send>;

/// A platform: workers by name, and every batch that it was sent.
#[derive(Clone, Default)]
pub(crate) struct Platform(Arc<Mutex<PlatformState>>);

#[derive(Default)]
struct PlatformState {
    workers: HashMap<String, u32>,
    /// Each batch: the app, and `worker=target` sorted.
    batches: Vec<String>,
    counts: u32,
    /// The workers of each configuration after the first.
    configured: Vec<String>,
    /// The workers whose sources could be read again.
    back: Vec<String>,
    failing: Option<String>,
    uncountable: Option<Box<dyn Fn() -> ActuatorError + Send>>,
    /// It never tells how many there are.
    untold: bool,
    /// It tells how many boot, and how many go: none.
    tells_phases: bool,
    /// So long it takes to count workers, by name.
    slow: HashMap<String, Duration>,
    unanswered: Option<u32>,
    takes: Duration,
    calls: u32,
    refusal: Option<Refusal>,
}

impl Platform {
    /// A platform that runs these.
    pub(crate) fn running(workers: &[(&str, u32)]) -> Self {
        let platform = Self::default();
        workers.iter().for_each(|(name, count)| platform.set(name, *count));
        platform
    }

    pub(crate) fn set(&self, worker: &str, count: u32) {
        self.lock().workers.insert(worker.to_owned(), count);
    }

    pub(crate) fn workers(&self, worker: &str) -> u32 {
        self.lock().workers[worker]
    }

    /// The batches since the last time this was asked.
    pub(crate) fn batches(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().batches)
    }

    pub(crate) fn counts(&self) -> u32 {
        self.lock().counts
    }

    /// The workers of each configuration that was taken after the first.
    pub(crate) fn configured(&self) -> Vec<String> {
        self.lock().configured.clone()
    }

    /// The workers whose sources could be read again.
    pub(crate) fn back(&self) -> Vec<String> {
        self.lock().back.clone()
    }

    /// What is wrong with all workers.
    pub(crate) fn fail(&self, what: Option<&str>) {
        self.lock().failing = what.map(ToOwned::to_owned);
    }

    /// It never tells how many workers there are.
    pub(crate) fn tells_nothing(&self) {
        self.lock().untold = true;
    }

    /// It tells how many boot and how many go, which is none: whoever is asked for is up at once.
    pub(crate) fn tells_phases(&self) {
        self.lock().tells_phases = true;
    }

    /// So long it takes to count these workers.
    pub(crate) fn counts_slowly(&self, worker: &str, time: Duration) {
        self.lock().slow.insert(worker.to_owned(), time);
    }

    /// Counting fails from now on, until [`Platform::countable`].
    pub(crate) fn uncountable(&self, error: impl Fn() -> ActuatorError + Send + 'static) {
        self.lock().uncountable = Some(Box::new(error));
    }

    pub(crate) fn countable(&self) {
        self.lock().uncountable = None;
    }

    /// Of so many calls that change something the first is carried out but never answered.
    pub(crate) fn leave_unanswered(&self, every: Option<u32>) {
        self.lock().unanswered = every;
    }

    /// So long it takes until a change is carried out, and answered.
    pub(crate) fn take(&self, time: Duration) {
        self.lock().takes = time;
    }

    /// Changes are refused when this says so, given the change and the highest target of the batch.
    pub(crate) fn refuse(
        &self,
        refusal: impl Fn(&Change<'_>, u32) -> Option<ActuatorError> + Send + 'static,
    ) {
        self.lock().refusal = Some(Box::new(refusal));
    }

    fn lock(&self) -> MutexGuard<'_, PlatformState> {
        self.0.lock().expect("no holder panics")
    }
}

#[guv::async_trait]
impl Actuator for Platform {
    async fn count(
        &self,
        _: Option<&AppName>,
        roles: &[&RoleConfig],
    ) -> Answers<Option<WorkerCount>, ActuatorError> {
        let takes = {
            let state = self.lock();
            roles.iter().filter_map(|role| state.slow.get(role.worker.as_str()).copied()).max()
        };
        if let Some(takes) = takes {
            tokio::time::sleep(takes).await;
        }
        let mut state = self.lock();
        state.counts += 1;
        let none = state.tells_phases.then_some(0);
        let count = |role: &RoleConfig| match (&state.uncountable, state.workers.get(role.worker.as_str())) {
            (Some(error), _) => Err(error()),
            (None, _) if state.untold => Ok(None),
            (None, Some(count)) => {
                Ok(Some(WorkerCount { booting: none, draining: none, ..WorkerCount::running(*count) }))
            }
            (None, None) => Err(ActuatorError::fatal("there is no such worker")),
        };
        roles.iter().map(|role| (role.role.clone(), count(role))).collect()
    }

    async fn apply(&self, app: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError> {
        let takes = self.lock().takes;
        tokio::time::sleep(takes).await;
        let (answers, unanswered) = self.apply_now(app, changes);
        if unanswered {
            std::future::pending::<()>().await;
        }
        answers
    }

    async fn failing(&self, _: Option<&AppName>, roles: &[&RoleConfig]) -> HashMap<Role, String> {
        let failing = self.lock().failing.clone();
        roles.iter().filter_map(|role| Some((role.role.clone(), failing.clone()?))).collect()
    }

    fn source_is_back(&self, roles: &[&RoleConfig]) {
        self.lock().back.extend(roles.iter().map(|role| role.worker.as_str().to_owned()));
    }

    async fn configured(&self, roles: &[&RoleConfig]) {
        let workers: Vec<_> = roles.iter().map(|role| role.worker.as_str()).collect();
        self.lock().configured.push(workers.join(" "));
    }
}

impl Platform {
    fn apply_now(&self, app: Option<&AppName>, changes: &[Change<'_>]) -> (Answers<(), ActuatorError>, bool) {
        let mut state = self.lock();
        state.calls += 1;
        let unanswered = state.unanswered.is_some_and(|every| state.calls % every == 1);
        let mut batch: Vec<_> = changes.iter().map(|c| format!("{}={}", c.role.worker, c.target)).collect();
        batch.sort();
        let app = app.map_or("-", AppName::as_str);
        state.batches.push(format!("{app}: {}", batch.join(" ")));
        let highest = changes.iter().map(|change| change.target).max().unwrap_or(0);
        let mut answers = HashMap::new();
        for change in changes {
            let refused = state.refusal.as_ref().and_then(|refusal| refusal(change, highest));
            if refused.is_none() {
                state.workers.insert(change.role.worker.as_str().to_owned(), change.target);
            }
            answers.insert(change.role.role.clone(), refused.map_or(Ok(()), Err));
        }
        (answers, unanswered)
    }
}

/// Keeps everything, or nothing.
#[derive(Clone, Default)]
pub(crate) struct Book {
    pub(crate) records: Arc<Mutex<Vec<Arc<Record>>>>,
    pub(crate) broken: bool,
}

#[guv::async_trait]
impl Recorder for Book {
    async fn record(&self, records: &[Arc<Record>]) -> Result<(), RecordError> {
        if self.broken {
            return Err(RecordError { what: "the disk is full".to_owned(), source: None });
        }
        self.records.lock().expect("no holder panics").extend(records.iter().cloned());
        Ok(())
    }
}

pub(crate) fn config(text: &str) -> Config {
    guv::config::load("test.yaml", text, &Environment::default(), &[])
        .unwrap_or_else(|e| panic!("{e}"))
        .config
}

/// A running governor over the doubles.
pub(crate) struct Governed {
    pub(crate) queues: Queues,
    pub(crate) platform: Platform,
    pub(crate) handle: Handle,
    pub(crate) cancel: CancellationToken,
}

impl Governed {
    pub(crate) fn start(text: &str, queues: Queues, platform: Platform, options: Options) -> Self {
        let cancel = CancellationToken::new();
        let registry = Registry::new()
            .with_source("queues", Arc::new(queues.clone()))
            .with_actuator("platform", Arc::new(platform.clone()));
        let handle =
            Governor::start(config(text), registry, options, cancel.clone()).expect("it can be served");
        Self { queues, platform, handle, cancel }
    }

    /// Waits for the end of the cycle with this number. Under paused time this takes no time.
    pub(crate) async fn cycle(&self, number: u64) -> Arc<guv::governor::Snapshot> {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| snapshot.cycle >= number);
        let patience = Duration::from_secs(86_400);
        tokio::time::timeout(patience, wait).await.expect("within a day").expect("it is running").clone()
    }

    /// The latest record of a role, in words.
    pub(crate) fn outcome(&self, role: &str) -> String {
        let snapshot = self.handle.snapshot();
        let record = snapshot.roles.iter().find(|r| r.role.as_str() == role).expect("the role is known");
        format!("{:?}", record.outcome)
    }
}
