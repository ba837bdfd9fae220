//! The methods of the classes channel, confirm, tx, access and basic (but for publish).

use amq_protocol::protocol::{AMQPClass, access, basic, channel, confirm, tx};

use super::acknowledge::Verdict;
use super::channel_state::{Confirms, Mode, Unacked};
use super::connection::ChannelState;
use super::transaction::Transaction;
use super::value::Output;
use super::{At, Broker, Exception};

impl Broker {
    pub(super) fn channel_method(&mut self, at: At, method: channel::AMQPMethod) -> Result<(), Exception> {
        use channel::AMQPMethod;
        let Some(connection) = self.connections.get_mut(&at.connection) else {
            return Ok(());
        };
        let closing = matches!(connection.channels.get(&at.channel), Some(ChannelState::Closing));
        match method {
            AMQPMethod::Open(_) if !closing => {
                if connection.channels.contains_key(&at.channel) {
                    return Err(Exception::channel_error("second 'channel.open' seen"));
                }
                if at.channel > connection.peer.channel_max {
                    return Err(Exception::not_allowed(format_args!(
                        "channel number {} is above the negotiated channel_max {}",
                        at.channel, connection.peer.channel_max
                    )));
                }
                connection.channels.insert(at.channel, ChannelState::Open(Box::default()));
                self.reply(at, AMQPClass::Channel(AMQPMethod::OpenOk(channel::OpenOk {})));
            }
            AMQPMethod::Close(_) => {
                self.close_channel(at);
                // Whoever closes a channel wants to know that its acknowledgements count.
                self.answer_safely(at, AMQPClass::Channel(AMQPMethod::CloseOk(channel::CloseOk {})));
            }
            AMQPMethod::CloseOk(_) if closing => {
                connection.channels.remove(&at.channel);
            }
            _ if closing => {}
            AMQPMethod::Flow(flow) => {
                self.open_channel(at)?.active = flow.active;
                if flow.active {
                    self.wake(at);
                }
                let ok = channel::FlowOk { active: flow.active };
                self.reply(at, AMQPClass::Channel(AMQPMethod::FlowOk(ok)));
            }
            AMQPMethod::FlowOk(_) => {}
            _ => return Err(Exception::command_invalid("this method is not expected from a client")),
        }
        Ok(())
    }

    /// Frees a channel: its consumers end, its deliveries go back. An uncommitted transaction is rolled back.
    pub(super) fn close_channel(&mut self, at: At) {
        let Some(connection) = self.connections.get_mut(&at.connection) else {
            return;
        };
        // Confirms that are due, or will be, come before the close, whoever asked for it.
        connection.flush_confirms(at.channel);
        connection.confirming.retain(|channel| *channel != at.channel);
        if self.waiting.remove(&at) {
            connection.hold_confirms(at.channel);
            self.holding.insert(at.connection);
        }
        let Some(channel) = connection.channel(at.channel) else {
            connection.channels.remove(&at.channel);
            return;
        };
        let consumers: Vec<_> = channel.consumers.values().copied().collect();
        let mut deliveries = std::mem::take(&mut channel.unacked);
        if let Mode::Transaction(transaction) = &mut channel.mode {
            let uncommitted = std::mem::take(&mut transaction.verdicts);
            deliveries.extend(uncommitted.into_iter().map(|(tag, unacked, _)| (tag, unacked)));
        }
        for consumer in consumers {
            self.remove_consumer(consumer);
        }
        self.requeue(at, deliveries.into_values().collect());
        if let Some(connection) = self.connections.get_mut(&at.connection) {
            connection.channels.remove(&at.channel);
        }
    }

    pub(super) fn basic_method(&mut self, at: At, method: basic::AMQPMethod) -> Result<(), Exception> {
        use basic::AMQPMethod;
        match method {
            AMQPMethod::Ack(ack) => self.acknowledge(at, ack.delivery_tag, ack.multiple, Verdict::Ack),
            AMQPMethod::Nack(nack) => {
                self.acknowledge(at, nack.delivery_tag, nack.multiple, Verdict::refusal(nack.requeue))
            }
            AMQPMethod::Reject(reject) => {
                self.acknowledge(at, reject.delivery_tag, false, Verdict::refusal(reject.requeue))
            }
            AMQPMethod::Consume(consume) => self.consume(at, consume),
            AMQPMethod::Cancel(cancel) => self.cancel(at, cancel),
            AMQPMethod::CancelOk(_) => Ok(()),
            AMQPMethod::Get(get) => self.get(at, &get),
            AMQPMethod::Qos(qos) => self.qos(at, &qos),
            AMQPMethod::Recover(recover) => self.recover(at, recover.requeue, true),
            AMQPMethod::RecoverAsync(recover) => self.recover(at, recover.requeue, false),
            _ => Err(Exception::command_invalid("this method is not expected from a client")),
        }
    }

