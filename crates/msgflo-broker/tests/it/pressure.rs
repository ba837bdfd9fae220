//! A broker that runs short of memory or disk: it stays within its limits, says so, and goes on when it can.

use std::time::Duration;

use amq_protocol::protocol::{AMQPClass, basic, channel, connection, queue};
use amq_protocol::types::FieldTable;
use lapin::BasicProperties;
use lapin::options::{BasicAckOptions, BasicPublishOptions};
use msgflo_broker::{Handle, Options, Server};

use crate::raw::RawClient;
use crate::support::{channel, confirm_select, consume, declare, next, publish, until};

async fn small_broker(memory_limit: usize) -> Handle {
    let options = Options { listen: ([127, 0, 0, 1], 0).into(), memory_limit, ..Options::default() };
    Server::start(options).await.expect("a free port")
}

/// A queue holds ten times the limit, and everything comes out again in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_lives_on_disk() {
    const LIMIT: usize = 8 << 20;
    const COUNT: u32 = 8_000;
    let broker = small_broker(LIMIT).await;
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "q").await;
    confirm_select(&channel).await;
    let mut waiting = Vec::new();
    let mut most = 0;
    for number in 0..COUNT {
        let mut body = vec![b'x'; 10_000];
        body[..4].copy_from_slice(&number.to_be_bytes());
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        let confirm = channel.basic_publish("".into(), "q".into(), options, &body, properties).await.unwrap();
        waiting.push(confirm);
        if waiting.len() == 100 {
            for confirm in waiting.drain(..) {
                assert!(confirm.await.unwrap().is_ack());
            }
            most = most.max(broker.memory_used());
        }
    }
    until(&broker, "q", |queue| queue.is_some_and(|queue| queue.ready == u64::from(COUNT))).await;
    assert!(most < LIMIT + (LIMIT / 4), "{most} bytes were in use at a limit of {LIMIT}");
    channel.basic_qos(200, lapin::options::BasicQosOptions::default()).await.unwrap();
    let mut consumer = consume(&channel, "q", "c").await;
    for number in 0..COUNT {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.data[..4], number.to_be_bytes());
        assert_eq!(delivery.data.len(), 10_000);
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    until(&broker, "q", |queue| queue.is_some_and(|queue| queue.unacknowledged == 0)).await;
    assert!(broker.memory_used() < LIMIT / 2, "{} bytes for nothing", broker.memory_used());
}

/// Even the index of so many small messages is too much: the publisher must wait, and goes on when there is room.
#[tokio::test(flavor = "multi_thread")]
async fn publishers_wait_at_the_limit_and_are_told() {
    let broker = small_broker(1 << 20).await;
    let mut client = RawClient::open_understanding(&broker, "connection.blocked").await;
    client.send(1, declare_q()).await;
    flood(&mut client).await;
    let told = client.method().await;
    let AMQPClass::Connection(connection::AMQPMethod::Blocked(blocked)) = told else { panic!("{told:?}") };
    assert_eq!(blocked.reason.as_str(), "low on memory");
    // Others that publish nothing are served, and can make room.
    let (_connection, other) = channel(&broker).await;
    let purge = lapin::options::QueuePurgeOptions::default();
    other.queue_purge("q".into(), purge).await.unwrap();
    let told = client.method().await;
    assert!(is_unblocked(&told), "{told:?}");
    crate::support::publish(&other, "q", b"more").await;
}

fn declare_q() -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
        queue: "q".into(),
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        nowait: true,
        arguments: FieldTable::default(),
    }))
}

async fn flood(client: &mut RawClient) {
    for _ in 0..14_000 {
        let publish = basic::Publish {
            exchange: "".into(),
            routing_key: "q".into(),
            mandatory: false,
            immediate: false,
        };
        client.publish(1, publish, b"tiny").await;
    }
}

fn is_blocked(told: &AMQPClass) -> bool {
    matches!(told, AMQPClass::Connection(connection::AMQPMethod::Blocked(_)))
}

fn is_unblocked(told: &AMQPClass) -> bool {
    matches!(told, AMQPClass::Connection(connection::AMQPMethod::Unblocked(_)))
}

