//! What Prometheus reads. Labelled by application and role, never by message or queue.
//!
//! Format: the text format 0.0.4 of Prometheus.

use std::fmt::Write;

use super::apps::Governed;
use crate::Record;

type Value = fn(&Record) -> Option<f64>;

/// Each metric: its name, what it is, and how it is read off a record. What is not known has no sample.
const METRICS: [(&str, &str, Value); 10] = [
    ("guv_ready_messages", "Messages that wait.", |r| queue(r).ready.map(|n| n as f64)),
    ("guv_in_flight_jobs", "Jobs in flight, or the most that there can be.", |r| {
        r.decision.inputs.in_flight.jobs().map(|n| n as f64)
    }),
    ("guv_oldest_message_seconds", "How long the oldest message has waited.", |r| {
        queue(r).oldest.map(|age| age.as_secs_f64())
    }),
    ("guv_fill_rate_per_second", "Messages published per second.", |r| queue(r).fill_rate),
    ("guv_drain_rate_per_second", "Messages acknowledged per second.", |r| queue(r).drain_rate),
    ("guv_consumers", "Consumers of the queue.", |r| queue(r).consumers.map(f64::from)),
    ("guv_workers", "Workers.", |r| r.decision.current().map(f64::from)),
    ("guv_target_workers", "Workers that are asked for.", |r| {
        r.decision.target.or(r.decision.current()).map(f64::from)
    }),
    ("guv_needed_workers", "Workers that the jobs need, before any limit.", |r| {
        r.decision.estimate.map(|estimate| estimate.needed as f64)
    }),
    ("guv_role_failing", "1 when the role could not be governed in the last round.", |r| {
        Some(f64::from(u8::from(r.outcome.error().is_some())))
    }),
];

fn queue(record: &Record) -> &guv_model::QueueSample {
    &record.decision.inputs.observation.queue
}

pub(super) fn render(apps: &[(String, Governed)]) -> String {
    let snapshots: Vec<_> = apps.iter().map(|(id, app)| (id, app.handle.snapshot())).collect();
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (name, help, value) in METRICS {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (app, snapshot) in &snapshots {
            for record in &snapshot.roles {
                if let Some(value) = value(record) {
                    let (app, role) = (escaped(app), escaped(record.role.as_str()));
                    let _ = writeln!(text, "{name}{{app=\"{app}\",role=\"{role}\"}} {value}");
                }
            }
        }
    }
    let _ = writeln!(text, "# HELP guv_cycles_total Polls completed.\n# TYPE guv_cycles_total counter");
    for (app, snapshot) in &snapshots {
        let _ = writeln!(text, "guv_cycles_total{{app=\"{}\"}} {}", escaped(app), snapshot.cycle);
    }
    text
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
