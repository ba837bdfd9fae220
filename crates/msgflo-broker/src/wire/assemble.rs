//! Frames to commands: a message is complete when its header and all its body frames have come.
//!
//! One assembler belongs to one connection. Channels may interleave their frames; on one channel nothing may come
//! between `basic.publish` and the end of its body.

use std::collections::HashMap;

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
    /// After the header; left when `missing` bytes of body have come.
    Body { missing: u64, received: BytesMut, charge: Charge },
}

/// Collects the frames of one connection into commands.
pub(crate) struct Assembler {
    partial: HashMap<ChannelId, Partial>,
    memory: Memory,
    unfinished: usize,
    /// The last publisher's names: mostly the next one's, too.
    exchange: Option<Name>,
    routing_key: Option<Name>,
}

impl Assembler {
    /// Counts what it holds in this memory.
    pub(crate) fn new(memory: Memory) -> Self {
        Self { partial: HashMap::new(), memory, unfinished: 0, exchange: None, routing_key: None }
    }

    /// Whether a message has begun and not ended.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.unfinished > 0
    }

    /// Takes a frame; returns the command that it completes, if any.
    pub(crate) fn accept(&mut self, frame: Frame<'_>) -> Result<Option<(ChannelId, Command)>, Exception> {
        match frame {
            Frame::Heartbeat => Ok(None),
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
        partial.stage =
            Stage::Body { missing: body_size, received: BytesMut::new(), charge: self.memory.charge(0) };
        Ok(if body_size == 0 { self.finish(channel) } else { None })
    }

    fn body(&mut self, channel: ChannelId, piece: &[u8]) -> Result<Option<(ChannelId, Command)>, Exception> {
        let Some(Partial { publish, stage: Stage::Body { missing, received, charge } }) =
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
        self.unfinished += piece.len();
        if self.unfinished > UNFINISHED_MAX {
            return Err(Exception::resource_error("too many unfinished messages"));
        }
        received.extend_from_slice(piece);
        charge.grow(piece.len());
        *missing = left;
        if left > 0 {
            return Ok(None);
        }
        self.unfinished -= received.len();
        publish.body = std::mem::take(received).freeze();
        Ok(self.finish(channel))
    }

    fn finish(&mut self, channel: ChannelId) -> Option<(ChannelId, Command)> {
        self.partial.remove(&channel).map(|partial| (channel, Command::Publish(partial.publish)))
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
