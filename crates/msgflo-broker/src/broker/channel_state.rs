//! A channel as a value: what it has been given and not settled, and how it publishes.

use std::collections::{BTreeMap, VecDeque};

use super::exception::Exception;
use super::queue::{ConsumerId, Entry, QueueId};
use super::transaction::Transaction;
use super::value::Name;

/// A delivery that waits for its acknowledgement.
#[derive(Debug, Clone)]
pub(crate) struct Unacked {
    pub(crate) queue: QueueId,
    pub(crate) entry: Entry,
    /// `None` when it was fetched with get.
    pub(crate) consumer: Option<ConsumerId>,
}

/// How a channel publishes and acknowledges.
#[derive(Debug)]
pub(crate) enum Mode {
    /// At once and unanswered. Left by confirm.select or tx.select, for good.
    Plain,
    /// Publishes are numbered from 1 and answered. Entered by confirm.select, never left.
    Confirm(Confirms),
    /// Publishes and acknowledgements wait for tx.commit. Entered by tx.select, never left.
    Transaction(Transaction),
}

/// A publish that is answered when an effect is safe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) tag: u64,
    pub(crate) effect: u64,
    /// Whether every queue took it.
    pub(crate) ack: bool,
}

/// The numbering of publisher confirms.
///
/// Publishes are answered in their order, so one `multiple` covers a run of them.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    /// The number of the last publish.
    pub(crate) published: u64,
    /// Everything up to here may be confirmed.
    pub(crate) settled: u64,
    /// Everything up to here has been confirmed.
    pub(crate) told: u64,
    /// Publishes after `settled`, oldest first.
    pub(crate) waiting: VecDeque<Waiting>,
}

/// A channel. See the module.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) mode: Mode,
    /// Limit of unacknowledged deliveries for each new consumer; 0 is none.
    pub(crate) consumer_prefetch: u16,
    /// Limit for all consumers together; 0 is none.
    pub(crate) prefetch: u16,
    /// Deliveries to consumers that are not settled: what `prefetch` limits.
    pub(crate) in_flight: u32,
    /// False while the client has stopped the flow.
    pub(crate) active: bool,
    pub(crate) unacked: BTreeMap<u64, Unacked>,
    pub(crate) consumers: BTreeMap<Name, ConsumerId>,
    /// What an empty queue name means.
    pub(crate) last_queue: Option<Name>,
    last_tag: u64,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            mode: Mode::Plain,
            consumer_prefetch: 0,
            prefetch: 0,
            in_flight: 0,
            active: true,
            unacked: BTreeMap::new(),
            consumers: BTreeMap::new(),
            last_queue: None,
            last_tag: 0,
        }
    }
}

impl Channel {
    /// Numbers the next delivery.
    pub(crate) fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// Whether one more unacknowledged delivery is allowed by the channel's own limit.
    pub(crate) fn has_credit(&self) -> bool {
        self.prefetch == 0 || self.in_flight < u32::from(self.prefetch)
    }

    /// Whether messages leave their queues through it, or may: it has consumers, or deliveries that are not settled.
    pub(crate) fn consumes(&self) -> bool {
        let uncommitted =
            matches!(&self.mode, Mode::Transaction(transaction) if !transaction.verdicts.is_empty());
        !self.consumers.is_empty() || !self.unacked.is_empty() || uncommitted
    }

    /// Takes out the deliveries that an acknowledgement names, oldest first: one, all up to one, or (multiple, 0) all.
    pub(crate) fn take_unacked(
        &mut self,
        tag: u64,
        multiple: bool,
    ) -> Result<Vec<(u64, Unacked)>, Exception> {
        if multiple && tag == 0 {
            return Ok(std::mem::take(&mut self.unacked).into_iter().collect());
        }
        let unknown = || Exception::precondition_failed(format_args!("unknown delivery tag {tag}"));
        if !multiple {
            return self.unacked.remove(&tag).map(|unacked| vec![(tag, unacked)]).ok_or_else(unknown);
        }
        if !self.unacked.contains_key(&tag) {
            return Err(unknown());
        }
        let later = self.unacked.split_off(&(tag + 1));
        Ok(std::mem::replace(&mut self.unacked, later).into_iter().collect())
    }
}
