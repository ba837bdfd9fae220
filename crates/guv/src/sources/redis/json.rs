//! What the libraries write into Redis, read tolerantly: it comes from foreign applications.
//!
//! Everything here takes bytes and gives what could be understood; nothing fails.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The longest text that is read; jobs with larger arguments keep their age to themselves.
const LONGEST: usize = 1 << 20;

/// A JSON text as `T`; `None` when it is none.
pub(in crate::sources) fn read<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    if text.len() > LONGEST {
        return None;
    }
    serde_json::from_slice(text).ok()
}

/// What Sidekiq and Resque tell of a job, and of a worker's job: both name the queue.
#[derive(Debug, Deserialize)]
pub(in crate::sources) struct Job {
    /// The queue.
    pub(super) queue: Option<String>,
    /// Sidekiq: when it was put into the queue, in seconds, since version 8 in milliseconds.
    enqueued_at: Option<f64>,
}

impl Job {
    /// When the job was put into its queue, since the Unix epoch.
    pub(in crate::sources) fn enqueued(&self) -> Option<Duration> {
        // In seconds that is the year 5138, in milliseconds 1973: nobody's queue is that old or new.
        const MILLISECONDS: f64 = 1e11;
        let at = self.enqueued_at?;
        Duration::try_from_secs_f64(if at > MILLISECONDS { at / 1000.0 } else { at }).ok()
    }
}

/// What a Sidekiq process tells of itself.
#[derive(Debug, Deserialize)]
pub(in crate::sources) struct Process {
    /// The queues that it takes jobs from.
    #[serde(default)]
    pub(super) queues: Vec<String>,
}

/// The queue key of a Celery message that a worker holds: `[message, exchange, routing key]`.
pub(in crate::sources) fn celery_route(text: &[u8]) -> Option<(String, String)> {
    let (_message, exchange, routing_key): (serde::de::IgnoredAny, Option<String>, String) = read(text)?;
    Some((exchange.unwrap_or_default(), routing_key))
}

/// A number of seconds since the Unix epoch, as Sidekiq's processes write it.
pub(in crate::sources) fn seconds(text: &[u8]) -> Option<Duration> {
    Duration::try_from_secs_f64(std::str::from_utf8(text).ok()?.parse().ok()?).ok()
}

/// A whole number of milliseconds since the Unix epoch, as BullMQ writes it.
pub(in crate::sources) fn milliseconds(text: &[u8]) -> Option<Duration> {
    std::str::from_utf8(text).ok()?.parse().ok().map(Duration::from_millis)
}

/// A moment as RQ writes it, `2026-11-22T06:07:08.123456Z`, since the Unix epoch.
pub(in crate::sources) fn iso(text: &[u8]) -> Option<Duration> {
    let moment: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    moment.duration_since(jiff::Timestamp::UNIX_EPOCH).try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_all_libraries() {
        let enqueued = |text: &str| read::<Job>(text.as_bytes()).and_then(|job| job.enqueued());
        let seconds = Duration::from_millis(1_700_000_000_250);
        assert_eq!(enqueued(r#"{"queue":"q","enqueued_at":1700000000.25,"args":[]}"#), Some(seconds));
        assert_eq!(enqueued(r#"{"queue":"q","enqueued_at":1700000000250}"#), Some(seconds));
        assert_eq!(enqueued(r#"{"class":"A","args":[]}"#), None);
        assert_eq!(enqueued(r#"{"enqueued_at":-1}"#), None);
        assert_eq!(enqueued("no JSON"), None);
        assert_eq!(milliseconds(b"1700000000250"), Some(seconds));
        assert_eq!(super::seconds(b"1700000000.25"), Some(seconds));
        assert_eq!(super::seconds(b"NaN"), None);
        assert_eq!(milliseconds(b"-1"), None);
        assert_eq!(iso(b"2023-11-14T22:13:20.250000Z"), Some(seconds));
        assert_eq!(iso(b"yesterday"), None);
    }

    #[test]
    fn the_route_of_a_held_message() {
        let text = br#"[{"body": "W10=", "properties": {"priority": 0}}, "celery", "images"]"#;
        assert_eq!(celery_route(text), Some(("celery".to_owned(), "images".to_owned())));
        assert_eq!(celery_route(br#"[{}, null, "q"]"#), Some((String::new(), "q".to_owned())));
        assert_eq!(celery_route(b"[1]"), None);
    }
}
