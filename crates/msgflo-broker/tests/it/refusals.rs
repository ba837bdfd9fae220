//! The reply code for each thing that cannot be.

use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, exchange, queue, tx};
use amq_protocol::types::{AMQPValue, FieldTable};

use crate::raw::RawClient;
use crate::support::{arguments, broker, channel as lapin_channel, declare, text};

fn declare_queue(name: &str) -> queue::Declare {
    queue::Declare {
        queue: name.into(),
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: FieldTable::default(),
    }
}

fn declare_exchange(name: &str, kind: &str) -> exchange::Declare {
    exchange::Declare {
        exchange: name.into(),
        kind: kind.into(),
        passive: false,
        durable: false,
        auto_delete: false,
        internal: false,
        nowait: false,
        arguments: FieldTable::default(),
    }
}

fn q(declare: queue::Declare) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Declare(declare))
}

fn x(declare: exchange::Declare) -> AMQPClass {
    AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare))
}

fn bind(queue: &str, exchange: &str) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: "".into(),
        nowait: false,
        arguments: FieldTable::default(),
    }))
}

fn consume(queue: &str, tag: &str, exclusive: bool) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Consume(basic::Consume {
        queue: queue.into(),
        consumer_tag: tag.into(),
        no_local: false,
        no_ack: false,
        exclusive,
        nowait: false,
        arguments: FieldTable::default(),
    }))
}

fn publish_to(exchange: &str) -> basic::Publish {
    basic::Publish { exchange: exchange.into(), routing_key: "k".into(), mandatory: false, immediate: false }
}

/// Each of these closes the channel with a code, and the connection lives on.
#[tokio::test]
async fn channel_errors() {
    let broker = broker().await;
    let (_connection, other) = lapin_channel(&broker).await;
    declare(&other, "there").await;
    let exclusive = lapin::options::QueueDeclareOptions { exclusive: true, ..Default::default() };
    other.queue_declare("mine".into(), exclusive, FieldTable::default()).await.unwrap();

    let mut client = RawClient::open(&broker).await;
    let get = |queue: &str| {
        AMQPClass::Basic(basic::AMQPMethod::Get(basic::Get { queue: queue.into(), no_ack: true }))
    };
    let purge = |queue: &str| {
        AMQPClass::Queue(queue::AMQPMethod::Purge(queue::Purge { queue: queue.into(), nowait: false }))
    };
    let ack =
        |tag, multiple| AMQPClass::Basic(basic::AMQPMethod::Ack(basic::Ack { delivery_tag: tag, multiple }));
    let delete = |queue: &str, if_unused| {
        AMQPClass::Queue(queue::AMQPMethod::Delete(queue::Delete {
            queue: queue.into(),
            if_unused,
            if_empty: false,
            nowait: false,
        }))
    };
    let delete_exchange = |exchange: &str| {
        AMQPClass::Exchange(exchange::AMQPMethod::Delete(exchange::Delete {
            exchange: exchange.into(),
            if_unused: false,
            nowait: false,
        }))
    };
    let with = |key: &str, value: AMQPValue| arguments(&[(key, value)]);
    let cases = [
        ("passive queue", q(queue::Declare { passive: true, ..declare_queue("missing") }), 404),
        (
            "passive exchange",
            x(exchange::Declare { passive: true, ..declare_exchange("missing", "direct") }),
            404,
        ),
        ("consume", consume("missing", "", false), 404),
        ("get", get("missing"), 404),
        ("purge", purge("missing"), 404),
        ("bind queue", bind("missing", "amq.direct"), 404),
        ("bind exchange", bind("there", "missing"), 404),
        ("no last queue", get(""), 404),
        ("foreign declare", q(declare_queue("mine")), 405),
        ("foreign passive", q(queue::Declare { passive: true, ..declare_queue("mine") }), 405),
        ("foreign consume", consume("mine", "", false), 405),
        ("foreign get", get("mine"), 405),
        ("foreign delete", delete("mine", false), 405),
        ("exclusive now", q(queue::Declare { exclusive: true, ..declare_queue("there") }), 405),
        ("durable now", q(queue::Declare { durable: true, ..declare_queue("there") }), 406),
        ("auto-delete now", q(queue::Declare { auto_delete: true, ..declare_queue("there") }), 406),
        (
            "other argument",
            q(queue::Declare { arguments: with("x-message-ttl", 5.into()), ..declare_queue("there") }),
            406,
        ),
        (
            "bad argument",
            q(queue::Declare { arguments: with("x-expires", text("soon")), ..declare_queue("new") }),
            406,
        ),
        (
            "delivery limit",
            q(queue::Declare { arguments: with("x-delivery-limit", 5.into()), ..declare_queue("new") }),
            406,
        ),
        (
            "transient quorum",
            q(queue::Declare { arguments: with("x-queue-type", text("quorum")), ..declare_queue("new") }),
            406,
        ),
        ("other type", x(declare_exchange("amq.direct", "fanout")), 406),
        ("unknown tag", ack(99, false), 406),
        ("unknown tag, multiple", ack(99, true), 406),
        ("tag zero", ack(0, false), 406),
        ("commit without tx", AMQPClass::Tx(tx::AMQPMethod::Commit(tx::Commit {})), 406),
        ("reserved queue", q(declare_queue("amq.mine")), 403),
        ("reserved exchange", x(declare_exchange("amq.mine", "direct")), 403),
        ("default exchange", x(declare_exchange("", "direct")), 403),
        ("bind to default", bind("there", ""), 403),
        ("delete reserved", delete_exchange("amq.topic"), 403),
        ("delete default", delete_exchange(""), 403),
    ];
    for (what, method, expected) in cases {
        assert_eq!(client.closes_channel(method).await, expected, "{what}");
        client.open_channel(1).await;
    }
}

