//! Bytes to frames.
//!
//! The decoder borrows from the read buffer; it copies nothing. It accepts the methods that a client may send and no
//! others, and checks every table's depth before the recursive codec sees it.

use amq_protocol::protocol::{AMQPClass, basic, parse_class};
use amq_protocol::types::ChannelId;
use thiserror::Error;

use super::properties::{self, Properties};
use super::table;

/// Largest frame, its 8 bytes of envelope included, that we offer and accept (bytes).
pub(crate) const FRAME_MAX: u32 = 131_072;
/// Smallest frame size that a client may negotiate (bytes).
pub(crate) const FRAME_MIN: u32 = 4_096;
/// Largest message body that is accepted (bytes).
pub(crate) const MESSAGE_MAX: u64 = 128 * 1024 * 1024;
/// Most bytes of unfinished messages that a connection may hold, over all its channels.
pub(crate) const UNFINISHED_MAX: usize = 256 * 1024 * 1024;
/// Most channels that a connection may open.
pub(crate) const CHANNEL_MAX: u16 = 2_047;

/// Type, channel and size before the payload.
pub(crate) const ENVELOPE_HEAD: usize = 7;
/// The envelope: head and end byte.
pub(crate) const ENVELOPE: usize = ENVELOPE_HEAD + 1;
pub(crate) const FRAME_END: u8 = 0xce;
pub(crate) const TYPE_METHOD: u8 = 1;
pub(crate) const TYPE_HEADER: u8 = 2;
pub(crate) const TYPE_BODY: u8 = 3;
pub(crate) const TYPE_HEARTBEAT: u8 = 8;
pub(crate) const CLASS_BASIC: u16 = 60;

/// A frame, borrowed from the bytes that it came in.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame<'a> {
    /// `basic.publish`; header and bodies follow.
    Publish { channel: ChannelId, exchange: &'a str, routing_key: &'a str, mandatory: bool, immediate: bool },
    /// Any other method.
    Method(ChannelId, AMQPClass),
    /// A content header: class, announced body size, raw and checked properties.
    Header { channel: ChannelId, body_size: u64, raw: &'a [u8], properties: Properties<'a> },
    /// A piece of a body.
    Body(ChannelId, &'a [u8]),
    /// A sign of life.
    Heartbeat,
}

/// Bytes that are no AMQP 0-9-1 from a client. Each closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum Error {
    #[error("frame of {size} bytes is larger than the negotiated {max}")]
    TooLarge { size: u64, max: u32 },
    #[error("frame without end marker")]
    NoEnd,
    #[error("unknown frame type {0}")]
    UnknownType(u8),
    #[error("no client may send method {0}.{1}")]
    NotForClients(u16, u16),
    #[error("malformed method {0}.{1}")]
    Malformed(u16, u16),
    #[error("malformed content header")]
    MalformedHeader,
    #[error("content header for class {0} instead of 60")]
    WrongClass(u16),
    #[error("heartbeat on channel {0}")]
    HeartbeatChannel(ChannelId),
    #[error("heartbeat with a payload")]
    HeartbeatPayload,
    #[error("prefetch_size != 0 is not implemented")]
    PrefetchSize,
}

/// Where the one field table of a client's method lies, or that it has none.
enum Layout {
    NoTable,
    /// The table follows this many fixed bytes, short strings, and again fixed bytes.
    Table {
        before: usize,
        strings: usize,
        after: usize,
    },
}

