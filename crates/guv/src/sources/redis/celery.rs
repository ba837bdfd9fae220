//! Celery, with Redis as its broker (kombu's virtual transport).
//!
//! A queue is a list for each step of priority: `QUEUE`, and `QUEUE\x06\x16STEP` for the steps 3, 6 and 9. What
//! workers hold, prefetched tasks and those with an ETA included, is in the hash `unacked`, all queues together, each
//! as `[message, exchange, routing key]`; the set `_kombu.binding.EXCHANGE` tells the queue of a routing key. Messages
//! tell no time, so that the oldest one's age is not known. An empty queue cannot be told from one that is not there.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use guv_model::{QueueName, QueueSample};
use redis::cmd;

use super::Library;
use super::json;
use super::session::Session;
use crate::sources::failure::Failure;

/// The separator in names of keys and bindings.
const SEPARATOR: &str = "\x06\x16";
/// The steps of priority but the first, which has no suffix.
const STEPS: [&str; 3] = ["3", "6", "9"];
/// Held messages are read only if they are no more than these: they come with their bodies.
const HELD: u64 = 1_000;

pub(super) struct Celery;

#[async_trait]
impl Library for Celery {
    const KIND: &'static str = "celery";
    const PREFIX: &'static str = "";

    async fn look(
        &self,
        session: &mut Session,
        prefix: &str,
        queues: &[QueueName],
        _now: Duration,
    ) -> Result<Vec<Result<QueueSample, Failure>>, Failure> {
        let mut held = cmd("HLEN");
        held.arg(format!("{prefix}unacked"));
        let each = queues.iter().map(|queue| {
            let length = |key: String| {
                let mut command = cmd("LLEN");
                command.arg(key);
                command
            };
            lists(prefix, queue.as_str()).into_iter().map(length).collect()
        });
        let mut replies = session.ask(std::iter::once(vec![held]).chain(each).collect()).await?.into_iter();
        let held = replies.next().ok_or(Failure::Missing)?.count()?;
        let held = match held {
            0 => Some(HashMap::new()),
            1..=HELD => by_queue(session, prefix).await?,
            _ => None,
        };
        let answers = queues.iter().zip(replies).map(|(queue, mut replies)| {
            let mut ready = replies.count()?;
            for _ in STEPS {
                ready += replies.count()?;
            }
            Ok(QueueSample {
                ready: Some(ready),
                unacknowledged: held.as_ref().map(|held| held.get(queue.as_str()).copied().unwrap_or(0)),
                ..QueueSample::default()
            })
        });
        Ok(answers.collect())
    }

    fn keys(&self, prefix: &str, queue: &str) -> Vec<String> {
        lists(prefix, queue)
    }
}

fn lists(prefix: &str, queue: &str) -> Vec<String> {
    let first = format!("{prefix}{queue}");
    let steps = STEPS.map(|step| format!("{first}{SEPARATOR}{step}"));
    std::iter::once(first).chain(steps).collect()
}

/// How many messages of each queue are held; `None` when one of them cannot be understood.
async fn by_queue(session: &mut Session, prefix: &str) -> Result<Option<HashMap<String, u64>>, Failure> {
    let mut held = cmd("HVALS");
    held.arg(format!("{prefix}unacked"));
    let mut replies = session.ask(vec![vec![held]]).await?;
    let held = replies.pop().ok_or(Failure::Missing)?.list()?;
    let routes: Option<Vec<_>> = held.iter().map(|message| json::celery_route(message)).collect();
    let Some(routes) = routes else { return Ok(None) };

    let exchanges: BTreeSet<_> = routes.iter().map(|(exchange, _)| exchange.clone()).collect();
    let bindings = exchanges.iter().map(|exchange| {
        let mut command = cmd("SMEMBERS");
        command.arg(format!("{prefix}_kombu.binding.{exchange}"));
        vec![command]
    });
    let replies = session.ask(bindings.collect()).await?;
    let mut queues: HashMap<(&str, String), String> = HashMap::new();
    for (exchange, mut replies) in exchanges.iter().zip(replies) {
        for binding in replies.list()? {
            let binding = String::from_utf8_lossy(&binding);
            let mut parts = binding.split(SEPARATOR);
            if let (Some(key), Some(_pattern), Some(queue)) = (parts.next(), parts.next(), parts.next()) {
                queues.insert((exchange, key.to_owned()), queue.to_owned());
            }
        }
    }
    let mut counts = HashMap::new();
    for (exchange, key) in &routes {
        let queue = queues.get(&(exchange.as_str(), key.clone())).unwrap_or(key);
        *counts.entry(queue.clone()).or_default() += 1;
    }
    Ok(Some(counts))
}
