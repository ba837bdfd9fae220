//! Outputs to bytes.
//!
//! Bodies are split to the negotiated frame size and appended piece by piece, so that a writer can send between the
//! pieces and never holds a large message twice.

use amq_protocol::frame::{AMQPFrame, gen_frame};
use amq_protocol::protocol::AMQPClass;
use amq_protocol::types::ChannelId;
use bytes::Bytes;

use crate::broker::{Message, Output};

use super::decode::{CLASS_BASIC, ENVELOPE, FRAME_END, TYPE_BODY, TYPE_HEADER, TYPE_METHOD};

/// A heartbeat frame.
pub(crate) const HEARTBEAT: [u8; ENVELOPE] = [8, 0, 0, 0, 0, 0, 0, FRAME_END];

const RETURN: u16 = 50;
const DELIVER: u16 = 60;
const GET_OK: u16 = 71;
const ACK: u16 = 80;
const NACK: u16 = 120;
const NO_ROUTE: u16 = 312;

/// Appends an output, but for its body, which [`body_pieces`] splits.
pub(crate) fn output<'a>(output: &'a Output, out: &mut Vec<u8>) -> Option<(ChannelId, &'a Bytes)> {
    match output {
        Output::Method(channel, class) => {
            method(*channel, class, out);
            None
        }
        Output::Deliver { channel, consumer, tag, redelivered, message } => {
            basic(*channel, DELIVER, out, |out| {
                short_string(consumer.as_str(), out);
                out.extend_from_slice(&tag.to_be_bytes());
                out.push(u8::from(*redelivered));
                address(message, out);
            });
            header(*channel, message, out);
            Some((*channel, &message.body))
        }
        Output::Got { channel, tag, redelivered, remaining, message } => {
            basic(*channel, GET_OK, out, |out| {
                out.extend_from_slice(&tag.to_be_bytes());
                out.push(u8::from(*redelivered));
                address(message, out);
                out.extend_from_slice(&remaining.to_be_bytes());
            });
            header(*channel, message, out);
            Some((*channel, &message.body))
        }
        Output::Return { channel, message } => {
            basic(*channel, RETURN, out, |out| {
                out.extend_from_slice(&NO_ROUTE.to_be_bytes());
                short_string("NO_ROUTE", out);
                address(message, out);
            });
            header(*channel, message, out);
            Some((*channel, &message.body))
        }
        Output::Confirm { channel, tag, multiple, ack } => {
            basic(*channel, if *ack { ACK } else { NACK }, out, |out| {
                out.extend_from_slice(&tag.to_be_bytes());
                // Only `multiple`: for a nack to a publisher `requeue` has no meaning.
                out.push(u8::from(*multiple));
            });
            None
        }
        Output::Hangup => None,
    }
}

/// Appends a method frame.
pub(crate) fn method(channel: ChannelId, class: &AMQPClass, out: &mut Vec<u8>) {
    let frame = AMQPFrame::Method(channel, class.clone());
    let context = gen_frame(&frame)(std::mem::take(out).into()).expect("writing to a vector cannot fail");
    *out = context.into_inner().0;
}

/// Splits a body into pieces that fit into frames of `frame_max` bytes.
pub(crate) fn body_pieces(body: &[u8], frame_max: u32) -> impl Iterator<Item = &[u8]> {
    body.chunks((frame_max as usize).saturating_sub(ENVELOPE).max(1))
}

/// Appends a body frame.
pub(crate) fn body(channel: ChannelId, piece: &[u8], out: &mut Vec<u8>) {
    out.push(TYPE_BODY);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&length(piece.len()));
    out.extend_from_slice(piece);
    out.push(FRAME_END);
}

fn basic(channel: ChannelId, method: u16, out: &mut Vec<u8>, arguments: impl FnOnce(&mut Vec<u8>)) {
    frame(TYPE_METHOD, channel, out, |out| {
        out.extend_from_slice(&CLASS_BASIC.to_be_bytes());
        out.extend_from_slice(&method.to_be_bytes());
        arguments(out);
    });
}

fn header(channel: ChannelId, message: &Message, out: &mut Vec<u8>) {
    frame(TYPE_HEADER, channel, out, |out| {
        out.extend_from_slice(&CLASS_BASIC.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&(message.body.len() as u64).to_be_bytes());
        out.extend_from_slice(&message.properties);
    });
}