/// The methods that a client may send.
fn layout(class: u16, method: u16) -> Option<Layout> {
    let table = |before, strings, after| Some(Layout::Table { before, strings, after });
    match (class, method) {
        (10, 11) => table(0, 0, 0), // connection.start-ok
        (10, 21 | 31 | 40 | 50 | 51 | 70) => Some(Layout::NoTable),
        (20, 10 | 20 | 21 | 40 | 41) => Some(Layout::NoTable),
        (30, 10) => Some(Layout::NoTable), // access.request
        (40, 10) => table(2, 2, 1),        // exchange.declare
        (40, 30 | 40) => table(2, 3, 1),   // exchange.bind, exchange.unbind
        (40, 20) => Some(Layout::NoTable),
        (50, 10) => table(2, 1, 1), // queue.declare
        (50, 20) => table(2, 3, 1), // queue.bind
        (50, 50) => table(2, 3, 0), // queue.unbind
        (50, 30 | 40) => Some(Layout::NoTable),
        (60, 20) => table(2, 2, 1), // basic.consume
        (60, 10 | 30 | 40 | 70 | 80 | 90 | 100 | 110 | 120) => Some(Layout::NoTable),
        (85, 10) | (90, 10 | 20 | 30) => Some(Layout::NoTable),
        _ => None,
    }
}

/// Takes one frame from the front of `bytes`, with the number of bytes that it took; `None` when more must arrive.
pub(crate) fn frame(bytes: &[u8], frame_max: u32) -> Result<Option<(Frame<'_>, usize)>, Error> {
    let Some((head, rest)) = bytes.split_first_chunk::<ENVELOPE_HEAD>() else {
        return Ok(None);
    };
    let [kind, channel_high, channel_low, size @ ..] = *head;
    let size = u32::from_be_bytes(size);
    let whole = u64::from(size) + ENVELOPE as u64;
    if !matches!(kind, TYPE_METHOD | TYPE_HEADER | TYPE_BODY | TYPE_HEARTBEAT) {
        return Err(Error::UnknownType(kind));
    }
    if whole > u64::from(frame_max) {
        return Err(Error::TooLarge { size: whole, max: frame_max });
    }
    let channel = ChannelId::from_be_bytes([channel_high, channel_low]);
    let size = size as usize;
    let (Some(payload), Some(&end)) = (rest.get(..size), rest.get(size)) else {
        return Ok(None);
    };
    if end != FRAME_END {
        return Err(Error::NoEnd);
    }
    let frame = match kind {
        TYPE_METHOD => method(channel, payload)?,
        TYPE_HEADER => header(channel, payload)?,
        TYPE_BODY => Frame::Body(channel, payload),
        _ if channel != 0 => return Err(Error::HeartbeatChannel(channel)),
        _ if size > 0 => return Err(Error::HeartbeatPayload),
        _ => Frame::Heartbeat,
    };
    Ok(Some((frame, size + ENVELOPE)))
}

fn method(channel: ChannelId, payload: &[u8]) -> Result<Frame<'_>, Error> {
    let Some(([c1, c2, m1, m2], arguments)) = payload.split_first_chunk::<4>() else {
        return Err(Error::Malformed(0, 0));
    };
    let (class, method) = (u16::from_be_bytes([*c1, *c2]), u16::from_be_bytes([*m1, *m2]));
    let malformed = Error::Malformed(class, method);
    match (class, method) {
        (CLASS_BASIC, 40) => return publish(channel, arguments).ok_or(malformed),
        (CLASS_BASIC, 80) => {
            // The hottest method after publish.
            let (tag, flags) = arguments.split_first_chunk::<8>().ok_or(malformed)?;
            let &[flags] = flags else { return Err(malformed) };
            let ack = basic::Ack { delivery_tag: u64::from_be_bytes(*tag), multiple: flags & 1 != 0 };
            return Ok(Frame::Method(channel, AMQPClass::Basic(basic::AMQPMethod::Ack(ack))));
        }
        // The codec drops this field, so the refusal must happen here.
        (CLASS_BASIC, 10) if arguments.first_chunk::<4>().is_some_and(|size| *size != [0; 4]) => {
            return Err(Error::PrefetchSize);
        }
        _ => {}
    }
    match layout(class, method).ok_or(Error::NotForClients(class, method))? {
        Layout::NoTable => {}
        Layout::Table { before, strings, after } => {
            let mut rest = arguments.get(before..).ok_or(malformed)?;
            for _ in 0..strings {
                rest = table::short_string(rest).map_err(|_| malformed)?.1;
            }
            let rest = rest.get(after..).ok_or(malformed)?;
            let (entries, _) = table::long_string(rest).map_err(|_| malformed)?;
            table::check(entries).map_err(|_| malformed)?;
        }
    }
    match parse_class(payload) {
        Ok(([], class)) => Ok(Frame::Method(channel, class)),
        _ => Err(malformed),
    }
}

