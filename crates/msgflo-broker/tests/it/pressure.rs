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
    let declare = queue::Declare {
        queue: "q".into(),
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        nowait: true,
        arguments: FieldTable::default(),
    };
    client.send(1, AMQPClass::Queue(queue::AMQPMethod::Declare(declare))).await;
    let publish = || basic::Publish {
        exchange: "".into(),
        routing_key: "q".into(),
        mandatory: false,
        immediate: false,
    };
    for _ in 0..12_000 {
        client.publish(1, publish(), b"tiny").await;
    }
    let told = client.method().await;
    let AMQPClass::Connection(connection::AMQPMethod::Blocked(blocked)) = told else { panic!("{told:?}") };
    assert_eq!(blocked.reason.as_str(), "low on memory");
    // Others that publish nothing are served, and can make room.
    let (_connection, other) = channel(&broker).await;
    let purge = lapin::options::QueuePurgeOptions::default();
    other.queue_purge("q".into(), purge).await.unwrap();
    let told = client.method().await;
    assert!(matches!(told, AMQPClass::Connection(connection::AMQPMethod::Unblocked(_))), "{told:?}");
    crate::support::publish(&other, "q", b"more").await;
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