    fn get(&mut self, at: At, method: &basic::Get) -> Result<(), Exception> {
        let id = self.resolve_queue(at, &method.queue)?;
        let is_fresh = self.expire_heads(id);
        let now = self.now;
        let queue = self.queues.get_mut(id.0).expect("resolved just now");
        queue.last_used = now;
        let (entry, content) = loop {
            let queue = self.queues.get_mut(id.0).filter(|_| is_fresh);
            let Some(entry) = queue.and_then(super::Queue::pop) else {
                self.reply(at, AMQPClass::Basic(basic::AMQPMethod::GetEmpty(basic::GetEmpty {})));
                return Ok(());
            };
            match self.content(&entry) {
                Some(content) => break (entry, content),
                None => self.lose(id, &entry),
            }
        };
        let queue = self.queues.get_mut(id.0).expect("resolved just now");
        let remaining = u32::try_from(queue.ready()).unwrap_or(u32::MAX);
        queue.counters.delivered += 1;
        queue.counters.redelivered += u64::from(entry.redelivered);
        if method.no_ack {
            queue.counters.acknowledged += 1;
        } else {
            queue.unacknowledged += 1;
        }
        let (redelivered, message) = (entry.redelivered, queue.outgoing(&entry, content));
        let channel = self.open_channel(at)?;
        let tag = channel.next_tag();
        if method.no_ack {
            self.forget(&entry);
        } else {
            channel.unacked.insert(tag, Unacked { queue: id, entry, consumer: None });
        }
        self.touch(id);
        // Another message is the head now, and may be over its time.
        self.mark_dirty(id);
        self.send(at.connection, Output::Got { channel: at.channel, tag, redelivered, remaining, message });
        Ok(())
    }

    pub(super) fn confirm_method(&mut self, at: At, method: confirm::AMQPMethod) -> Result<(), Exception> {
        let confirm::AMQPMethod::Select(select) = method else {
            return Err(Exception::command_invalid("this method is not expected from a client"));
        };
        let mode = &mut self.open_channel(at)?.mode;
        match mode {
            Mode::Plain => *mode = Mode::Confirm(Confirms::default()),
            Mode::Confirm(_) => {}
            Mode::Transaction(_) => {
                return Err(Exception::precondition_failed("cannot switch from tx to confirm mode"));
            }
        }
        if !select.nowait {
            self.reply(at, AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(confirm::SelectOk {})));
        }
        Ok(())
    }

    pub(super) fn tx_method(&mut self, at: At, method: tx::AMQPMethod) -> Result<(), Exception> {
        use tx::AMQPMethod;
        let vhost = self.vhost_of(at);
        let mode = &mut self.open_channel(at)?.mode;
        let answer = match (method, mode) {
            (AMQPMethod::Select(_), Mode::Confirm(_)) => {
                return Err(Exception::precondition_failed("cannot switch from confirm to tx mode"));
            }
            (AMQPMethod::Select(_), mode) => {
                if matches!(mode, Mode::Plain) {
                    *mode = Mode::Transaction(Transaction::default());
                }
                AMQPMethod::SelectOk(tx::SelectOk {})
            }
            (AMQPMethod::Commit(_), Mode::Transaction(transaction)) => {
                let Transaction { publishes, verdicts } = std::mem::take(transaction);
                let mut taken = true;
                for pending in publishes {
                    taken &= self.accept(at, vhost, &pending.message, pending.mandatory);
                }
                for (_, unacked, verdict) in verdicts {
                    self.apply(at, vec![unacked], verdict);
                }
                if !taken {
                    // The rest is done all the same: a full queue refuses its message and no other.
                    return Err(Exception::precondition_failed("partial tx completion"));
                }
                AMQPMethod::CommitOk(tx::CommitOk {})
            }
            (AMQPMethod::Rollback(_), Mode::Transaction(transaction)) => {
                let verdicts = std::mem::take(transaction).verdicts;
                let channel = self.open_channel(at)?;
                channel.unacked.extend(verdicts.into_iter().map(|(tag, unacked, _)| (tag, unacked)));
                AMQPMethod::RollbackOk(tx::RollbackOk {})
            }
            (AMQPMethod::Commit(_) | AMQPMethod::Rollback(_), _) => {
                return Err(Exception::precondition_failed("channel is not transactional"));
            }
            _ => return Err(Exception::command_invalid("this method is not expected from a client")),
        };
        if matches!(answer, AMQPMethod::CommitOk(_)) {
            self.answer_safely(at, AMQPClass::Tx(answer));
        } else {
            self.reply(at, AMQPClass::Tx(answer));
        }
        Ok(())
    }

    /// The access class is long gone from the protocol; old clients still ask and get the only possible answer.
    pub(super) fn access_method(&mut self, at: At, method: access::AMQPMethod) -> Result<(), Exception> {
        let access::AMQPMethod::Request(_) = method else {
            return Err(Exception::command_invalid("this method is not expected from a client"));
        };
        self.send(
            at.connection,
            Output::Method(
                at.channel,
                AMQPClass::Access(access::AMQPMethod::RequestOk(access::RequestOk {})),
            ),
        );
        Ok(())
    }
}