/// Who has published something may still acknowledge on the same connection, and so ends what keeps publishers waiting.
#[tokio::test(flavor = "multi_thread")]
async fn who_consumes_is_heard_while_publishers_wait() {
    let broker = small_broker(1 << 20).await;
    let (_connection, participant) = channel(&broker).await;
    declare(&participant, "q").await;
    declare(&participant, "results").await;
    participant.basic_qos(100, lapin::options::BasicQosOptions::default()).await.unwrap();
    publish(&participant, "results", b"here I am").await;
    let mut consumer = consume(&participant, "q", "c").await;
    let mut client = RawClient::open_understanding(&broker, "connection.blocked").await;
    flood(&mut client).await;
    assert!(is_blocked(&client.method().await));
    let working = async {
        loop {
            let delivery = next(&mut consumer).await;
            publish(&participant, "results", b"done").await;
            delivery.ack(BasicAckOptions::default()).await.unwrap();
            if delivery.delivery_tag % 100 == 0 {
                participant.queue_purge("results".into(), Default::default()).await.unwrap();
            }
        }
    };
    let told = tokio::select! {
        told = client.method() => told,
        () = working => unreachable!("it works without end"),
    };
    assert!(is_unblocked(&told), "{told:?}");
}

/// Consuming is no licence to publish without end: above the second mark it waits as everybody, and is told.
#[tokio::test(flavor = "multi_thread")]
async fn who_consumes_and_publishes_without_end_must_wait_too() {
    const LIMIT: usize = 1 << 20;
    let broker = small_broker(LIMIT).await;
    let (_connection, other) = channel(&broker).await;
    declare(&other, "empty").await;
    let mut client = RawClient::open_understanding(&broker, "connection.blocked").await;
    client.send(1, declare_q()).await;
    let consume = basic::Consume {
        queue: "empty".into(),
        consumer_tag: "c".into(),
        no_local: false,
        no_ack: false,
        exclusive: false,
        nowait: true,
        arguments: FieldTable::default(),
    };
    client.send(1, AMQPClass::Basic(basic::AMQPMethod::Consume(consume))).await;
    flood(&mut client).await;
    assert!(is_blocked(&client.method().await));
    let used = broker.memory_used();
    assert!((LIMIT..LIMIT * 3 / 2).contains(&used), "{used} bytes are in use");
    other.queue_purge("q".into(), Default::default()).await.unwrap();
    assert!(is_unblocked(&client.method().await));
    // It consumes no longer, so the first mark counts again.
    let cancel = basic::Cancel { consumer_tag: "c".into(), nowait: true };
    client.send(1, AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel))).await;
    flood(&mut client).await;
    assert!(is_blocked(&client.method().await));
    let used = broker.memory_used();
    assert!(used < LIMIT * 9 / 8, "{used} bytes are in use");
}

/// Half a message is no reason to keep memory for ever, and many halves do not get more than there is.
#[tokio::test(flavor = "multi_thread")]
async fn unfinished_messages_stay_within_the_limit() {
    const LIMIT: usize = 4 << 20;
    let broker = small_broker(LIMIT).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = RawClient::open(&broker).await;
        let publish = basic::Publish {
            exchange: "".into(),
            routing_key: "q".into(),
            mandatory: false,
            immediate: false,
        };
        client.begin(1, publish, 100 << 20).await;
        clients.push(client);
    }
    let piece = vec![0; 100_000];
    for _ in 0..15 {
        for client in &mut clients {
            let _ = tokio::time::timeout(Duration::from_millis(20), client.send_body(1, &piece)).await;
        }
        assert!(broker.memory_used() < 2 * LIMIT, "{} bytes of halves", broker.memory_used());
    }
    drop(clients);
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "q").await;
    confirm_select(&channel).await;
    let published = tokio::time::timeout(crate::support::PATIENCE, publish(&channel, "q", b"whole")).await;
    assert!(published.is_ok(), "the broker serves again");
}

/// A thousand times more channels than anybody needs, and one too many.
#[tokio::test]
async fn channels_have_a_limit() {
    let broker = small_broker(64 << 20).await;
    let mut client = RawClient::open(&broker).await;
    for id in 2..=2_047 {
        client.open_channel(id).await;
    }
    client.send(2_048, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))).await;
    assert_eq!(client.connection_close().await, 530);
}

/// A connection that asks without end does not keep others from being served.
#[tokio::test(flavor = "multi_thread")]
async fn one_connection_does_not_starve_others() {
    let broker = small_broker(64 << 20).await;
    let (_connection, flooding) = channel(&broker).await;
    declare(&flooding, "flood").await;
    let flood = tokio::spawn(async move {
        loop {
            let options = BasicPublishOptions::default();
            let properties = BasicProperties::default();
            if flooding
                .basic_publish("".into(), "flood".into(), options, &[0; 500], properties)
                .await
                .is_err()
            {
                return;
            }
        }
    });
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "q").await;
    confirm_select(&channel).await;
    for _ in 0..200 {
        publish(&channel, "q", b"now and then").await;
    }
    flood.abort();
}
