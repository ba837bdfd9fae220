//! Acknowledgements: basic.ack, nack, reject and recover.

use amq_protocol::protocol::{AMQPClass, basic};

use super::channel_state::{Mode, Unacked};
use super::dead_letter::Reason;
use super::{At, Broker, Exception};

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Done with.
    Ack,
    /// Back to its place in the queue.
    Requeue,
    /// Dropped, or dead-lettered.
    Reject,
}

impl Verdict {
    pub(super) fn refusal(requeue: bool) -> Self {
        if requeue { Self::Requeue } else { Self::Reject }
    }
}

impl Broker {
    /// Settles deliveries; in a transaction, notes that they are to be settled.
    pub(super) fn acknowledge(
        &mut self,
        at: At,
        tag: u64,
        multiple: bool,
        verdict: Verdict,
    ) -> Result<(), Exception> {
        let channel = self.open_channel(at)?;
        let deliveries = channel.take_unacked(tag, multiple)?;
        if let Mode::Transaction(transaction) = &mut channel.mode {
            transaction.verdicts.extend(deliveries.into_iter().map(|(tag, unacked)| (tag, unacked, verdict)));
            return Ok(());
        }
        self.apply(at, deliveries.into_iter().map(|(_, unacked)| unacked).collect(), verdict);
        Ok(())
    }

    /// Settles deliveries, oldest first.
    pub(super) fn apply(&mut self, at: At, deliveries: Vec<Unacked>, verdict: Verdict) {
        match verdict {
            Verdict::Requeue => self.requeue(at, deliveries),
            Verdict::Ack | Verdict::Reject => {
                for unacked in deliveries {
                    self.release_credit(at, &unacked);
                    let Some(queue) = self.queues.get_mut(unacked.queue.0) else {
                        self.forget(&unacked.entry);
                        continue;
                    };
                    queue.unacknowledged -= 1;
                    if verdict == Verdict::Ack {
                        queue.counters.acknowledged += 1;
                        self.touch(unacked.queue);
                        self.forget(&unacked.entry);
                    } else {
                        self.drop_entry(unacked.queue, unacked.entry, Reason::Rejected);
                    }
                }
            }
        }
        self.wake(at);
    }

    /// Requeues everything that the channel has not settled.
    pub(super) fn recover(&mut self, at: At, requeue: bool, answer: bool) -> Result<(), Exception> {
        if !requeue {
            return Err(Exception::not_implemented("requeue=false"));
        }
        let deliveries = std::mem::take(&mut self.open_channel(at)?.unacked);
        self.requeue(at, deliveries.into_values().collect());
        self.wake(at);
        if answer {
            self.reply(at, AMQPClass::Basic(basic::AMQPMethod::RecoverOk(basic::RecoverOk {})));
        }
        Ok(())
    }
}
