//! What is particular to MQTT: versions, shared subscriptions, and bindings that a router carries.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use msgflo_core::{
    Binding, Broker, BrokerOptions, BrokerUrl, Client, Error, Message, Participant, Sharing, Timestamp,
    discovery,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::Bed;
use crate::bed::queue;
use crate::inbox::{Inbox, PATIENCE, message};

fn pubsub(source: &str, target: &str) -> Binding {
    Binding::PubSub { source: queue(source), target: queue(target) }
}

async fn inport(client: &dyn Client, name: &str) -> Inbox {
    Inbox::open(client, &queue(name), Sharing::Shared, 10).await
}

async fn send(client: &dyn Client, topic: &str, text: &str) {
    client.send(&queue(topic), message(text)).await.expect("it is sent");
}

fn with(bed: &Bed, query: &str) -> BrokerUrl {
    let mut url = bed.url().expose().clone();
    url.set_query(Some(query));
    url.as_str().parse().expect("it was a URL before")
}

/// Payloads and their order are all that 3.1.1 has.
pub async fn an_older_version_is_spoken_too(bed: &Bed) {
    let old = with(bed, "version=3.1.1");
    let (client, broker) = (bed.client_at(&old).await, bed.broker_at(&old).await);
    let mut inbox = inport(&*client, "b/in").await;
    broker.add_binding(&pubsub("a/out", "b/in")).await.expect("it is bound");
    let texts: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    for text in &texts {
        send(&*client, "a/out", text).await;
    }
    assert_eq!(inbox.texts(100).await, texts);
    broker.remove_binding(&pubsub("a/out", "b/in")).await.expect("it is removed");
    send(&*client, "a/out", "unbound").await;
    send(&*client, "b/in", "end").await;
    assert_eq!(inbox.text().await, "end");
}

/// Content type, time, trace context, and headers that are texts; others become the text of their JSON.
pub async fn texts_beside_the_payload_are_kept(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let mut inbox = inport(&*client, "b/in").await;
    broker.add_binding(&pubsub("a/out", "b/in")).await.expect("it is bound");
    let headers = |number: Value| {
        let headers = json!({"text": "é", "number": number});
        headers.as_object().expect("it is one").clone()
    };
    let sent = Message {
        content_type: Some("image/jpeg".into()),
        headers: headers(json!(7)),
        timestamp: Some(Timestamp(1_700_000_000_123)),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        ..Message::new(&b"\x00\x01"[..])
    };
    client.send(&queue("a/out"), sent.clone()).await.expect("it is sent");
    let arrived = inbox.next().await;
    assert_eq!(arrived.message, Message { headers: headers(json!("7")), ..sent });
    arrived.ack();
}

/// Two that share take all between them; one that wants each message gets all.
pub async fn instances_share_each_message_once(bed: &Bed) {
    const COUNT: usize = 100;
    let (first, second, third) = (bed.client().await, bed.client().await, bed.client().await);
    let (mut left, mut right) = (inport(&*first, "in").await, inport(&*second, "in").await);
    let mut each = Inbox::open(&*third, &queue("in"), Sharing::Each, 10).await;
    for n in 0..COUNT {
        send(&*third, "in", &format!("{n:03}")).await;
    }
    let mut shared = Vec::new();
    while shared.len() < COUNT {
        let delivery = tokio::select! {
            delivery = left.next() => delivery,
            delivery = right.next() => delivery,
        };
        shared.push(String::from_utf8_lossy(&delivery.message.payload).into_owned());
        delivery.ack();
    }
    shared.sort();
    let all: Vec<_> = (0..COUNT).map(|n| format!("{n:03}")).collect();
    assert_eq!(shared, all);
    assert_eq!(each.texts(COUNT).await, all);
}

/// No more messages are handed out than were asked for, until one is answered.
pub async fn at_most_prefetch_are_out(bed: &Bed) {
    let client = bed.client().await;
    let mut inbox = Inbox::open(&*client, &queue("in"), Sharing::Shared, 2).await;
    for text in ["1", "2", "3", "4"] {
        send(&*client, "in", text).await;
    }
    let (first, second) = (inbox.next().await, inbox.next().await);
    // What is sent later on the same connection is there, so the others are, too.
    assert!(inbox.next().now_or_never().is_none(), "a third message came while two were unanswered");
    second.ack();
    assert_eq!(inbox.text().await, "3");
    assert_eq!(inbox.text().await, "4");
    first.ack();
}

