//! Sidekiq.
//!
//! `queues`: set of names. `queue:NAME`: list, new jobs on the left. `paused`: set of names (Pro). `schedule` and
//! `retry`: sorted sets of jobs by the second at which they are due; a running process moves them to their queue, so
//! that those that are due count as waiting here, or nobody would ever start that process. `processes`: set of
//! identities; `IDENTITY` is a hash with `info` (JSON), `IDENTITY:work` (since 6.5; before `IDENTITY:workers`) a hash
//! of the jobs at work. Processes write these every 5 to 10 s, with the time in `beat`, and they expire after 60 s.
//!
//! So what is at work is known as of the last beat. When a queue has become empty since, its jobs may be at work though
//! no process says so yet: until each has, it is unknown.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use guv_model::{QueueName, QueueSample};
use redis::{Cmd, cmd};

use super::json::{self, Job, Process};
use super::session::{Replies, Session};
use super::{Library, below};
use crate::sources::failure::Failure;

/// How many due jobs are looked at, of scheduled ones and of retries each. More than these wake workers anyway, and
/// those move all of them.
const DUE: usize = 1000;

#[derive(Default)]
pub(super) struct Sidekiq {
    /// When each list was seen with jobs last, since the Unix epoch.
    filled: Mutex<HashMap<String, Duration>>,
}

/// What the processes work on, by queue.
#[derive(Default)]
struct Processes {
    serving: HashMap<String, u32>,
    /// The earliest last beat of those that serve a queue, since the Unix epoch.
    beats: HashMap<String, Duration>,
    /// `None` when one of the jobs could not be understood.
    working: Option<HashMap<String, u64>>,
}

#[async_trait]
impl Library for Sidekiq {
    const KIND: &'static str = "sidekiq";
    const PREFIX: &'static str = "";

    async fn look(
        &self,
        session: &mut Session,
        prefix: &str,
        queues: &[QueueName],
        now: Duration,
    ) -> Result<Vec<Result<QueueSample, Failure>>, Failure> {
        let due = |set: &str| {
            let mut command = cmd("ZRANGEBYSCORE");
            command.arg(below(prefix, set)).arg("-inf").arg(now.as_secs_f64());
            command.arg("LIMIT").arg(0).arg(DUE);
            command
        };
        let shared = vec![read("SMEMBERS", &below(prefix, "processes")), due("schedule"), due("retry")];
        let each = queues.iter().map(|queue| {
            let list = below(prefix, &format!("queue:{queue}"));
            let mut oldest = cmd("LINDEX");
            oldest.arg(&list).arg(-1);
            let member = |set: &str| {
                let mut command = cmd("SISMEMBER");
                command.arg(below(prefix, set)).arg(queue.as_str());
                command
            };
            vec![member("queues"), member("paused"), read("LLEN", &list), oldest]
        });
        let mut replies = session.ask(std::iter::once(shared).chain(each).collect()).await?.into_iter();
        let mut shared = replies.next().ok_or(Failure::Missing)?;
        let identities = shared.list()?;
        let mut due: HashMap<String, u64> = HashMap::new();
        for job in shared.list()?.into_iter().chain(shared.list()?) {
            if let Some(queue) = json::read::<Job>(&job).and_then(|job| job.queue) {
                *due.entry(queue).or_default() += 1;
            }
        }
        let processes = processes(session, prefix, &identities).await?;
        let answers = queues.iter().zip(replies).map(|(queue, mut replies)| {
            let due = due.get(queue.as_str()).copied().unwrap_or(0);
            let list = format!("{} {}", session.place(), below(prefix, queue.as_str()));
            self.sample(list, &mut replies, queue.as_str(), due, &processes, now)
        });
        Ok(answers.collect())
    }

    fn keys(&self, prefix: &str, queue: &str) -> Vec<String> {
        vec![below(prefix, &format!("queue:{queue}"))]
    }
}

fn read(command: &str, key: &str) -> Cmd {
    let mut command = cmd(command);
    command.arg(key);
    command
}

async fn processes(
    session: &mut Session,
    prefix: &str,
    identities: &[Vec<u8>],
) -> Result<Processes, Failure> {
    let of = |identity: &Vec<u8>| {
        let key = below(prefix, &String::from_utf8_lossy(identity));
        let mut info = cmd("HMGET");
        info.arg(&key).arg("info").arg("beat");
        vec![info, read("HVALS", &format!("{key}:work")), read("HVALS", &format!("{key}:workers"))]
    };
    let mut processes = Processes { working: Some(HashMap::new()), ..Processes::default() };
    for mut replies in session.ask(identities.iter().map(of).collect()).await? {
        // One that has died without a word is forgotten after a minute: only its identity is left.
        let told = replies.list()?;
        let [info, beat] = told.as_slice() else { continue };
        let beat = json::seconds(beat).unwrap_or_default();
        let info: Option<Process> = json::read(info);
        for queue in info.map(|info| info.queues).unwrap_or_default() {
            *processes.serving.entry(queue.clone()).or_default() += 1;
            let earliest = processes.beats.entry(queue).or_insert(beat);
            *earliest = beat.min(*earliest);
        }
        for job in replies.list()?.into_iter().chain(replies.list()?) {
            match json::read::<Job>(&job).and_then(|job| job.queue) {
                Some(queue) => {
                    if let Some(working) = &mut processes.working {
                        *working.entry(queue).or_default() += 1;
                    }
                }
                None => processes.working = None,
            }
        }
    }
    Ok(processes)
}

impl Sidekiq {
    fn sample(
        &self,
        list: String,
        replies: &mut Replies,
        queue: &str,
        due: u64,
        processes: &Processes,
        now: Duration,
    ) -> Result<QueueSample, Failure> {
        let (known, paused) = (replies.flag()?, replies.flag()?);
        let waiting = replies.count()?;
        let oldest = replies.bytes()?.and_then(|job| json::read::<Job>(&job)?.enqueued());
        if !known && waiting == 0 && due == 0 && !processes.serving.contains_key(queue) {
            return Err(Failure::Missing);
        }
        let working = processes.working.as_ref().map(|working| working.get(queue).copied().unwrap_or(0));
        let told = self.all_have_told(list, waiting, processes.beats.get(queue).copied(), now);
        Ok(QueueSample {
            // Nobody takes jobs from a paused queue.
            ready: Some(if paused { 0 } else { waiting + due }),
            unacknowledged: working.filter(|_| told),
            consumers: Some(processes.serving.get(queue).copied().unwrap_or(0)),
            oldest: oldest.filter(|_| !paused).map(|at| now.saturating_sub(at)),
            ..QueueSample::default()
        })
    }

    /// Whether every process has told what it works on since the list became empty.
    fn all_have_told(&self, list: String, waiting: u64, beat: Option<Duration>, now: Duration) -> bool {
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting > 0 {
            filled.insert(list, now);
            return true;
        }
        let told = match (filled.get(&list), beat) {
            (Some(filled), Some(beat)) => beat > *filled,
            _ => true,
        };
        if told {
            filled.remove(&list);
        }
        told
    }
}
