//! The readers of foreign bytes: the entry points of the fuzz targets.
//!
//! What must hold for any bytes: no panic, no number out of thin air (what cannot be understood is unknown or an error),
//! and times and rates that can be calculated with.

use std::time::Duration;

use guv_model::QueueSample;

use super::numbers::Numbers;
use super::rabbitmq::decode;
#[cfg(feature = "redis")]
use super::redis::json;
use super::{http, prometheus};
use crate::actuators::processes::Procfile;

const NOW: Duration = Duration::from_secs(1_800_000_000);

/// RabbitMQ's management API: a queue, and a list of them.
pub fn rabbitmq(bytes: &[u8]) {
    if let Ok(queue) = serde_json::from_slice::<decode::Queue<'_>>(bytes) {
        queue.sample(NOW);
    }
    if let Ok(decode::Queues::List(queues) | decode::Queues::Page { items: queues, .. }) =
        serde_json::from_slice(bytes)
    {
        QueueSample::sum(queues.iter().map(|queue| queue.sample(NOW)));
    }
}

/// What libraries write into Redis.
#[cfg(feature = "redis")]
pub fn redis(bytes: &[u8]) {
    let moments = [
        json::read::<json::Job>(bytes).and_then(|job| job.enqueued()),
        json::milliseconds(bytes),
        json::seconds(bytes),
        json::iso(bytes),
    ];
    for moment in moments.into_iter().flatten() {
        let _ = NOW.saturating_sub(moment);
    }
    json::read::<json::Process>(bytes);
    json::celery_route(bytes);
}

/// Numbers as queries, commands, Prometheus and applications tell them.
pub fn told(bytes: &[u8]) {
    if let Ok(numbers) = Numbers::parse(bytes) {
        let sample = numbers.into_sample();
        let rates = [sample.fill_rate, sample.drain_rate];
        assert!(rates.into_iter().flatten().all(|rate| rate.is_finite() && rate >= 0.0), "{sample:?}");
    }
    if let Ok(number) = prometheus::number(bytes)
        && let Ok(numbers) = Numbers::of(Some(number), None)
    {
        assert!(number.is_finite() && number >= 0.0);
        numbers.into_sample();
    }
    if let Ok(told) = serde_json::from_slice(bytes) {
        let _ = http::named(&told, "images");
    }
}

/// A Procfile: what is read can be looked up.
pub fn procfile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Procfile::parse(text) {
        Ok(procfile) => {
            let commands = procfile.names().map(|name| procfile.command(&name.into()));
            assert!(commands.into_iter().all(|command| command.is_some_and(|command| !command.is_empty())));
        }
        Err(errors) => assert!(errors.iter().all(|error| (1..=text.lines().count()).contains(&error.line))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts that all or most of the readers understand, to be spoilt.
    const SEEDS: [&str; 10] = [
        r#"[{"name":"q","messages_ready":3,"message_stats":{"ack_details":{"rate":4.0}},"head_message_timestamp":17}]"#,
        r#"{"items":[{"name":"q","messages_ready":18446744073709551615}],"page_count":3}"#,
        r#"{"class":"A","queue":"q","args":[1],"enqueued_at":1700000000.25}"#,
        r#"[{"body":"W10="},"celery","images"]"#,
        "2026-11-22T06:07:08.123456Z",
        "1e308",
        r#"{"ready":12,"in_flight":1.5,"oldest":1e300,"fill_rate":0.1}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1.5,"12"]}]}}"#,
        r#"[{"name":"images","value":12}]"#,
        "web: bin/web -p $PORT\n# no\nworker: bin/work\n",
    ];

    fn read_by_all(bytes: &[u8]) {
        rabbitmq(bytes);
        #[cfg(feature = "redis")]
        redis(bytes);
        told(bytes);
        procfile(bytes);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read_by_all(&bytes);
        }

        #[test]
        fn spoilt_texts(seed in 0..SEEDS.len(), spoils in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
            let mut bytes = SEEDS[seed].as_bytes().to_vec();
            read_by_all(&bytes);
            for (index, byte) in spoils {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            read_by_all(&bytes);
        }
    }
}
