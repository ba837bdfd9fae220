//! Inports: where a participant takes messages, and what it does with them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use msgflo_core::{BoxError, PortName, Sharing};

use crate::Context;
use crate::failure::Failure;
use crate::payload::Decode;
use crate::port::{Description, description_methods};

/// How an inport takes messages.
///
/// By default two at a time, shared with the other instances of the role, without a time limit.
///
/// ```
/// use std::time::Duration;
///
/// use msgflo::Inport;
///
/// // Five jobs at once, each for ten seconds at most.
/// let jobs = Inport::default().prefetch(5).timeout(Duration::from_secs(10));
/// // Every instance hears every message.
/// let settings = Inport::default().each();
/// # let _ = (jobs, settings);
/// ```
#[derive(Clone, Debug)]
pub struct Inport {
    pub(crate) description: Description,
    pub(crate) prefetch: u16,
    pub(crate) timeout: Option<Duration>,
    pub(crate) sharing: Sharing,
}

/// As many as a participant of Node takes.
const PREFETCH: u16 = 2;

impl Default for Inport {
    fn default() -> Self {
        Self {
            description: Description::default(),
            prefetch: PREFETCH,
            timeout: None,
            sharing: Sharing::default(),
        }
    }
}

impl Inport {
    description_methods!();

    /// How many messages are worked on at once, and as many are fetched from the broker. With 1 they are worked on one
    /// after the other, in the order of the queue. 0 counts as 1.
    #[must_use]
    pub fn prefetch(mut self, messages: u16) -> Self {
        self.prefetch = messages.max(1);
        self
    }

    /// How long the work on one message may take. When it is over, the work is dropped and counts as failed. Work that never
    /// awaits cannot be dropped: move it to a thread with `tokio::task::spawn_blocking`.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Every instance of the role gets every message, on a queue of its own that ends with it. Otherwise the instances
    /// compete for the messages of one queue that outlives them.
    #[must_use]
    pub fn each(mut self) -> Self {
        self.sharing = Sharing::Each;
        self
    }
}

/// What is done with the messages of an inport, for those who prefer a struct to a closure.
///
/// ```
/// use msgflo::{BoxError, Context, Handler, Inport, Outport, Participant};
///
/// struct Repeat {
///     out: Outport<str>,
/// }
///
/// impl Handler<String> for Repeat {
///     async fn handle(&self, text: String, context: Context) -> Result<(), BoxError> {
///         context.send(&self.out, &text)?;
///         Ok(())
///     }
/// }
///
/// let mut repeat = Participant::new("core/Repeat");
/// let out = repeat.outport("OUT");
/// repeat.handler("IN", Inport::default(), Repeat { out });
/// ```
pub trait Handler<I>: Send + Sync + 'static {
    /// Works on one message. `Ok` acknowledges it, after the broker has confirmed what was [sent](Context::send). An error,
    /// a panic and a timeout refuse it, after the error port, if there is one, has got the failure.
    ///
    /// # Errors
    /// Whatever the work fails with. Its text, and the texts of its sources, become the failure's message.
    fn handle(&self, input: I, context: Context) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// A closure as a handler.
pub(crate) struct Closure<F>(pub(crate) F);

impl<I, F, W> Handler<I> for Closure<F>
where
    F: Fn(I, Context) -> W + Send + Sync + 'static,
    W: Future<Output = Result<(), BoxError>> + Send,
{
    fn handle(&self, input: I, context: Context) -> impl Future<Output = Result<(), BoxError>> + Send {
        (self.0)(input, context)
    }
}

/// A handler without the type of what it takes: it decodes the message of the context, and works on it.
pub(crate) type Work = Box<dyn Fn(Context) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

/// Forgets the type of what `handler` takes.
pub(crate) fn work<I, H>(handler: H) -> Work
where
    I: Decode + Send,
    H: Handler<I>,
{
    let handler = Arc::new(handler);
    Box::new(move |context| {
        let handler = Arc::clone(&handler);
        Box::pin(async move {
            let input = I::decode(context.message()).map_err(Failure::Undecodable)?;
            handler.handle(input, context).await.map_err(Failure::Work)
        })
    })
}

/// An inport as it was declared.
pub(crate) struct Intake {
    pub(crate) name: PortName,
    pub(crate) options: Inport,
    pub(crate) work: Work,
}
