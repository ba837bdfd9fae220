//! Where guv and msgflo meet: the broker as a source of queues, the supervisor as an actuator.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use guv::config::Loaded;
use guv::model::{Diagnostic, Place, Severity};
use guv::{
    Actuator, ActuatorError, Answers, AppName, Change, JobReports, JobTimes, JobWaits, RoleConfig, Sample,
    Source, SourceError, WorkerCount,
};
use msgflo_coordinator::{Desired, Handle, ProcessStatus};
use msgflo_core::{Broker, JobReport, Participant, ParticipantId, QueueName};

use crate::broker::Connected;
use crate::located::{Problem, Problems};
use crate::outcome::{Failure, Stop};

/// How many queues the broker is asked for at once.
const CONCURRENCY: usize = 16;
/// How long workers may take to announce their queues before the first look, and the pause between two looks whether they have.
const INTRODUCTION: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(100));
/// A participant that has jobs in hand reports every few seconds: one that did not for this long has died.
const SILENCE: Duration = Duration::from_secs(20);

/// Reads the file of a scaling configuration for the network that is desired.
pub(crate) fn load(path: &Path, desired: &Desired) -> Result<guv::Config, Stop> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Stop::config(Failure::new(format!("{file} cannot be read: {error}"))))?;
    // What is wrong with the environment is no fault of the file.
    guv::Environment::from_variables(std::env::vars())
        .map_err(|error| Stop::config(Failure::new(error.to_string())))?;
    let loaded = read(&file, &text, desired).map_err(|error| {
        Stop::problems(Problems::errors(path, &text, error.diagnostics.iter().map(problem)))
    })?;
    Problems::warn(path, &text, loaded.remarks.iter().map(problem));
    Ok(loaded.config)
}

/// Reads a scaling configuration for the network that is desired: the workers must be roles that we start.
pub(crate) fn read(file: &str, text: &str, desired: &Desired) -> Result<Loaded, guv::config::Error> {
    let environment = guv::Environment::from_variables(std::env::vars()).unwrap_or_default();
    let loaded = guv::config::load(file, text, &environment, &[])?;
    let roles = loaded.config.roles.iter();
    let strangers = roles.filter(|role| desired.unit_of(&role.worker.as_str().into()).is_none());
    let diagnostics: Vec<_> = strangers
        .map(|role| {
            let ours: Vec<_> =
                desired.units.values().flat_map(|unit| &unit.roles).map(ToString::to_string).collect();
            Diagnostic {
                severity: Severity::Error,
                message: format!(
                    "`{}`, the worker of role `{}`, is not a role that we start",
                    role.worker, role.role
                ),
                label: "not a role of the graph that we start".to_owned(),
                help: format!("we start: {}", ours.join(", ")),
                place: place_of(text, role.role.as_str()),
            }
        })
        .collect();
    if diagnostics.is_empty() {
        return Ok(loaded);
    }
    Err(guv::config::Error { file: file.to_owned(), text: text.to_owned(), diagnostics })
}

/// Where a role's block begins: the line that its name leads. The beginning, where it is written in another way.
fn place_of(text: &str, role: &str) -> Place {
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let name = line.trim_start_matches(['\'', '"']);
        if name.strip_prefix(role).is_some_and(|rest| rest.starts_with([':', '\'', '"'])) {
            let quote = line.len() - name.len();
            let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let column = u32::try_from(quote + 1).unwrap_or(u32::MAX);
            return Place { line, column, start: start + quote, end: start + quote + role.len() };
        }
        start += line.len();
    }
    Place { line: 1, column: 1, start: 0, end: 0 }
}

fn problem(diagnostic: &Diagnostic) -> Problem {
    Problem {
        message: diagnostic.message.clone(),
        label: diagnostic.label.clone(),
        help: Some(diagnostic.help.clone()),
        range: diagnostic.place.range(),
    }
}

/// What waits in the queues of the network's broker.
pub(crate) struct Queues {
    broker: Arc<dyn Broker>,
    embedded: Option<msgflo_broker::Handle>,
    coordinator: Handle,
    jobs: Arc<Mutex<Jobs>>,
    /// Queues that are not there, and for which others were proposed.
    doubted: Mutex<HashSet<QueueName>>,
    began: Instant,
}

