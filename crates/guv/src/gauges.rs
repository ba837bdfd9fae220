//! The numbers of a role that are measured over and over: what Prometheus reads, and what OpenTelemetry gets.

use crate::Record;

/// One such number.
pub(crate) struct Gauge {
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) help: &'static str,
    /// How it is read off a record. What is not known is left out.
    pub(crate) value: fn(&Record) -> Option<f64>,
}

/// All of them.
pub(crate) const GAUGES: [Gauge; 10] = [
    Gauge {
        name: "guv_ready_messages",
        help: "Messages that wait.",
        value: |r| queue(r).ready.map(|n| n as f64),
    },
    Gauge {
        name: "guv_in_flight_jobs",
        help: "Jobs in flight, or the most that there can be.",
        value: |r| r.decision.inputs.in_flight.jobs().map(|n| n as f64),
    },
    Gauge {
        name: "guv_oldest_message_seconds",
        help: "How long the oldest message has waited.",
        value: |r| queue(r).oldest.map(|age| age.as_secs_f64()),
    },
    Gauge {
        name: "guv_fill_rate_per_second",
        help: "Messages published per second.",
        value: |r| queue(r).fill_rate,
    },
    Gauge {
        name: "guv_drain_rate_per_second",
        help: "Messages acknowledged per second.",
        value: |r| queue(r).drain_rate,
    },
    Gauge {
        name: "guv_consumers",
        help: "Consumers of the queue.",
        value: |r| queue(r).consumers.map(f64::from),
    },
    Gauge {
        name: "guv_workers",
        help: "Workers; where the platform tells, without those that are not up.",
        value: |r| {
            let workers = r.decision.inputs.observation.workers?;
            Some(f64::from(workers.current.saturating_sub(workers.booting.unwrap_or(0))))
        },
    },
    Gauge {
        name: "guv_target_workers",
        help: "Workers that are asked for.",
        value: |r| r.decision.target.or(r.decision.current()).map(f64::from),
    },
    Gauge {
        name: "guv_needed_workers",
        help: "Workers that the jobs need, before any limit.",
        value: |r| r.decision.estimate.map(|estimate| estimate.needed as f64),
    },
    Gauge {
        name: "guv_role_failing",
        help: "1 when the role could not be governed in the last round, or its workers do not stay up.",
        value: |r| Some(f64::from(u8::from(r.outcome.error().is_some()))),
    },
];

fn queue(record: &Record) -> &guv_model::QueueSample {
    &record.decision.inputs.observation.queue
}
