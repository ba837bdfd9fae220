//! Telling others: statuspage.io, New Relic, OpenTelemetry, a webhook.
//!
//! A reporter is a [`Recorder`](crate::Recorder) that never makes a round wait: it puts what is to be told into a
//! bounded queue, and a task of its own sends it. When the queue is full what is newest is dropped, and said once.

mod alert;
mod new_relic;
mod open_telemetry;
mod outbox;
mod status_page;
mod webhook;

pub use alert::{Alert, alerts};
pub use new_relic::NewRelic;
pub use open_telemetry::OpenTelemetry;
pub use status_page::StatusPage;
pub use webhook::Webhook;