impl Queues {
    /// Listens from now on to what participants report of their jobs.
    pub(crate) async fn watch(connected: &Connected, coordinator: Handle) -> Result<Self, Stop> {
        let jobs = Arc::new(Mutex::new(Jobs::default()));
        let mut reports = connected.broker.watch_jobs().await?;
        let heard = Arc::downgrade(&jobs);
        tokio::spawn(async move {
            while let Some(report) = reports.next().await {
                let Some(jobs) = heard.upgrade() else { return };
                jobs.lock().unwrap_or_else(PoisonError::into_inner).hear(report, Instant::now());
            }
        });
        Ok(Self {
            broker: connected.broker.clone(),
            embedded: connected.embedded.clone(),
            coordinator,
            jobs,
            doubted: Mutex::default(),
            began: Instant::now(),
        })
    }

    /// What participants announced. In the beginning the workers are waited for, so that the first look finds their queues.
    async fn participants(&self, roles: &[&RoleConfig]) -> Vec<Participant> {
        loop {
            // Without an answer the network is ending, and so are we.
            let participants = self.coordinator.participants().await.unwrap_or_default();
            let is_there = |role: &&RoleConfig| {
                participants.iter().any(|participant| participant.role.as_str() == role.worker.as_str())
            };
            if roles.iter().all(is_there) || self.began.elapsed() > INTRODUCTION.0 {
                return participants;
            }
            tokio::time::sleep(INTRODUCTION.1).await;
        }
    }

    async fn sample_role(&self, role: &Asked, participants: &[Participant]) -> Result<Sample, SourceError> {
        let mut samples = Vec::new();
        for queue in &role.queues {
            let announced = announced(queue, role, participants);
            let name = announced.as_ref().map_or(queue.as_str(), QueueName::as_str);
            let sample = self.sample_one(name, role.deadline).await;
            if let Err(SourceError::Missing { .. }) = &sample {
                self.doubt(queue, role, participants);
            }
            samples.push(sample?);
        }
        Sample::sum(samples).ok_or(SourceError::NoAnswer)
    }

    /// Says once which queues there are in the place of one that is not.
    fn doubt(&self, queue: &guv::QueueName, role: &Asked, participants: &[Participant]) {
        let queues: Vec<_> = queues(&role.worker, participants).map(|queue| format!("`{queue}`")).collect();
        let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        if !queues.is_empty() && doubted.insert(queue.as_str().into()) {
            let (role, worker, help) =
                (&role.role, &role.worker, format!("did you mean {}?", queues.join(" or ")));
            tracing::warn!(%role, %worker, %queue, help, "the worker does not announce the queue that it is scaled by");
        }
    }

    async fn sample_one(&self, queue: &str, deadline: Duration) -> Result<Sample, SourceError> {
        let name = QueueName::from(queue);
        let (reports, times, waits) = {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.due_within(&name, deadline);
            (jobs.of(&name, Instant::now()), jobs.times(&name), jobs.waits(&name))
        };
        if let Some(embedded) = &self.embedded {
            let info = embedded
                .queue(queue)
                .ok_or_else(|| SourceError::Missing { queue: guv::QueueName::new(queue) })?;
            return Ok(Sample {
                ready: Some(info.ready),
                unacknowledged: Some(info.unacknowledged),
                consumers: Some(info.consumers),
                reports,
                times,
                waits,
                ..Sample::default()
            });
        }
        let depth = self.broker.depth(&name).await.map_err(|error| match error {
            msgflo_core::Error::NotFound { .. } => SourceError::Missing { queue: guv::QueueName::new(queue) },
            error => SourceError::Unreachable {
                what: format!("the broker does not tell the depth of `{queue}`"),
                source: Some(error.into()),
            },
        })?;
        Ok(Sample {
            ready: Some(depth.ready),
            unacknowledged: depth.unacknowledged,
            consumers: Some(depth.consumers),
            reports,
            times,
            waits,
            ..Sample::default()
        })
    }
}

