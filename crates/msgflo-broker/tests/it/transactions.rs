//! Transactions.

use lapin::options::BasicAckOptions;

use crate::support::{
    arguments, broker, channel, code, confirm_select, declare, declare_with, drain, get, publish, text, until,
};

#[tokio::test]
async fn publishes_wait_for_the_commit() {
    let broker = broker().await;
    let (connection, channel) = channel(&broker).await;
    declare(&channel, "jobs").await;
    let transaction = connection.create_channel().await.unwrap();
    transaction.tx_select().await.unwrap();
    publish(&transaction, "jobs", b"1").await;
    transaction.tx_rollback().await.unwrap();
    publish(&transaction, "jobs", b"2").await;
    assert_eq!(drain(&channel, "jobs").await, Vec::<Vec<u8>>::new());
    transaction.tx_commit().await.unwrap();
    assert_eq!(drain(&channel, "jobs").await, [b"2"]);
}

#[tokio::test]
async fn acknowledgements_wait_for_the_commit() {
    let broker = broker().await;
    let (connection, channel) = channel(&broker).await;
    declare(&channel, "jobs").await;
    publish(&channel, "jobs", b"1").await;
    let transaction = connection.create_channel().await.unwrap();
    transaction.tx_select().await.unwrap();
    let message = get(&transaction, "jobs").await.unwrap();
    message.delivery.ack(BasicAckOptions::default()).await.unwrap();
    transaction.tx_rollback().await.unwrap();
    // After the rollback it is unacknowledged, not redelivered; now for good.
    assert_eq!(broker.queue("jobs").unwrap().unacknowledged, 1);
    transaction.basic_ack(message.delivery.delivery_tag, BasicAckOptions::default()).await.unwrap();
    transaction.tx_commit().await.unwrap();
    until(&broker, "jobs", |queue| queue.is_some_and(|queue| queue.acknowledged == 1)).await;
}

/// As on RabbitMQ: what the queue takes stays, and the channel ends with "partial tx completion".
#[tokio::test]
async fn a_commit_of_what_a_full_queue_refuses_is_partial() {
    let broker = broker().await;
    let (connection, channel) = channel(&broker).await;
    let limits = arguments(&[("x-max-length", 1.into()), ("x-overflow", text("reject-publish"))]);
    declare_with(&channel, "small", limits).await;
    let transaction = connection.create_channel().await.unwrap();
    transaction.tx_select().await.unwrap();
    publish(&transaction, "small", b"1").await;
    publish(&transaction, "small", b"2").await;
    assert_eq!(code(transaction.tx_commit().await), 406);
    assert_eq!(drain(&channel, "small").await, [b"1"]);
}

#[tokio::test]
async fn an_open_transaction_ends_with_its_channel() {
    let broker = broker().await;
    let (connection, channel) = channel(&broker).await;
    declare(&channel, "jobs").await;
    publish(&channel, "jobs", b"1").await;
    let transaction = connection.create_channel().await.unwrap();
    transaction.tx_select().await.unwrap();
    let message = get(&transaction, "jobs").await.unwrap();
    message.delivery.ack(BasicAckOptions::default()).await.unwrap();
    publish(&transaction, "jobs", b"2").await;
    transaction.close(200, "".into()).await.unwrap();
    assert_eq!(drain(&channel, "jobs").await, [b"1"]);
}

#[tokio::test]
async fn confirms_and_transactions_exclude_each_other() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    confirm_select(&channel).await;
    assert_eq!(code(channel.tx_select().await), 406);
}
