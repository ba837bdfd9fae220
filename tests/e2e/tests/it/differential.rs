//! The embedded broker against RabbitMQ: the same random sequence of operations on both, the same observable answers.
//!
//! Sequences come from proptest, which shortens one that fails and keeps its seed beside this file. `PROPTEST_CASES`
//! says how many; by default a few. What RabbitMQ does in its own time (deliveries to consumers, dead letters, timeouts)
//! is compared by the suites of foreign clients instead.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    BasicRecoverOptions, ConfirmSelectOptions, ExchangeBindOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Error, ErrorKind, ExchangeKind,
};
use msgflo_broker::{Options, Server};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};

/// RabbitMQ puts back what a channel held when it ends, but not before it answers the next channel. The pause before each look
/// whether it has, since the numbers may be right by chance, and how long it may take.
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(30);

/// Something a client does. Names are one of a few, so that they meet.
#[derive(Clone, Debug)]
enum Operation {
    DeclareQueue { queue: u8, arguments: u8, passive: bool },
    DeleteQueue { queue: u8, if_empty: bool },
    Purge { queue: u8 },
    DeclareExchange { exchange: u8, kind: u8, passive: bool },
    DeleteExchange { exchange: u8, if_unused: bool },
    Bind { exchange: u8, queue: u8, key: u8 },
    Unbind { exchange: u8, queue: u8, key: u8 },
    BindExchange { from: u8, to: u8, key: u8 },
    Publish { exchange: u8, key: u8, priority: u8, mandatory: bool },
    Get { queue: u8, no_ack: bool },
    Ack { which: u8, multiple: bool },
    Nack { which: u8, multiple: bool, requeue: bool },
    Recover,
    Reopen { transactional: bool },
    Commit,
    Rollback,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation as O;
    let few = 0_u8..3;
    prop_oneof![
        4 => (few.clone(), 0_u8..4, prop::bool::weighted(0.1))
            .prop_map(|(queue, arguments, passive)| O::DeclareQueue { queue, arguments, passive }),
        1 => (few.clone(), any::<bool>()).prop_map(|(queue, if_empty)| O::DeleteQueue { queue, if_empty }),
        1 => few.clone().prop_map(|queue| O::Purge { queue }),
        3 => (few.clone(), 0_u8..4, prop::bool::weighted(0.1))
            .prop_map(|(exchange, kind, passive)| O::DeclareExchange { exchange, kind, passive }),
        1 => (few.clone(), any::<bool>())
            .prop_map(|(exchange, if_unused)| O::DeleteExchange { exchange, if_unused }),
        4 => (few.clone(), few.clone(), 0_u8..5)
            .prop_map(|(exchange, queue, key)| O::Bind { exchange, queue, key }),
        1 => (few.clone(), few.clone(), 0_u8..5)
            .prop_map(|(exchange, queue, key)| O::Unbind { exchange, queue, key }),
        1 => (few.clone(), few.clone(), 0_u8..5)
            .prop_map(|(from, to, key)| O::BindExchange { from, to, key }),
        10 => (0_u8..4, 0_u8..5, 0_u8..5, any::<bool>())
            .prop_map(|(exchange, key, priority, mandatory)| O::Publish { exchange, key, priority, mandatory }),
        8 => (few, prop::bool::weighted(0.3)).prop_map(|(queue, no_ack)| O::Get { queue, no_ack }),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(which, multiple)| O::Ack { which, multiple }),
        3 => (any::<u8>(), any::<bool>(), any::<bool>())
            .prop_map(|(which, multiple, requeue)| O::Nack { which, multiple, requeue }),
        1 => Just(O::Recover),
        1 => prop::bool::weighted(0.4).prop_map(|transactional| O::Reopen { transactional }),
        1 => Just(O::Commit),
        1 => Just(O::Rollback),
    ]
}