fn publish(channel: ChannelId, arguments: &[u8]) -> Option<Frame<'_>> {
    let (exchange, rest) = table::short_string(arguments.get(2..)?).ok()?;
    let (routing_key, rest) = table::short_string(rest).ok()?;
    let &[flags] = rest else { return None };
    Some(Frame::Publish {
        channel,
        exchange: str::from_utf8(exchange).ok()?,
        routing_key: str::from_utf8(routing_key).ok()?,
        mandatory: flags & 1 != 0,
        immediate: flags & 2 != 0,
    })
}

fn header(channel: ChannelId, payload: &[u8]) -> Result<Frame<'_>, Error> {
    let Some(([c1, c2, _, _, size @ ..], raw)) = payload.split_first_chunk::<12>() else {
        return Err(Error::MalformedHeader);
    };
    let class = u16::from_be_bytes([*c1, *c2]);
    if class != CLASS_BASIC {
        return Err(Error::WrongClass(class));
    }
    let properties = properties::scan(raw).map_err(|_| Error::MalformedHeader)?;
    Ok(Frame::Header { channel, body_size: u64::from_be_bytes(*size), raw, properties })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::encode;

    /// Decodes everything there is, as one reader would.
    fn decode_all(mut bytes: &[u8]) -> (Vec<String>, usize, Option<Error>) {
        let mut frames = Vec::new();
        loop {
            match frame(bytes, FRAME_MAX) {
                Ok(Some((frame, size))) => {
                    frames.push(format!("{frame:?}"));
                    bytes = &bytes[size..];
                }
                Ok(None) => return (frames, bytes.len(), None),
                Err(error) => return (frames, bytes.len(), Some(error)),
            }
        }
    }

    fn publish() -> Vec<u8> {
        let mut bytes = vec![1, 0, 1, 0, 0, 0, 11, 0, 60, 0, 40, 0, 0, 1, b'x', 1, b'k', 1, 0xce];
        bytes.extend_from_slice(&[2, 0, 1, 0, 0, 0, 14, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0xce]);
        encode::body(1, b"abc", &mut bytes);
        bytes
    }

    #[test]
    fn a_publish_is_three_frames() {
        let bytes = publish();
        let (frames, rest, error) = decode_all(&bytes);
        assert_eq!((frames.len(), rest, error), (3, 0, None));
        let expected =
            Frame::Publish { channel: 1, exchange: "x", routing_key: "k", mandatory: true, immediate: false };
        assert_eq!(frames[0], format!("{expected:?}"));
    }

    #[test]
    fn incomplete_frames_wait() {
        let bytes = publish();
        for cut in 0..19 {
            assert_eq!(frame(&bytes[..cut], FRAME_MAX), Ok(None), "cut at {cut}");
        }
    }

    #[test]
    fn size_is_judged_before_the_payload_arrives() {
        let head = [1, 0, 1, 0, 0, 0x20, 0];
        assert_eq!(frame(&head, 4096), Err(Error::TooLarge { size: 8200, max: 4096 }));
        assert_eq!(frame(&head, FRAME_MAX), Ok(None));
    }

    #[test]
    fn every_method_with_a_table_is_found_at_its_place() {
        use amq_protocol::frame::{AMQPFrame, gen_frame};
        use amq_protocol::protocol::{connection, exchange, queue};
        use amq_protocol::types::{AMQPValue, FieldTable};
        let arguments = || {
            let mut inner = FieldTable::default();
            inner.insert("k".into(), AMQPValue::LongString("v".into()));
            let mut outer = FieldTable::default();
            outer.insert("inner".into(), AMQPValue::FieldTable(inner));
            outer
        };
        let methods = [
            AMQPClass::Connection(connection::AMQPMethod::StartOk(connection::StartOk {
                client_properties: arguments(),
                mechanism: "PLAIN".into(),
                response: "r".into(),
                locale: "l".into(),
            })),
            AMQPClass::Exchange(exchange::AMQPMethod::Declare(exchange::Declare {
                exchange: "x".into(),
                kind: "direct".into(),
                passive: false,
                durable: true,
                auto_delete: false,
                internal: false,
                nowait: false,
                arguments: arguments(),
            })),
            AMQPClass::Exchange(exchange::AMQPMethod::Bind(exchange::Bind {
                destination: "d".into(),
                source: "s".into(),
                routing_key: "k".into(),
                nowait: false,
                arguments: arguments(),
            })),
            AMQPClass::Exchange(exchange::AMQPMethod::Unbind(exchange::Unbind {
                destination: "d".into(),
                source: "s".into(),
                routing_key: "k".into(),
                nowait: false,
                arguments: arguments(),
            })),
            AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
                queue: "q".into(),
                passive: false,
                durable: true,
                exclusive: false,
                auto_delete: false,
                nowait: false,
                arguments: arguments(),
            })),
            AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
                queue: "q".into(),
                exchange: "x".into(),
                routing_key: "k".into(),
                nowait: false,
                arguments: arguments(),
            })),
            AMQPClass::Queue(queue::AMQPMethod::Unbind(queue::Unbind {
                queue: "q".into(),
                exchange: "x".into(),
                routing_key: "k".into(),
                arguments: arguments(),
            })),
            AMQPClass::Basic(basic::AMQPMethod::Consume(basic::Consume {
                queue: "q".into(),
                consumer_tag: "c".into(),
                no_local: false,
                no_ack: false,
                exclusive: false,
                nowait: false,
                arguments: arguments(),
            })),
        ];
        for method in methods {
            let sent = AMQPFrame::Method(1, method.clone());
            let bytes = gen_frame(&sent)(Vec::new().into()).unwrap().into_inner().0;
            assert_eq!(frame(&bytes, FRAME_MAX), Ok(Some((Frame::Method(1, method), bytes.len()))));
        }
    }

    proptest! {
        /// Any bytes give frames, a wish for more, or an error; never a panic, and never more than was there.
        #[test]
        fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (_, rest, _) = decode_all(&bytes);
            prop_assert!(rest <= bytes.len());
        }

        /// The same, inside of a valid envelope, where the parsers of methods and headers are reached.
        #[test]
        fn arbitrary_payloads(
            kind in 1_u8..=3,
            class in prop::sample::select(vec![10_u8, 20, 30, 40, 50, 60, 85, 90]),
            method in 0_u8..=120,
            payload in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut bytes = vec![kind, 0, 1];
            bytes.extend_from_slice(&u32::try_from(payload.len() + 4).unwrap().to_be_bytes());
            bytes.extend_from_slice(&[0, class, 0, method]);
            bytes.extend_from_slice(&payload);
            bytes.push(FRAME_END);
            let (frames, rest, error) = decode_all(&bytes);
            prop_assert!(error.is_some() || (frames.len() == 1 && rest == 0));
        }

        /// What a mutation makes of valid frames is decoded or refused.
        #[test]
        fn mutated_frames(place in 0_usize..100, byte in any::<u8>()) {
            let mut bytes = publish().repeat(2);
            let place = place % bytes.len();
            bytes[place] = byte;
            decode_all(&bytes);
        }
    }
}
