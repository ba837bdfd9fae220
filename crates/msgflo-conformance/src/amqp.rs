//! The layout in an AMQP 0-9-1 broker, seen by a plain client that knows nothing of us, and strangers who do otherwise.
//!
//! The layout is that of the first MsgFlo, so that its participants and ours meet.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use msgflo_core::{Binding, Error, InportOptions, Participant, Sharing, discovery};
use tokio::time::timeout;

use crate::Bed;
use crate::bed::queue;
use crate::inbox::{Inbox, PATIENCE, eventually, message};

/// A plain client.
struct Plain {
    channel: Channel,
    _connection: Connection,
}

impl Plain {
    async fn connect(bed: &Bed) -> Self {
        let url = bed.url().expose().as_str();
        let connection =
            Connection::connect(url, ConnectionProperties::default()).await.expect("a plain client connects");
        let channel = connection.create_channel().await.expect("a channel opens");
        Self { channel, _connection: connection }
    }

    /// Declares again: the broker refuses if the queue has other properties.
    async fn queue(&self, name: &str, options: QueueDeclareOptions, arguments: FieldTable) {
        self.channel.queue_declare(name.into(), options, arguments).await.expect("a queue as declared");
    }

    async fn exchange(&self, name: &str, kind: ExchangeKind, durable: bool) {
        let options = ExchangeDeclareOptions { durable, ..Default::default() };
        let declaring = self.channel.exchange_declare(name.into(), kind, options, FieldTable::default());
        declaring.await.expect("an exchange as declared");
    }

    async fn publish(&self, exchange: &str, key: &str, payload: &[u8]) {
        let (options, properties) = Default::default();
        let publishing =
            self.channel.basic_publish(exchange.into(), key.into(), options, payload, properties);
        publishing.await.expect("it is sent");
    }

    async fn consume(&self, queue: &str) -> Consumer {
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let consuming = self.channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        consuming.await.expect("a consumer")
    }
}

async fn next(consumer: &mut Consumer) -> lapin::message::Delivery {
    let next = timeout(PATIENCE, consumer.next()).await.expect("a message comes in time");
    next.expect("the consumer goes on").expect("a delivery")
}

fn dead_lettering(queue: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    let exchange = AMQPValue::LongString(format!("dead-{queue}").into());
    arguments.insert("x-dead-letter-exchange".into(), exchange);
    arguments
}

/// A durable queue that dead-letters to `dead-<queue>`, and a durable fanout exchange of its name bound to it.
pub async fn an_inport_is_laid_out_as_ever(bed: &Bed) {
    let (client, plain) = (bed.client().await, Plain::connect(bed).await);
    let mut inbox = Inbox::open(&*client, &queue("a.IN"), Sharing::Shared, 1).await;
    plain.queue("a.IN", QueueDeclareOptions::durable(), dead_lettering("a.IN")).await;
    plain.exchange("a.IN", ExchangeKind::Fanout, true).await;
    plain.publish("a.IN", "", b"by the exchange").await;
    assert_eq!(inbox.text().await, "by the exchange");
}

/// A durable fanout exchange.
pub async fn an_outport_is_laid_out_as_ever(bed: &Bed) {
    let (client, plain) = (bed.client().await, Plain::connect(bed).await);
    client.create_outport(&queue("a.OUT")).await.expect("an outport is made");
    plain.exchange("a.OUT", ExchangeKind::Fanout, true).await;
}

/// A durable direct exchange between, and a durable fanout exchange for what is refused.
pub async fn a_round_robin_is_laid_out_as_ever(bed: &Bed) {
    let (client, broker, plain) = (bed.client().await, bed.broker().await, Plain::connect(bed).await);
    client.create_outport(&queue("a.OUT")).await.expect("an outport is made");
    let mut inbox = Inbox::open(&*client, &queue("b.IN"), Sharing::Shared, 1).await;
    let mut dead = Inbox::open(&*client, &queue("dead.IN"), Sharing::Shared, 1).await;
    let deadletter = Some(queue("dead.IN"));
    let binding =
        Binding::RoundRobin { source: queue("a.OUT"), target: queue("b.IN"), deadletter, retry: None };
    broker.add_binding(&binding).await.expect("it is bound");
    plain.exchange("out-a.OUT", ExchangeKind::Direct, true).await;
    plain.exchange("dead-b.IN", ExchangeKind::Fanout, true).await;
    plain.publish("out-a.OUT", "", b"work").await;
    assert_eq!(inbox.text().await, "work");
    plain.publish("dead-b.IN", "", b"refused").await;
    assert_eq!(dead.text().await, "refused");
}

/// To the queue `fbp` by the default exchange, neither persistent nor with a content type.
pub async fn an_announcement_is_sent_as_ever(bed: &Bed) {
    let (client, plain) = (bed.client().await, Plain::connect(bed).await);
    let participant = Participant::new("id", "role", "component");
    client.announce(&participant).await.expect("it is announced");
    plain.queue(discovery::QUEUE, QueueDeclareOptions::durable(), FieldTable::default()).await;
    let announced = next(&mut plain.consume(discovery::QUEUE).await).await;
    assert_eq!((announced.exchange.as_str(), announced.routing_key.as_str()), ("", "fbp"));
    assert_eq!(announced.data.as_slice(), discovery::encode(&participant));
    assert_ne!(*announced.properties.delivery_mode(), Some(2));
    assert_eq!(*announced.properties.content_type(), None);
}