/// A client of one of the brokers; what it hears is a list of texts.
struct Client {
    connection: Connection,
    channel: Channel,
    transactional: bool,
    /// Delivery tags that are not settled.
    held: VecDeque<u64>,
    /// Whether some were settled in a transaction that goes on.
    uncommitted: bool,
    /// Whether the channel before this one held something, which goes back.
    gives_back: bool,
}

fn queue(index: u8) -> String {
    format!("queue-{index}")
}

/// The last one is the default exchange.
fn exchange(index: u8) -> String {
    if index == 3 { String::new() } else { format!("exchange-{index}") }
}

/// Keys that topics distinguish, and for the default exchange the names of queues.
fn key(exchange: u8, index: u8) -> String {
    if exchange == 3 { queue(index) } else { ["", "a", "a.b", "a.*", "#"][usize::from(index)].to_owned() }
}

fn arguments(index: u8) -> FieldTable {
    let mut table = FieldTable::default();
    let mut set = |key: &str, value| {
        table.insert(key.into(), value);
    };
    match index {
        1 => set("x-max-length", AMQPValue::LongInt(2)),
        2 => set("x-max-priority", AMQPValue::LongInt(3)),
        3 => {
            set("x-max-length", AMQPValue::LongInt(1));
            set("x-overflow", AMQPValue::LongString("reject-publish".into()));
        }
        _ => {}
    }
    table
}

impl Client {
    async fn open(url: &str) -> Self {
        let connection =
            Connection::connect(url, ConnectionProperties::default()).await.expect("the broker is there");
        let channel = connection.create_channel().await.expect("a channel");
        let mut client = Self {
            connection,
            channel,
            transactional: false,
            held: VecDeque::new(),
            uncommitted: false,
            gives_back: false,
        };
        client.prepare(false).await;
        client
    }

    async fn prepare(&mut self, transactional: bool) {
        self.channel = self.connection.create_channel().await.expect("another channel");
        self.gives_back |= !self.held.is_empty() || self.uncommitted;
        self.held.clear();
        self.uncommitted = false;
        self.transactional = transactional;
        if transactional {
            self.channel.tx_select().await.expect("transactions");
        } else {
            self.channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        }
    }

    /// Does it, and tells what was heard. After a refusal there is a new channel.
    async fn run(&mut self, operation: &Operation, number: usize) -> String {
        use Operation as O;
        // These have no answer of their own: what became of them shows by the next one.
        let silent = matches!(operation, O::Publish { .. } | O::Ack { .. } | O::Nack { .. });
        let mut outcome = self.attempt(operation, number).await;
        if silent && outcome.is_ok() {
            let asked = self.channel.basic_qos(0, BasicQosOptions::default()).await;
            outcome = asked.and(outcome);
        }
        match outcome {
            Ok(heard) => heard,
            Err(error) => {
                let transactional = self.transactional;
                self.prepare(transactional).await;
                match error.kind() {
                    _ if silent => "refused".to_owned(),
                    ErrorKind::ProtocolError(error) => format!("refused with {}", error.get_id()),
                    other => panic!("{operation:?}: {other:?}"),
                }
            }
        }
    }

