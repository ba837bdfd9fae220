//! The broker as its connections share it: one lock, and the signals that go out after it.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::broker::{
    Broker, ConnectionId, Depth, Effect, Exception, Limits, Memory, Name, Peer, Pressure, Setup, Time,
};
use crate::clock::Clock;
use crate::storage::{News, Opened, Storage};

/// The broker and those who wait for it.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Clock,
    /// The next deadline came nearer.
    timer: Notify,
    memory: Memory,
    storage: OnceLock<Storage>,
    /// The storage has taken something.
    stored: Notify,
    /// How short memory or disk run.
    pressure: watch::Sender<Pressure>,
}

#[derive(Debug)]
struct State {
    broker: Broker,
    /// Wakes the writer of a connection.
    writers: HashMap<ConnectionId, Arc<Notify>>,
    watchers: HashMap<Name, watch::Sender<Option<Depth>>>,
    announced: Vec<ConnectionId>,
    effects: Vec<Effect>,
    deadline: Option<Time>,
}

impl Shared {
    /// A broker as it is found in a folder, or an empty one. Blocks while the folder is read.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub(crate) fn open(seed: u64, data: Option<PathBuf>, memory_limit: usize) -> io::Result<Arc<Self>> {
        let clock = Clock::new();
        let (opened, memoir) = match &data {
            Some(path) => Opened::folder(path).map(|(opened, memoir)| (opened, Some(memoir)))?,
            None => (Opened::scratch(), None),
        };
        let memory = Memory::default();
        let mut broker = Broker::new(Setup {
            seed,
            now: clock.now(),
            limits: Limits::of(memory_limit),
            durable: data.is_some(),
            pages: opened.pages(),
            memory: memory.clone(),
            next_record: memoir.as_ref().and_then(|memoir| memoir.next_record).unwrap_or(NonZeroU64::MIN),
        });
        if let Some(memoir) = memoir {
            broker.restore(memoir);
        }
        let shared = Arc::new(Self {
            state: Mutex::new(State {
                broker,
                writers: HashMap::new(),
                watchers: HashMap::new(),
                announced: Vec::new(),
                effects: Vec::new(),
                deadline: None,
            }),
            clock,
            timer: Notify::new(),
            memory,
            storage: OnceLock::new(),
            stored: Notify::new(),
            pressure: watch::Sender::new(Pressure::None),
        });
        let weak = Arc::downgrade(&shared);
        let storage = opened.start(move |news| {
            if let Some(shared) = weak.upgrade() {
                shared.hear(news);
            }
        })?;
        shared.storage.get_or_init(|| storage);
        shared.with(|_, _| ());
        Ok(shared)
    }

    fn hear(&self, news: News) {
        match news {
            News::Progress(progress) => self.with(|broker, now| broker.advance(progress, now)),
            News::Failed(error) => {
                tracing::error!(%error, "the disk does not take messages; nothing more is confirmed until it does");
                self.with(|broker, now| broker.disk_is_short(Pressure::Severe, now));
            }
            News::Short(pressure, free) => {
                tracing::error!(free, "little is left of the disk; publishers must wait until there is more");
                self.with(|broker, now| broker.disk_is_short(pressure, now));
            }
            News::Recovered => {
                tracing::info!("the disk takes messages again");
                self.with(|broker, now| broker.disk_is_short(Pressure::None, now));
            }
        }
        self.stored.notify_waiters();
    }

    /// Writes what is left. Blocks.
    pub(crate) fn close(&self) {
        if let Some(storage) = self.storage.get() {
            storage.close();
        }
    }

    /// Makes virtual hosts that are not there yet.
    pub(crate) fn add_vhosts(&self, names: &[String]) {
        self.with(|broker, _| names.iter().for_each(|name| broker.ensure_vhost(name)));
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// The sum of what messages occupy.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Waits until a publisher may go on: the pressure is below where it waits, and the disk has caught up.
    pub(crate) async fn publisher_may_go_on(&self, waits_from: Option<Pressure>) {
        let mut pressure = self.pressure.subscribe();
        // The sender lives as long as we do.
        let _ = pressure.wait_for(|pressure| waits_from.is_none_or(|mark| *pressure < mark)).await;
        loop {
            let stored = self.stored.notified();
            if !self.storage.get().is_some_and(Storage::is_congested) {
                return;
            }
            stored.await;
        }
    }

    /// Whether the disk is behind.
    pub(crate) fn is_congested(&self) -> bool {
        self.storage.get().is_some_and(Storage::is_congested)
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
        let State { broker, writers, watchers, announced, effects, deadline } = state;
        let last = broker.take_effects(effects);
        if let Some(storage) = self.storage.get() {
            storage.submit(effects, last);
        }
        broker.check_memory(self.clock.now());
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
        let pressure = broker.alarms().pressure();
        self.pressure.send_if_modified(|old| std::mem::replace(old, pressure) != pressure);
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