#[async_trait]
impl Source for Queues {
    async fn sample(&self, roles: &[&RoleConfig]) -> Answers<Sample, SourceError> {
        let participants = self.participants(roles).await;
        let asked: Vec<_> = roles.iter().map(|role| Asked::of(role)).collect();
        let samples = stream::iter(asked).map(|role| {
            let participants = &participants;
            async move {
                let sample = self.sample_role(&role, participants).await;
                (role.role, sample)
            }
        });
        samples.buffer_unordered(CONCURRENCY).collect().await
    }
}

/// What is asked of a role.
struct Asked {
    role: guv::Role,
    worker: String,
    queues: Vec<guv::QueueName>,
    deadline: Duration,
}

impl Asked {
    fn of(role: &RoleConfig) -> Self {
        Self {
            role: role.role.clone(),
            worker: role.worker.to_string(),
            queues: role.queues.iter().cloned().collect(),
            deadline: role.deadline,
        }
    }
}

/// The queues of the worker's inports, as it announced them.
fn queues<'p>(worker: &str, participants: &'p [Participant]) -> impl Iterator<Item = &'p QueueName> {
    let worker = participants.iter().find(move |participant| participant.role.as_str() == worker);
    worker.into_iter().flat_map(|worker| &worker.inports).filter_map(|port| port.queue.as_ref())
}

/// The announced queue that `queue` means, where nobody announces `queue` itself: of an inport that it names as `role.PORT`; of
/// the worker's only inport, where it is just the role's name, as it is when none is configured.
fn announced(queue: &guv::QueueName, role: &Asked, participants: &[Participant]) -> Option<QueueName> {
    let queue = queue.as_str();
    let is_announced =
        participants.iter().any(|it| queues(it.role.as_str(), participants).any(|it| it.as_str() == queue));
    if is_announced {
        return None;
    }
    let port = |participant: &Participant| {
        let port = queue.strip_prefix(participant.role.as_str())?.strip_prefix('.')?;
        participant.inport(&port.into())?.queue.clone()
    };
    if let Some(named) = participants.iter().find_map(port) {
        return Some(named);
    }
    let mut of_worker = queues(&role.worker, participants);
    let only = of_worker.next().filter(|_| of_worker.next().is_none());
    only.filter(|_| queue == role.role.as_str() || queue == role.worker).cloned()
}

/// Jobs in hand, as participants report them.
#[derive(Default)]
struct Jobs {
    /// By queue: jobs finished since we listen, and what each participant has in hand.
    queues: HashMap<QueueName, Queue>,
}

#[derive(Default)]
struct Queue {
    finished: u64,
    times: JobTimes,
    waits: JobWaits,
    /// Within how long jobs are due; until somebody has said so, none is late.
    deadline: Option<Duration>,
    /// Of those that have some.
    in_hand: HashMap<ParticipantId, (u32, Instant)>,
}

impl Queue {
    fn forget_the_dead(&mut self, now: Instant) {
        self.in_hand.retain(|_, (_, heard)| now.saturating_duration_since(*heard) < SILENCE);
    }
}

impl Jobs {
    fn hear(&mut self, report: JobReport, now: Instant) {
        let queue = self.queues.entry(report.queue).or_default();
        queue.finished += report.completed.len() as u64;
        for job in &report.completed {
            let time = job.processing;
            queue.times = queue.times.plus(JobTimes { jobs: 1, sum: time, squares: time * time });
            if let Some((waiting, deadline)) = job.waiting.zip(queue.deadline) {
                let late = waiting + time > deadline.as_secs_f64();
                queue.waits = queue.waits.plus(JobWaits { jobs: 1, sum: waiting, late: late.into() });
            }
        }
        if report.in_flight == 0 {
            queue.in_hand.remove(&report.id);
        } else if queue.in_hand.insert(report.id, (report.in_flight, now)).is_none() {
            queue.forget_the_dead(now);
        }
    }

    /// How long the jobs of a queue took, as their workers say.
    fn times(&self, queue: &QueueName) -> Option<JobTimes> {
        self.queues.get(queue).map(|queue| queue.times)
    }

