//! Messages that leave a queue unconsumed.

use lapin::message::BasicGetMessage;
use lapin::options::{BasicNackOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ExchangeKind};

use crate::support::{
    arguments, bind, broker, channel, confirm_select, declare, declare_exchange, declare_with, get, publish,
    publish_to, text, until,
};

/// The layout that participants declare: a queue, a fanout exchange for its dead letters, and their queue.
async fn layout(channel: &Channel, extra: &[(&str, AMQPValue)]) {
    confirm_select(channel).await;
    declare_exchange(channel, "dead-jobs", ExchangeKind::Fanout).await;
    declare(channel, "letters").await;
    bind(channel, "letters", "dead-jobs", "").await;
    let mut entries = vec![("x-dead-letter-exchange", text("dead-jobs"))];
    entries.extend_from_slice(extra);
    let durable = extra.iter().any(|(key, _)| *key == "x-queue-type");
    let options = QueueDeclareOptions { durable, ..Default::default() };
    channel.queue_declare("jobs".into(), options, arguments(&entries)).await.expect("a new queue");
}

async fn reject(message: BasicGetMessage) {
    message
        .delivery
        .nack(BasicNackOptions { multiple: false, requeue: false })
        .await
        .expect("the channel is open");
}

fn headers(message: &BasicGetMessage) -> FieldTable {
    message.delivery.properties.headers().clone().expect("dead letters have headers")
}

fn deaths(message: &BasicGetMessage) -> Vec<FieldTable> {
    let headers = headers(message);
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else { panic!("{headers:?}") };
    deaths
        .as_slice()
        .iter()
        .map(|death| match death {
            AMQPValue::FieldTable(death) => death.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

async fn letter(broker: &msgflo_broker::Handle, channel: &Channel, queue: &str) -> BasicGetMessage {
    until(broker, queue, |queue| queue.is_some_and(|queue| queue.ready > 0)).await;
    get(channel, queue).await.expect("a letter is ready")
}

#[tokio::test]
async fn a_rejected_message_tells_its_story() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    layout(&channel, &[]).await;
    let properties = BasicProperties::default().with_content_type("text/plain".into());
    publish_to(&channel, "", "jobs", b"bad", properties).await;
    reject(get(&channel, "jobs").await.unwrap()).await;

    let message = letter(&broker, &channel, "letters").await;
    assert_eq!(message.delivery.data, b"bad");
    assert_eq!(
        (message.delivery.exchange.as_str(), message.delivery.routing_key.as_str()),
        ("dead-jobs", "jobs")
    );
    assert_eq!(
        message.delivery.properties.content_type().as_ref().map(|text| text.as_str()),
        Some("text/plain")
    );
    let headers = headers(&message);
    for (key, value) in [
        ("x-first-death-queue", "jobs"),
        ("x-first-death-reason", "rejected"),
        ("x-first-death-exchange", ""),
    ] {
        assert_eq!(headers.inner().get(key), Some(&text(value)), "{key}");
    }
    let [death] = &deaths(&message)[..] else { panic!("one death: {headers:?}") };
    assert_eq!(death.inner().get("count"), Some(&AMQPValue::LongLongInt(1)));
    assert_eq!(death.inner().get("reason"), Some(&text("rejected")));
    assert_eq!(death.inner().get("queue"), Some(&text("jobs")));
    assert!(matches!(death.inner().get("time"), Some(AMQPValue::Timestamp(time)) if *time > 1_600_000_000));
    assert_eq!(death.inner().get("routing-keys"), Some(&AMQPValue::FieldArray(vec![text("jobs")].into())));
}

#[tokio::test]
async fn repeated_deaths_are_counted_by_queue_and_reason() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    layout(&channel, &[]).await;
    // Letters go back to the jobs: rejected again and again.
    bind(&channel, "jobs", "dead-jobs", "").await;
    publish(&channel, "jobs", b"bad").await;
    for round in 1..=3 {
        reject(get(&channel, "jobs").await.unwrap()).await;
        let message = letter(&broker, &channel, "letters").await;
        let [death] = &deaths(&message)[..] else { panic!("one kind of death") };
        assert_eq!(death.inner().get("count"), Some(&AMQPValue::LongLongInt(round)));
    }
}

#[tokio::test]
async fn an_expired_message_keeps_its_expiration_in_its_story() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    layout(&channel, &[("x-dead-letter-routing-key", text("late"))]).await;
    let properties = BasicProperties::default().with_expiration("20".into());
    publish_to(&channel, "", "jobs", b"late", properties).await;
    let message = letter(&broker, &channel, "letters").await;
    assert_eq!(message.delivery.routing_key.as_str(), "late");
    assert_eq!(message.delivery.properties.expiration(), &None);
    let [death] = &deaths(&message)[..] else { panic!("one death") };
    assert_eq!(death.inner().get("reason"), Some(&text("expired")));
    assert_eq!(death.inner().get("original-expiration"), Some(&text("20")));
    assert_eq!(broker.queue("jobs").unwrap().dropped, 1);
}

