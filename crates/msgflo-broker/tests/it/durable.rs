//! What survives the end of a broker that has a folder.

use std::path::Path;
use std::time::Duration;

use lapin::options::{
    BasicAckOptions, BasicNackOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ExchangeKind};
use msgflo_broker::{Error, Handle, Options, Server};
use tempfile::TempDir;

use crate::support::{
    arguments, bind, channel, confirm_select, consume, declare, drain, get, next, publish_to,
};

async fn broker_in(folder: &Path) -> Handle {
    let options =
        Options { listen: ([127, 0, 0, 1], 0).into(), data: Some(folder.to_owned()), ..Options::default() };
    Server::start(options).await.expect("the folder can be used")
}

async fn declare_durable(channel: &Channel, queue: &str, arguments: FieldTable) {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, arguments).await.expect("a durable queue");
}

fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

async fn put(channel: &Channel, queue: &str, body: &str) {
    publish_to(channel, "", queue, body.as_bytes(), persistent()).await;
}

#[tokio::test]
async fn durable_things_survive_and_others_do_not() {
    let folder = TempDir::new().unwrap();
    let broker = broker_in(folder.path()).await;
    let (_connection, channel) = channel(&broker).await;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel
        .exchange_declare("kept".into(), ExchangeKind::Topic, durable, FieldTable::default())
        .await
        .unwrap();
    let options = ExchangeDeclareOptions::default();
    channel
        .exchange_declare("lost".into(), ExchangeKind::Fanout, options, FieldTable::default())
        .await
        .unwrap();
    declare_durable(&channel, "kept", arguments(&[("x-max-length", AMQPValue::ShortInt(3))])).await;
    declare_durable(&channel, "deleted", FieldTable::default()).await;
    declare(&channel, "lost").await;
    bind(&channel, "kept", "kept", "a.#").await;
    bind(&channel, "kept", "lost", "").await;
    bind(&channel, "lost", "kept", "#").await;
    bind(&channel, "deleted", "kept", "#").await;
    channel.queue_delete("deleted".into(), QueueDeleteOptions::default()).await.unwrap();
    confirm_select(&channel).await;
    for (body, properties) in
        [("one", persistent()), ("transient", BasicProperties::default()), ("two", persistent())]
    {
        publish_to(&channel, "kept", "a.b", body.as_bytes(), properties.with_message_id("m".into())).await;
    }
    broker.shutdown().await;

    let broker = broker_in(folder.path()).await;
    assert_eq!(broker.queues().iter().map(|queue| queue.name.as_str()).collect::<Vec<_>>(), ["kept"]);
    let bindings = broker.bindings();
    let [binding] = &bindings[..] else { panic!("{bindings:?}") };
    assert_eq!((&*binding.source, &*binding.destination, &*binding.routing_key), ("kept", "kept", "a.#"));
    let (_connection, channel) = crate::support::channel(&broker).await;
    declare_durable(&channel, "kept", arguments(&[("x-max-length", AMQPValue::LongInt(3))])).await;
    let first = get(&channel, "kept").await.expect("the first message");
    assert_eq!((&first.delivery.data[..], first.delivery.redelivered), (&b"one"[..], false));
    assert_eq!(first.delivery.properties.message_id().as_ref().map(|id| id.as_str()), Some("m"));
    assert_eq!(first.delivery.routing_key.as_str(), "a.b");
    assert_eq!(drain(&channel, "kept").await, [b"two"]);
    // The first message was given to nobody who acknowledged it.
    broker.shutdown().await;
    let broker = broker_in(folder.path()).await;
    let (_connection, channel) = crate::support::channel(&broker).await;
    let again = get(&channel, "kept").await.expect("the first message again");
    assert_eq!((&again.delivery.data[..], again.delivery.redelivered), (&b"one"[..], true));
}

