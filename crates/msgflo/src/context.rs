//! What a handler knows of the message that it works on, and where its results go.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use msgflo_core::{Message, PortName, Role};

use crate::outport::Outgoing;
use crate::payload::Encode;
use crate::trace::Span;
use crate::{Error, Outport};

/// A message in work.
///
/// Results are collected and sent after the handler has succeeded: a job that fails has sent nothing but its failure.
pub struct Context {
    job: Arc<Job>,
}

/// What the handler and the one who waits for it share.
pub(crate) struct Job {
    pub(crate) message: Message,
    pub(crate) span: Span,
    pub(crate) names: Arc<Names>,
    /// The results so far; `None` once the handler has ended.
    outbox: Mutex<Option<Vec<Outgoing>>>,
}

/// Where a job came in.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) role: Role,
    pub(crate) inport: PortName,
}

impl Context {
    pub(crate) fn new(job: Arc<Job>) -> Self {
        Self { job }
    }

    /// Gives `value` to `port`. It is sent when the handler has succeeded, in the trace of the message that it answers;
    /// the message is acknowledged when the broker has confirmed everything that was sent.
    ///
    /// # Errors
    /// When the value cannot be encoded, or the handler has ended already.
    pub fn send<T: Encode + ?Sized>(&self, port: &Outport<T>, value: &T) -> Result<(), Error> {
        let outgoing = port.encode(value)?;
        let mut outbox = self.job.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        match outbox.as_mut() {
            Some(outbox) => outbox.push(outgoing),
            None => return Err(Error::HandlerEnded { port: outgoing.outlet.name.clone() }),
        }
        Ok(())
    }

    /// The message as it came, with its headers and its time.
    pub fn message(&self) -> &Message {
        &self.job.message
    }

    /// The role that the participant plays.
    pub fn role(&self) -> &Role {
        &self.job.names.role
    }

    /// The inport that the message came in on.
    pub fn inport(&self) -> &PortName {
        &self.job.names.inport
    }

    /// The W3C trace context of this job, for requests that it makes of others. Its results carry it too.
    pub fn traceparent(&self) -> String {
        self.job.span.traceparent()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("message", &self.job.message).finish_non_exhaustive()
    }
}

impl Job {
    pub(crate) fn new(message: Message, names: Arc<Names>) -> Self {
        let span = Span::child_of(message.traceparent.as_deref());
        Self { message, span, names, outbox: Mutex::new(Some(Vec::new())) }
    }

    /// The results. From now on nothing can be added.
    pub(crate) fn close(&self) -> Vec<Outgoing> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}
