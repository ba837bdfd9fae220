//! A broker for one test, and clients of it.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use msgflo_broker::{Handle, Options, Server};

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
    channel
        .queue_declare(queue.into(), QueueDeclareOptions::default(), FieldTable::default())
        .await
        .expect("a new queue");
}

/// Publishes to a queue by the default exchange.
pub(crate) async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> Confirmation {
    channel
        .basic_publish(
            "".into(),
            queue.into(),
            BasicPublishOptions::default(),
            body,
            BasicProperties::default(),
        )
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
