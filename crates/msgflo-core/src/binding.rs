//! A connection between an outport and an inport, as it is made in the broker.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::QueueName;

/// A connection that lives in the broker.
///
/// `source` is what an outport sends to (an exchange on AMQP, a topic on MQTT), `target` what an inport takes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Binding {
    /// Every message of the source goes to the target's queue; who consumes from that queue competes for them.
    PubSub {
        /// The outport's exchange or topic.
        source: QueueName,
        /// The inport's queue or topic.
        target: QueueName,
    },
    /// Every message of the source goes to every instance behind the target, each of which has a queue of its own
    /// bound to the exchange `target`. On MQTT the same as [`Binding::PubSub`].
    Broadcast {
        /// The outport's exchange or topic.
        source: QueueName,
        /// The inport's exchange or topic.
        target: QueueName,
    },
    /// As [`Binding::PubSub`], but by way of a direct exchange, and what the target's consumers refuse goes to the deadletter
    /// queue.
    RoundRobin {
        /// The outport's exchange.
        source: QueueName,
        /// The inport's queue.
        target: QueueName,
        /// Where refused messages go.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadletter: Option<QueueName>,
        /// How they are tried again before they go there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry: Option<Retry>,
    },
}

/// How a message that was refused is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Retry {
    /// How long it waits before it goes to the target's consumers again. Milliseconds count.
    pub delay: Duration,
    /// How often, at most [`MOST`](Self::MOST). What is refused after that goes to the deadletter queue.
    pub times: u8,
}

impl Retry {
    /// The most times that a message is tried again.
    pub const MOST: u8 = 32;
}

impl Binding {
    /// What an outport sends to.
    pub fn source(&self) -> &QueueName {
        match self {
            Self::PubSub { source, .. }
            | Self::Broadcast { source, .. }
            | Self::RoundRobin { source, .. } => source,
        }
    }

    /// What an inport takes from.
    pub fn target(&self) -> &QueueName {
        match self {
            Self::PubSub { target, .. }
            | Self::Broadcast { target, .. }
            | Self::RoundRobin { target, .. } => target,
        }
    }

    /// Everything of participants that it is made of: its source, its target, and its deadletter queue.
    pub fn queues(&self) -> impl Iterator<Item = &QueueName> {
        let deadletter = match self {
            Self::RoundRobin { deadletter, .. } => deadletter.as_ref(),
            Self::PubSub { .. } | Self::Broadcast { .. } => None,
        };
        [self.source(), self.target()].into_iter().chain(deadletter)
    }
}

/// As `source -> target`.
impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.source(), self.target())
    }
}
