//! Frames to commands: a message is complete when its header and all its body frames have come.
//!
//! One assembler belongs to one connection. Channels may interleave their frames; on one channel nothing may come
//! between `basic.publish` and the end of its body. Content is taken on channels only that the client has opened, so what
//! can be unfinished is limited as they are.

use std::collections::{HashMap, HashSet};

use amq_protocol::protocol::{AMQPClass, channel as channel_class};
use amq_protocol::types::ChannelId;
use bytes::{Bytes, BytesMut};

use crate::broker::{Charge, Command, Exception, Memory, Name, Publish};

use super::decode::{self, Frame, MESSAGE_MAX, UNFINISHED_MAX};

/// What a channel has received of a message.
struct Partial {
    publish: Publish,
    stage: Stage,
}

enum Stage {
    /// After `basic.publish`; left by the content header.
    Header,
    /// After the header; left when `missing` bytes of body have come. `held` counts the properties, too.
    Body { missing: u64, received: BytesMut, held: usize, charge: Charge },
}

/// Collects the frames of one connection into commands.
pub(crate) struct Assembler {
    /// Channels that the client has opened and not closed.
    open: HashSet<ChannelId>,
    partial: HashMap<ChannelId, Partial>,
    memory: Memory,
    /// Bytes of unfinished messages.
    unfinished: usize,
    /// The last publisher's names: mostly the next one's, too.
    exchange: Option<Name>,
    routing_key: Option<Name>,
}

impl Assembler {
    /// Counts what it holds in this memory.
    pub(crate) fn new(memory: Memory) -> Self {
        Self {
            open: HashSet::new(),
            partial: HashMap::new(),
            memory,
            unfinished: 0,
            exchange: None,
            routing_key: None,
        }
    }

    /// Bytes of messages that have begun and not ended.
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Takes a frame; returns the command that it completes, if any.
    pub(crate) fn accept(&mut self, frame: Frame<'_>) -> Result<Option<(ChannelId, Command)>, Exception> {
        match frame {
            Frame::Heartbeat => Ok(None),
            Frame::Publish { channel, .. } if !self.open.contains(&channel) => {
                let exception = Exception::channel_error("expected 'channel.open'");
                Err(Exception { method: (60, 40), ..exception })
            }
            Frame::Publish { channel, exchange, routing_key, mandatory, immediate } => {
                let publish = Publish {
                    exchange: reuse(&mut self.exchange, exchange),
                    routing_key: reuse(&mut self.routing_key, routing_key),
                    mandatory,
                    immediate,
                    properties: Bytes::new(),
                    body: Bytes::new(),
                };
                match self.partial.insert(channel, Partial { publish, stage: Stage::Header }) {
                    None => Ok(None),
                    Some(_) => {
                        Err(Exception::unexpected_frame("expected content, got basic.publish instead"))
                    }
                }
            }
            Frame::Method(channel, method) => {
                if self.partial.contains_key(&channel) {
                    return Err(Exception::unexpected_frame("expected content, got a method frame instead"));
                }
                match &method {
                    AMQPClass::Channel(channel_class::AMQPMethod::Open(_)) => self.open.insert(channel),
                    AMQPClass::Channel(
                        channel_class::AMQPMethod::Close(_) | channel_class::AMQPMethod::CloseOk(_),
                    ) => self.open.remove(&channel),
                    _ => false,
                };
                Ok(Some((channel, Command::Method(method))))
            }
            Frame::Header { channel, body_size, raw, .. } => self.header(channel, body_size, raw),
            Frame::Body(channel, piece) => self.body(channel, piece),
        }
    }

    fn header(
        &mut self,
        channel: ChannelId,
        body_size: u64,
        raw: &[u8],
    ) -> Result<Option<(ChannelId, Command)>, Exception> {
        if body_size > MESSAGE_MAX {
            return Err(Exception::resource_error(format_args!(
                "message of {body_size} bytes is larger than the maximum of {MESSAGE_MAX}"
            )));
        }
        let Some(partial @ Partial { stage: Stage::Header, .. }) = self.partial.get_mut(&channel) else {
            return Err(Exception::unexpected_frame("expected a method frame, got a content header instead"));
        };
        partial.publish.properties = Bytes::copy_from_slice(raw);
        if body_size == 0 {
            return Ok(self.finish(channel));
        }
        let (held, charge) = (raw.len(), self.memory.charge(raw.len()));
        partial.stage = Stage::Body { missing: body_size, received: BytesMut::new(), held, charge };
        self.hold(held)?;
        Ok(None)
    }

    /// Counts so many bytes of an unfinished message more.
    fn hold(&mut self, bytes: usize) -> Result<(), Exception> {
        self.unfinished += bytes;
        if self.unfinished > UNFINISHED_MAX {
            return Err(Exception::resource_error("too many unfinished messages"));
        }
        Ok(())
    }

