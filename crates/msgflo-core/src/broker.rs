//! What a coordinator needs of a broker.

use std::collections::BTreeMap;
use std::pin::Pin;

use async_trait::async_trait;
use futures_core::Stream;
use serde::Serialize;

use crate::discovery::{self, Announcement};
use crate::{Binding, Carrier, Deliveries, Error, JobReport, Message, QueueName, Timestamp};

/// What is in a queue. What a broker does not tell is `None`, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// Messages that wait to be delivered.
    pub ready: u64,
    /// Messages that were delivered and not yet answered for.
    pub unacknowledged: Option<u64>,
    /// Who takes from it.
    pub consumers: u32,
}

/// Whether a binding of ours is known to be in the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirmation {
    /// The broker lists it.
    Present,
    /// The broker does not list it: somebody removed it, or what it joined.
    Absent,
    /// The broker cannot be asked.
    Unknown,
}

/// A binding of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownBinding {
    /// The binding.
    #[serde(flatten)]
    pub binding: Binding,
    /// Whether the broker has it.
    pub confirmation: Confirmation,
}

/// A coordinator's connection to a broker.
///
/// It reconnects by itself. It only ever binds: a participant's queues and exchanges are never declared again.
#[async_trait]
pub trait Broker: Carrier {
    /// The broker's URL, without credentials.
    fn address(&self) -> String;

    /// Whether there is a connection now. A broker that has gone silent is noticed after some seconds only.
    fn is_connected(&self) -> bool;

    /// Tells, from now on, of every connection that is there again after it was lost: the broker may have forgotten what was in
    /// it. Those that come before anybody looks may be told as one.
    fn reconnections(&self) -> Reconnections;

    /// Makes the binding and remembers it as ours. One that exists is left as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the source or the target does not exist (yet).
    async fn add_binding(&self, binding: &Binding) -> Result<(), Error>;

    /// Removes the binding and forgets it. One that does not exist is already removed.
    ///
    /// # Errors
    /// When the broker cannot be asked; the binding then stays remembered.
    async fn remove_binding(&self, binding: &Binding) -> Result<(), Error>;

    /// The bindings that are ours: made by [`add_binding`](Self::add_binding), in this life or an earlier one.
    ///
    /// # Errors
    /// When the memory of them cannot be read.
    async fn list_bindings(&self) -> Result<Vec<KnownBinding>, Error>;

    /// A copy of every message that is sent to `source`, from now on, taken from nobody. Messages are dropped while the
    /// reader is more than `buffer` behind.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the source does not exist.
    async fn tap(&self, source: &QueueName, buffer: u32) -> Result<Deliveries, Error>;

    /// What is in `queue`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it does not exist.
    async fn depth(&self, queue: &QueueName) -> Result<Depth, Error>;

    /// What flows and what waits at present, as far as the broker or its router knows.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    async fn traffic(&self) -> Result<Traffic, Error>;

    /// Puts `message` into `queue`. Resolves when the broker has confirmed it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the queue does not exist.
    async fn send_to_queue(&self, queue: &QueueName, message: Message) -> Result<(), Error>;

    /// Sends `message` to whatever is bound to `exchange`, as the participant whose outport or inport it is would.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the exchange does not exist.
    async fn send_to_exchange(&self, exchange: &QueueName, message: Message) -> Result<(), Error>;

    /// Takes messages out of `queue`, which exists, at most `prefetch` unanswered at a time.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the queue does not exist.
    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Deliveries, Error>;

    /// Every announcement of a participant from now on, also while other coordinators watch. Several coordinators on one
    /// broker see the same.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    async fn watch_discovery(&self) -> Result<Announcements, Error>;

    /// Every report of finished jobs from now on. What is no report is left out.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    async fn watch_jobs(&self) -> Result<JobReports, Error>;

    /// Ends the connection. Bindings stay.
    ///
    /// # Errors
    /// When the broker does not answer in time; the connection is then cut.
    async fn close(&self) -> Result<(), Error>;
}

/// What flows and what waits. What is not in it is unknown, and not zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Messages a second, by exchange or topic.
    pub rates: BTreeMap<QueueName, f64>,
    /// When the message that is next was sent, by queue.
    pub oldest: BTreeMap<QueueName, Timestamp>,
}

/// What participants say of themselves, decoded; what could not be decoded comes with the reason.
pub type Announcements = Pin<Box<dyn Stream<Item = Result<Announcement, discovery::Error>> + Send>>;

/// What participants report of their jobs.
pub type JobReports = Pin<Box<dyn Stream<Item = JobReport> + Send>>;

/// Told when the connection is there again.
pub type Reconnections = Pin<Box<dyn Stream<Item = ()> + Send>>;
