//! The transports of MsgFlo: how the traits of `msgflo-core` are kept on real brokers.
//!
//! [`Amqp`] speaks AMQP 0-9-1, to RabbitMQ and to the embedded broker alike. Each transport is one module and one line in a
//! program's registry. What all of them must do is tested by `msgflo-conformance`.

mod amqp;
mod ledger;

pub use amqp::Amqp;
