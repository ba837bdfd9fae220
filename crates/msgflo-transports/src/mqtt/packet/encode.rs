//! What a client sends.

use msgflo_core::{Assurance, Message, QueueName};

use super::properties::{self, text};
use super::{MAX_PACKET, Outbox, PacketId, Version, property};

/// How we introduce ourselves.
#[derive(Clone, Debug)]
pub(crate) struct Connect<'a> {
    pub(crate) version: Version,
    pub(crate) client_id: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    /// Seconds.
    pub(crate) keep_alive: u16,
    /// Whether an earlier session under this name is forgotten.
    pub(crate) clean: bool,
    /// Seconds for which the session outlives its connection. Version 5 only.
    pub(crate) expiry: u32,
    /// The most messages that we take without having answered for one. Version 5 only.
    pub(crate) receive_maximum: u16,
}

pub(crate) fn connect(out: &mut Outbox, connect: &Connect<'_>) {
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    body.push(match connect.version {
        Version::V311 => 4,
        Version::V5 => 5,
    });
    let flag = |set: bool, bit: u8| u8::from(set) << bit;
    body.push(flag(connect.user.is_some(), 7) | flag(connect.password.is_some(), 6) | flag(connect.clean, 1));
    body.extend_from_slice(&connect.keep_alive.to_be_bytes());
    if connect.version == Version::V5 {
        let mut properties = vec![property::SESSION_EXPIRY];
        properties.extend_from_slice(&connect.expiry.to_be_bytes());
        properties.push(property::RECEIVE_MAXIMUM);
        properties.extend_from_slice(&connect.receive_maximum.to_be_bytes());
        properties.push(property::MAXIMUM_PACKET_SIZE);
        let most = u32::try_from(MAX_PACKET).expect("a constant that fits");
        properties.extend_from_slice(&most.to_be_bytes());
        length(|byte| body.push(byte), properties.len());
        body.extend_from_slice(&properties);
    }
    text(&mut body, connect.client_id);
    for value in [connect.user, connect.password].into_iter().flatten() {
        text(&mut body, value);
    }
    packet(out, 0x10, &body);
}

/// A message. `id` is given where it is to be acknowledged; `again` where it may have been sent before.
pub(crate) fn publish(
    out: &mut Outbox,
    version: Version,
    topic: &QueueName,
    id: Option<PacketId>,
    again: bool,
    message: &Message,
) {
    let mut head = Vec::with_capacity(topic.as_str().len() + 8);
    text(&mut head, topic.as_str());
    if let Some(id) = id {
        head.extend_from_slice(&id.to_be_bytes());
    }
    if version == Version::V5 {
        let properties = properties::encode(message);
        length(|byte| head.push(byte), properties.len());
        head.extend_from_slice(&properties);
    }
    let flags = u8::from(again) << 3 | u8::from(id.is_some()) << 1;
    out.put_u8(0x30 | flags);
    put_length(out, head.len() + message.payload.len());
    out.put_slice(&head);
    out.put_payload(&message.payload);
}

/// At most so many bytes a message takes.
pub(crate) fn publish_size(version: Version, topic: &QueueName, message: &Message) -> usize {
    /// The first byte, two numbers of at most four bytes, the topic's length and the packet's id.
    const FIXED: usize = 1 + 4 + 4 + 2 + 2;
    let properties = if version == Version::V5 { properties::encode(message).len() } else { 0 };
    FIXED + topic.as_str().len() + properties + message.payload.len()
}

/// A subscription to each of `filters`. Retained messages come only with a subscription that is new.
pub(crate) fn subscribe(
    out: &mut Outbox,
    version: Version,
    id: PacketId,
    filters: &[(QueueName, Assurance)],
) {
    /// The option of version 5 that says so.
    const RETAINED_IF_NEW: u8 = 1 << 4;
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    for (filter, assurance) in filters {
        text(&mut body, filter.as_str());
        let options = if version == Version::V5 { RETAINED_IF_NEW } else { 0 };
        body.push(options | u8::from(*assurance == Assurance::AtLeastOnce));
    }
    packet(out, 0x82, &body);
}

pub(crate) fn unsubscribe(out: &mut Outbox, version: Version, id: PacketId, filters: &[QueueName]) {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    for filter in filters {
        text(&mut body, filter.as_str());
    }
    packet(out, 0xA2, &body);
}

pub(crate) fn puback(out: &mut Outbox, id: PacketId) {
    out.put_slice(&[0x40, 2]);
    out.put_u16(id);
}

pub(crate) fn ping(out: &mut Outbox) {
    out.put_slice(&[0xC0, 0]);
}

/// The last packet. With `forget`, the broker keeps nothing of the session, where the version can say so.
pub(crate) fn disconnect(out: &mut Outbox, version: Version, forget: bool) {
    if version == Version::V5 && forget {
        out.put_slice(&[0xE0, 7, 0, 5, property::SESSION_EXPIRY, 0, 0, 0, 0]);
    } else {
        out.put_slice(&[0xE0, 0]);
    }
}

fn packet(out: &mut Outbox, kind: u8, body: &[u8]) {
    out.put_u8(kind);
    put_length(out, body.len());
    out.put_slice(body);
}

fn put_length(out: &mut Outbox, number: usize) {
    length(|byte| out.put_u8(byte), number);
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn length(mut put: impl FnMut(u8), mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7F).expect("seven bits");
        number >>= 7;
        put(low | u8::from(number > 0) << 7);
        if number == 0 {
            return;
        }
    }
}
