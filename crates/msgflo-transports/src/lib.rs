//! The transports of MsgFlo: how the traits of `msgflo-core` are kept on real brokers.
//!
//! [`Amqp`] speaks AMQP 0-9-1, to RabbitMQ and to the embedded broker alike; [`Mqtt`] speaks MQTT, to any broker, and carries
//! bindings by a router of its own. [`Joint`] makes one broker out of several. Each transport is one module and one line in
//! a program's registry. What all of them must do is tested by `msgflo-conformance`.

mod amqp;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod joined;
mod ledger;
mod mqtt;
mod router;
mod tls;

pub use amqp::Amqp;
pub use joined::{Joint, Member};
pub use mqtt::Mqtt;