#[tokio::test]
async fn publishing_errors() {
    let broker = broker().await;
    let mut client = RawClient::open(&broker).await;
    client.publish(1, publish_to("missing"), b"x").await;
    assert_eq!(client.channel_close().await, 404);

    client.open_channel(1).await;
    client.send(1, x(exchange::Declare { internal: true, ..declare_exchange("inner", "fanout") })).await;
    client.method().await;
    client.publish(1, publish_to("inner"), b"x").await;
    assert_eq!(client.channel_close().await, 403);

    client.open_channel(1).await;
    let somebody = basic::AMQPProperties::default().with_user_id("somebody".into());
    client.publish_with(1, publish_to(""), somebody, b"x").await;
    assert_eq!(client.channel_close().await, 406);

    client.open_channel(1).await;
    let never = basic::AMQPProperties::default().with_expiration("never".into());
    client.publish_with(1, publish_to(""), never, b"x").await;
    assert_eq!(client.channel_close().await, 406);
}

/// Each of these ends the connection with a code.
#[tokio::test]
async fn connection_errors() {
    let broker = broker().await;
    let (_connection, channel) = lapin_channel(&broker).await;
    declare(&channel, "there").await;
    let open = || AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}));
    let cases = [
        ("unknown exchange type", 1, x(declare_exchange("new", "magic")), 503),
        ("channel opened twice", 1, open(), 504),
        ("channel not open", 2, q(declare_queue("q")), 504),
        ("channel above the maximum", 3000, open(), 530),
        ("method on channel 0", 0, q(declare_queue("q")), 504),
        ("server's method", 1, AMQPClass::Basic(basic::AMQPMethod::GetEmpty(basic::GetEmpty {})), 503),
        ("confirm's answer", 1, AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(confirm::SelectOk {})), 503),
        (
            "recover without requeue",
            1,
            AMQPClass::Basic(basic::AMQPMethod::Recover(basic::Recover { requeue: false })),
            540,
        ),
    ];
    for (what, number, method, expected) in cases {
        let mut client = RawClient::open(&broker).await;
        client.send(number, method).await;
        assert_eq!(client.connection_close().await, expected, "{what}");
    }

    let mut client = RawClient::open(&broker).await;
    client.send(1, consume("there", "tag", false)).await;
    client.method().await;
    client.send(1, consume("there", "tag", false)).await;
    assert_eq!(client.connection_close().await, 530, "duplicate consumer tag");

    let mut client = RawClient::open(&broker).await;
    client.publish(1, basic::Publish { immediate: true, ..publish_to("") }, b"x").await;
    assert_eq!(client.connection_close().await, 540, "immediate");
}

#[tokio::test]
async fn an_exclusive_consumer_stays_alone() {
    let broker = broker().await;
    let mut client = RawClient::open(&broker).await;
    client.send(1, q(declare_queue("jobs"))).await;
    client.method().await;
    client.send(1, consume("jobs", "only", true)).await;
    client.method().await;
    let mut other = RawClient::open(&broker).await;
    assert_eq!(other.closes_channel(consume("jobs", "", false)).await, 403);
    other.open_channel(1).await;
    let delete = queue::Delete { queue: "jobs".into(), if_unused: true, if_empty: false, nowait: false };
    assert_eq!(other.closes_channel(AMQPClass::Queue(queue::AMQPMethod::Delete(delete))).await, 406);
}

#[tokio::test]
async fn deleting_and_unbinding_what_is_missing_succeeds() {
    let broker = broker().await;
    let (_connection, channel) = lapin_channel(&broker).await;
    declare(&channel, "there").await;
    assert_eq!(channel.queue_delete("missing".into(), Default::default()).await.unwrap(), 0);
    channel.exchange_delete("missing".into(), Default::default()).await.unwrap();
    channel
        .queue_unbind("there".into(), "amq.direct".into(), "never".into(), FieldTable::default())
        .await
        .unwrap();
    channel.basic_cancel("never".into(), Default::default()).await.unwrap();
}

#[tokio::test]
async fn commands_in_flight_after_a_channel_error_are_ignored() {
    let broker = broker().await;
    let mut client = RawClient::open(&broker).await;
    // Sent in one go, before the client can know of the error.
    client.publish(1, publish_to("missing"), b"1").await;
    client.publish(1, publish_to("missing"), b"2").await;
    client.send(1, q(declare_queue("too-late"))).await;
    assert_eq!(client.channel_close().await, 404);
    client.open_channel(1).await;
    assert!(broker.queue("too-late").is_none());
}