#[tokio::test]
async fn order_acknowledgements_and_returns_survive() {
    let folder = TempDir::new().unwrap();
    let broker = broker_in(folder.path()).await;
    let (_connection, channel) = channel(&broker).await;
    declare_durable(&channel, "q", arguments(&[("x-max-priority", AMQPValue::LongInt(5))])).await;
    confirm_select(&channel).await;
    for number in 0..20_u8 {
        publish_to(&channel, "", "q", &[number], persistent().with_priority(number % 2)).await;
    }
    let mut consumer = consume(&channel, "q", "c").await;
    for _ in 0..5 {
        next(&mut consumer).await.ack(BasicAckOptions::default()).await.unwrap();
    }
    let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    next(&mut consumer).await.nack(requeue).await.unwrap();
    channel.close(200, "".into()).await.unwrap();
    broker.shutdown().await;

    let broker = broker_in(folder.path()).await;
    let (_connection, channel) = crate::support::channel(&broker).await;
    let left: Vec<u8> = drain(&channel, "q").await.into_iter().flatten().collect();
    assert_eq!(left, [11, 13, 15, 17, 19, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    broker.shutdown().await;
    let broker = broker_in(folder.path()).await;
    assert_eq!(broker.queue("q").map(|queue| queue.ready), Some(0));
}

#[tokio::test]
async fn a_committed_transaction_survives() {
    let folder = TempDir::new().unwrap();
    let broker = broker_in(folder.path()).await;
    let (_connection, channel) = channel(&broker).await;
    declare_durable(&channel, "q", FieldTable::default()).await;
    channel.tx_select().await.unwrap();
    let publish = async |body: &[u8]| {
        let options = BasicPublishOptions::default();
        channel.basic_publish("".into(), "q".into(), options, body, persistent()).await.unwrap();
    };
    publish(b"kept").await;
    channel.tx_commit().await.unwrap();
    publish(b"lost").await;
    broker.shutdown().await;
    let broker = broker_in(folder.path()).await;
    let (_connection, channel) = crate::support::channel(&broker).await;
    assert_eq!(drain(&channel, "q").await, [b"kept"]);
}

#[tokio::test]
async fn dead_letters_survive_once() {
    let folder = TempDir::new().unwrap();
    let broker = broker_in(folder.path()).await;
    let (_connection, channel) = channel(&broker).await;
    let dead = [("x-dead-letter-exchange", ""), ("x-dead-letter-routing-key", "dead")];
    let dead = dead.map(|(key, value)| (key, AMQPValue::LongString(value.into())));
    declare_durable(&channel, "dead", FieldTable::default()).await;
    declare_durable(&channel, "q", arguments(&dead)).await;
    confirm_select(&channel).await;
    put(&channel, "q", "poison").await;
    let message = get(&channel, "q").await.expect("the message");
    let reject = BasicNackOptions { requeue: false, ..BasicNackOptions::default() };
    message.delivery.nack(reject).await.unwrap();
    channel.close(200, "".into()).await.unwrap();
    broker.shutdown().await;
    let broker = broker_in(folder.path()).await;
    let (_connection, channel) = crate::support::channel(&broker).await;
    assert_eq!(drain(&channel, "q").await, Vec::<Vec<u8>>::new());
    assert_eq!(drain(&channel, "dead").await, [b"poison"]);
}

#[tokio::test]
async fn a_folder_in_use_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    let _broker = broker_in(folder.path()).await;
    let options = Options {
        listen: ([127, 0, 0, 1], 0).into(),
        data: Some(folder.path().to_owned()),
        ..Options::default()
    };
    let error = Server::start(options).await.expect_err("the folder is in use");
    assert!(matches!(error, Error::Storage { .. }));
    assert!(error.to_string().contains(&*folder.path().to_string_lossy()), "{error}");
}

#[tokio::test]
async fn what_pushes_a_stored_message_out_is_confirmed_though_it_is_not_stored_itself() {
    let folder = TempDir::new().unwrap();
    let broker = broker_in(folder.path()).await;
    let (_connection, channel) = channel(&broker).await;
    declare_durable(&channel, "short", arguments(&[("x-max-length", AMQPValue::ShortInt(1))])).await;
    confirm_select(&channel).await;
    put(&channel, "short", "stored").await;
    let options = BasicPublishOptions::default();
    let transient = BasicProperties::default();
    let publishing = channel.basic_publish("".into(), "short".into(), options, b"passing", transient);
    let confirmed = tokio::time::timeout(Duration::from_secs(20), publishing.await.unwrap()).await;
    assert!(confirmed.expect("it waits for nothing").unwrap().is_ack());
    assert_eq!(get(&channel, "short").await.unwrap().data, b"passing");
    broker.shutdown().await;
}
