//! Decisions as the events that the original reported to New Relic: `GuvScaled`.

use serde::Serialize;

use crate::Record;

/// An event. What is not known is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub struct GuvScaled {
    /// Always `GuvScaled`.
    #[serde(rename = "eventType")]
    pub event_type: &'static str,
    /// Unix seconds.
    pub timestamp: u64,
    /// The role.
    pub role: String,
    /// The application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Jobs that wait or are in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u64>,
    /// Workers after the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// Messages published per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fillrate: Option<f64>,
    /// Messages acknowledged per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drainrate: Option<f64>,
    /// Consumers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumers: Option<u32>,
}

/// The columns of the CSV form, in order.
pub const CSV_HEADER: &str = "timestamp,role,app,jobs,workers,fillrate,drainrate,consumers";

impl From<&Record> for GuvScaled {
    fn from(record: &Record) -> Self {
        let decision = &record.decision;
        let queue = &decision.inputs.observation.queue;
        Self {
            event_type: "GuvScaled",
            timestamp: record.at.as_duration().as_secs(),
            role: record.role.as_str().to_owned(),
            app: record.app.as_ref().map(|app| app.as_str().to_owned()),
            jobs: decision.estimate.map(|estimate| estimate.jobs),
            workers: decision.target.or(decision.current()),
            fillrate: queue.fill_rate,
            drainrate: queue.drain_rate,
            consumers: queue.consumers,
        }
    }
}

impl GuvScaled {
    /// A line of CSV (RFC 4180), without its end.
    pub fn csv(&self) -> String {
        let number = |value: Option<String>| value.unwrap_or_default();
        [
            self.timestamp.to_string(),
            quoted(&self.role),
            quoted(self.app.as_deref().unwrap_or_default()),
            number(self.jobs.map(|n| n.to_string())),
            number(self.workers.map(|n| n.to_string())),
            number(self.fillrate.map(|n| n.to_string())),
            number(self.drainrate.map(|n| n.to_string())),
            number(self.consumers.map(|n| n.to_string())),
        ]
        .join(",")
    }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
