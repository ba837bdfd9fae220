//! What a client of the simulation knows: its channels, consumers and unsettled deliveries.

use std::collections::BTreeMap;

use super::model::{Item, Place};
use crate::broker::{ConnectionId, Name};

/// An unsettled delivery.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) queue: &'static str,
    pub(super) generation: u64,
    pub(super) place: Place,
    pub(super) item: Item,
    /// `None` when it was fetched with get.
    pub(super) consumer: Option<Name>,
}

#[derive(Debug, Clone)]
pub(super) struct Consumer {
    pub(super) queue: &'static str,
    pub(super) no_ack: bool,
    pub(super) prefetch: u16,
}

/// What a commit will do.
#[derive(Debug, Default, Clone)]
pub(super) struct Transaction {
    /// Queue, message, priority.
    pub(super) publishes: Vec<(&'static str, u64, u8)>,
    pub(super) verdicts: Vec<(u64, Held, Verdict)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Ack,
    Requeue,
    Reject,
}

#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) flowing: bool,
    pub(super) prefetch: u16,
    /// What was out when the limit was last changed.
    pub(super) most_allowed: usize,
    pub(super) consumer_prefetch: u16,
    pub(super) consumers: BTreeMap<Name, Consumer>,
    pub(super) held: BTreeMap<u64, Held>,
    pub(super) last_tag: u64,
    /// Publishes on a confirming channel, and how many are confirmed.
    pub(super) confirms: Option<(u64, u64)>,
    pub(super) transaction: Option<Transaction>,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            flowing: true,
            prefetch: 0,
            most_allowed: 0,
            consumer_prefetch: 0,
            consumers: BTreeMap::new(),
            held: BTreeMap::new(),
            last_tag: 0,
            confirms: None,
            transaction: None,
        }
    }
}

impl Channel {
    /// Deliveries to a consumer that are not settled; those in an open transaction are not, either.
    pub(super) fn unsettled(&self, consumer: Option<&Name>) -> usize {
        let pending =
            self.transaction.iter().flat_map(|transaction| &transaction.verdicts).map(|(_, held, _)| held);
        self.held
            .values()
            .chain(pending)
            .filter(|held| match consumer {
                Some(tag) => held.consumer.as_ref() == Some(tag),
                None => held.consumer.is_some(),
            })
            .count()
    }

    /// Whether a consumer could be given one more message.
    pub(super) fn has_credit(&self, tag: &Name, consumer: &Consumer) -> bool {
        self.flowing
            && (consumer.no_ack
                || ((self.prefetch == 0 || self.unsettled(None) < usize::from(self.prefetch))
                    && (consumer.prefetch == 0
                        || self.unsettled(Some(tag)) < usize::from(consumer.prefetch))))
    }
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: ConnectionId,
    pub(super) channels: BTreeMap<u16, Channel>,
}