    /// Says within how long the jobs of a queue are due.
    fn due_within(&mut self, queue: &QueueName, deadline: Duration) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.deadline = Some(deadline);
        }
    }

    /// How long the jobs of a queue waited, and how many were late, as their workers say.
    fn waits(&self, queue: &QueueName) -> Option<JobWaits> {
        self.queues.get(queue).filter(|queue| queue.deadline.is_some()).map(|queue| queue.waits)
    }

    /// What is known of a queue. `None`: nobody reports on it.
    fn of(&mut self, queue: &QueueName, now: Instant) -> Option<JobReports> {
        let queue = self.queues.get_mut(queue)?;
        queue.forget_the_dead(now);
        let in_hand: u64 = queue.in_hand.values().map(|(jobs, _)| u64::from(*jobs)).sum();
        Some(JobReports { started: queue.finished + in_hand, finished: queue.finished })
    }
}

/// The processes of the network as workers.
pub(crate) struct Workers {
    coordinator: Handle,
}

impl Workers {
    pub(crate) fn new(coordinator: Handle) -> Self {
        Self { coordinator }
    }
}

/// Those that do not run yet boot, and those that have had less than `boot` since they do.
fn counted(process: &ProcessStatus, boot: Duration, now: Instant) -> WorkerCount {
    let young = process.since.iter().filter(|since| now.saturating_duration_since(**since) < boot).count();
    let missing = process.wanted.saturating_sub(process.running);
    let booting = u32::try_from(young).unwrap_or(u32::MAX).saturating_add(missing);
    WorkerCount {
        booting: Some(booting.min(process.wanted)),
        draining: Some(process.stopping),
        drains: true,
        ..WorkerCount::running(process.wanted)
    }
}

#[async_trait]
impl Actuator for Workers {
    async fn count(
        &self,
        _: Option<&AppName>,
        roles: &[&RoleConfig],
    ) -> Answers<Option<WorkerCount>, ActuatorError> {
        let mut counts = Answers::new();
        for role in roles {
            let count = match self.coordinator.processes(role.worker.as_str().into()).await {
                Ok(Some(process)) => Ok(Some(counted(&process, role.boot, Instant::now()))),
                Ok(None) => {
                    Err(ActuatorError::fatal(format!("`{}` is not a role that we start", role.worker)))
                }
                Err(error) => Err(ActuatorError::fatal(error.to_string())),
            };
            counts.insert(role.role.clone(), count);
        }
        counts
    }

