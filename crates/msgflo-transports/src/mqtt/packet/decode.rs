//! What a client receives.

use bytes::{Buf, Bytes, BytesMut};
use msgflo_core::Message;

use super::properties::{self, Property, binary, each};
use super::{LARGEST, MAX_PACKET, PacketId, Version, property, reason};

/// What a broker may not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker does not speak MQTT as it is specified: {0}")]
pub(crate) struct Malformed(pub(super) &'static str);

/// A packet from a broker.
#[derive(Debug, PartialEq)]
pub(crate) enum Packet {
    ConnAck(ConnAck),
    Publish(Publish),
    /// The broker has taken a message, or refuses it.
    PubAck {
        id: PacketId,
        reason: u8,
    },
    /// The broker has taken a subscription, or refuses some of its filters.
    SubAck {
        id: PacketId,
        reasons: Bytes,
    },
    UnsubAck {
        id: PacketId,
    },
    PingResp,
    /// The broker leaves.
    Disconnect {
        reason: u8,
    },
}

/// The answer to our introduction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnAck {
    /// Whether the broker has kept our session.
    pub(crate) session_present: bool,
    /// Zero: welcome.
    pub(crate) reason: u8,
    /// The most messages that we may send before one is acknowledged.
    pub(crate) receive_maximum: u16,
    /// The most bytes of a packet that it takes.
    pub(crate) maximum_packet: u32,
    /// Seconds of silence that the broker bears, if it wants them otherwise than we said.
    pub(crate) keep_alive: Option<u16>,
    /// Whether instances can share a subscription.
    pub(crate) shares: bool,
    /// Whether messages can be acknowledged.
    pub(crate) acknowledges: bool,
}

/// A message.
#[derive(Debug, PartialEq)]
pub(crate) struct Publish {
    pub(crate) topic: Bytes,
    /// Given where it is to be acknowledged.
    pub(crate) id: Option<PacketId>,
    pub(crate) message: Message,
}

/// Takes the first packet out of `buffer`. `None`: it is not complete.
pub(crate) fn decode(buffer: &mut BytesMut, version: Version) -> Result<Option<Packet>, Malformed> {
    let Some((head, length)) = frame(buffer)? else { return Ok(None) };
    if buffer.len() < head + length {
        buffer.reserve(head + length - buffer.len());
        return Ok(None);
    }
    let mut body = buffer.split_to(head + length).freeze();
    let first = body[0];
    body.advance(head);
    packet(first, body, version).map(Some)
}

/// The lengths of the first packet's head and of the rest. `None`: the head is not complete.
fn frame(buffer: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut length = 0;
    for (place, shift) in [0, 7, 14, 21].into_iter().enumerate() {
        let Some(byte) = buffer.get(1 + place) else { return Ok(None) };
        length |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            if length > MAX_PACKET {
                return Err(Malformed("a packet is longer than we take"));
            }
            return Ok(Some((2 + place, length)));
        }
    }
    Err(Malformed("a packet's length has more than four bytes"))
}

fn packet(first: u8, mut body: Bytes, version: Version) -> Result<Packet, Malformed> {
    match (first >> 4, first & 0x0F) {
        (2, 0) => connack(body, version).map(Packet::ConnAck),
        (3, flags) => publish(flags, body, version).map(Packet::Publish),
        (4, 0) => {
            let id = id(&mut body)?;
            let reason = if body.has_remaining() { body.get_u8() } else { 0 };
            Ok(Packet::PubAck { id, reason })
        }
        (9, 0) => {
            let id = id(&mut body)?;
            skip_properties(&mut body, version)?;
            Ok(Packet::SubAck { id, reasons: body })
        }
        (11, 0) => Ok(Packet::UnsubAck { id: id(&mut body)? }),
        (13, 0) => Ok(Packet::PingResp),
        (14, 0) if version == Version::V5 => {
            Ok(Packet::Disconnect { reason: if body.has_remaining() { body.get_u8() } else { 0 } })
        }
        _ => Err(Malformed("a packet that no broker sends to us")),
    }
}

fn connack(mut body: Bytes, version: Version) -> Result<ConnAck, Malformed> {
    if body.len() < 2 {
        return Err(Malformed("a welcome is cut short"));
    }
    let session_present = body.get_u8() & 1 == 1;
    let code = body.get_u8();
    let mut answer = ConnAck {
        session_present,
        reason: code,
        receive_maximum: u16::MAX,
        maximum_packet: LARGEST,
        keep_alive: None,
        shares: version == Version::V5,
        acknowledges: true,
    };
    if !body.has_remaining() {
        // As of 3.1.1, also from a broker that answers so to version 5.
        answer.reason = match code {
            0 => 0,
            1 => reason::UNSUPPORTED_VERSION,
            2 => 0x85,
            3 => 0x88,
            4 => reason::BAD_CREDENTIALS,
            5 => reason::NOT_AUTHORIZED,
            code if code >= reason::FAILURE => code,
            _ => reason::FAILURE,
        };
        return Ok(answer);
    }
    each(take_properties(&mut body)?, |name, value| match (name, value) {
        (property::RECEIVE_MAXIMUM, Property::Number(most)) => {
            answer.receive_maximum = u16::try_from(most).unwrap_or(u16::MAX).max(1);
        }
        (property::SERVER_KEEP_ALIVE, Property::Number(seconds)) => {
            // 0: it does not want any, and ours do no harm.
            answer.keep_alive = u16::try_from(seconds).ok().filter(|seconds| *seconds > 0);
        }
        (property::MAXIMUM_PACKET_SIZE, Property::Number(most)) => {
            answer.maximum_packet = most.min(LARGEST);
        }
        (property::SHARED_AVAILABLE, Property::Number(available)) => answer.shares = available == 1,
        (property::MAXIMUM_QOS, Property::Number(most)) => answer.acknowledges = most > 0,
        _ => {}
    })?;
    Ok(answer)
}

