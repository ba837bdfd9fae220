//! The AMQP 0-9-1 wire format: bytes to commands, outputs to bytes.
//!
//! Methods go through the `amq-protocol` codec, except the few that every message needs (publish, deliver, ack), which
//! are written out here. Message properties are never rebuilt: they are checked, looked into where the broker must
//! know something, and passed on byte for byte, so that key order, unknown field types and binary correlation ids
//! survive.
//!
//! Nothing here allocates more than what has arrived, whatever lengths a peer announces.

pub(crate) mod assemble;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod properties;
pub(crate) mod table;
