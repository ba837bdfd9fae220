//! The broker as its connections share it: one lock, and the signals that go out after it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, ConnectionId, Depth, Exception, Name, Peer, Time};
use crate::clock::Clock;

/// The broker and those who wait for it.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Clock,
    /// The next deadline came nearer.
    timer: Notify,
}

#[derive(Debug)]
struct State {
    broker: Broker,
    /// Wakes the writer of a connection.
    writers: HashMap<ConnectionId, Arc<Notify>>,
    watchers: HashMap<Name, watch::Sender<Option<Depth>>>,
    announced: Vec<ConnectionId>,
    deadline: Option<Time>,
}

impl Shared {
    pub(crate) fn new(seed: u64) -> Self {
        let clock = Clock::new();
        let broker = Broker::new(seed, clock.now());
        Self {
            state: Mutex::new(State {
                broker,
                writers: HashMap::new(),
                watchers: HashMap::new(),
                announced: Vec::new(),
                deadline: None,
            }),
            clock,
            timer: Notify::new(),
        }
    }

    /// Runs something on the broker, then wakes whoever it concerns.
    pub(crate) fn with<T>(&self, run: impl FnOnce(&mut Broker, Time) -> T) -> T {
        let mut state = self.lock();
        let result = run(&mut state.broker, self.clock.now());
        self.signal(&mut state);
        result
    }

    /// Admits a connection; `writer` is notified whenever there is output for it.
    pub(crate) fn connect(&self, peer: Peer, writer: Arc<Notify>) -> Result<ConnectionId, Exception> {
        let mut state = self.lock();
        let id = state.broker.connect(peer)?;
        state.writers.insert(id, writer);
        Ok(id)
    }

    /// Forgets a connection and gives back what it held.
    pub(crate) fn disconnect(&self, id: ConnectionId) {
        let mut state = self.lock();
        state.writers.remove(&id);
        state.broker.disconnect(id, self.clock.now());
        self.signal(&mut state);
    }

    /// Follows the depth of a queue; `None` while there is no such queue.
    pub(crate) fn watch(&self, name: &str) -> watch::Receiver<Option<Depth>> {
        let mut state = self.lock();
        // Nobody may be listening to some of the old ones any more.
        let State { watchers, broker, .. } = &mut *state;
        watchers.retain(|name, sender| {
            let used = sender.receiver_count() > 0;
            if !used {
                broker.unwatch(name.as_str());
            }
            used
        });
        broker.watch(name);
        let depth = broker.depth(name);
        watchers.entry(Name::new(name)).or_insert_with(|| watch::Sender::new(depth)).subscribe()
    }

    /// Does what is due, whenever it is due, until `stop`.
    pub(crate) async fn keep_time(&self, stop: CancellationToken) {
        loop {
            let deadline = self.lock().deadline;
            let due = async {
                match deadline {
                    Some(time) => tokio::time::sleep_until(self.clock.instant(time)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.timer.notified() => {}
                () = due => self.with(Broker::tick),
            }
        }
    }

    fn signal(&self, state: &mut State) {
        let State { broker, writers, watchers, announced, deadline } = state;
        broker.take_announced(announced);
        for id in announced.drain(..) {
            if let Some(writer) = writers.get(&id) {
                writer.notify_one();
            }
        }
        for (name, depth) in broker.take_changed() {
            if let Some(watcher) = watchers.get(&name) {
                watcher.send_if_modified(|old| std::mem::replace(old, depth) != depth);
            }
        }
        let next = broker.next_deadline();
        if next != *deadline {
            *deadline = next;
            self.timer.notify_one();
        }
    }

    /// A panic while the lock was held would leave the broker as it was between two steps; going on serves the other
    /// connections better than ending all of them.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
