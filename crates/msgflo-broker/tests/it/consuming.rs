//! Consuming: prefetch, requeue, redelivery, cancellation.

use amq_protocol::protocol::{AMQPClass, basic};
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    BasicRecoverOptions, BasicRejectOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;

use crate::raw::RawClient;
use crate::support::{
    PATIENCE, arguments, broker, channel, confirm_select, consume, declare, declare_with, get, next, publish,
    until,
};

async fn filled(channel: &lapin::Channel, queue: &str, count: u8) {
    declare(channel, queue).await;
    confirm_select(channel).await;
    for number in 0..count {
        publish(channel, queue, &[number]).await;
    }
}

#[tokio::test]
async fn prefetch_limits_each_new_consumer() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    filled(&channel, "jobs", 10).await;
    channel.basic_qos(2, BasicQosOptions::default()).await.unwrap();
    let mut first = consume(&channel, "jobs", "first").await;
    until(&broker, "jobs", |queue| queue.is_some_and(|queue| queue.unacknowledged == 2)).await;
    let _second = consume(&channel, "jobs", "second").await;
    until(&broker, "jobs", |queue| queue.is_some_and(|queue| queue.unacknowledged == 4)).await;

    next(&mut first).await.ack(BasicAckOptions::default()).await.unwrap();
    until(&broker, "jobs", |queue| queue.is_some_and(|queue| queue.acknowledged == 1)).await;
    let queue = broker.queue("jobs").unwrap();
    assert_eq!((queue.ready, queue.unacknowledged), (5, 4));
}

#[tokio::test]
async fn global_prefetch_limits_the_channel() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    filled(&channel, "jobs", 10).await;
    channel.basic_qos(3, BasicQosOptions { global: true }).await.unwrap();
    let mut first = consume(&channel, "jobs", "first").await;
    let _second = consume(&channel, "jobs", "second").await;
    until(&broker, "jobs", |queue| queue.is_some_and(|queue| queue.consumers == 2)).await;
    assert_eq!(broker.queue("jobs").unwrap().unacknowledged, 3);
    next(&mut first).await.ack(BasicAckOptions::default()).await.unwrap();
    until(&broker, "jobs", |queue| queue.is_some_and(|queue| queue.acknowledged == 1)).await;
    assert_eq!(broker.queue("jobs").unwrap().unacknowledged, 3);
}

#[tokio::test]
async fn a_requeued_message_takes_its_old_place() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    filled(&channel, "jobs", 4).await;
    let _first = get(&channel, "jobs").await.unwrap();
    let second = get(&channel, "jobs").await.unwrap();
    let third = get(&channel, "jobs").await.unwrap();
    third.delivery.reject(BasicRejectOptions { requeue: true }).await.unwrap();
    second.delivery.nack(BasicNackOptions { multiple: true, requeue: true }).await.unwrap();
    for (body, redelivered) in [(0, true), (1, true), (2, true), (3, false)] {
        let message = get(&channel, "jobs").await.unwrap();
        assert_eq!((message.delivery.data[0], message.delivery.redelivered), (body, redelivered));
    }
}

#[tokio::test]
async fn recover_redelivers_everything_in_order() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    filled(&channel, "jobs", 3).await;
    let mut consumer = consume(&channel, "jobs", "").await;
    for number in 0..3 {
        assert_eq!(next(&mut consumer).await.data, [number]);
    }
    channel.basic_recover(BasicRecoverOptions { requeue: true }).await.unwrap();
    for number in 0..3 {
        let delivery = next(&mut consumer).await;
        assert_eq!((delivery.data.as_slice(), delivery.redelivered), (&[number][..], true));
    }
}

#[tokio::test]
async fn what_a_dead_connection_held_goes_to_others_in_order() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    filled(&channel, "jobs", 5).await;
    let mut dying = RawClient::open(&broker).await;
    let consume_all = basic::Consume {
        queue: "jobs".into(),
        consumer_tag: "".into(),
        no_local: false,
        no_ack: false,
        exclusive: false,
        nowait: false,
        arguments: FieldTable::default(),
    };
    dying.send(1, AMQPClass::Basic(basic::AMQPMethod::Consume(consume_all))).await;
    until(&broker, "jobs", |queue| queue.is_some_and(|queue| queue.unacknowledged == 5)).await;
    let mut heir = consume(&channel, "jobs", "heir").await;
    drop(dying);
    for number in 0..5 {
        let delivery = next(&mut heir).await;
        assert_eq!((delivery.data.as_slice(), delivery.redelivered), (&[number][..], true));
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    until(&broker, "jobs", |queue| queue.is_some_and(|queue| queue.acknowledged == 5)).await;
    assert_eq!(broker.queue("jobs").unwrap().consumers, 1);
}