    fn body(&mut self, channel: ChannelId, piece: &[u8]) -> Result<Option<(ChannelId, Command)>, Exception> {
        let Some(Partial { publish, stage: Stage::Body { missing, received, held, charge } }) =
            self.partial.get_mut(&channel)
        else {
            return Err(Exception::unexpected_frame("expected another frame, got a content body instead"));
        };
        let Some(left) = missing.checked_sub(piece.len() as u64) else {
            return Err(Exception::frame_error("content body is longer than its header said"));
        };
        if left == 0 && received.is_empty() {
            // The common case, a body in one frame: one exact copy.
            publish.body = Bytes::copy_from_slice(piece);
            return Ok(self.finish(channel));
        }
        received.extend_from_slice(piece);
        charge.grow(piece.len());
        *held += piece.len();
        *missing = left;
        if left == 0 {
            publish.body = std::mem::take(received).freeze();
        }
        self.hold(piece.len())?;
        Ok(if left == 0 { self.finish(channel) } else { None })
    }

    fn finish(&mut self, channel: ChannelId) -> Option<(ChannelId, Command)> {
        let Partial { publish, stage } = self.partial.remove(&channel)?;
        if let Stage::Body { held, .. } = stage {
            self.unfinished -= held;
        }
        Some((channel, Command::Publish(publish)))
    }
}

fn reuse(last: &mut Option<Name>, text: &str) -> Name {
    match last {
        Some(name) if name.as_str() == text => name.clone(),
        _ => last.insert(Name::new(text)).clone(),
    }
}

impl From<decode::Error> for Exception {
    fn from(error: decode::Error) -> Self {
        let method = match error {
            decode::Error::NotForClients(class, method) | decode::Error::Malformed(class, method) => {
                (class, method)
            }
            decode::Error::PrefetchSize => (60, 10),
            _ => (0, 0),
        };
        let exception = match error {
            decode::Error::TooLarge { .. }
            | decode::Error::NoEnd
            | decode::Error::UnknownType(_)
            | decode::Error::HeartbeatPayload
            | decode::Error::Malformed(..) => Self::frame_error(error),
            decode::Error::NotForClients(..) => Self::command_invalid(error),
            decode::Error::PrefetchSize => Self::not_implemented(error),
            decode::Error::WrongClass(_) | decode::Error::HeartbeatChannel(_) => {
                Self::unexpected_frame(error)
            }
            decode::Error::MalformedHeader => Self::syntax_error(error),
        };
        Self { method, ..exception }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::properties::Properties;

    fn publish(channel: ChannelId) -> Frame<'static> {
        Frame::Publish { channel, exchange: "", routing_key: "q", mandatory: false, immediate: false }
    }

    fn header(channel: ChannelId, body_size: u64, raw: &[u8]) -> Frame<'_> {
        Frame::Header { channel, body_size, raw, properties: Properties::default() }
    }

    fn opened(memory: &Memory, channels: ChannelId) -> Assembler {
        let mut assembler = Assembler::new(memory.clone());
        for channel in 1..=channels {
            let open = channel_class::AMQPMethod::Open(channel_class::Open {});
            assembler.accept(Frame::Method(channel, AMQPClass::Channel(open))).unwrap();
        }
        assembler
    }

    #[test]
    fn content_needs_an_open_channel() {
        let mut assembler = opened(&Memory::default(), 1);
        assert!(assembler.accept(publish(1)).is_ok());
        assert!(assembler.accept(header(1, 0, &[0, 0])).unwrap().is_some());
        assert_eq!(assembler.accept(publish(2)).unwrap_err().code, 504);
        let close = channel_class::AMQPMethod::CloseOk(channel_class::CloseOk {});
        assembler.accept(Frame::Method(1, AMQPClass::Channel(close))).unwrap();
        assert_eq!(assembler.accept(publish(1)).unwrap_err().code, 504);
    }

    #[test]
    fn properties_of_unfinished_messages_count() {
        let memory = Memory::default();
        let mut assembler = opened(&memory, 1);
        let raw = vec![0; 131_000];
        assembler.accept(publish(1)).unwrap();
        assembler.accept(header(1, 2, &raw)).unwrap();
        assert_eq!(assembler.unfinished(), raw.len());
        assert_eq!(memory.used(), raw.len());
        assembler.accept(Frame::Body(1, b"a")).unwrap();
        assert!(assembler.accept(Frame::Body(1, b"b")).unwrap().is_some());
        assert_eq!(assembler.unfinished(), 0);
        assert_eq!(memory.used(), 0);
    }
}
