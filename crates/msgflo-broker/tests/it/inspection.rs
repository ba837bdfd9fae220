//! What the owner of the broker sees of it, without a socket.

use lapin::ExchangeKind;
use lapin::options::QueueDeleteOptions;
use msgflo_broker::Depth;

use crate::support::{
    PATIENCE, bind, broker, channel, confirm_select, consume, declare, declare_exchange, publish,
};

#[tokio::test]
async fn queues_and_bindings_are_listed() {
    let broker = broker().await;
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "b").await;
    declare(&channel, "a").await;
    declare_exchange(&channel, "x", ExchangeKind::Topic).await;
    bind(&channel, "a", "x", "k.#").await;
    let names: Vec<_> = broker.queues().into_iter().map(|queue| queue.name).collect();
    assert_eq!(names, ["a", "b"]);
    let bindings = broker.bindings();
    let [binding] = &bindings[..] else { panic!("{bindings:?}") };
    assert_eq!(
        (binding.source.as_str(), binding.destination.as_str(), binding.routing_key.as_str()),
        ("x", "a", "k.#")
    );
    assert!(!binding.to_exchange);
    assert_eq!(broker.queue("missing"), None);
}

#[tokio::test]
async fn a_watch_follows_a_queue_through_its_life() {
    let broker = broker().await;
    let mut depth = broker.watch_depth("jobs");
    assert_eq!(depth.depth(), None);
    let mut until = async |wanted: Option<Depth>| {
        let waiting = async {
            while depth.depth() != wanted {
                assert!(depth.changed().await);
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the watch sees it");
    };
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "jobs").await;
    until(Some(Depth { ready: 0, unacknowledged: 0, consumers: 0 })).await;
    confirm_select(&channel).await;
    publish(&channel, "jobs", b"1").await;
    until(Some(Depth { ready: 1, unacknowledged: 0, consumers: 0 })).await;
    let _consumer = consume(&channel, "jobs", "").await;
    until(Some(Depth { ready: 0, unacknowledged: 1, consumers: 1 })).await;
    channel.queue_delete("jobs".into(), QueueDeleteOptions::default()).await.unwrap();
    until(None).await;
}

#[tokio::test]
async fn a_watch_ends_with_the_broker() {
    let broker = broker().await;
    let mut depth = broker.watch_depth("jobs");
    broker.shutdown().await;
    drop(broker);
    assert!(!depth.changed().await);
}
