//! What the clients of the simulation do, and what that must do to the model.

use std::mem;

use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, queue, tx};
use amq_protocol::types::FieldTable;
use bytes::Bytes;

use super::super::value::{Command, Name, Output, Publish};
use super::Simulation;
use super::client::{Consumer, Held, Transaction, Verdict};
use super::model::KINDS;

impl Simulation {
    /// One random command of one random client.
    pub(super) fn step(&mut self) {
        let client = self.random.below(self.clients.len());
        let numbers: Vec<u16> = self.clients[client].channels.keys().copied().collect();
        let Some(&number) = self.random.pick(&numbers) else {
            return self.open(client, 1);
        };
        let queue = KINDS[self.random.below(KINDS.len())].name;
        match self.random.below(100) {
            0..34 => self.publish(client, number, queue),
            34..60 => self.settle_one(client, number),
            60..68 => self.consume(client, number, queue),
            68..72 => self.cancel(client, number),
            72..78 => {
                let no_ack = self.random.chance(30);
                self.get(client, number, queue, no_ack);
            }
            78..81 => self.qos(client, number),
            81..83 => self.recover(client, number),
            83..85 => self.flow(client, number),
            85..87 => self.end_transaction(client, number),
            87 => self.unknown_tag(client, number),
            88 => self.purge(client, number, queue),
            89 => self.redeclare(),
            90..92 => self.open_another(client),
            92 => self.close(client, number),
            93 if self.clients.len() > 1 && client > 0 => self.disconnect(client),
            94 if self.clients.len() < 5 => self.connect(),
            _ => self.advance(),
        }
    }

    fn publish(&mut self, client: usize, number: u16, queue: &'static str) {
        let id = self.next_message;
        self.next_message += 1;
        let priority = u8::try_from(self.random.below(6)).expect("below six");
        let channel = self.clients[client].channels.get_mut(&number).expect("open");
        if let Some((published, _)) = &mut channel.confirms {
            *published += 1;
        }
        // Flags: priority only.
        let properties = Bytes::copy_from_slice(&[0b0000_1000, 0, priority]);
        let publish = Publish {
            exchange: Name::new(""),
            routing_key: Name::new(queue),
            mandatory: false,
            immediate: false,
            properties,
            body: Bytes::copy_from_slice(&id.to_be_bytes()),
        };
        let answer = self.command(client, number, Command::Publish(publish));
        assert!(answer.is_empty(), "{answer:?}");
        let channel = self.clients[client].channels.get_mut(&number).expect("open");
        match &mut channel.transaction {
            Some(transaction) => transaction.publishes.push((queue, id, priority)),
            None => self.arrive(queue, id, priority),
        }
    }

    fn consume(&mut self, client: usize, number: u16, queue: &'static str) {
        let no_ack = self.random.chance(15);
        let tag = Name::new(&format!("consumer-{}", self.next_consumer));
        self.next_consumer += 1;
        let channel = self.clients[client].channels.get_mut(&number).expect("open");
        let consumer = Consumer { queue, no_ack, prefetch: channel.consumer_prefetch };
        channel.consumers.insert(tag.clone(), consumer);
        let consume = basic::Consume {
            queue: queue.into(),
            consumer_tag: (&tag).into(),
            no_local: false,
            no_ack,
            exclusive: false,
            nowait: true,
            arguments: FieldTable::default(),
        };
        let answer = self.run(client, number, AMQPClass::Basic(basic::AMQPMethod::Consume(consume)));
        assert!(answer.is_empty(), "{answer:?}");
    }

