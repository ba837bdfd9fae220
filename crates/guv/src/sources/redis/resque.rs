//! Resque.
//!
//! `queues`: set of names. `queue:NAME`: list, new jobs on the right. `workers`: set of `HOST:PID:QUEUE,QUEUE`;
//! `worker:THAT` holds JSON with the `queue` while it works on a job, and nothing else. With resque-scheduler:
//! `delayed_queue_schedule`: sorted set of seconds; `delayed:SECOND`: list of jobs. Jobs tell no time of theirs, so
//! that the oldest one's age is not known.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use guv_model::{QueueName, QueueSample};
use redis::{Cmd, cmd};

use super::json::{self, Job};
use super::session::Session;
use super::{Library, below};
use crate::sources::failure::Failure;

/// How many seconds with due jobs are looked at, and how many jobs of each: the scheduler moves them within seconds.
const DUE: (usize, isize) = (100, 1000);

pub(super) struct Resque;

#[async_trait]
impl Library for Resque {
    const KIND: &'static str = "resque";
    const PREFIX: &'static str = "resque";

    async fn look(
        &self,
        session: &mut Session,
        prefix: &str,
        queues: &[QueueName],
        now: Duration,
    ) -> Result<Vec<Result<QueueSample, Failure>>, Failure> {
        let mut due = cmd("ZRANGEBYSCORE");
        due.arg(below(prefix, "delayed_queue_schedule")).arg("-inf").arg(now.as_secs());
        due.arg("LIMIT").arg(0).arg(DUE.0);
        let shared = vec![read("SMEMBERS", &below(prefix, "workers")), due];
        let each = queues.iter().map(|queue| {
            let mut member = cmd("SISMEMBER");
            member.arg(below(prefix, "queues")).arg(queue.as_str());
            vec![member, read("LLEN", &below(prefix, &format!("queue:{queue}")))]
        });
        let mut replies = session.ask(std::iter::once(shared).chain(each).collect()).await?.into_iter();
        let mut shared = replies.next().ok_or(Failure::Missing)?;
        let (workers, seconds) = (strings(shared.list()?), strings(shared.list()?));

        let worker = |id: &String| vec![read("GET", &below(prefix, &format!("worker:{id}")))];
        let delayed = |second: &String| {
            let mut command = cmd("LRANGE");
            command.arg(below(prefix, &format!("delayed:{second}"))).arg(0).arg(DUE.1 - 1);
            vec![command]
        };
        let groups = workers.iter().map(worker).chain(seconds.iter().map(delayed)).collect();
        let mut work = session.ask(groups).await?;
        let late = work.split_off(workers.len());
        let working =
            by_queue(work.into_iter().map(|mut replies| replies.bytes()).collect::<Result<Vec<_>, _>>()?);
        let late = late.into_iter().map(|mut replies| replies.list()).collect::<Result<Vec<_>, _>>()?;
        let late = by_queue(late.into_iter().flatten().map(Some).collect()).unwrap_or_default();

        let answers = queues.iter().zip(replies).map(|(queue, mut replies)| {
            let (known, waiting) = (replies.flag()?, replies.count()?);
            let late = late.get(queue.as_str()).copied().unwrap_or(0);
            let serving = workers.iter().filter(|id| serves(id, queue.as_str())).count();
            if !known && waiting == 0 && late == 0 {
                return Err(Failure::Missing);
            }
            Ok(QueueSample {
                ready: Some(waiting + late),
                unacknowledged: working
                    .as_ref()
                    .map(|working| working.get(queue.as_str()).copied().unwrap_or(0)),
                consumers: u32::try_from(serving).ok(),
                ..QueueSample::default()
            })
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

fn strings(items: Vec<Vec<u8>>) -> Vec<String> {
    items.into_iter().map(|item| String::from_utf8_lossy(&item).into_owned()).collect()
}

/// How many of these jobs are of each queue; `None` when one of them cannot be understood.
fn by_queue(jobs: Vec<Option<Vec<u8>>>) -> Option<HashMap<String, u64>> {
    let mut counts = HashMap::new();
    for job in jobs.into_iter().flatten() {
        *counts.entry(json::read::<Job>(&job)?.queue?).or_default() += 1;
    }
    Some(counts)
}

/// Whether a worker takes jobs from a queue. Its list may have patterns with `*`, and names after `!` that are left out.
fn serves(id: &str, queue: &str) -> bool {
    let list = id.splitn(3, ':').nth(2).unwrap_or_default();
    let (mut serves, mut excluded) = (false, false);
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) => excluded |= fits(pattern, queue),
            None => serves |= fits(pattern, queue),
        }
    }
    serves && !excluded
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| &rest[at..]).chain([""]).any(|rest| fits(tail, rest))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_of_a_worker() {
        assert!(serves("host:42:high,low", "low"));
        assert!(!serves("host:42:high,low", "lower"));
        assert!(serves("host:42:*", "any"));
        assert!(serves("host:42:img_*,!img_slow", "img_fast"));
        assert!(!serves("host:42:img_*,!img_slow", "img_slow"));
        assert!(serves("host:42:*_a*z", "q_abcz"));
        assert!(!serves("host:42", "q"));
    }
}
