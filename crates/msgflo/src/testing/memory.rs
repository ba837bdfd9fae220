//! A broker of this process only.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::stream;
use msgflo_core::{
    Client, Deliveries, Delivery, Error, InportOptions, JobReport, Message, Participant, QueueName, Settle,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

/// What became of a message that was taken from an inport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was worked on.
    Acked,
    /// It was refused: a broker would drop or dead-letter it.
    Refused,
    /// It went back to the queue.
    Requeued,
}

/// How [`Memory`] answers to what is sent on outports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirms {
    /// At once.
    Given,
    /// Not yet: whoever sends waits.
    Held,
    /// By refusing it.
    Refused,
}

/// A [`Client`] whose broker is a piece of memory. It keeps what is sent to it until somebody takes it.
///
/// It knows ports, prefetch, acknowledgements and confirmations. It does not know bindings, dead letters and
/// connections; each inport has one queue, also one that is delivered to each.
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Told whenever the state has changed.
    changed: Notify,
    confirms: watch::Sender<Confirms>,
    /// The most bytes of a message that it takes.
    largest: AtomicUsize,
    /// Holds one permit for each reconnection.
    reconnections: Notify,
}

#[derive(Default)]
struct State {
    queues: HashMap<QueueName, Queue>,
    sent: HashMap<QueueName, VecDeque<Message>>,
    announced: Vec<Participant>,
    reports: Vec<JobReport>,
    closed: bool,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Message>,
    fates: VecDeque<Fate>,
}

