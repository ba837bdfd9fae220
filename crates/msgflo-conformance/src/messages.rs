//! What becomes of a message on its way.

use bytes::Bytes;
use msgflo_core::{Client, Message, Sharing, Timestamp};
use serde_json::json;

use crate::Bed;
use crate::bed::queue;
use crate::inbox::Inbox;

/// Sends `messages` through an outport, a binding and an inport; what arrives.
async fn carried(bed: &Bed, messages: &[Message]) -> Vec<Message> {
    let (client, broker) = (bed.client().await, bed.broker().await);
    let client: &dyn Client = &*client;
    let (source, target) = (queue("from.OUT"), queue("to.IN"));
    client.create_outport(&source).await.expect("an outport is made");
    let mut inbox = Inbox::open(client, &target, Sharing::Shared, 10).await;
    let binding = msgflo_core::Binding::PubSub { source: source.clone(), target };
    broker.add_binding(&binding).await.expect("it is bound");
    let mut arrived = Vec::new();
    for message in messages {
        client.send(&source, message.clone()).await.expect("it is sent");
        let mut delivery = inbox.next().await;
        arrived.push(std::mem::take(&mut delivery.message));
        delivery.ack();
    }
    arrived
}

/// Empty ones, ones that are no text, and ones of a MiB.
pub async fn payloads_are_kept_byte_for_byte(bed: &Bed) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0u32..1 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let payloads = [Vec::new(), every_byte, vec![0xff; 4096], b"{\"n\": 1.0 }\r\n".to_vec(), large];
    let messages: Vec<_> = payloads.iter().map(|payload| Message::new(payload.clone())).collect();
    for (arrived, sent) in carried(bed, &messages).await.iter().zip(&payloads) {
        assert!(arrived.payload == *sent, "{} bytes arrived otherwise than they were sent", sent.len());
    }
}

/// Content type, headers, time and trace context.
pub async fn what_travels_beside_the_payload_is_kept(bed: &Bed) {
    let headers = json!({
        "text": "é", "number": -7, "large": 1_u64 << 40, "fraction": 0.25, "yes": true,
        "list": [1, "two", {"three": 3}], "object": {"a": {"b": "c"}},
    });
    let message = Message {
        payload: Bytes::from_static(b"\x00\x01"),
        content_type: Some("image/jpeg".into()),
        headers: headers.as_object().expect("it is one").clone(),
        timestamp: Some(Timestamp(1_700_000_000_123)),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        persistent: true,
        redelivered: false,
    };
    assert_eq!(carried(bed, std::slice::from_ref(&message)).await, [message]);
}

/// A message with nothing beside its payload arrives with nothing beside it.
pub async fn what_was_not_said_stays_unsaid(bed: &Bed) {
    let bare = Message { persistent: false, ..Message::new(&b"bare"[..]) };
    assert_eq!(carried(bed, std::slice::from_ref(&bare)).await, [bare]);
}
