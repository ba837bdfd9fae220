//! What can go wrong between a program and its broker.

use std::time::Duration;

use crate::QueueName;

/// Any error of a library underneath.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a broker could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be understood.
    #[error("`{url}` is no broker URL: {reason}")]
    InvalidUrl {
        /// The URL, without its password.
        url: String,
        /// What is wrong with it, and what it should look like.
        reason: String,
    },
    /// No transport speaks the URL's scheme.
    #[error("no transport speaks `{scheme}:`; known are {known}")]
    UnknownScheme {
        /// The URL's scheme.
        scheme: String,
        /// The schemes that are known.
        known: String,
    },
    /// The broker does not accept the user and password, or does not let that user into the virtual host.
    #[error("the broker at {broker} refuses the credentials: {reason}")]
    AccessRefused {
        /// The broker's URL, without its password.
        broker: String,
        /// The broker's own words.
        reason: String,
    },
    /// The broker cannot be reached, now.
    #[error("the broker at {broker} cannot be reached")]
    Unreachable {
        /// The broker's URL, without its password.
        broker: String,
        /// Why.
        source: BoxError,
    },
    /// The connection ended before the answer came.
    #[error("the connection to the broker was lost while {doing}")]
    Disconnected {
        /// What was under way.
        doing: String,
    },
    /// The answer did not come in time.
    #[error("the broker did not answer within {after:?} while {doing}")]
    Timeout {
        /// What was under way.
        doing: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// A queue, an exchange or a topic does not exist.
    #[error("there is no queue or exchange `{name}` in the broker")]
    NotFound {
        /// Its name.
        name: QueueName,
    },
    /// A queue or an exchange exists with other properties, or is somebody's own.
    #[error("`{name}` exists in the broker with other properties: {reason}")]
    Mismatch {
        /// Its name.
        name: QueueName,
        /// The broker's own words.
        reason: String,
    },
    /// The broker took the message and said that it will not keep it.
    #[error("the broker refused the message for `{name}`")]
    Refused {
        /// Where it should go.
        name: QueueName,
    },
    /// Messages wait in a queue that is to go. It goes when they have.
    #[error("messages still wait in `{name}`, which goes when they have")]
    Busy {
        /// Its name.
        name: QueueName,
    },
    /// The broker cannot do this at all.
    #[error("the broker at {broker} cannot {what}")]
    Unsupported {
        /// The broker's URL, without its password.
        broker: String,
        /// What it cannot do.
        what: String,
    },
    /// The memory of our bindings cannot be read or written.
    #[error("the ledger of bindings {path} cannot be {doing}")]
    Ledger {
        /// The file.
        path: String,
        /// `read` or `written`.
        doing: &'static str,
        /// Why.
        source: BoxError,
    },
    /// Anything else that the broker or its client library reports.
    #[error("the broker failed while {doing}")]
    Failed {
        /// What was under way.
        doing: String,
        /// Why.
        source: BoxError,
    },
}

impl Error {
    /// Whether the same may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Disconnected { .. }
                | Self::Timeout { .. }
                | Self::Refused { .. }
                | Self::Busy { .. }
        )
    }
}