    fn cancel(&mut self, client: usize, number: u16) {
        let tags: Vec<_> = self.clients[client].channels[&number].consumers.keys().cloned().collect();
        let Some(tag) = self.random.pick(&tags) else { return };
        let cancel = basic::Cancel { consumer_tag: tag.into(), nowait: true };
        self.run(client, number, AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)));
        self.clients[client].channels.get_mut(&number).expect("open").consumers.remove(tag);
    }

    /// Gets a message; returns its number.
    pub(super) fn get(
        &mut self,
        client: usize,
        number: u16,
        name: &'static str,
        no_ack: bool,
    ) -> Option<u64> {
        let get = basic::Get { queue: name.into(), no_ack };
        let answer = self.run(client, number, AMQPClass::Basic(basic::AMQPMethod::Get(get)));
        let queue = self.model.queues.get_mut(name).expect("declared");
        let Some((place, item)) = queue.ready.pop_first() else {
            let empty =
                matches!(answer[..], [Output::Method(_, AMQPClass::Basic(basic::AMQPMethod::GetEmpty(_)))]);
            assert!(empty, "{answer:?}");
            return None;
        };
        let [Output::Got { tag, redelivered, remaining, message, .. }] = &answer[..] else {
            panic!("{answer:?} instead of {item:?}")
        };
        assert_eq!(message.body[..], item.id.to_be_bytes());
        assert_eq!((*redelivered, *remaining as usize), (item.requeued, queue.ready.len()));
        let channel = self.clients[client].channels.get_mut(&number).expect("open");
        channel.last_tag += 1;
        assert_eq!(*tag, channel.last_tag);
        let id = item.id;
        if !no_ack {
            queue.held += 1;
            let held = Held { queue: name, generation: queue.generation, place, item, consumer: None };
            channel.held.insert(*tag, held);
        }
        Some(id)
    }

    fn settle_one(&mut self, client: usize, number: u16) {
        let tags: Vec<u64> = self.clients[client].channels[&number].held.keys().copied().collect();
        let Some(&tag) = self.random.pick(&tags) else { return };
        let multiple = self.random.chance(30);
        let verdict = match self.random.below(3) {
            0 => Verdict::Ack,
            1 => Verdict::Requeue,
            _ => Verdict::Reject,
        };
        let requeue = verdict == Verdict::Requeue;
        let method = match (verdict, multiple) {
            (Verdict::Ack, _) => basic::AMQPMethod::Ack(basic::Ack { delivery_tag: tag, multiple }),
            (_, false) => basic::AMQPMethod::Reject(basic::Reject { delivery_tag: tag, requeue }),
            (_, true) => basic::AMQPMethod::Nack(basic::Nack { delivery_tag: tag, multiple, requeue }),
        };
        let answer = self.run(client, number, AMQPClass::Basic(method));
        assert!(answer.is_empty(), "{answer:?}");
        let channel = self.clients[client].channels.get_mut(&number).expect("open");
        let taken: Vec<(u64, Held)> = if multiple {
            let later = channel.held.split_off(&(tag + 1));
            mem::replace(&mut channel.held, later).into_iter().collect()
        } else {
            channel.held.remove(&tag).map(|held| (tag, held)).into_iter().collect()
        };
        match &mut channel.transaction {
            Some(transaction) => {
                transaction.verdicts.extend(taken.into_iter().map(|(tag, held)| (tag, held, verdict)));
            }
            None => taken.into_iter().for_each(|(_, held)| self.settled(held, verdict)),
        }
    }

    /// What becomes of a delivery; none of it matters any more when its queue has been deleted.
    fn settled(&mut self, held: Held, verdict: Verdict) {
        let Some(queue) = self.model.queues.get_mut(held.queue) else { return };
        if queue.generation != held.generation {
            return;
        }
        match verdict {
            Verdict::Requeue => self.model.put_back(held.queue, held.place, held.item),
            Verdict::Ack => queue.held -= 1,
            Verdict::Reject => {
                queue.held -= 1;
                self.model.bury(held.queue, &held.item);
            }
        }
    }

    fn qos(&mut self, client: usize, number: u16) {
        let global = self.random.chance(50);
        let prefetch_count = u16::try_from(self.random.below(5)).expect("below five");
        let channel = self.clients[client].channels.get_mut(&number).expect("open");
        if global {
            // Lowering the limit does not take back what is out.
            channel.most_allowed = channel.unsettled(None);
            channel.prefetch = prefetch_count;
        } else {
            channel.consumer_prefetch = prefetch_count;
        }
        let qos = basic::Qos { prefetch_count, global };
        let answer = self.run(client, number, AMQPClass::Basic(basic::AMQPMethod::Qos(qos)));
        assert_eq!(answer.len(), 1, "{answer:?}");
    }

    fn recover(&mut self, client: usize, number: u16) {
        let recover = basic::Recover { requeue: true };
        let answer = self.run(client, number, AMQPClass::Basic(basic::AMQPMethod::Recover(recover)));
        assert_eq!(answer.len(), 1, "{answer:?}");
        let held = mem::take(&mut self.clients[client].channels.get_mut(&number).expect("open").held);
        held.into_values().for_each(|held| self.settled(held, Verdict::Requeue));
    }

    fn flow(&mut self, client: usize, number: u16) {
        let active = self.random.chance(60);
        self.clients[client].channels.get_mut(&number).expect("open").flowing = active;
        let flow = channel::Flow { active };
        let answer = self.run(client, number, AMQPClass::Channel(channel::AMQPMethod::Flow(flow)));
        assert_eq!(answer.len(), 1, "{answer:?}");
    }

    fn end_transaction(&mut self, client: usize, number: u16) {
        let channel = self.clients[client].channels.get_mut(&number).expect("open");
        let Some(Transaction { publishes, verdicts }) = channel.transaction.as_mut().map(mem::take) else {
            return;
        };
        if self.random.chance(70) {
            self.run(client, number, AMQPClass::Tx(tx::AMQPMethod::Commit(tx::Commit {})));
            for (queue, id, priority) in publishes {
                self.arrive(queue, id, priority);
            }
            for (_, held, verdict) in verdicts {
                self.settled(held, verdict);
            }
        } else {
            channel.held.extend(verdicts.into_iter().map(|(tag, held, _)| (tag, held)));
            self.run(client, number, AMQPClass::Tx(tx::AMQPMethod::Rollback(tx::Rollback {})));
        }
    }

    /// An acknowledgement of nothing closes the channel.
    fn unknown_tag(&mut self, client: usize, number: u16) {
        let tag = self.clients[client].channels[&number].last_tag + 1;
        let ack = basic::Ack { delivery_tag: tag, multiple: false };
        let answer = self.run(client, number, AMQPClass::Basic(basic::AMQPMethod::Ack(ack)));
        let [Output::Method(_, AMQPClass::Channel(channel::AMQPMethod::Close(close)))] = &answer[..] else {
            panic!("{answer:?}")
        };
        assert_eq!(close.reply_code, 406);
        self.channel_is_gone(client, number);
        let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
        assert!(self.run(client, number, AMQPClass::Channel(ok)).is_empty());
    }

    fn purge(&mut self, client: usize, number: u16, name: &'static str) {
        let purge = queue::Purge { queue: name.into(), nowait: false };
        let answer = self.run(client, number, AMQPClass::Queue(queue::AMQPMethod::Purge(purge)));
        let [Output::Method(_, AMQPClass::Queue(queue::AMQPMethod::PurgeOk(ok)))] = &answer[..] else {
            panic!("{answer:?}")
        };
        let queue = self.model.queues.get_mut(name).expect("declared");
        assert_eq!(ok.message_count as usize, mem::take(&mut queue.ready).len());
    }

    /// Deletes the queue `work` and declares it again: all its consumers end, old deliveries lead nowhere.
    fn redeclare(&mut self) {
        if !self.clients[0].channels.contains_key(&1) {
            return;
        }
        let kind = KINDS[1];
        let delete =
            queue::Delete { queue: kind.name.into(), if_unused: false, if_empty: false, nowait: true };
        self.run(0, 1, AMQPClass::Queue(queue::AMQPMethod::Delete(delete)));
        for client in &mut self.clients {
            for channel in client.channels.values_mut() {
                channel.consumers.retain(|_, consumer| consumer.queue != kind.name);
            }
        }
        self.model.queues.remove(kind.name);
        self.declare(kind);
    }

    fn open_another(&mut self, client: usize) {
        let number = u16::try_from(1 + self.random.below(4)).expect("below five");
        if self.clients[client].channels.contains_key(&number) {
            return;
        }
        self.open(client, number);
        let channel = self.clients[client].channels.get_mut(&number).expect("opened just now");
        let select = match self.random.below(3) {
            0 => {
                channel.confirms = Some((0, 0));
                AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait: false }))
            }
            1 => {
                channel.transaction = Some(Transaction::default());
                AMQPClass::Tx(tx::AMQPMethod::Select(tx::Select {}))
            }
            _ => return,
        };
        assert_eq!(self.run(client, number, select).len(), 1);
    }

    fn close(&mut self, client: usize, number: u16) {
        let close = channel::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 };
        let answer = self.run(client, number, AMQPClass::Channel(channel::AMQPMethod::Close(close)));
        assert_eq!(answer.len(), 1, "{answer:?}");
        self.channel_is_gone(client, number);
    }

    /// Everything unsettled goes back, also what an open transaction would have settled.
    fn channel_is_gone(&mut self, client: usize, number: u16) {
        let Some(channel) = self.clients[client].channels.remove(&number) else { return };
        let pending = channel.transaction.unwrap_or_default().verdicts.into_iter().map(|(_, held, _)| held);
        for held in channel.held.into_values().chain(pending) {
            self.settled(held, Verdict::Requeue);
        }
    }

    pub(super) fn disconnect(&mut self, client: usize) {
        let id = self.clients[client].id;
        self.broker.disconnect(id, self.now());
        let numbers: Vec<u16> = self.clients[client].channels.keys().copied().collect();
        for number in numbers {
            self.channel_is_gone(client, number);
        }
        self.clients.remove(client);
        self.collect(id);
    }

    fn advance(&mut self) {
        self.model.now += self.random.below(40) as u64;
        self.broker.tick(self.now());
        let id = self.clients[0].id;
        self.collect(id);
    }
}
