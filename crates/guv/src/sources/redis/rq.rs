//! RQ.
//!
//! `rq:queues`: set of the queues' keys. `rq:queue:NAME`: list of job ids, the next one first;
//! `rq:queue:NAME:intermediate`: those that a worker takes just now. `rq:wip:NAME`: sorted set of running jobs.
//! `rq:scheduled:NAME`: sorted set of jobs by the second at which they are due, moved by a worker with a scheduler.
//! `rq:workers:NAME`: set. `rq:job:ID`: hash with `enqueued_at`.

use std::time::Duration;

use async_trait::async_trait;
use guv_model::{QueueName, QueueSample};
use redis::cmd;

use super::Library;
use super::json;
use super::session::Session;
use crate::sources::failure::Failure;

pub(super) struct Rq;

/// What is known of a queue before the job that waits longest is asked for.
struct Counts {
    waiting: u64,
    running: u64,
    workers: u32,
    first: Option<Vec<u8>>,
}

#[async_trait]
impl Library for Rq {
    const KIND: &'static str = "rq";
    const PREFIX: &'static str = "rq";

    async fn look(
        &self,
        session: &mut Session,
        prefix: &str,
        queues: &[QueueName],
        now: Duration,
    ) -> Result<Vec<Result<QueueSample, Failure>>, Failure> {
        let groups = queues.iter().map(|queue| {
            let command = |name: &str, key: &str| {
                let mut command = cmd(name);
                command.arg(format!("{prefix}:{key}"));
                command
            };
            let list = format!("queue:{queue}");
            let mut known = command("SISMEMBER", "queues");
            known.arg(format!("{prefix}:{list}"));
            let mut first = command("LINDEX", &list);
            first.arg(0);
            let mut due = command("ZCOUNT", &format!("scheduled:{queue}"));
            due.arg("-inf").arg(now.as_secs());
            vec![
                known,
                command("LLEN", &list),
                due,
                command("LLEN", &format!("{list}:intermediate")),
                command("ZCARD", &format!("wip:{queue}")),
                command("SCARD", &format!("workers:{queue}")),
                first,
            ]
        });
        let replies = session.ask(groups.collect()).await?;
        let counts: Vec<Result<Counts, Failure>> = replies
            .into_iter()
            .map(|mut replies| {
                let known = replies.flag()?;
                let waiting = replies.count()? + replies.count()?;
                let running = replies.count()? + replies.count()?;
                let workers = u32::try_from(replies.count()?).unwrap_or(u32::MAX);
                if !known && waiting + running == 0 && workers == 0 {
                    return Err(Failure::Missing);
                }
                Ok(Counts { waiting, running, workers, first: replies.bytes()? })
            })
            .collect();

        let stamps = counts.iter().map(|counts| {
            let id = counts.as_ref().ok().and_then(|counts| counts.first.as_deref()).unwrap_or_default();
            let mut command = cmd("HGET");
            command.arg([format!("{prefix}:job:").as_bytes(), id].concat()).arg("enqueued_at");
            vec![command]
        });
        let stamps = session.ask(stamps.collect()).await?;
        let answers = counts.into_iter().zip(stamps).map(|(counts, mut stamp)| {
            let Counts { waiting, running, workers, first } = counts?;
            let stamp = first.and(stamp.bytes().ok().flatten()).and_then(|text| json::iso(&text));
            Ok(QueueSample {
                ready: Some(waiting),
                unacknowledged: Some(running),
                consumers: Some(workers),
                oldest: stamp.map(|at| now.saturating_sub(at)),
                ..QueueSample::default()
            })
        });
        Ok(answers.collect())
    }

    fn keys(&self, prefix: &str, queue: &str) -> Vec<String> {
        vec![format!("{prefix}:queue:{queue}"), format!("{prefix}:wip:{queue}")]
    }
}
