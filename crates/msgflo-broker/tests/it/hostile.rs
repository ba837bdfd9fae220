//! Clients that mean no good, or are broken: they are told and cut off, and nobody else notices.

use amq_protocol::protocol::{AMQPClass, basic, queue};
use amq_protocol::types::FieldTable;

use crate::raw::RawClient;
use crate::support::{broker, channel, declare};

fn frame(kind: u8, channel: u16, payload: &[u8], end: u8) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&channel.to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(payload.len()).expect("short").to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.push(end);
    bytes
}

/// A table that nests `levels` deep.
fn nested(levels: usize) -> Vec<u8> {
    let mut inner = Vec::new();
    for _ in 0..levels {
        let mut outer = vec![1, b'k', b'F'];
        outer.extend_from_slice(&u32::try_from(inner.len()).expect("short").to_be_bytes());
        outer.extend_from_slice(&inner);
        inner = outer;
    }
    inner
}

fn queue_declare(table: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 50, 0, 10, 0, 0, 1, b'q', 0];
    payload.extend_from_slice(&u32::try_from(table.len()).expect("short").to_be_bytes());
    payload.extend_from_slice(table);
    payload
}

#[tokio::test]
async fn malformed_frames_end_the_connection_with_a_code() {
    let broker = broker().await;
    let publish = [0, 60, 0, 40, 0, 0, 0, 1, b'q', 0];
    let header = |size: u64| {
        let mut payload = vec![0, 60, 0, 0];
        payload.extend_from_slice(&size.to_be_bytes());
        payload.extend_from_slice(&[0, 0]);
        payload
    };
    let concat = |parts: &[Vec<u8>]| parts.concat();
    let cases = [
        ("unknown frame type", frame(7, 1, &[], 0xce), 501),
        ("no end marker", frame(1, 1, &[0, 20, 0, 10, 0], 0), 501),
        ("oversized frame", vec![1, 0, 1, 0xff, 0xff, 0xff, 0xff], 501),
        ("unknown method", frame(1, 1, &[0, 99, 0, 99], 0xce), 503),
        ("short method", frame(1, 1, &[0, 50], 0xce), 501),
        ("cut arguments", frame(1, 1, &[0, 50, 0, 10, 0, 0, 9, b'q'], 0xce), 501),
        ("queue name that is no text", frame(1, 1, &[0, 50, 0, 30, 0, 0, 1, 0xff, 0], 0xce), 501),
        ("prefetch size", frame(1, 1, &[0, 60, 0, 10, 0, 0, 0, 1, 0, 1, 0], 0xce), 540),
        ("deep table", frame(1, 1, &queue_declare(&nested(10_000)), 0xce), 501),
        ("table cut short", frame(1, 1, &queue_declare(&[1, b'k', b'S', 0, 0, 0, 9, b'x']), 0xce), 501),
        ("heartbeat on a channel", frame(8, 1, &[], 0xce), 505),
        ("heartbeat with a payload", frame(8, 0, &[1], 0xce), 501),
        ("publish without a channel", frame(1, 9, &publish, 0xce), 504),
        (
            "content without a channel",
            concat(&[frame(1, 9, &publish, 0xce), frame(2, 9, &header(1), 0xce)]),
            504,
        ),
        ("body out of nowhere", frame(3, 1, b"body", 0xce), 505),
        ("header out of nowhere", frame(2, 1, &header(1), 0xce), 505),
        (
            "method instead of content",
            concat(&[
                frame(1, 1, &publish, 0xce),
                frame(1, 1, &[0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 1, 0], 0xce),
            ]),
            505,
        ),
        ("two publishes", concat(&[frame(1, 1, &publish, 0xce), frame(1, 1, &publish, 0xce)]), 505),
        (
            "longer body than announced",
            concat(&[frame(1, 1, &publish, 0xce), frame(2, 1, &header(1), 0xce), frame(3, 1, b"four", 0xce)]),
            501,
        ),
        (
            "absurd body size",
            concat(&[frame(1, 1, &publish, 0xce), frame(2, 1, &header(u64::MAX), 0xce)]),
            506,
        ),
        (
            "malformed properties",
            concat(&[
                frame(1, 1, &publish, 0xce),
                frame(2, 1, &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 9], 0xce),
            ]),
            502,
        ),
    ];
    for (what, bytes, expected) in cases {
        let mut client = RawClient::open(&broker).await;
        client.send_bytes(&bytes).await;
        assert_eq!(client.connection_close().await, expected, "{what}");
    }
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "still-here").await;
}

#[tokio::test]
async fn garbage_instead_of_a_handshake_is_answered_and_cut_off() {
    let broker = broker().await;
    let mut client = RawClient::socket(&broker).await;
    client.send_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    client.frame().await;
    client.at_end().await;
}

/// Deep tables within the limit are fine, and come back as they were sent.
#[tokio::test]
async fn nested_headers_within_the_limit_pass() {
    let broker = broker().await;
    let mut client = RawClient::open(&broker).await;
    client.send_bytes(&frame(1, 1, &queue_declare(&[]), 0xce)).await;
    client.method().await;
    let table = nested(30);
    let mut header = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0];
    header.extend_from_slice(&u32::try_from(table.len()).unwrap().to_be_bytes());
    header.extend_from_slice(&table);
    client.send_bytes(&frame(1, 1, &[0, 60, 0, 40, 0, 0, 0, 1, b'q', 0], 0xce)).await;
    client.send_bytes(&frame(2, 1, &header, 0xce)).await;
    client
        .send(1, AMQPClass::Basic(basic::AMQPMethod::Get(basic::Get { queue: "q".into(), no_ack: true })))
        .await;
    assert!(matches!(client.method().await, AMQPClass::Basic(basic::AMQPMethod::GetOk(_))));
    let content = client.frame().await;
    assert!(matches!(content, Some(amq_protocol::frame::AMQPFrame::Header(..))), "{content:?}");
}

/// A client that asks and never reads is slowed down by its socket, not served from memory.
#[tokio::test]
async fn a_flood_of_questions_without_reading_answers_is_held_back() {
    let broker = broker().await;
    let mut client = RawClient::open(&broker).await;
    let declare = queue::Declare {
        queue: "q".into(),
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: FieldTable::default(),
    };
    let frame =
        amq_protocol::frame::AMQPFrame::Method(1, AMQPClass::Queue(queue::AMQPMethod::Declare(declare)));
    let one = amq_protocol::frame::gen_frame(&frame)(Vec::new().into()).unwrap().into_inner().0;
    let many = one.repeat(1_000);
    // 120 MB of questions would go through if nothing held them back; the sockets' buffers hold a few.
    let mut stalled = false;
    for _ in 0..4_000 {
        let sending = client.send_bytes(&many);
        stalled = tokio::time::timeout(std::time::Duration::from_secs(1), sending).await.is_err();
        if stalled {
            break;
        }
    }
    assert!(stalled, "the broker read everything");
    let (_connection, channel) = channel(&broker).await;
    crate::support::declare(&channel, "others-are-served").await;
}
