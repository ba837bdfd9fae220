//! Outports: where a participant sends messages.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use msgflo_core::{Assurance, Client, Headers, Message, PortName, QueueName, Timestamp};

use crate::payload::{Encode, Raw};
use crate::port::{Description, description_methods};
use crate::trace::Span;
use crate::{Error, trace};

/// How an outport is announced.
///
/// ```
/// let mut camera = msgflo::Participant::new("cameras/Camera");
/// let options = msgflo::OutportOptions::default().data_type("buffer").description("A frame, as JPEG");
/// let frames = camera.outport_with::<msgflo::Raw>("FRAME", options);
/// # let _ = frames;
/// ```
#[derive(Clone, Debug, Default)]
pub struct OutportOptions {
    pub(crate) description: Description,
}

impl OutportOptions {
    description_methods!();
}

/// A port on which a participant sends values of `T`. Clones are the same port.
///
/// A handler gives its results to [`Context::send`](crate::Context::send). Whoever is not a handler, such as an HTTP server
/// beside the participants, uses [`Outport::send`].
pub struct Outport<T: ?Sized> {
    outlet: Arc<Outlet>,
    carries: PhantomData<fn(&T)>,
}

impl<T: Encode + ?Sized> Outport<T> {
    pub(crate) fn new(outlet: Arc<Outlet>) -> Self {
        Self { outlet, carries: PhantomData }
    }

    /// Sends `value`, as the first message of a new trace. Resolves when the broker has confirmed it, also if nothing is
    /// connected to the port.
    ///
    /// # Errors
    /// When the participant is not running, the value cannot be encoded, or the broker does not confirm it: it may then
    /// have been taken or not.
    pub async fn send(&self, value: &T) -> Result<(), Error> {
        let message = self.encode(value)?.stamped(Span::child_of(None), None);
        self.outlet.publish(message).await
    }

    /// The value's payload on its way to this port.
    pub(crate) fn encode(&self, value: &T) -> Result<Outgoing, Error> {
        let encoded = value.encode();
        let payload = encoded.map_err(|source| Error::Encode { port: self.outlet.name.clone(), source })?;
        Ok(Outgoing { outlet: Arc::clone(&self.outlet), payload })
    }
}

impl<T: ?Sized> Clone for Outport<T> {
    fn clone(&self) -> Self {
        Self { outlet: Arc::clone(&self.outlet), carries: PhantomData }
    }
}

impl<T: ?Sized> fmt::Debug for Outport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outport").field(&self.outlet.name).finish()
    }
}

/// An outport without the type of its values.
pub(crate) struct Outlet {
    pub(crate) name: PortName,
    pub(crate) options: OutportOptions,
    /// Set once, when the participant starts.
    connection: OnceLock<Connection>,
}

struct Connection {
    client: Arc<dyn Client>,
    exchange: QueueName,
}

impl Outlet {
    pub(crate) fn new(name: PortName, options: OutportOptions) -> Self {
        Self { name, options, connection: OnceLock::new() }
    }

    /// From now on the port sends to `exchange`, which exists. A participant starts once, so this is called once.
    pub(crate) fn connect(&self, client: Arc<dyn Client>, exchange: QueueName) {
        self.connection.get_or_init(|| Connection { client, exchange });
    }

    /// Sends `message` and waits until the broker has confirmed it.
    pub(crate) async fn publish(&self, message: Message) -> Result<(), Error> {
        let Some(Connection { client, exchange }) = self.connection.get() else {
            return Err(Error::NotRunning { port: self.name.clone() });
        };
        let persistent = self.options.description.assurance == Assurance::AtLeastOnce;
        let sent = client.send(exchange, Message { persistent, ..message }).await;
        sent.map_err(|source| Error::Send { port: self.name.clone(), source })
    }
}

/// A payload and the port it is for.
pub(crate) struct Outgoing {
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) payload: Raw,
}

impl Outgoing {
    /// The message to send now, in the trace of `span`. `cause` is the message that it is an answer to.
    pub(crate) fn stamped(self, span: Span, cause: Option<&Message>) -> Message {
        stamp(self.payload, span, cause)
    }
}

/// A persistent message with `payload`, sent now.
pub(crate) fn stamp(payload: Raw, span: Span, cause: Option<&Message>) -> Message {
    let mut headers = Headers::new();
    if let Some(state) = cause.and_then(|message| message.headers.get(trace::TRACESTATE)) {
        headers.insert(trace::TRACESTATE.into(), state.clone());
    }
    Message {
        content_type: payload.content_type,
        headers,
        timestamp: Some(Timestamp::from(SystemTime::now())),
        traceparent: Some(span.traceparent()),
        ..Message::new(payload.bytes)
    }
}
