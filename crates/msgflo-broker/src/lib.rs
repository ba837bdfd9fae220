//! An embedded AMQP 0-9-1 broker for one machine.
//!
//! Job: whoever has the binary has a broker. Clients of RabbitMQ connect to it unmodified; moving to RabbitMQ changes
//! one URL.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), msgflo_broker::Error> {
//! let options = msgflo_broker::Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
//! let broker = msgflo_broker::Server::start(options).await?;
//! println!("clients connect to {}", broker.url());
//! broker.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How it is made
//! The broker itself (`broker`) is a value without sockets or clock: commands and the time go in, outputs come out.
//! `wire` turns bytes into commands and outputs into bytes. Around them lies a thin server: one task accepts, and each
//! connection has a task that reads and one that writes. All connections share the broker under one lock, which is
//! taken once for everything that one read brought, and once for everything that one write takes.
//!
//! # Invariants
//! - A confirmed message is in every queue that it was routed to; a persistent one in a durable queue is safe on disk,
//!   if the broker has a folder.
//! - A queue's order is the order of arrival, also for messages that came back.
//! - What a client has not acknowledged goes back to its queue when its channel or connection ends, however it ends.
//! - A client that does not read costs a bounded amount of memory; its messages stay in their queues.
//!
//! # What it does not do
//! It is no cluster. Without a folder to keep them in, messages end with the process, durable or not.

mod access;
mod broker;
mod clock;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handle;
mod handshake;
mod management;
mod options;
mod pack;
mod server;
mod session;
mod shared;
mod storage;
mod tls;
mod wire;

pub use crate::access::User;
pub use crate::broker::{BindingInfo, Depth, QueueInfo};
pub use crate::handle::{DepthWatch, Handle};
pub use crate::options::{Credentials, Error, Options};
pub use crate::server::Server;
pub use crate::tls::Tls;
