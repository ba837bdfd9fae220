//! What Prometheus reads: the sums at `/metrics`, and each queue by itself at `/metrics/per-object`.
//!
//! Format: the text format 0.0.4 of Prometheus. The names are those of RabbitMQ's plugin `rabbitmq_prometheus`, so that its
//! dashboards and alerts read us, too.

use std::fmt::Write;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::{Context, User};
use crate::broker::QueueInfo;

type Value = fn(&QueueInfo) -> u64;

/// What is told of queues: name, kind, what it is, and how it is read off.
const QUEUES: [(&str, &str, &str, Value); 8] = [
    ("rabbitmq_queue_messages_ready", "gauge", "Messages that wait for a consumer", |queue| queue.ready),
    ("rabbitmq_queue_messages_unacked", "gauge", "Messages delivered and not yet acknowledged", |queue| {
        queue.unacknowledged
    }),
    ("rabbitmq_queue_messages", "gauge", "Messages that wait or are not yet acknowledged", |queue| {
        queue.ready + queue.unacknowledged
    }),
    ("rabbitmq_queue_messages_ready_bytes", "gauge", "Body bytes of the messages that wait", |queue| {
        queue.ready_bytes
    }),
    ("rabbitmq_queue_consumers", "gauge", "Consumers of a queue", |queue| queue.consumers.into()),
    ("rabbitmq_queue_messages_published_total", "counter", "Messages that entered a queue", |queue| {
        queue.published
    }),
    ("msgflo_queue_messages_delivered_total", "counter", "Deliveries, repeated ones included", |queue| {
        queue.delivered
    }),
    (
        "msgflo_queue_messages_dropped_total",
        "counter",
        "Messages that expired, were rejected, purged or pushed out",
        |queue| queue.dropped,
    ),
];

/// The sums over all queues, and what there is of one.
pub(super) async fn totals(State(management): Context) -> impl IntoResponse {
    let (queues, mut text) = overview(&management);
    for (name, kind, help, value) in QUEUES {
        describe(&mut text, name, kind, help);
        sample(&mut text, name, queues.iter().map(value).sum());
    }
    answer(text)
}

/// The same, queue by queue, of those that the user may see.
pub(super) async fn per_object(State(management): Context, Extension(caller): User) -> impl IntoResponse {
    let (queues, mut text) = overview(&management);
    let queues = management.visible(&caller, queues);
    for (name, kind, help, value) in QUEUES {
        describe(&mut text, name, kind, help);
        for queue in &queues {
            let (vhost, of) = (escaped(&queue.vhost), escaped(&queue.name));
            sample(&mut text, &format!("{name}{{vhost=\"{vhost}\",queue=\"{of}\"}}"), value(queue));
        }
    }
    answer(text)
}

/// The queues, and what concerns the whole broker.
fn overview(management: &super::Management) -> (Vec<QueueInfo>, String) {
    let (queues, gauges) = management.shared.with(|broker, _| {
        let queues = broker.queue_infos();
        let alarms = broker.alarms();
        let gauges = [
            ("rabbitmq_connections", "Connections open", broker.survey_connections().len() as u64),
            ("rabbitmq_channels", "Channels open", broker.survey_channels().len() as u64),
            ("rabbitmq_queues", "Queues", queues.len() as u64),
            ("rabbitmq_consumers", "Consumers", queues.iter().map(|queue| u64::from(queue.consumers)).sum()),
            (
                "rabbitmq_alarms_memory_used_watermark",
                "1 while publishers wait for memory",
                alarms.memory.is_any().into(),
            ),
            (
                "rabbitmq_alarms_free_disk_space_watermark",
                "1 while publishers wait for the disk",
                alarms.disk.is_any().into(),
            ),
            ("msgflo_messages_memory_bytes", "Memory that messages occupy", broker.memory_used() as u64),
            (
                "msgflo_messages_memory_limit_bytes",
                "The memory that messages may occupy",
                broker.memory_limit() as u64,
            ),
        ];
        (queues, gauges)
    });
    let mut text = String::new();
    for (name, help, value) in gauges {
        describe(&mut text, name, "gauge", help);
        sample(&mut text, name, value);
    }
    (queues, text)
}

// Writing to a String cannot fail.

fn describe(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}");
}

fn sample(text: &mut String, name: &str, value: u64) {
    let _ = writeln!(text, "{name} {value}");
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn answer(text: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
