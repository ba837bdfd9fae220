//! Write MsgFlo participants in Rust.
//!
//! A *participant* takes messages on its *inports*, works on them, and sends messages on its *outports*. What its ports
//! are connected to is not its business: a coordinator connects them in the broker, as a graph says. A participant is a
//! few declarations, a closure or a [`Handler`] for each inport, and one [`run`]:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use msgflo::{Context, Inport, Participant};
//!
//! fn main() -> std::process::ExitCode {
//!     let mut greet = Participant::new("hello/Greet").label("Greets whom it is told of").icon("smile-o");
//!     let greeting = greet.outport::<String>("OUT");
//!     greet.error_port("ERROR");
//!     let names = Inport::default().prefetch(5).timeout(Duration::from_secs(10));
//!     greet.inport("IN", names, move |name: String, context: Context| {
//!         let greeting = greeting.clone();
//!         async move {
//!             context.send(&greeting, &format!("Hello {name}!"))?;
//!             Ok(())
//!         }
//!     });
//!     msgflo::main([greet])
//! }
//! ```
//!
//! - Ports have types: JSON of whatever serde reads and writes, [`Raw`] bytes, or what [`Encode`] and [`Decode`] say.
//! - Up to [`prefetch`](Inport::prefetch) messages are worked on at once, on all cores.
//! - A message is acknowledged when the broker has confirmed everything that its handler sent. A handler's error, its
//!   panic and its [timeout](Inport::timeout) go to the [error port](Participant::error_port); then the message is
//!   refused, so that the broker dead-letters or drops it.
//! - Instances of a role share the messages of an inport, unless [each](Inport::each) is to get all.
//! - Several participants can run in one process: `msgflo::run([web, store])`.
//! - On SIGTERM a program takes no more messages, finishes those in hand, and leaves.
//! - Messages carry their time and a W3C trace context. What became of each is reported on the exchange `msgflo.jobs`.
//! - [`testing`] runs participants without a broker.
//!
//! Invariant: a message is delivered at least once. It is never lost, but comes again when a process or a connection ends
//! before the broker has heard of its end: handlers must bear that.
//!
//! Not its job: to connect ports, to start processes, to scale them. That is the coordinator's and guv's.

mod announcer;
mod cast;
mod context;
mod error;
mod failure;
mod inport;
mod job;
mod options;
mod outport;
mod participant;
mod payload;
mod port;
mod reports;
mod run;
mod running;
mod signals;
mod start;
mod tally;
pub mod testing;
mod trace;
mod worker;

pub use bytes::Bytes;
pub use msgflo_core as core;
pub use msgflo_core::{Headers, Message, Timestamp};

pub use context::Context;
pub use error::{BoxError, Error};
pub use inport::{Handler, Inport};
pub use options::Options;
pub use outport::{Outport, OutportOptions};
pub use participant::Participant;
pub use payload::{Decode, Encode, Raw};
pub use run::{main, run};
pub use running::Running;
pub use start::{start, start_with};
