//! Transactions: publishes and acknowledgements that wait for tx.commit.
//!
//! A rollback forgets the publishes, and makes the acknowledged deliveries unacknowledged again: they are not
//! redelivered, as the protocol asks.

use std::sync::Arc;

use super::acknowledge::Verdict;
use super::channel_state::Unacked;
use super::value::Message;

/// A publish that waits.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) message: Arc<Message>,
    pub(crate) mandatory: bool,
}

/// What a channel has done since tx.select or the last commit or rollback.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) publishes: Vec<Pending>,
    pub(crate) verdicts: Vec<(u64, Unacked, Verdict)>,
}