/// However often it is made.
pub async fn a_binding_that_is_made_again_carries_once(bed: &Bed) {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let mut inbox = inport(&*client, "b/in").await;
    let round_robin =
        Binding::RoundRobin { source: queue("a/out"), target: queue("b/in"), deadletter: None, retry: None };
    for binding in [&pubsub("a/out", "b/in"), &pubsub("a/out", "b/in"), &round_robin] {
        broker.add_binding(binding).await.expect("it is bound");
    }
    for text in ["1", "2", "3"] {
        send(&*client, "a/out", text).await;
    }
    assert_eq!(inbox.texts(3).await, ["1", "2", "3"]);
    let known = broker.list_bindings().await.expect("they are listed");
    assert_eq!(known.len(), 2, "{known:?}");
}

async fn carries(bed: &Bed, ledger: &str) -> Arc<dyn Broker> {
    let broker = bed.broker_with(bed.file(ledger)).await;
    broker.add_binding(&pubsub("a/out", "b/in")).await.expect("it is bound");
    broker
}

/// The broker keeps messages for a coordinator that has a ledger. It carries what its earlier life bound as soon as it is
/// there, before anybody asks.
pub async fn what_is_sent_while_the_coordinator_is_away_is_carried(bed: &Bed) {
    let client = bed.client().await;
    let mut inbox = inport(&*client, "b/in").await;
    for round in 0..3 {
        let broker = carries(bed, "ledger.json").await;
        send(&*client, "a/out", "carried").await;
        assert_eq!(inbox.text().await, "carried");
        match round {
            // Dropped, not closed: as when a program is killed.
            1 => drop(broker),
            _ => broker.close().await.expect("it closes"),
        }
        for text in ["1", "2", "3"] {
            send(&*client, "a/out", text).await;
        }
        let again = bed.broker_with(bed.file("ledger.json")).await;
        let mut texts = inbox.texts(3).await;
        while texts.last().is_none_or(|text| text != "3") {
            texts.push(inbox.text().await);
        }
        // One that was on its way when the coordinator was killed may come again.
        texts.retain(|text| round != 1 || text != "carried");
        assert_eq!(texts, ["1", "2", "3"]);
        again.close().await.expect("it closes");
    }
}

/// What the broker has kept for a binding of which the ledger knows nothing any more goes nowhere.
pub async fn nothing_is_carried_that_was_unbound_in_another_life(bed: &Bed) {
    let client = bed.client().await;
    let mut inbox = inport(&*client, "b/in").await;
    let broker = carries(bed, "ledger.json").await;
    broker.remove_binding(&pubsub("a/out", "b/in")).await.expect("it is removed");
    broker.close().await.expect("it closes");
    send(&*client, "a/out", "unbound").await;
    let broker = bed.broker_with(bed.file("ledger.json")).await;
    assert_eq!(broker.list_bindings().await.expect("they are listed"), []);
    broker.add_binding(&pubsub("c/out", "b/in")).await.expect("it is bound");
    send(&*client, "c/out", "bound").await;
    assert_eq!(inbox.text().await, "bound");
}

/// Two coordinators that are to connect the same carry each message once, after they have heard of each other; when the one
/// that does it leaves, the other does.
pub async fn two_coordinators_carry_a_message_once(bed: &Bed) {
    let client = bed.client().await;
    let mut inbox = inport(&*client, "b/in").await;
    let (first, second) = (bed.broker().await, bed.broker().await);
    for broker in [&first, &second] {
        broker.add_binding(&pubsub("a/out", "b/in")).await.expect("it is bound");
    }
    // Numbers, until many in a row have come once. What comes twice comes before long.
    let mut number = 0_u32;
    let mut carried_once = async |inbox: &mut Inbox| {
        let mut in_a_row = 0;
        while in_a_row < 30 {
            number += 1;
            send(&*client, "a/out", &number.to_string()).await;
            loop {
                let text = inbox.text().await;
                if text == number.to_string() {
                    break;
                }
                in_a_row = 0;
            }
            in_a_row += 1;
        }
    };
    carried_once(&mut inbox).await;
    first.close().await.expect("it closes");
    carried_once(&mut inbox).await;
    second.close().await.expect("it closes");
}

/// Many messages at once, through three topics.
pub async fn a_chain_of_bindings_keeps_the_order(bed: &Bed) {
    const COUNT: usize = 5_000;
    let (sender, receiver, broker) = (bed.client().await, bed.client().await, bed.broker().await);
    let mut inbox = Inbox::open(&*receiver, &queue("c/in"), Sharing::Each, 0).await;
    broker.add_binding(&pubsub("a/out", "b/in")).await.expect("it is bound");
    broker.add_binding(&pubsub("b/in", "c/in")).await.expect("it is bound");
    let sending = async {
        let texts: Vec<_> = (0..COUNT).map(|n| n.to_string()).collect();
        let topic = queue("a/out");
        for batch in texts.chunks(50) {
            let sent = batch.iter().map(|text| sender.send(&topic, message(text)));
            for sent in futures_util::future::join_all(sent).await {
                sent.expect("it is sent");
            }
        }
    };
    let (got, ()) = tokio::join!(inbox.texts(COUNT), sending);
    let wanted: Vec<_> = (0..COUNT).map(|n| n.to_string()).collect();
    assert!(got == wanted, "{} messages arrived, not in order", got.len());
}