    async fn apply(&self, _: Option<&AppName>, changes: &[Change<'_>]) -> Answers<(), ActuatorError> {
        let mut answers = Answers::new();
        for change in changes {
            let applied = self.coordinator.scale(change.role.worker.as_str().into(), change.target).await;
            answers.insert(
                change.role.role.clone(),
                applied.map_err(|error| ActuatorError::fatal(error.to_string())),
            );
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use msgflo_core::Port;

    use super::*;

    fn report(id: &str, in_flight: u32, finished: usize) -> JobReport {
        let completed = serde_json::json!({"processing": 0.1, "outcome": "completed"});
        let value = serde_json::json!({"id": id, "role": "resize", "component": "ir/Resize", "queue": "resize.IN",
            "inport": "IN", "in_flight": in_flight, "completed": vec![completed; finished]});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_process_that_was_just_started_does_not_work_yet() {
        let (boot, now) = (Duration::from_secs(30), Instant::now());
        let process = ProcessStatus {
            name: "resize".to_owned(),
            command: String::new(),
            wanted: 4,
            running: 3,
            stopping: 1,
            failing: 0,
            restarts: 0,
            pids: vec![1, 2, 3],
            since: vec![now, now + boot / 2, now + boot],
            last_exit: None,
        };
        let booting = |after| counted(&process, boot, now + after).booting;
        assert_eq!(booting(boot / 2), Some(4), "one that is to be started, and three that were");
        assert_eq!((booting(boot), booting(boot * 2)), (Some(3), Some(1)));
        assert_eq!(counted(&process, boot, now).current, 4);
    }

    #[test]
    fn a_queue_is_the_one_that_was_announced() {
        let participant = |role: &str, ports: &[(&str, &str)]| {
            let mut participant = Participant::new("id", role, "my/Any");
            participant.inports =
                ports.iter().map(|(name, queue)| Port::new(*name, Some((*queue).into()))).collect();
            participant
        };
        let known = [
            participant("work", &[("in", "work/in")]),
            participant("two", &[("a", "two/a"), ("b", "two.B")]),
        ];
        let asked = |role: &str, queue: &str| {
            let role = Asked {
                role: guv::Role::new(role),
                worker: role.to_owned(),
                queues: vec![],
                deadline: Duration::ZERO,
            };
            announced(&guv::QueueName::new(queue), &role, &known).map(|queue| queue.to_string())
        };
        assert_eq!(asked("work", "work").as_deref(), Some("work/in"), "none is configured");
        assert_eq!(asked("work", "work.IN").as_deref(), Some("work/in"));
        assert_eq!(asked("other", "two.A").as_deref(), Some("two/a"), "of whichever role");
        for (role, queue) in [("work", "work/in"), ("two", "two.B"), ("two", "two"), ("work", "jobs")] {
            assert_eq!(asked(role, queue), None, "{queue}");
        }
    }

    #[test]
    fn jobs_in_hand_are_those_of_the_latest_reports() {
        let (mut jobs, now) = (Jobs::default(), Instant::now());
        let queue = QueueName::from("resize.IN");
        assert_eq!(jobs.of(&queue, now), None, "nobody reports");
        jobs.hear(report("a", 2, 0), now);
        jobs.hear(report("b", 1, 3), now);
        jobs.hear(report("a", 1, 1), now);
        assert_eq!(jobs.of(&queue, now), Some(JobReports { started: 6, finished: 4 }));
        let times = jobs.times(&queue).unwrap();
        assert!(times.jobs == 4 && (times.sum - 0.4).abs() < 1e-9, "{times:?}");
    }

    #[test]
    fn jobs_are_late_by_the_deadline_of_their_role() {
        let (mut jobs, now) = (Jobs::default(), Instant::now());
        let queue = QueueName::from("resize.IN");
        jobs.hear(report("a", 0, 1), now);
        assert_eq!(jobs.waits(&queue), None, "nobody has said when they are due");
        jobs.due_within(&queue, Duration::from_secs(2));
        let mut slow = report("a", 0, 3);
        for (job, waiting) in slow.completed.iter_mut().zip([Some(1.0), Some(1.95), None]) {
            job.waiting = waiting;
        }
        jobs.hear(slow, now);
        let waits = jobs.waits(&queue).unwrap();
        assert_eq!((waits.jobs, waits.late), (2, 1), "what has no timestamp is not judged");
        assert!((waits.sum - 2.95).abs() < 1e-9, "{waits:?}");
    }

    #[test]
    fn a_stranger_is_marked_where_its_block_begins() {
        let place = place_of("'*': {min: 1}\n'resize': {}\nmail: {}\n", "mail");
        assert_eq!((place.line, place.column, place.start, place.end), (3, 1, 27, 31));
        assert_eq!(place_of("'*': {}\n'a b': {}\n", "a b").column, 2);
        assert_eq!(place_of("{a: {}}", "a").line, 1);
    }

    #[test]
    fn who_died_with_jobs_in_hand_is_forgotten() {
        let (mut jobs, now) = (Jobs::default(), Instant::now());
        jobs.hear(report("a", 2, 1), now);
        let queue = QueueName::from("resize.IN");
        assert_eq!(jobs.of(&queue, now + SILENCE), Some(JobReports { started: 1, finished: 1 }));
    }

    #[test]
    fn who_has_no_jobs_in_hand_takes_no_memory() {
        let (mut jobs, now) = (Jobs::default(), Instant::now());
        let queue = QueueName::from("resize.IN");
        for worker in 0..1000 {
            jobs.hear(report(&worker.to_string(), 1, 0), now);
            jobs.hear(report(&worker.to_string(), 0, 1), now);
        }
        assert_eq!(jobs.of(&queue, now), Some(JobReports { started: 1000, finished: 1000 }));
        assert_eq!(jobs.queues[&queue].in_hand.len(), 0);
        jobs.hear(report("dead", 1, 0), now);
        jobs.hear(report("new", 1, 0), now + SILENCE);
        assert_eq!(jobs.queues[&queue].in_hand.len(), 1, "nor who died, though nobody asks");
    }
}
