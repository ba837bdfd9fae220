//! What a broker may send, to a decoder and a session without a socket.

use bytes::BytesMut;
use msgflo_core::{Assurance, Message, QueueName};

use super::packet::{self, Outbox, Packet, Version};
use super::session::{Event, Request, Session};

/// Every packet in `bytes`, given in pieces of that length, and whether an error ended them.
fn packets(bytes: &[u8], version: Version, piece: usize) -> (Vec<Packet>, bool) {
    let (mut buffer, mut packets) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            match packet::decode(&mut buffer, version) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(_) => return (packets, true),
            }
        }
    }
    (packets, false)
}

/// See [`fuzzing::mqtt`](crate::fuzzing::mqtt).
pub(crate) fn stream(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let version = if first & 1 == 0 { Version::V311 } else { Version::V5 };
    let whole = packets(bytes, version, bytes.len().max(1));
    let pieces = packets(bytes, version, usize::from(first >> 1).max(1));
    assert_eq!(whole, pieces, "how the bytes come changes nothing");

    let mut session = Session::new();
    let mut out = Outbox::default();
    session.connected(version, 8, &mut out);
    let topic = QueueName::from("a/b");
    session.ask(Request::Subscribe(vec![(topic.clone(), Assurance::AtLeastOnce)]), 0_u8, &mut out);
    session.ask(Request::Publish { topic, message: Message::new("x") }, 1, &mut out);
    let (mut asked, mut receipts) = (vec![0, 1], Vec::new());
    for packet in whole.0 {
        match session.receive(packet) {
            Event::Received(publish, receipt) => {
                assert!(std::str::from_utf8(&publish.topic).is_ok(), "a topic is text");
                receipts.extend(receipt);
            }
            Event::Answered(token, _) => {
                assert!(asked.contains(&token), "each request is answered for once");
                asked.retain(|it| *it != token);
            }
            Event::Quiet | Event::Left(_) => {}
        }
    }
    // In another order than they came in, and once more: only the first counts.
    for receipt in receipts.iter().rev().chain(&receipts) {
        session.acknowledge(*receipt, &mut out);
    }
}