fn frame(kind: u8, channel: ChannelId, out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    let start = out.len();
    payload(out);
    let size = length(out.len() - start);
    out[start - 4..start].copy_from_slice(&size);
    out.push(FRAME_END);
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("payloads are bounded by the frame size").to_be_bytes()
}

/// Exchange and routing key.
fn address(message: &Message, out: &mut Vec<u8>) {
    short_string(message.exchange.as_str(), out);
    short_string(message.routing_key.as_str(), out);
}

fn short_string(text: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(text.len()).expect("names hold at most 255 bytes"));
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use amq_protocol::frame::parse_frame;
    use amq_protocol::protocol::{basic, channel};

    use super::*;
    use crate::broker::{Charge, Name};

    fn message(body: usize) -> Arc<Message> {
        Arc::new(Message {
            exchange: Name::new("exchange"),
            routing_key: Name::new("key"),
            extra_keys: Vec::new(),
            properties: Bytes::from_static(&[0b0001_0000, 0, 2]),
            body: Bytes::from(vec![b'x'; body]),
            priority: 0,
            persistent: true,
            expiration: None,
            charge: Charge::default(),
        })
    }

    /// Encodes after some other bytes, and parses with the codec.
    fn frames(value: &Output, frame_max: u32) -> Vec<AMQPFrame> {
        let mut bytes = vec![1, 2, 3];
        if let Some((channel, whole)) = output(value, &mut bytes) {
            for piece in body_pieces(whole, frame_max) {
                body(channel, piece, &mut bytes);
            }
        }
        let mut rest = &bytes[3..];
        let mut frames = Vec::new();
        while !rest.is_empty() {
            let (after, frame) = parse_frame(rest).expect("what we write can be parsed");
            assert!(rest.len() - after.len() <= frame_max as usize);
            frames.push(frame);
            rest = after;
        }
        frames
    }

    #[test]
    fn the_codec_reads_what_we_write() {
        let deliver = Output::Deliver {
            channel: 7,
            consumer: Name::new("tag"),
            tag: 9,
            redelivered: true,
            message: message(10_000),
        };
        let frames = frames(&deliver, 4096);
        let AMQPFrame::Method(7, AMQPClass::Basic(basic::AMQPMethod::Deliver(method))) = &frames[0] else {
            panic!("{:?}", frames[0])
        };
        assert_eq!((method.consumer_tag.as_str(), method.delivery_tag, method.redelivered), ("tag", 9, true));
        assert_eq!((method.exchange.as_str(), method.routing_key.as_str()), ("exchange", "key"));
        let AMQPFrame::Header(7, header) = &frames[1] else { panic!("{:?}", frames[1]) };
        assert_eq!((header.body_size, *header.properties.delivery_mode()), (10_000, Some(2)));
        let sizes: Vec<_> = frames[2..]
            .iter()
            .map(|frame| match frame {
                AMQPFrame::Body(7, piece) => piece.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, [4088, 4088, 1824]);
    }

    #[test]
    fn answers_returns_and_confirms() {
        let got = Output::Got { channel: 1, tag: 2, redelivered: false, remaining: 3, message: message(0) };
        let frames_of_got = frames(&got, 4096);
        assert!(matches!(
            &frames_of_got[..],
            [AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::GetOk(ok))), AMQPFrame::Header(1, _)]
                if ok.delivery_tag == 2 && ok.message_count == 3
        ));
        let returned = frames(&Output::Return { channel: 1, message: message(1) }, 4096);
        assert!(matches!(
            &returned[0],
            AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Return(method))) if method.reply_code == 312
        ));
        let confirm = frames(&Output::Confirm { channel: 1, tag: 5, multiple: true, ack: true }, 4096);
        let ack = basic::Ack { delivery_tag: 5, multiple: true };
        assert_eq!(confirm, [AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Ack(ack)))]);
        let refusal = frames(&Output::Confirm { channel: 1, tag: 5, multiple: false, ack: false }, 4096);
        let nack = basic::Nack { delivery_tag: 5, multiple: false, requeue: false };
        assert_eq!(refusal, [AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Nack(nack)))]);
        let method = AMQPClass::Channel(channel::AMQPMethod::OpenOk(channel::OpenOk {}));
        assert_eq!(frames(&Output::Method(3, method.clone()), 4096), [AMQPFrame::Method(3, method)]);
        assert_eq!(frames(&Output::Hangup, 4096), []);
    }
}
