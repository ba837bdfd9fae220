//! What MsgFlo is made of, without a broker, a clock or a socket.
//!
//! A *participant* is a process that takes messages on *inports* and sends them on *outports*. It plays a *role* in a
//! network; several participants may play the same one. It announces itself with a [`discovery`] message. A
//! [`Binding`] in the broker carries what an outport sends to an inport's queue.
//!
//! Two traits stand between this crate and a real broker: [`Client`] is what a participant needs, [`Broker`] what a
//! coordinator needs. A [`Transport`] makes both from a URL, and a [`Registry`], filled in a program's `main`, knows which
//! transport speaks which scheme.
//!
//! Invariant: a payload is bytes. Nothing here, and no transport, looks into it or alters it.

mod address;
mod binding;
mod broker;
mod carrier;
mod client;
mod delivery;
pub mod discovery;
mod error;
pub mod job;
mod message;
mod names;
mod participant;
mod registry;

pub use address::BrokerUrl;
pub use binding::{Binding, Retry};
pub use broker::{
    Announcements, Broker, Confirmation, Depth, JobReports, KnownBinding, Reconnections, Traffic,
};
pub use carrier::{Carrier, Confirmed, Destination};
pub use client::{Assurance, Client, InportOptions, Sharing};
pub use delivery::{Deliveries, Delivery, Settle};
pub use error::{BoxError, Error};
pub use job::{JobCompleted, JobReport, Outcome};
pub use message::{Headers, Message, Timestamp};
pub use names::{ComponentName, ParticipantId, PortName, QueueName, Role};
pub use participant::{Participant, Port};
pub use registry::{BrokerOptions, Registry, Transport};