    async fn attempt(&mut self, operation: &Operation, number: usize) -> Result<String, Error> {
        use Operation as O;
        let channel = &self.channel;
        let done = || "done".to_owned();
        Ok(match *operation {
            O::DeclareQueue { queue: index, arguments: which, passive } => {
                let options = QueueDeclareOptions { passive, ..QueueDeclareOptions::default() };
                let declared = channel.queue_declare(queue(index).into(), options, arguments(which)).await?;
                format!("{} messages, {} consumers", declared.message_count(), declared.consumer_count())
            }
            O::DeleteQueue { queue: index, if_empty } => {
                let options = QueueDeleteOptions { if_empty, ..QueueDeleteOptions::default() };
                format!("{} deleted", channel.queue_delete(queue(index).into(), options).await?)
            }
            O::Purge { queue: index } => {
                format!(
                    "{} purged",
                    channel.queue_purge(queue(index).into(), QueuePurgeOptions::default()).await?
                )
            }
            O::DeclareExchange { exchange: index, kind, passive } => {
                let kinds =
                    [ExchangeKind::Direct, ExchangeKind::Fanout, ExchangeKind::Topic, ExchangeKind::Headers];
                let options = ExchangeDeclareOptions { passive, ..ExchangeDeclareOptions::default() };
                let kind = kinds[usize::from(kind)].clone();
                channel
                    .exchange_declare(exchange(index).into(), kind, options, FieldTable::default())
                    .await?;
                done()
            }
            O::DeleteExchange { exchange: index, if_unused } => {
                let options = ExchangeDeleteOptions { if_unused, ..ExchangeDeleteOptions::default() };
                channel.exchange_delete(exchange(index).into(), options).await?;
                done()
            }
            O::Bind { exchange: from, queue: to, key: index } => {
                let (from_name, key) = (exchange(from), key(from, index));
                let options = QueueBindOptions::default();
                let table = FieldTable::default();
                channel.queue_bind(queue(to).into(), from_name.into(), key.into(), options, table).await?;
                done()
            }
            O::Unbind { exchange: from, queue: to, key: index } => {
                let (from_name, key) = (exchange(from), key(from, index));
                let table = FieldTable::default();
                channel.queue_unbind(queue(to).into(), from_name.into(), key.into(), table).await?;
                done()
            }
            O::BindExchange { from, to, key: index } => {
                let (from_name, to_name, key) = (exchange(from), exchange(to), key(from, index));
                let options = ExchangeBindOptions::default();
                let table = FieldTable::default();
                channel.exchange_bind(to_name.into(), from_name.into(), key.into(), options, table).await?;
                done()
            }
            O::Publish { exchange: to, key: index, priority, mandatory } => {
                let (to_name, key) = (exchange(to), key(to, index));
                let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
                let properties = BasicProperties::default().with_priority(priority);
                let body = number.to_be_bytes();
                let sent =
                    channel.basic_publish(to_name.into(), key.into(), options, &body, properties).await?;
                if self.transactional {
                    return Ok(done());
                }
                match sent.await? {
                    Confirmation::Ack(returned) => format!("accepted, returned {}", returned.is_some()),
                    Confirmation::Nack(returned) => format!("not accepted, returned {}", returned.is_some()),
                    Confirmation::NotRequested => "no confirm".to_owned(),
                }
            }
            O::Get { queue: index, no_ack } => {
                let options = BasicGetOptions { no_ack };
                match channel.basic_get(queue(index).into(), options).await? {
                    None => "nothing".to_owned(),
                    Some(message) => {
                        let delivery = &message.delivery;
                        if !no_ack {
                            self.held.push_back(delivery.delivery_tag);
                        }
                        format!(
                            "{:?} from '{}' with '{}', redelivered {}, {} more",
                            delivery.data,
                            delivery.exchange,
                            delivery.routing_key,
                            delivery.redelivered,
                            message.message_count
                        )
                    }
                }
            }
            O::Ack { which, multiple } => {
                let Some(tag) = settle(&mut self.held, which, multiple) else { return Ok(done()) };
                self.uncommitted |= self.transactional;
                channel.basic_ack(tag, BasicAckOptions { multiple }).await?;
                done()
            }
            O::Nack { which, multiple, requeue } => {
                let Some(tag) = settle(&mut self.held, which, multiple) else { return Ok(done()) };
                self.uncommitted |= self.transactional;
                channel.basic_nack(tag, BasicNackOptions { multiple, requeue }).await?;
                done()
            }
            O::Recover => {
                channel.basic_recover(BasicRecoverOptions { requeue: true }).await?;
                self.held.clear();
                done()
            }
            O::Reopen { transactional } => {
                channel.close(200, "".into()).await?;
                self.prepare(transactional).await;
                done()
            }
            O::Commit if self.transactional => {
                channel.tx_commit().await?;
                self.uncommitted = false;
                done()
            }
            O::Rollback if self.transactional => {
                channel.tx_rollback().await?;
                // What was settled in the transaction is held again; nobody may settle it twice, so all goes back.
                self.channel.close(200, "".into()).await?;
                self.prepare(true).await;
                done()
            }
            O::Commit | O::Rollback => done(),
        })
    }

