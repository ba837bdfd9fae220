//! A message: bytes, and what travels beside them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Named values beside the payload. Those that a broker makes, such as `x-death`, may be nested. Values that JSON cannot
/// hold, such as bytes that are not text, are left out.
pub type Headers = serde_json::Map<String, serde_json::Value>;

/// A point in time as a message carries it: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The header with a message's time in milliseconds. AMQP's own property has whole seconds only; RabbitMQ's
    /// message-timestamp plug-in uses this name too.
    pub const HEADER: &'static str = "timestamp_in_ms";

    /// How long ago `self` was at `now`; zero if it is in the future.
    pub fn elapsed_at(self, now: Timestamp) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A message as a participant sends or takes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// What the participant sent, byte for byte.
    pub payload: Bytes,
    /// The payload's media type, if the sender said.
    pub content_type: Option<String>,
    /// Named values.
    pub headers: Headers,
    /// When it was sent, if the sender said.
    pub timestamp: Option<Timestamp>,
    /// The W3C trace context it belongs to.
    pub traceparent: Option<String>,
    /// Whether it survives a restart of the broker. On MQTT: whether its delivery is assured (quality of service 1, not 0).
    pub persistent: bool,
    /// Whether the broker has delivered it before. Not sent.
    pub redelivered: bool,
}

impl Message {
    /// The header that carries [`Message::traceparent`].
    pub const TRACEPARENT: &'static str = "traceparent";

    /// A persistent message with nothing but a payload.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self { payload: payload.into(), persistent: true, ..Self::default() }
    }

    /// A persistent message that holds `value` as JSON.
    ///
    /// # Errors
    /// When the value cannot be JSON, such as a map whose keys are not texts.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Self> {
        let payload = serde_json::to_vec(value)?;
        Ok(Self { content_type: Some("application/json".into()), ..Self::new(payload) })
    }
}
