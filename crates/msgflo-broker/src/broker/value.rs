//! The values that go into and come out of the broker.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::types::{ChannelId, ShortString};
use bytes::Bytes;

use super::memory::{Charge, Memory};

/// The name of an exchange, queue, virtual host or consumer, or a routing key: the protocol's short string.
///
/// Invariant: at most 255 bytes; longer texts are cut at a character boundary. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name(Arc<str>);

impl Name {
    pub(crate) fn new(text: &str) -> Self {
        Self(Arc::from(&text[..text.floor_char_boundary(255)]))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&ShortString> for Name {
    fn from(text: &ShortString) -> Self {
        Self::new(text.as_str())
    }
}

impl From<&Name> for ShortString {
    fn from(name: &Name) -> Self {
        Self::from(name.as_str())
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A moment: milliseconds since the Unix epoch. The broker never reads a clock; this comes with every input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) u64);

impl Time {
    pub(crate) fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// A connection of a client, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// A message as it was published. Properties are raw and checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) exchange: Name,
    pub(crate) routing_key: Name,
    /// Further routing keys, from the headers CC and BCC.
    pub(crate) extra_keys: Vec<Name>,
    pub(crate) properties: Bytes,
    pub(crate) body: Bytes,
    /// As sent; a queue caps it at its own maximum.
    pub(crate) priority: u8,
    /// Delivery mode 2.
    pub(crate) persistent: bool,
    /// The publisher's time to live in milliseconds.
    pub(crate) expiration: Option<u64>,
    /// The memory that it occupies.
    pub(crate) charge: Charge,
}

/// What a message costs beside its bytes, roughly: the records that point to it.
const MESSAGE_OVERHEAD: usize = 128;

impl Message {
    /// Memory that the message occupies, estimated (bytes).
    pub(crate) fn footprint(&self) -> usize {
        self.body.len() + self.properties.len() + MESSAGE_OVERHEAD
    }

    /// The message as it is kept: its memory is counted until the last one who holds it lets go.
    pub(crate) fn charged(mut self, memory: &Memory) -> Arc<Self> {
        self.charge = memory.charge(self.footprint());
        Arc::new(self)
    }
}

/// What a client asks for, on a channel.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    /// A method without content.
    Method(AMQPClass),
    /// `basic.publish` with its content.
    Publish(Publish),
}

/// A complete `basic.publish`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) exchange: Name,
    pub(crate) routing_key: Name,
    pub(crate) mandatory: bool,
    pub(crate) immediate: bool,
    /// Raw properties, checked by `wire::properties::scan`.
    pub(crate) properties: Bytes,
    pub(crate) body: Bytes,
}

/// What goes to a client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Output {
    /// A method without content.
    Method(ChannelId, AMQPClass),
    /// A message for a consumer.
    Deliver { channel: ChannelId, consumer: Name, tag: u64, redelivered: bool, message: Arc<Message> },
    /// The answer to `basic.get`.
    Got { channel: ChannelId, tag: u64, redelivered: bool, remaining: u32, message: Arc<Message> },
    /// A mandatory message that no queue took.
    Return { channel: ChannelId, message: Arc<Message> },
    /// Publisher confirms: accepted (`ack`) or refused by a full queue; `multiple` covers all before it.
    Confirm { channel: ChannelId, tag: u64, multiple: bool, ack: bool },
    /// Close the socket when everything before is written.
    Hangup,
}

impl Output {
    /// The channel that it belongs to.
    pub(crate) fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Method(channel, _)
            | Self::Deliver { channel, .. }
            | Self::Got { channel, .. }
            | Self::Return { channel, .. }
            | Self::Confirm { channel, .. } => Some(*channel),
            Self::Hangup => None,
        }
    }

    /// Memory that this occupies until it is written, estimated (bytes).
    pub(crate) fn footprint(&self) -> usize {
        match self {
            Self::Method(..) | Self::Confirm { .. } | Self::Hangup => 64,
            Self::Deliver { message, .. } | Self::Got { message, .. } | Self::Return { message, .. } => {
                message.footprint()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_at_a_character() {
        let name = Name::new(&"é".repeat(200));
        assert_eq!(name.as_str(), "é".repeat(127));
    }
}
