//! A broker for one test, and clients of it.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::{BasicGetMessage, Delivery};
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ErrorKind,
    ExchangeKind,
};
use msgflo_broker::{Handle, Options, QueueInfo, Server};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn broker() -> Handle {
    let options = Options { listen: ([127, 0, 0, 1], 0).into(), ..Options::default() };
    Server::start(options).await.expect("a free port")
}

pub(crate) async fn connect(broker: &Handle) -> Connection {
    Connection::connect(&broker.url(), ConnectionProperties::default()).await.expect("the broker accepts")
}

pub(crate) async fn channel(broker: &Handle) -> (Connection, Channel) {
    let connection = connect(broker).await;
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

pub(crate) async fn declare(channel: &Channel, queue: &str) {
    declare_with(channel, queue, FieldTable::default()).await;
}

pub(crate) async fn declare_with(channel: &Channel, queue: &str, arguments: FieldTable) {
    channel
        .queue_declare(queue.into(), QueueDeclareOptions::default(), arguments)
        .await
        .expect("a new queue");
}

pub(crate) async fn declare_exchange(channel: &Channel, exchange: &str, kind: ExchangeKind) {
    channel
        .exchange_declare(exchange.into(), kind, ExchangeDeclareOptions::default(), FieldTable::default())
        .await
        .expect("a new exchange");
}

pub(crate) async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) {
    bind_with(channel, queue, exchange, key, FieldTable::default()).await;
}

pub(crate) async fn bind_with(
    channel: &Channel,
    queue: &str,
    exchange: &str,
    key: &str,
    arguments: FieldTable,
) {
    channel
        .queue_bind(queue.into(), exchange.into(), key.into(), QueueBindOptions::default(), arguments)
        .await
        .expect("a new binding");
}

pub(crate) fn arguments(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), value.clone());
    }
    table
}

pub(crate) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Publishes to a queue by the default exchange.
pub(crate) async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> Confirmation {
    publish_to(channel, "", queue, body, BasicProperties::default()).await
}

pub(crate) async fn publish_to(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> Confirmation {
    channel
        .basic_publish(exchange.into(), key.into(), BasicPublishOptions::default(), body, properties)
        .await
        .expect("the publish goes out")
        .await
        .expect("the publish is answered")
}

pub(crate) async fn confirm_select(channel: &Channel) {
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms are supported");
}

pub(crate) async fn consume(channel: &Channel, queue: &str, tag: &str) -> Consumer {
    channel
        .basic_consume(queue.into(), tag.into(), BasicConsumeOptions::default(), FieldTable::default())
        .await
        .expect("a new consumer")
}

pub(crate) async fn next(consumer: &mut Consumer) -> Delivery {
    tokio::time::timeout(PATIENCE, consumer.next())
        .await
        .expect("a delivery in time")
        .expect("the consumer lives")
        .expect("a delivery")
}

/// Gets a message and keeps it unacknowledged.
pub(crate) async fn get(channel: &Channel, queue: &str) -> Option<BasicGetMessage> {
    channel.basic_get(queue.into(), BasicGetOptions::default()).await.expect("the queue exists")
}

/// Gets everything that waits in a queue, acknowledged.
pub(crate) async fn drain(channel: &Channel, queue: &str) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while let Some(message) =
        channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.expect("the queue exists")
    {
        bodies.push(message.delivery.data);
    }
    bodies
}

/// Waits until a queue is as it should be.
pub(crate) async fn until(broker: &Handle, queue: &str, wanted: impl Fn(Option<QueueInfo>) -> bool) {
    let waiting = async {
        let mut depth = broker.watch_depth(queue);
        loop {
            depth.depth();
            if wanted(broker.queue(queue)) {
                return;
            }
            assert!(depth.changed().await, "the broker ended");
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("{queue} stayed as {:?}", broker.queue(queue));
    }
}

/// The reply code of a refusal.
pub(crate) fn code<T>(result: Result<T, lapin::Error>) -> u16 {
    match result {
        Ok(_) => panic!("expected a refusal"),
        Err(error) => match error.kind() {
            ErrorKind::ProtocolError(error) => error.get_id(),
            other => panic!("expected a refusal by the broker, got {other:?}"),
        },
    }
}
