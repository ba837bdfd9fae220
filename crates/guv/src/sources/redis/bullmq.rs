//! BullMQ.
//!
//! Below `PREFIX:QUEUE:` are `meta` (hash; it has `paused` while the queue is), `wait` and `active` (lists of job ids;
//! the next job is the last of `wait`), `paused` (takes the place of `wait` while paused, before version 6),
//! `prioritized` (sorted set), `delayed` (sorted set; the score is 4096 × the millisecond at which the job is due),
//! and a hash for each job. Workers move due jobs themselves, so that these count as waiting here.

use std::time::Duration;

use async_trait::async_trait;
use guv_model::{QueueName, QueueSample};
use redis::cmd;

use super::Library;
use super::json;
use super::session::Session;
use crate::sources::failure::Failure;

pub(super) struct BullMq;

/// What is known of a queue before the job that waits longest is asked for.
struct Counts {
    waiting: u64,
    active: u64,
    /// The id of the next job.
    next: Option<Vec<u8>>,
}

#[async_trait]
impl Library for BullMq {
    const KIND: &'static str = "bullmq";
    const PREFIX: &'static str = "bull";

    async fn look(
        &self,
        session: &mut Session,
        prefix: &str,
        queues: &[QueueName],
        now: Duration,
    ) -> Result<Vec<Result<QueueSample, Failure>>, Failure> {
        let due = now.as_millis() * 0x1000 + 0xfff;
        let groups = queues.iter().map(|queue| {
            let command = |name: &str, key: &str| {
                let mut command = cmd(name);
                command.arg(format!("{prefix}:{queue}:{key}"));
                command
            };
            let mut paused = command("HEXISTS", "meta");
            paused.arg("paused");
            let mut late = command("ZCOUNT", "delayed");
            late.arg("-inf").arg(due.to_string());
            let mut next = command("LINDEX", "wait");
            next.arg(-1);
            vec![
                command("EXISTS", "meta"),
                paused,
                command("LLEN", "wait"),
                command("LLEN", "paused"),
                command("LLEN", "active"),
                command("ZCARD", "prioritized"),
                late,
                next,
            ]
        });
        let replies = session.ask(groups.collect()).await?;
        let counts: Vec<Result<Counts, Failure>> = replies
            .into_iter()
            .map(|mut replies| {
                let (known, paused) = (replies.flag()?, replies.flag()?);
                let (wait, held, active) = (replies.count()?, replies.count()?, replies.count()?);
                let (prioritized, late) = (replies.count()?, replies.count()?);
                let next = replies.bytes()?;
                if !known && wait + held + active + prioritized == 0 {
                    return Err(Failure::Missing);
                }
                // Before version 5 the list may end with a marker instead of a job.
                let marker = u64::from(next.as_ref().is_some_and(|id| id.starts_with(b"0:")));
                // Nobody takes jobs from a paused queue.
                let waiting = if paused { 0 } else { wait - marker.min(wait) + prioritized + late };
                Ok(Counts { waiting, active, next: next.filter(|_| !paused && marker == 0) })
            })
            .collect();

        let stamps = queues.iter().zip(&counts).map(|(queue, counts)| {
            let id = counts.as_ref().ok().and_then(|counts| counts.next.as_deref()).unwrap_or_default();
            let mut command = cmd("HGET");
            command.arg([format!("{prefix}:{queue}:").as_bytes(), id].concat()).arg("timestamp");
            vec![command]
        });
        let stamps = session.ask(stamps.collect()).await?;
        let answers = counts.into_iter().zip(stamps).map(|(counts, mut stamp)| {
            let Counts { waiting, active, next } = counts?;
            let stamp = next.and(stamp.bytes().ok().flatten()).and_then(|text| json::milliseconds(&text));
            Ok(QueueSample {
                ready: Some(waiting),
                unacknowledged: Some(active),
                oldest: stamp.map(|at| now.saturating_sub(at)),
                ..QueueSample::default()
            })
        });
        Ok(answers.collect())
    }

    fn keys(&self, prefix: &str, queue: &str) -> Vec<String> {
        ["wait", "active", "prioritized"].map(|key| format!("{prefix}:{queue}:{key}")).to_vec()
    }
}
