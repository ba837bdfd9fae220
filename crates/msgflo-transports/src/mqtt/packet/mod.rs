//! MQTT's packets, as a client sends and receives them: versions 3.1.1 and 5, quality of service 0 and 1.
//!
//! Payloads are not copied: a received one is a slice of what was read, a large one is sent from where it lies. What a client
//! never receives is malformed here, quality of service 2 among it, since we never ask for it.

mod decode;
mod encode;
mod outbox;
mod properties;

pub(crate) use decode::{ConnAck, Packet, Publish, decode};
pub(crate) use encode::{
    Connect, connect, disconnect, ping, puback, publish, publish_size, subscribe, unsubscribe,
};
pub(crate) use outbox::Outbox;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 3.1.1, which knows nothing beside a payload.
    V311,
    /// 5.
    V5,
}

/// Names a packet that is to be answered for. Never zero.
pub(crate) type PacketId = u16;

/// The most bytes of a packet that we take.
pub(crate) const MAX_PACKET: usize = 64 << 20;

/// The most bytes of a packet that MQTT knows.
pub(crate) const LARGEST: u32 = 268_435_455;

/// The names of what travels beside a payload, in version 5.
mod property {
    pub(super) const CONTENT_TYPE: u8 = 0x03;
    pub(super) const SESSION_EXPIRY: u8 = 0x11;
    pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(super) const USER: u8 = 0x26;
    pub(super) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(super) const SHARED_AVAILABLE: u8 = 0x2A;
    pub(super) const MAXIMUM_QOS: u8 = 0x24;
    pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
}

/// What is wrong, in the codes of version 5; those of 3.1.1 are translated.
pub(crate) mod reason {
    /// Codes from here on are refusals.
    pub(crate) const FAILURE: u8 = 0x80;
    pub(crate) const UNSUPPORTED_VERSION: u8 = 0x84;
    pub(crate) const BAD_CREDENTIALS: u8 = 0x86;
    pub(crate) const NOT_AUTHORIZED: u8 = 0x87;
    pub(crate) const BANNED: u8 = 0x8A;
    pub(crate) const TAKEN_OVER: u8 = 0x8E;

    /// A code in words.
    pub(crate) fn text(code: u8) -> String {
        let words = match code {
            0x81 | 0x82 => "it finds our packet malformed",
            UNSUPPORTED_VERSION => "it does not speak this version of MQTT",
            0x85 => "it does not accept the client id",
            BAD_CREDENTIALS => "user name or password are wrong",
            NOT_AUTHORIZED => "not authorized",
            0x88 => "it is unavailable",
            0x89 => "it is busy",
            BANNED => "we are banned",
            0x8B => "it shuts down",
            0x8D => "we were silent for too long",
            TAKEN_OVER => "somebody else connected with our client id",
            0x8F => "it does not accept the topic filter",
            0x90 => "it does not accept the topic",
            0x95 => "the packet is too large",
            0x97 => "a quota is exceeded",
            0x9B => "it does not support the quality of service",
            _ => return format!("reason code {code:#04x}"),
        };
        words.to_owned()
    }
}