fn publish(flags: u8, mut body: Bytes, version: Version) -> Result<Publish, Malformed> {
    let again = flags & 0b1000 != 0;
    let assured = match flags >> 1 & 0b11 {
        0 => false,
        1 => true,
        _ => return Err(Malformed("a quality of service that we did not ask for")),
    };
    let topic = binary(&mut body)?;
    if std::str::from_utf8(&topic).is_err() {
        return Err(Malformed("a topic is not UTF-8"));
    }
    let id = if assured { Some(id(&mut body)?) } else { None };
    let mut message = Message { persistent: assured, redelivered: again, ..Message::default() };
    if version == Version::V5 {
        let properties = take_properties(&mut body)?;
        if !properties.is_empty() {
            properties::decode(properties, &mut message)?;
        }
    }
    message.payload = body;
    Ok(Publish { topic, id, message })
}

fn id(body: &mut Bytes) -> Result<PacketId, Malformed> {
    match body.try_get_u16() {
        Ok(0) => Err(Malformed("a packet's id is zero")),
        Ok(id) => Ok(id),
        Err(_) => Err(Malformed("a packet's id is missing")),
    }
}

fn take_properties(body: &mut Bytes) -> Result<Bytes, Malformed> {
    let length = usize::try_from(properties::variable(body)?).unwrap_or(usize::MAX);
    if body.len() < length {
        return Err(Malformed("properties are cut short"));
    }
    Ok(body.split_to(length))
}

fn skip_properties(body: &mut Bytes, version: Version) -> Result<(), Malformed> {
    match version {
        Version::V311 => Ok(()),
        Version::V5 => take_properties(body).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use msgflo_core::{QueueName, Timestamp};
    use proptest::prelude::*;

    use super::super::{Outbox, encode};
    use super::*;

    fn message() -> impl Strategy<Value = Message> {
        let headers = prop::collection::btree_map("[a-z]{1,5}", ".{0,9}", 0..3);
        let beside = (prop::option::of(".{0,9}"), headers, prop::option::of(any::<u64>()), any::<bool>());
        (prop::collection::vec(any::<u8>(), 0..9000), beside).prop_map(|(payload, beside)| {
            let (content_type, headers, time, persistent) = beside;
            Message {
                payload: payload.into(),
                content_type,
                headers: headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
                timestamp: time.map(Timestamp),
                traceparent: None,
                persistent,
                redelivered: false,
            }
        })
    }

    fn bytes(out: &mut Outbox) -> BytesMut {
        out.seal();
        out.copy_to_bytes(out.remaining()).into()
    }

    proptest! {
        #[test]
        fn what_is_sent_arrives(message in message(), topic in "[a-zé/]{1,20}", pieces in 1..4_usize) {
            let id = message.persistent.then_some(7);
            for version in [Version::V311, Version::V5] {
                let mut out = Outbox::default();
                encode::publish(&mut out, version, &QueueName::from(topic.as_str()), id, false, &message);
                let whole = bytes(&mut out);
                let (mut buffer, mut got) = (BytesMut::new(), None);
                for piece in whole.chunks(whole.len().div_ceil(pieces)) {
                    prop_assert_eq!(&got, &None);
                    buffer.extend_from_slice(piece);
                    got = decode(&mut buffer, version).expect("it is well formed");
                }
                let expected = match version {
                    Version::V5 => message.clone(),
                    Version::V311 => Message {
                        payload: message.payload.clone(), persistent: message.persistent, ..Message::default()
                    },
                };
                let topic = Bytes::from(topic.clone());
                prop_assert_eq!(got, Some(Packet::Publish(Publish { topic, id, message: expected })));
            }
        }

        #[test]
        fn whatever_comes_is_taken_or_refused(first in any::<u8>(), rest in prop::collection::vec(any::<u8>(), 0..60)) {
            for version in [Version::V311, Version::V5] {
                let mut whole = BytesMut::from(&[first, u8::try_from(rest.len()).expect("short")][..]);
                whole.extend_from_slice(&rest);
                while let Ok(Some(_)) = decode(&mut whole, version) {}
                let mut bare = BytesMut::from(&rest[..]);
                while let Ok(Some(_)) = decode(&mut bare, version) {}
            }
        }
    }

    #[test]
    fn a_welcome_of_the_older_version_is_understood_as_a_refusal() {
        let mut refusal = BytesMut::from(&[0x20, 2, 0, 1][..]);
        let Ok(Some(Packet::ConnAck(answer))) = decode(&mut refusal, Version::V5) else { panic!() };
        assert_eq!(answer.reason, reason::UNSUPPORTED_VERSION);
    }

    #[test]
    fn a_length_without_end_is_malformed_at_once() {
        let mut endless = BytesMut::from(&[0x30, 0xff, 0xff, 0xff, 0xff][..]);
        assert!(decode(&mut endless, Version::V5).is_err());
        let mut long = BytesMut::from(&[0x30, 0xff, 0xff, 0xff, 0x7f][..]);
        assert!(decode(&mut long, Version::V5).is_err(), "it is more than we take");
    }
}
