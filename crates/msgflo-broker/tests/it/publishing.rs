//! Publishing: confirms, returns, content.

use futures_util::future::join_all;
use lapin::options::{BasicAckOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Confirmation};

use crate::support::{
    arguments, broker, channel, confirm_select, consume, declare, declare_with, drain, get, next, publish,
    publish_to, text, until,
};

#[tokio::test]
async fn a_message_is_confirmed_delivered_and_acknowledged() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "jobs").await;
    confirm_select(&channel).await;
    assert!(publish(&channel, "jobs", b"hello").await.is_ack());

    let mut consumer = consume(&channel, "jobs", "").await;
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.data, b"hello");
    assert!(!delivery.redelivered);
    delivery.ack(BasicAckOptions::default()).await.unwrap();

    until(&broker, "jobs", |queue| queue.is_some_and(|queue| queue.acknowledged == 1)).await;
    let queue = broker.queue("jobs").unwrap();
    assert_eq!((queue.published, queue.delivered, queue.ready, queue.unacknowledged), (1, 1, 0, 0));
    broker.shutdown().await;
}

#[tokio::test]
async fn a_thousand_pipelined_publishes_are_all_confirmed_and_in_order() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "jobs").await;
    confirm_select(&channel).await;
    let mut confirms = Vec::new();
    for number in 0..1000_u32 {
        let body = number.to_be_bytes();
        let publish = channel.basic_publish(
            "".into(),
            "jobs".into(),
            BasicPublishOptions::default(),
            &body,
            BasicProperties::default(),
        );
        confirms.push(publish.await.unwrap());
    }
    for confirm in join_all(confirms).await {
        assert!(confirm.unwrap().is_ack());
    }
    let bodies = drain(&channel, "jobs").await;
    assert_eq!(bodies, (0..1000_u32).map(|number| number.to_be_bytes().to_vec()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_mandatory_message_without_a_queue_comes_back_before_its_confirm() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    confirm_select(&channel).await;
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let confirmation = channel
        .basic_publish("".into(), "nowhere".into(), options, b"lost", BasicProperties::default())
        .await
        .unwrap()
        .await
        .unwrap();
    // lapin attaches a return to the confirm that follows it.
    let Confirmation::Ack(Some(returned)) = confirmation else { panic!("{confirmation:?}") };
    assert_eq!((returned.reply_code, returned.delivery.data.as_slice()), (312, &b"lost"[..]));
    assert_eq!(returned.delivery.routing_key.as_str(), "nowhere");
}

#[tokio::test]
async fn bodies_of_any_size_arrive_whole() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "jobs").await;
    confirm_select(&channel).await;
    // Around the frame size (131072 bytes, of which 8 are envelope), and far above the output window.
    for size in [0, 1, 131_063, 131_064, 131_065, 262_128, 3_000_000] {
        let body: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        assert!(publish(&channel, "jobs", &body).await.is_ack());
        let message = get(&channel, "jobs").await.unwrap();
        assert!(message.delivery.data == body, "body of {size} bytes differs");
    }
}

#[tokio::test]
async fn properties_arrive_as_sent() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "jobs").await;
    let headers = arguments(&[("trace", text("00-1")), ("nested", FieldTable::default().into())]);
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_priority(3)
        .with_correlation_id("c".into())
        .with_reply_to("r".into())
        .with_expiration("60000".into())
        .with_message_id("m".into())
        .with_timestamp(1_700_000_000)
        .with_type("t".into())
        .with_user_id("guest".into())
        .with_app_id("a".into());
    publish_to(&channel, "", "jobs", b"", properties.clone()).await;
    let message = get(&channel, "jobs").await.unwrap();
    assert_eq!(message.delivery.properties, properties);
}

#[tokio::test]
async fn a_full_queue_that_rejects_answers_with_nack() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    let limits = arguments(&[("x-max-length", 1.into()), ("x-overflow", text("reject-publish"))]);
    declare_with(&channel, "small", limits).await;
    confirm_select(&channel).await;
    assert!(publish(&channel, "small", b"1").await.is_ack());
    assert!(publish(&channel, "small", b"2").await.is_nack());
    assert_eq!(drain(&channel, "small").await, [b"1"]);
}

#[tokio::test]
async fn a_full_queue_drops_its_oldest_messages() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare_with(&channel, "small", arguments(&[("x-max-length-bytes", 10.into())])).await;
    confirm_select(&channel).await;
    for body in ["aaaa", "bbbb", "cccc"] {
        assert!(publish(&channel, "small", body.as_bytes()).await.is_ack());
    }
    assert_eq!(drain(&channel, "small").await, [b"bbbb", b"cccc"]);
}

#[tokio::test]
async fn priorities_overtake() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare_with(&channel, "levels", arguments(&[("x-max-priority", 5.into())])).await;
    confirm_select(&channel).await;
    for (body, priority) in [("low", 0), ("high", 4), ("above the maximum", 200), ("high too", 4), ("mid", 2)]
    {
        let properties = BasicProperties::default().with_priority(priority);
        publish_to(&channel, "", "levels", body.as_bytes(), properties).await;
    }
    let bodies = drain(&channel, "levels").await;
    assert_eq!(bodies, [&b"above the maximum"[..], b"high", b"high too", b"mid", b"low"]);
}