/// A device may leave its announcement with the broker.
pub async fn an_announcement_that_was_retained_is_heard(bed: &Bed) {
    let url = bed.url().expose();
    let (host, port) = (url.host_str().expect("a host"), url.port().expect("a port"));
    let mut device = tokio::net::TcpStream::connect((host, port)).await.expect("the broker is there");
    let announcement = discovery::encode(&Participant::new("esp", "door", "bitraf/Door"));
    // CONNECT of 3.1.1 as the client `esp`, PUBLISH to `fbp` with the retain flag, DISCONNECT.
    let mut bytes = b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03esp".to_vec();
    let length = announcement.len() + 5;
    bytes.push(0x31);
    bytes.push(u8::try_from(length & 0x7f | 0x80).expect("seven bits and one"));
    bytes.push(u8::try_from(length >> 7).expect("a short announcement"));
    bytes.extend_from_slice(b"\0\x03fbp");
    bytes.extend_from_slice(&announcement);
    bytes.extend_from_slice(b"\xe0\0");
    tokio::io::AsyncWriteExt::write_all(&mut device, &bytes).await.expect("it is sent");
    // The broker has taken everything when it closes the connection.
    tokio::io::AsyncReadExt::read_to_end(&mut device, &mut Vec::new()).await.expect("the broker closes");
    let broker = bed.broker().await;
    let mut announcements = broker.watch_discovery().await.expect("discovery is watched");
    let next = timeout(PATIENCE, announcements.next()).await.expect("it comes in time");
    assert_eq!(next.expect("discovery goes on").expect("an announcement").participant.role, "door");
}

/// It is said, not pretended.
pub async fn dead_letters_are_not_promised(bed: &Bed) {
    let broker = bed.broker().await;
    let deadletter = Some(queue("dead"));
    let binding = Binding::RoundRobin { source: queue("a"), target: queue("b"), deadletter, retry: None };
    let error = broker.add_binding(&binding).await.expect_err("MQTT has no dead letters");
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    assert!(matches!(broker.depth(&queue("a")).await, Err(Error::Unsupported { .. })));
}

/// Bindings can be made, listed and removed by messages, survive the router, and are not taken for the network's own.
pub async fn peers_speak_to_the_router(bed: &Bed) {
    let client = bed.client().await;
    let mut inbox = inport(&*client, "b/in").await;
    let mut told = inport(&*client, "/msgrouter/home/bindings").await;
    let next = async |told: &mut Inbox| -> Value { serde_json::from_str(&told.text().await).expect("JSON") };
    let start = async || {
        let options = BrokerOptions {
            ledger: Some(bed.file("ledger.json")),
            instance: Some("home".into()),
            ..BrokerOptions::default()
        };
        bed.transport().broker(bed.url(), options).await.expect("a coordinator connects")
    };
    let router = start().await;
    assert_eq!(next(&mut told).await, json!([]));
    let wish = json!({"type": "pubsub", "src": "a/out", "tgt": "b/in"});
    send(&*client, "/msgrouter/home/addbinding", "no binding").await;
    // Nothing would be carried from it.
    let many = json!({"type": "pubsub", "src": "a/+", "tgt": "b/in"});
    send(&*client, "/msgrouter/home/addbinding", &many.to_string()).await;
    send(&*client, "/msgrouter/home/addbinding", &wish.to_string()).await;
    assert_eq!(next(&mut told).await, json!([wish]));
    send(&*client, "a/out", "carried").await;
    assert_eq!(inbox.text().await, "carried");
    assert_eq!(router.list_bindings().await.expect("they are listed"), []);
    router.close().await.expect("it closes");
    drop(router);
    let _router = start().await;
    assert_eq!(next(&mut told).await, json!([wish]));
    send(&*client, "a/out", "carried again").await;
    assert_eq!(inbox.text().await, "carried again");
    send(&*client, "/msgrouter/home/listbindings", "").await;
    assert_eq!(next(&mut told).await, json!([wish]));
    send(&*client, "/msgrouter/home/removebinding", &wish.to_string()).await;
    assert_eq!(next(&mut told).await, json!([]));
    send(&*client, "a/out", "unbound").await;
    send(&*client, "b/in", "end").await;
    assert_eq!(inbox.text().await, "end");
}