impl Default for Memory {
    fn default() -> Self {
        let shared = Shared {
            state: Mutex::default(),
            changed: Notify::new(),
            confirms: watch::Sender::new(Confirms::Given),
            largest: AtomicUsize::new(usize::MAX),
            reconnections: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Memory {
    /// How it answers from now on, also to those who wait.
    pub fn set_confirms(&self, confirms: Confirms) {
        self.shared.confirms.send_replace(confirms);
    }

    /// The most bytes of a payload that it takes on outports from now on.
    pub fn set_largest(&self, bytes: usize) {
        self.shared.largest.store(bytes, Ordering::Relaxed);
    }

    /// Has participants believe that the connection was lost and is back.
    pub fn reconnect(&self) {
        self.shared.reconnections.notify_one();
    }

    /// Puts `message` into the inport `queue`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when no participant has that inport.
    pub fn put(&self, queue: &QueueName, message: Message) -> Result<(), Error> {
        self.shared.change(|state| state.queue(queue).map(|queue| queue.ready.push_back(message)))
    }

    /// How many messages wait in the inport `queue`, untaken.
    pub fn ready(&self, queue: &QueueName) -> usize {
        self.shared.state().queues.get(queue).map_or(0, |queue| queue.ready.len())
    }

    /// Takes the next message that was sent on the outport `exchange`, in the order of the confirmations.
    pub async fn take(&self, exchange: &QueueName) -> Message {
        self.shared.when(|state| state.sent.get_mut(exchange)?.pop_front()).await
    }

    /// Takes the next fate of a message that was taken from the inport `queue`.
    pub async fn fate(&self, queue: &QueueName) -> Fate {
        self.shared.when(|state| state.queues.get_mut(queue)?.fates.pop_front()).await
    }

    /// Waits until there were `count` announcements. Returns all.
    pub async fn announced(&self, count: usize) -> Vec<Participant> {
        let enough = |state: &mut State| (state.announced.len() >= count).then(|| state.announced.clone());
        self.shared.when(enough).await
    }

    /// Waits for job reports until those that came satisfy `enough`. Returns all.
    pub async fn reports(&self, enough: impl Fn(&[JobReport]) -> bool) -> Vec<JobReport> {
        self.shared.when(|state| enough(&state.reports).then(|| state.reports.clone())).await
    }

    /// Whether the participants have closed the connection.
    pub fn is_closed(&self) -> bool {
        self.shared.state().closed
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.notify_waiters();
        changed
    }

    /// Waits until `find` finds something.
    async fn when<T>(&self, mut find: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            // Listens before it looks, so that no change is missed in between.
            let changed = self.changed.notified();
            if let Some(found) = find(&mut self.state()) {
                return found;
            }
            changed.await;
        }
    }

    /// Waits for the answer to a message for `name`.
    async fn confirm(&self, name: &QueueName) -> Result<(), Error> {
        let mut confirms = self.confirms.subscribe();
        let answer = confirms.wait_for(|confirms| *confirms != Confirms::Held).await.map(|answer| *answer);
        match answer {
            Ok(Confirms::Given) => Ok(()),
            _ => Err(Error::Refused { name: name.clone() }),
        }
    }
}

impl State {
    fn queue(&mut self, name: &QueueName) -> Result<&mut Queue, Error> {
        self.queues.get_mut(name).ok_or_else(|| Error::NotFound { name: name.clone() })
    }
}

/// A message that was taken, with its place among those that may be taken at once.
struct Taken {
    shared: Arc<Shared>,
    queue: QueueName,
    message: Message,
    _place: OwnedSemaphorePermit,
}

impl Taken {
    fn settled(self, fate: Fate) {
        self.shared.change(|state| {
            let Some(queue) = state.queues.get_mut(&self.queue) else {
                return;
            };
            queue.fates.push_back(fate);
            if fate == Fate::Requeued {
                queue.ready.push_front(Message { redelivered: true, ..self.message });
            }
        });
    }
}

impl Settle for Taken {
    fn ack(self: Box<Self>) {
        self.settled(Fate::Acked);
    }

    fn nack(self: Box<Self>, requeue: bool) {
        self.settled(if requeue { Fate::Requeued } else { Fate::Refused });
    }
}

#[async_trait]
impl Client for Memory {
    async fn create_inport(&self, queue: &QueueName, _: InportOptions) -> Result<(), Error> {
        self.shared.change(|state| _ = state.queues.entry(queue.clone()).or_default());
        Ok(())
    }

    async fn create_outport(&self, exchange: &QueueName) -> Result<(), Error> {
        self.shared.change(|state| _ = state.sent.entry(exchange.clone()).or_default());
        Ok(())
    }

    async fn send(&self, exchange: &QueueName, message: Message) -> Result<(), Error> {
        let (bytes, largest) = (message.payload.len(), self.shared.largest.load(Ordering::Relaxed));
        if bytes > largest {
            let source = format!("a message of {bytes} bytes is larger than the maximum of {largest}");
            return Err(Error::Failed { doing: "sending a message".into(), source: source.into() });
        }
        self.shared.confirm(exchange).await?;
        self.shared.change(|state| {
            let sent = state.sent.get_mut(exchange);
            sent.ok_or_else(|| Error::NotFound { name: exchange.clone() })?.push_back(message);
            Ok(())
        })
    }

    async fn send_to_queue(&self, queue: &QueueName, message: Message) -> Result<(), Error> {
        self.put(queue, message)
    }

    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Deliveries, Error> {
        self.shared.state().queue(queue)?;
        let places = if prefetch == 0 { Semaphore::MAX_PERMITS } else { usize::from(prefetch) };
        let from = (Arc::clone(&self.shared), queue.clone(), Arc::new(Semaphore::new(places)));
        let deliveries = stream::unfold(from, |(shared, queue, places)| async move {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            let next = |state: &mut State| {
                if state.closed {
                    Some(None)
                } else {
                    state.queues.get_mut(&queue)?.ready.pop_front().map(Some)
                }
            };
            let message = shared.when(next).await?;
            let taken = Taken {
                shared: Arc::clone(&shared),
                queue: queue.clone(),
                message: message.clone(),
                _place: place,
            };
            Some((Delivery::new(message, Box::new(taken)), (shared, queue, places)))
        });
        Ok(Box::pin(deliveries))
    }

    async fn announce(&self, participant: &Participant) -> Result<(), Error> {
        self.shared.change(|state| state.announced.push(participant.clone()));
        Ok(())
    }

    async fn report(&self, exchange: &QueueName, message: Message) -> Result<(), Error> {
        let report = serde_json::from_slice(&message.payload).map_err(|error| Error::Failed {
            doing: format!("reading the report for `{exchange}`"),
            source: error.into(),
        })?;
        self.shared.change(|state| state.reports.push(report));
        Ok(())
    }

    async fn reconnected(&self) {
        self.shared.reconnections.notified().await;
    }

    async fn close(&self) -> Result<(), Error> {
        self.shared.change(|state| state.closed = true);
        Ok(())
    }
}