/// Like the ports of participants in Python and C++: whatever their properties, they are bound and left as they are.
pub async fn ports_of_strangers_are_bound_as_they_are(bed: &Bed) {
    let (client, broker, plain) = (bed.client().await, bed.broker().await, Plain::connect(bed).await);
    let passing = QueueDeclareOptions { auto_delete: true, ..Default::default() };
    let mut limited = FieldTable::default();
    limited.insert("x-max-length".into(), AMQPValue::LongInt(1000));
    plain.queue("python/in", passing, FieldTable::default()).await;
    plain.queue("cpp.IN", QueueDeclareOptions::durable(), limited.clone()).await;
    plain.exchange("python/out", ExchangeKind::Fanout, false).await;
    plain.exchange("topics", ExchangeKind::Topic, true).await;
    client.create_outport(&queue("rust.OUT")).await.expect("an outport is made");
    let mut inbox = Inbox::open(&*client, &queue("rust.IN"), Sharing::Shared, 10).await;
    let (mut python, mut cpp) = (plain.consume("python/in").await, plain.consume("cpp.IN").await);
    let pubsub =
        |source: &str, target: &str| Binding::PubSub { source: queue(source), target: queue(target) };
    let round_robin = Binding::RoundRobin {
        source: queue("python/out"),
        target: queue("cpp.IN"),
        deadletter: None,
        retry: None,
    };
    for binding in [
        pubsub("rust.OUT", "python/in"),
        pubsub("rust.OUT", "cpp.IN"),
        pubsub("python/out", "rust.IN"),
        round_robin,
    ] {
        broker.add_binding(&binding).await.expect("it is bound");
    }
    client.send(&queue("rust.OUT"), message("from rust")).await.expect("it is sent");
    plain.publish("python/out", "", b"from python").await;
    assert_eq!(next(&mut python).await.data.as_slice(), b"from rust");
    assert_eq!(inbox.text().await, "from python");
    let mut both =
        [next(&mut cpp).await.data.as_slice().to_vec(), next(&mut cpp).await.data.as_slice().to_vec()];
    both.sort();
    assert_eq!(both, [b"from python".to_vec(), b"from rust".to_vec()]);
    let _tap = broker.tap(&queue("python/out"), 10).await.expect("any exchange can be tapped");
    broker.depth(&queue("python/in")).await.expect("any queue has a depth");
    // They are still what they were.
    plain.queue("python/in", passing, FieldTable::default()).await;
    plain.queue("cpp.IN", QueueDeclareOptions::durable(), limited).await;
    plain.exchange("python/out", ExchangeKind::Fanout, false).await;
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    let binding =
        plain.channel.queue_bind("cpp.IN".into(), "topics".into(), "a.#".into(), options, arguments);
    binding.await.expect("the stranger's channel lives on");
}

/// Somebody else's queue is not taken for an inport, and the connection goes on working.
pub async fn an_inport_that_differs_is_a_mismatch_and_hurts_nobody(bed: &Bed) {
    let (client, plain) = (bed.client().await, Plain::connect(bed).await);
    plain.queue("a.IN", QueueDeclareOptions::durable(), FieldTable::default()).await;
    plain.exchange("a.OUT", ExchangeKind::Direct, true).await;
    let inport = client.create_inport(&queue("a.IN"), InportOptions::default()).await;
    let error = inport.expect_err("it has other properties");
    assert!(matches!(&error, Error::Mismatch { name, .. } if *name == "a.IN"), "{error:?}");
    let error = client.create_outport(&queue("a.OUT")).await.expect_err("it has other properties");
    assert!(matches!(&error, Error::Mismatch { name, .. } if *name == "a.OUT"), "{error:?}");
    let mut inbox = Inbox::open(&*client, &queue("b.IN"), Sharing::Shared, 1).await;
    client.send_to_queue(&queue("b.IN"), message("works")).await.expect("it is sent");
    assert_eq!(inbox.text().await, "works");
}

/// `fbp` was made by somebody with other properties: announcing and watching work all the same.
pub async fn a_discovery_queue_that_differs_will_do(bed: &Bed) {
    let (client, broker, plain) = (bed.client().await, bed.broker().await, Plain::connect(bed).await);
    plain.queue(discovery::QUEUE, QueueDeclareOptions::default(), FieldTable::default()).await;
    let mut announcements = broker.watch_discovery().await.expect("discovery is watched");
    client.announce(&Participant::new("id", "role", "component")).await.expect("it is announced");
    let next = timeout(PATIENCE, announcements.next()).await.expect("it comes in time");
    assert_eq!(next.expect("discovery goes on").expect("an announcement").participant.id, "id");
}

/// Somebody who deletes the queue, or the exchange behind it, ends discovery for nobody.
pub async fn a_discovery_queue_that_is_deleted_is_made_again(bed: &Bed) {
    let (client, broker, plain) = (bed.client().await, bed.broker().await, Plain::connect(bed).await);
    let mut announcements = broker.watch_discovery().await.expect("discovery is watched");
    for what in ["the queue", "the exchange too"] {
        if what == "the exchange too" {
            let deleting = plain.channel.exchange_delete(discovery::EXCHANGE.into(), Default::default());
            deleting.await.expect("it is deleted");
        }
        let deleting = plain.channel.queue_delete(discovery::QUEUE.into(), Default::default());
        deleting.await.expect("it is deleted");
        // What is announced while nothing is there is lost, and a participant repeats it.
        let look = async || {
            client.announce(&Participant::new(what, "role", "component")).await.expect("it is announced");
            let heard = timeout(Duration::from_millis(100), announcements.next()).await.ok()?;
            let heard = heard.expect("discovery goes on").expect("an announcement");
            Some(heard.participant.id.to_string())
        };
        eventually(look, |heard| heard.as_deref() == Some(what), "the announcement").await;
    }
}