    /// How many messages are ready in each queue; `None` where there is none.
    async fn ready(&self) -> Vec<Option<u32>> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let mut ready = Vec::new();
        for index in 0..3 {
            // A refusal ends the channel.
            let channel = self.connection.create_channel().await.expect("another channel");
            let declared = channel.queue_declare(queue(index).into(), options, FieldTable::default()).await;
            ready.push(declared.ok().map(|queue| queue.message_count()));
            // It may have ended already.
            let _ = channel.close(200, "".into()).await;
        }
        ready
    }

    /// What is left in each queue, in order.
    async fn rest(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        for index in 0..3 {
            loop {
                let heard = self.run(&Operation::Get { queue: index, no_ack: true }, 0).await;
                let is_last = !heard.starts_with('[');
                rest.push(heard);
                if is_last {
                    break;
                }
            }
        }
        rest
    }
}

/// Takes one of the held deliveries, or all up to it.
fn settle(held: &mut VecDeque<u64>, which: u8, multiple: bool) -> Option<u64> {
    let place = usize::from(which).checked_rem(held.len())?;
    let tag = held[place];
    if multiple {
        held.drain(..=place);
    } else {
        held.remove(place);
    }
    Some(tag)
}

/// Waits until what a channel has held is back in its queues, if it has ended.
async fn settles(ours: &mut Client, theirs: &mut Client) -> Result<(), TestCaseError> {
    // Not the short way: both are asked.
    if !(std::mem::take(&mut ours.gives_back) | std::mem::take(&mut theirs.gives_back)) {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        tokio::time::sleep(PAUSE).await;
        let (own, other) = (ours.ready().await, theirs.ready().await);
        if own == other {
            return Ok(());
        }
        if Instant::now() >= deadline {
            prop_assert_eq!(own, other, "what is ready once a channel has ended: ours, and RabbitMQ's");
        }
    }
}

async fn compare(operations: &[Operation]) -> Result<(), TestCaseError> {
    let options = Options { listen: ([127, 0, 0, 1], 0).into(), ..Options::default() };
    let broker = Server::start(options).await.expect("the embedded broker starts");
    let mut ours = Client::open(&broker.url()).await;
    let virtual_host = e2e::virtual_host().await;
    let mut theirs = Client::open(&virtual_host).await;
    for (number, operation) in operations.iter().enumerate() {
        let (own, other) = (ours.run(operation, number).await, theirs.run(operation, number).await);
        prop_assert_eq!(own, other, "operation {}, {:?}: ours, and RabbitMQ's", number, operation);
        settles(&mut ours, &mut theirs).await?;
    }
    ours.prepare(false).await;
    theirs.prepare(false).await;
    settles(&mut ours, &mut theirs).await?;
    prop_assert_eq!(ours.rest().await, theirs.rest().await, "what is left: ours, and RabbitMQ's");
    // Refused while one of its channels is still closing; then it ends when it is dropped.
    _ = theirs.connection.close(200, "".into()).await;
    e2e::remove_virtual_host(&virtual_host).await;
    broker.shutdown().await;
    Ok(())
}

#[test]
fn random_operations_have_the_same_answers() {
    let cases = std::env::var("PROPTEST_CASES").ok().map_or(40, |text| text.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/differential.seeds");
    let config = ProptestConfig {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(seeds))),
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let sequences = prop::collection::vec(operation(), 1..50);
    let outcome = runner.run(&sequences, |operations| runtime.block_on(compare(&operations)));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