#[tokio::test]
async fn closing_a_channel_gives_back_what_it_held() {
    let broker = broker().await;
    let (connection, channel) = channel(&broker).await;
    filled(&channel, "jobs", 2).await;
    let other = connection.create_channel().await.unwrap();
    assert!(get(&other, "jobs").await.is_some());
    other.close(200, "".into()).await.unwrap();
    let message = get(&channel, "jobs").await.unwrap();
    assert_eq!((message.delivery.data[0], message.delivery.redelivered), (0, true));
}

#[tokio::test]
async fn workers_share_in_turn() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "jobs").await;
    let mut consumers = Vec::new();
    for name in ["a", "b", "c"] {
        consumers.push(consume(&channel, "jobs", name).await);
    }
    confirm_select(&channel).await;
    for number in 0..9 {
        publish(&channel, "jobs", &[number]).await;
    }
    for (index, consumer) in consumers.iter_mut().enumerate() {
        for round in 0..3 {
            assert_eq!(next(consumer).await.data, [u8::try_from(round * 3 + index).unwrap()]);
        }
    }
}

#[tokio::test]
async fn deleting_a_queue_cancels_its_consumers() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    filled(&channel, "jobs", 0).await;
    let mut consumer = consume(&channel, "jobs", "c").await;
    channel.queue_delete("jobs".into(), QueueDeleteOptions::default()).await.unwrap();
    // lapin ends the stream of a consumer that the broker cancelled.
    let end = tokio::time::timeout(PATIENCE, consumer.next()).await.expect("told in time");
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn an_auto_delete_queue_goes_with_its_last_consumer() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    let options = lapin::options::QueueDeclareOptions { auto_delete: true, ..Default::default() };
    channel.queue_declare("passing".into(), options, FieldTable::default()).await.unwrap();
    let _consumer = consume(&channel, "passing", "c").await;
    assert!(broker.queue("passing").is_some());
    channel.basic_cancel("c".into(), BasicCancelOptions::default()).await.unwrap();
    assert!(broker.queue("passing").is_none());
}

#[tokio::test]
async fn only_the_first_of_single_active_consumers_works() {
    let broker = broker().await;
    let (connection, channel) = channel(&broker).await;
    declare_with(&channel, "jobs", arguments(&[("x-single-active-consumer", true.into())])).await;
    confirm_select(&channel).await;
    let mut first = consume(&channel, "jobs", "first").await;
    let standby_channel = connection.create_channel().await.unwrap();
    let mut standby = consume(&standby_channel, "jobs", "standby").await;
    for number in 0..3 {
        publish(&channel, "jobs", &[number]).await;
    }
    for number in 0..3 {
        let delivery = next(&mut first).await;
        assert_eq!(delivery.data, [number]);
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    channel.basic_cancel("first".into(), BasicCancelOptions::default()).await.unwrap();
    publish(&channel, "jobs", &[9]).await;
    assert_eq!(next(&mut standby).await.data, [9]);
}

#[tokio::test]
async fn consumers_of_higher_priority_come_first() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "jobs").await;
    confirm_select(&channel).await;
    channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let mut low = consume(&channel, "jobs", "low").await;
    let priority = arguments(&[("x-priority", 10.into())]);
    let options = BasicConsumeOptions::default();
    let mut high = channel.basic_consume("jobs".into(), "high".into(), options, priority).await.unwrap();
    publish(&channel, "jobs", b"1").await;
    publish(&channel, "jobs", b"2").await;
    assert_eq!(next(&mut high).await.data, b"1");
    assert_eq!(next(&mut low).await.data, b"2");
}

/// A client that stops reading must cost little: its messages stay in the queue.
#[tokio::test]
async fn a_consumer_that_does_not_read_leaves_messages_in_the_queue() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "jobs").await;
    confirm_select(&channel).await;
    let mut stuck = RawClient::open(&broker).await;
    let consume_all = basic::Consume {
        queue: "jobs".into(),
        consumer_tag: "stuck".into(),
        no_local: false,
        no_ack: true,
        exclusive: false,
        nowait: false,
        arguments: FieldTable::default(),
    };
    stuck.send(1, AMQPClass::Basic(basic::AMQPMethod::Consume(consume_all))).await;
    let body = vec![7; 500_000];
    for _ in 0..100 {
        publish(&channel, "jobs", &body).await;
    }
    // The socket's buffers and two windows hold some of the 50 MB, not most.
    let ready = broker.queue("jobs").unwrap().ready;
    assert!(ready > 50, "only {ready} messages are left in the queue");
    // Somebody else gets the rest.
    let mut other = consume(&channel, "jobs", "other").await;
    for _ in 0..ready {
        next(&mut other).await.ack(BasicAckOptions::default()).await.unwrap();
    }
    until(&broker, "jobs", |queue| queue.is_some_and(|queue| queue.ready + queue.unacknowledged == 0)).await;
}