#[tokio::test]
async fn the_queue_can_limit_the_life_of_messages() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    layout(&channel, &[("x-message-ttl", 20.into())]).await;
    publish(&channel, "jobs", b"late").await;
    let message = letter(&broker, &channel, "letters").await;
    assert_eq!(message.delivery.data, b"late");
}

#[tokio::test]
async fn a_queue_that_nobody_uses_can_end() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare_with(&channel, "passing", arguments(&[("x-expires", 20.into())])).await;
    until(&broker, "passing", |queue| queue.is_none()).await;
}

#[tokio::test]
async fn what_a_full_queue_pushes_out_is_a_dead_letter() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    layout(&channel, &[("x-max-length", 1.into())]).await;
    publish(&channel, "jobs", b"old").await;
    publish(&channel, "jobs", b"new").await;
    let message = letter(&broker, &channel, "letters").await;
    assert_eq!(message.delivery.data, b"old");
    let [death] = &deaths(&message)[..] else { panic!("one death") };
    assert_eq!(death.inner().get("reason"), Some(&text("maxlen")));
}

/// Two queues that expire into each other would pass a message around for ever.
#[tokio::test]
async fn a_circle_without_a_consumer_ends() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    confirm_select(&channel).await;
    for (queue, next) in [("ping", "pong"), ("pong", "ping")] {
        let limits = arguments(&[
            ("x-message-ttl", 10.into()),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(next)),
        ]);
        declare_with(&channel, queue, limits).await;
    }
    publish(&channel, "ping", b"round").await;
    until(&broker, "pong", |queue| queue.is_some_and(|queue| queue.dropped == 1)).await;
    assert_eq!(broker.queue("ping").unwrap().published, 1);
    assert_eq!(broker.queue("ping").unwrap().ready, 0);
}

/// Queues whose dead letters go to all of them would make as many messages as there are orders of the queues.
#[tokio::test]
async fn dead_letters_do_not_multiply_without_end() {
    const QUEUES: u64 = 9;
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    confirm_select(&channel).await;
    declare_exchange(&channel, "all", ExchangeKind::Fanout).await;
    let limits = arguments(&[("x-message-ttl", 0.into()), ("x-dead-letter-exchange", text("all"))]);
    for number in 0..QUEUES {
        let name = format!("q{number}");
        declare_with(&channel, &name, limits.clone()).await;
        bind(&channel, &name, "all", "").await;
    }
    publish_to(&channel, "all", "", b"many", BasicProperties::default()).await;
    let made: u64 = (0..QUEUES).map(|number| broker.queue(&format!("q{number}")).unwrap().published).sum();
    // Each queue's message goes to all others, and on from there.
    assert!(made > QUEUES * QUEUES, "{made} messages");
    assert!(made < QUEUES * 2_000, "{made} messages");
}

/// A long way is fine, a way without end is not.
#[tokio::test]
async fn dead_letters_go_through_a_hundred_queues() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    confirm_select(&channel).await;
    for number in 0..110 {
        let limits = arguments(&[
            ("x-message-ttl", 0.into()),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&format!("q{}", number + 1))),
        ]);
        declare_with(&channel, &format!("q{number}"), limits).await;
    }
    publish(&channel, "q0", b"far").await;
    let published = |queue: &str| broker.queue(queue).unwrap().published;
    assert_eq!((published("q100"), published("q101")), (1, 0));
}

#[tokio::test]
async fn a_poison_message_is_given_up_after_its_deliveries() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    layout(&channel, &[("x-queue-type", text("quorum")), ("x-delivery-limit", 2.into())]).await;
    publish(&channel, "jobs", b"poison").await;
    for count in 0..3 {
        let message = get(&channel, "jobs").await.expect("it comes back");
        assert_eq!(headers(&message).inner().get("x-delivery-count"), Some(&AMQPValue::LongLongInt(count)));
        message.delivery.nack(BasicNackOptions { multiple: false, requeue: true }).await.unwrap();
    }
    assert!(get(&channel, "jobs").await.is_none());
    let message = letter(&broker, &channel, "letters").await;
    let [death] = &deaths(&message)[..] else { panic!("one death") };
    assert_eq!(death.inner().get("reason"), Some(&text("delivery_limit")));
}
