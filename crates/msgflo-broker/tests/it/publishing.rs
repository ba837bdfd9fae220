//! Publishing and consuming.

use lapin::options::BasicAckOptions;

use crate::support::{broker, channel, confirm_select, consume, declare, next, publish};

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

    let mut depth = broker.watch_depth("jobs");
    while depth.depth().is_some_and(|depth| depth.unacknowledged > 0) {
        assert!(depth.changed().await);
    }
    let queue = broker.queue("jobs").unwrap();
    assert_eq!((queue.published, queue.acknowledged, queue.ready), (1, 1, 0));
    broker.shutdown().await;
}
