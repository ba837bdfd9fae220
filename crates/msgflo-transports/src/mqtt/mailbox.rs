//! Where received messages wait for who takes them.
//!
//! A message may go to several mailboxes, since the broker sends it once however many of us want its topic. It is acknowledged
//! when all of them are done with it. What is given back goes to the front of its mailbox again: MQTT cannot give a
//! message back to the broker.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, stream};
use msgflo_core::{Deliveries, Delivery, Message, Settle};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::session::Receipt;

/// What a mailbox does when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// Drops its oldest message, as for one who only looks. Its messages are not to be answered for.
    DropOldest,
    /// Drops an arriving message that need not be acknowledged. Those that must are limited by the broker.
    DropUnassured,
}

/// Messages of one topic for one taker.
pub(crate) struct Mailbox {
    state: Mutex<State>,
    /// Told when a message comes or the mailbox closes.
    changed: Notify,
    /// Told when a round begins.
    rounds: Notify,
    limit: usize,
    overflow: Overflow,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Letter>,
    /// No more messages come. Those that wait are still taken.
    is_closed: bool,
    /// Messages that were dropped since the last one that was told.
    dropped: u64,
    /// How often the broker has begun to send again what was not acknowledged.
    round: u64,
}

/// A received message, and the duty to answer for it, if there is one.
struct Letter {
    message: Message,
    duty: Option<Arc<Duty>>,
    /// The round in which it came.
    round: u64,
}

/// The acknowledgement of a message that several may have to answer for.
pub(crate) struct Duty {
    receipt: Receipt,
    open: AtomicUsize,
    acknowledgements: mpsc::UnboundedSender<Receipt>,
}

impl Duty {
    /// A duty of nobody yet; it is kept open by the caller, who [settles](Self::settle) it in the end.
    pub(crate) fn new(receipt: Receipt, acknowledgements: mpsc::UnboundedSender<Receipt>) -> Arc<Self> {
        Arc::new(Self { receipt, open: AtomicUsize::new(1), acknowledgements })
    }

    /// One of those who must answer for it has done so. The last one acknowledges it.
    pub(crate) fn settle(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Without a reader there is no connection, and no need.
            let _ = self.acknowledgements.send(self.receipt);
        }
    }
}

impl Mailbox {
    /// An empty mailbox for `limit` messages.
    pub(crate) fn new(limit: usize, overflow: Overflow) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Notify::new(),
            rounds: Notify::new(),
            limit,
            overflow,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in. One that is closed takes none, and no duty: nobody would answer for it, and a broker waits for answers
    /// in their order.
    pub(crate) fn put(&self, message: Message, duty: Option<&Arc<Duty>>) {
        let mut state = self.state();
        if state.is_closed {
            return;
        }
        let is_full = state.waiting.len() >= self.limit;
        let duty = match self.overflow {
            Overflow::DropOldest => {
                if is_full {
                    state.waiting.pop_front();
                }
                None
            }
            Overflow::DropUnassured => {
                if is_full && duty.is_none() {
                    if state.dropped == 0 {
                        tracing::warn!(
                            limit = self.limit,
                            "messages come faster than they are taken: some are dropped"
                        );
                    }
                    state.dropped += 1;
                    return;
                }
                duty.cloned()
            }
        };
        state.dropped = 0;
        if let Some(duty) = &duty {
            duty.open.fetch_add(1, Ordering::AcqRel);
        }
        let round = state.round;
        state.waiting.push_back(Letter { message, duty, round });
        drop(state);
        self.changed.notify_one();
    }

    /// The broker sends again what was not acknowledged: what came before is worth nothing any more.
    pub(crate) fn begin_round(&self) {
        let mut state = self.state();
        state.round += 1;
        state.waiting.retain(|letter| letter.duty.is_none());
        drop(state);
        self.rounds.notify_waiters();
    }

    /// Lets no more messages in. Those that wait are still taken; then the streams end.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    /// Nobody will take what waits: it is answered for, since the broker would wait for ever.
    pub(crate) fn discard(&self) {
        let mut state = self.state();
        state.is_closed = true;
        for letter in state.waiting.drain(..) {
            if let Some(duty) = letter.duty {
                duty.settle();
            }
        }
    }

    async fn next(&self) -> Option<Letter> {
        loop {
            {
                let mut state = self.state();
                if let Some(letter) = state.waiting.pop_front() {
                    if !state.waiting.is_empty() {
                        // Another stream of this mailbox may wait.
                        self.changed.notify_one();
                    }
                    return Some(letter);
                }
                if state.is_closed {
                    self.changed.notify_one();
                    return None;
                }
            }
            // A note that was left since then is found.
            self.changed.notified().await;
        }
    }

    fn give_back(&self, mut letter: Letter) {
        let mut state = self.state();
        if state.is_closed || letter.round != state.round {
            drop(state);
            if let Some(duty) = letter.duty {
                duty.settle();
            }
            return;
        }
        letter.message.redelivered = true;
        state.waiting.push_front(letter);
        drop(state);
        self.changed.notify_one();
    }

    /// Its messages, at most `prefetch` unanswered at a time (0: no limit). `keep` lives as long as the stream.
    pub(crate) fn deliveries<K: Send + 'static>(self: Arc<Self>, prefetch: u16, keep: K) -> Deliveries {
        let limit = Some(usize::from(prefetch)).filter(|limit| *limit > 0);
        let round = self.state().round;
        let places = limit.map(|limit| Places { round, limit, free: Arc::new(Semaphore::new(limit)) });
        stream::unfold((self, places, keep), |(mailbox, mut places, keep)| async move {
            let place = match &mut places {
                Some(places) => Some(places.take(&mailbox).await),
                None => None,
            };
            let letter = mailbox.next().await?;
            let delivery = match letter.duty {
                None => Delivery::unacknowledged(letter.message),
                Some(_) => {
                    let message = letter.message.clone();
                    let mailbox = Arc::clone(&mailbox);
                    Delivery::new(message, Box::new(Taken { mailbox, letter, _place: place }))
                }
            };
            Some((delivery, (mailbox, places, keep)))
        })
        .boxed()
    }
}

/// How many messages of a stream may be out.
struct Places {
    round: u64,
    limit: usize,
    free: Arc<Semaphore>,
}

impl Places {
    /// Waits for a free place. Those of an earlier round are free: their messages come again.
    async fn take(&mut self, mailbox: &Mailbox) -> OwnedSemaphorePermit {
        loop {
            let next_round = mailbox.rounds.notified();
            tokio::pin!(next_round);
            // From here on none is missed.
            next_round.as_mut().enable();
            let round = mailbox.state().round;
            if round != self.round {
                *self = Self { round, limit: self.limit, free: Arc::new(Semaphore::new(self.limit)) };
            }
            tokio::select! {
                place = Arc::clone(&self.free).acquire_owned() => {
                    return place.expect("the places are never closed");
                }
                () = next_round => {}
            }
        }
    }
}

/// A message that was taken.
struct Taken {
    mailbox: Arc<Mailbox>,
    letter: Letter,
    _place: Option<OwnedSemaphorePermit>,
}

impl Settle for Taken {
    fn ack(self: Box<Self>) {
        if let Some(duty) = self.letter.duty {
            duty.settle();
        }
    }

    fn nack(self: Box<Self>, requeue: bool) {
        if requeue {
            self.mailbox.give_back(self.letter);
        } else {
            // There is nobody to whom a broker of MQTT would hand it.
            self.ack();
        }
    }
}
