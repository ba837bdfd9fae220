//! From exchanges to queues.

use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, Channel, ExchangeKind};

use crate::support::{
    arguments, bind, bind_with, broker, channel, code, confirm_select, declare, declare_exchange, drain, get,
    publish_to, text,
};

async fn send(channel: &Channel, exchange: &str, key: &str) {
    publish_to(channel, exchange, key, key.as_bytes(), BasicProperties::default()).await;
}

async fn received(channel: &Channel, queue: &str) -> Vec<String> {
    let bodies = drain(channel, queue).await;
    bodies.into_iter().map(|body| String::from_utf8(body).expect("sent as text")).collect()
}

#[tokio::test]
async fn direct_fanout_and_topic() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    confirm_select(&channel).await;
    for queue in ["a", "b"] {
        declare(&channel, queue).await;
    }
    for (exchange, kind) in
        [("direct", ExchangeKind::Direct), ("fanout", ExchangeKind::Fanout), ("topic", ExchangeKind::Topic)]
    {
        declare_exchange(&channel, exchange, kind).await;
    }
    bind(&channel, "a", "direct", "one").await;
    bind(&channel, "b", "direct", "two").await;
    bind(&channel, "a", "fanout", "").await;
    bind(&channel, "a", "fanout", "again").await;
    bind(&channel, "b", "fanout", "").await;
    bind(&channel, "a", "topic", "sensor.*.temperature").await;
    bind(&channel, "b", "topic", "sensor.#").await;

    for key in ["one", "two", "three"] {
        send(&channel, "direct", key).await;
    }
    assert_eq!(received(&channel, "a").await, ["one"]);
    assert_eq!(received(&channel, "b").await, ["two"]);

    send(&channel, "fanout", "x").await;
    assert_eq!(received(&channel, "a").await, ["x"], "one copy, however many bindings");
    assert_eq!(received(&channel, "b").await, ["x"]);

    for key in ["sensor.kitchen.temperature", "sensor.kitchen", "sensor", "other"] {
        send(&channel, "topic", key).await;
    }
    assert_eq!(received(&channel, "a").await, ["sensor.kitchen.temperature"]);
    assert_eq!(received(&channel, "b").await, ["sensor.kitchen.temperature", "sensor.kitchen", "sensor"]);
}

#[tokio::test]
async fn headers() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    confirm_select(&channel).await;
    declare(&channel, "all").await;
    declare(&channel, "any").await;
    let pattern = |mode| arguments(&[("x-match", text(mode)), ("type", text("image")), ("size", 3.into())]);
    bind_with(&channel, "all", "amq.headers", "", pattern("all")).await;
    bind_with(&channel, "any", "amq.headers", "", pattern("any")).await;
    for (body, size) in [("both", 3), ("one", 4)] {
        let headers = arguments(&[("type", text("image")), ("size", size.into())]);
        let properties = BasicProperties::default().with_headers(headers);
        publish_to(&channel, "amq.headers", "", body.as_bytes(), properties).await;
    }
    assert_eq!(received(&channel, "all").await, ["both"]);
    assert_eq!(received(&channel, "any").await, ["both", "one"]);
}

#[tokio::test]
async fn exchanges_feed_exchanges_also_in_circles() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    confirm_select(&channel).await;
    declare(&channel, "end").await;
    declare_exchange(&channel, "first", ExchangeKind::Fanout).await;
    declare_exchange(&channel, "second", ExchangeKind::Direct).await;
    for (destination, source, key) in [("second", "first", ""), ("first", "second", "k")] {
        channel
            .exchange_bind(
                destination.into(),
                source.into(),
                key.into(),
                Default::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
    }
    bind(&channel, "end", "second", "k").await;
    send(&channel, "first", "k").await;
    send(&channel, "first", "other").await;
    assert_eq!(received(&channel, "end").await, ["k"]);
    channel
        .exchange_unbind(
            "second".into(),
            "first".into(),
            "".into(),
            Default::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    send(&channel, "first", "k").await;
    assert_eq!(received(&channel, "end").await, Vec::<String>::new());
}

#[tokio::test]
async fn the_alternate_exchange_takes_what_nobody_takes() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    confirm_select(&channel).await;
    declare(&channel, "known").await;
    declare(&channel, "unknown").await;
    declare_exchange(&channel, "rest", ExchangeKind::Fanout).await;
    channel
        .exchange_declare(
            "main".into(),
            ExchangeKind::Direct,
            ExchangeDeclareOptions::default(),
            arguments(&[("alternate-exchange", text("rest"))]),
        )
        .await
        .unwrap();
    bind(&channel, "known", "main", "k").await;
    bind(&channel, "unknown", "rest", "").await;
    send(&channel, "main", "k").await;
    send(&channel, "main", "other").await;
    assert_eq!(received(&channel, "known").await, ["k"]);
    assert_eq!(received(&channel, "unknown").await, ["other"]);
}

#[tokio::test]
async fn carbon_copies_and_blind_ones() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    confirm_select(&channel).await;
    for queue in ["to", "cc", "bcc"] {
        declare(&channel, queue).await;
    }
    let list = |key: &str| AMQPValue::FieldArray(FieldArray::from(vec![text(key)]));
    let headers = arguments(&[("BCC", list("bcc")), ("CC", list("cc")), ("x", 1.into())]);
    publish_to(&channel, "", "to", b"letter", BasicProperties::default().with_headers(headers)).await;
    for queue in ["to", "cc", "bcc"] {
        let message = get(&channel, queue).await.expect("everybody gets it");
        let headers = message.delivery.properties.headers().clone().unwrap();
        assert_eq!(headers, arguments(&[("CC", list("cc")), ("x", 1.into())]), "{queue}");
    }
}

#[tokio::test]
async fn an_auto_delete_exchange_goes_with_its_last_binding() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "q").await;
    let options = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    channel
        .exchange_declare("passing".into(), ExchangeKind::Fanout, options, FieldTable::default())
        .await
        .unwrap();
    bind(&channel, "q", "passing", "").await;
    channel.queue_delete("q".into(), QueueDeleteOptions::default()).await.unwrap();
    let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
    let gone = channel
        .exchange_declare("passing".into(), ExchangeKind::Fanout, passive, FieldTable::default())
        .await;
    assert_eq!(code(gone), 404);
}

#[tokio::test]
async fn a_used_exchange_is_kept_if_asked_so() {
    let broker = broker().await;
    let (connection, channel) = channel(&broker).await;
    declare(&channel, "q").await;
    declare_exchange(&channel, "used", ExchangeKind::Fanout).await;
    bind(&channel, "q", "used", "").await;
    let if_unused = ExchangeDeleteOptions { if_unused: true, ..Default::default() };
    assert_eq!(code(channel.exchange_delete("used".into(), if_unused).await), 406);
    let channel = connection.create_channel().await.unwrap();
    channel.exchange_delete("used".into(), ExchangeDeleteOptions::default()).await.unwrap();
    assert!(broker.bindings().is_empty());
}

#[tokio::test]
async fn the_broker_names_queues_and_the_empty_name_is_the_last_one() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    confirm_select(&channel).await;
    let queue = channel
        .queue_declare("".into(), QueueDeclareOptions::default(), FieldTable::default())
        .await
        .unwrap();
    let name = queue.name().to_string();
    assert!(name.starts_with("amq.gen-"), "{name}");
    bind(&channel, "", "amq.direct", "").await;
    send(&channel, "amq.direct", &name).await;
    assert_eq!(received(&channel, "").await, [name]);
}
