//! Carries messages from topic to topic, and from broker to broker, where no broker can.
//!
//! [`Routes`] says what goes where. Each source is pulled by one task, which hands its messages over in order and acknowledges
//! each when its destinations have confirmed it: nothing is lost that its sender wanted to arrive, and a destination that
//! is slow slows its sources. After an interruption a message may come twice.
//!
//! Not here: looking into messages, and changing them.

mod carry;
pub(crate) mod claims;
mod meter;
pub(crate) mod peers;
mod routes;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use msgflo_core::{Binding, Carrier, Error, QueueName};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ledger::{Ledger, Owner};
use claims::Ends;
use meter::Meter;
use routes::{Change, Destinations, Routes};

/// Whose a name is, and how it is called there.
pub(crate) type Resolve = dyn Fn(&QueueName) -> Result<(Arc<dyn Carrier>, QueueName), Error> + Send + Sync;

/// A cheap handle. The router ends with the last one.
#[derive(Clone)]
pub(crate) struct Router {
    shared: Arc<Shared>,
}

/// A handle that does not keep the router.
#[derive(Clone)]
pub(crate) struct WeakRouter {
    shared: Weak<Shared>,
}

impl WeakRouter {
    /// The router, if it has not ended.
    fn upgrade(&self) -> Option<Router> {
        Some(Router { shared: self.shared.upgrade()? })
    }
}

struct Shared {
    ends: Arc<Resolve>,
    ledger: Ledger,
    lines: Mutex<Lines>,
    /// Counts changes.
    changes: watch::Sender<u64>,
    /// Cancelled to take no more messages.
    stopping: CancellationToken,
}

#[derive(Default)]
struct Lines {
    routes: Routes,
    running: HashMap<QueueName, Line>,
    /// What another router carries.
    suspended: HashSet<Ends>,
}

/// A source that is pulled.
struct Line {
    destinations: watch::Sender<Destinations>,
    meter: Arc<Meter>,
    task: JoinHandle<()>,
}

impl Drop for Lines {
    fn drop(&mut self) {
        for line in self.running.values() {
            line.task.abort();
        }
    }
}

impl Router {
    /// Starts a router that carries what `ledger` remembers. What cannot be carried now is left in the ledger, and told.
    pub(crate) async fn start(
        ledger: Ledger,
        ends: impl Fn(&QueueName) -> Result<(Arc<dyn Carrier>, QueueName), Error> + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            ends: Arc::new(ends),
            ledger,
            lines: Mutex::default(),
            changes: watch::Sender::new(0),
            stopping: CancellationToken::new(),
        };
        let router = Self { shared: Arc::new(shared) };
        for binding in router.shared.ledger.all() {
            let mut lines = router.shared.lines.lock().await;
            if let Err(error) = router.shared.begin(&mut lines, &binding).await {
                tracing::warn!(%binding, reason = with_sources(&error), "a binding cannot be carried yet");
            }
        }
        router
    }

    /// Carries `binding` from now on, and remembers it.
    pub(crate) async fn add(&self, binding: &Binding, owner: Owner) -> Result<(), Error> {
        let mut lines = self.shared.lines.lock().await;
        let new = self.shared.ledger.add(binding, owner).await?;
        let begun = self.shared.begin(&mut lines, binding).await;
        if new && matches!(begun, Err(Error::NotFound { .. })) {
            self.shared.ledger.remove(binding, owner).await?;
        }
        if new && begun.is_ok() {
            self.shared.changes.send_modify(|count| *count += 1);
        }
        begun
    }

    /// Carries `binding` no more, if nobody else wants it, after what was on its way.
    pub(crate) async fn remove(&self, binding: &Binding, owner: Owner) -> Result<(), Error> {
        let mut lines = self.shared.lines.lock().await;
        let other = match owner {
            Owner::Network => Owner::Peers,
            Owner::Peers => Owner::Network,
        };
        if !self.shared.ledger.list(other).contains(binding) {
            self.shared.end(&mut lines, binding).await?;
        }
        if self.shared.ledger.remove(binding, owner).await? {
            self.shared.changes.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Carries nothing between these ends, until [`resume`](Self::resume): somebody else does.
    pub(crate) async fn suspend(&self, ends: &Ends) -> Result<(), Error> {
        let mut lines = self.shared.lines.lock().await;
        lines.suspended.insert(ends.clone());
        for binding in self.between(ends) {
            self.shared.end(&mut lines, &binding).await?;
        }
        Ok(())
    }

    /// Carries again what is wanted between these ends.
    pub(crate) async fn resume(&self, ends: &Ends) -> Result<(), Error> {
        let mut lines = self.shared.lines.lock().await;
        lines.suspended.remove(ends);
        for binding in self.between(ends) {
            self.shared.begin(&mut lines, &binding).await?;
        }
        Ok(())
    }

    fn between(&self, ends: &Ends) -> impl Iterator<Item = Binding> {
        self.all().filter(move |binding| claims::ends(binding) == *ends)
    }

    /// Takes no more messages, and waits until those on their way have arrived. What was not taken waits in the broker.
    pub(crate) async fn stop(&self) {
        self.shared.stopping.cancel();
        let lines = std::mem::take(&mut self.shared.lines.lock().await.running);
        let ended = join_all(lines.into_values().map(|line| line.task));
        drop(tokio::time::timeout(DRAIN, ended).await);
    }

    /// A handle that does not keep it.
    pub(crate) fn downgrade(&self) -> WeakRouter {
        WeakRouter { shared: Arc::downgrade(&self.shared) }
    }

    /// What `owner` wants.
    pub(crate) fn list(&self, owner: Owner) -> Vec<Binding> {
        self.shared.ledger.list(owner)
    }

    /// What all want.
    pub(crate) fn all(&self) -> impl Iterator<Item = Binding> + use<> {
        self.shared.ledger.all().into_iter()
    }

    /// How many messages a second each source sends.
    pub(crate) async fn rates(&self) -> BTreeMap<QueueName, f64> {
        let (lines, now) = (self.shared.lines.lock().await, Instant::now());
        lines.running.iter().map(|(source, line)| (source.clone(), line.meter.rate(now))).collect()
    }

    /// Tells when the bindings have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }
}

impl Shared {
    async fn begin(&self, lines: &mut Lines, binding: &Binding) -> Result<(), Error> {
        if lines.suspended.contains(&claims::ends(binding)) {
            return Ok(());
        }
        let is_new = !lines.routes.contain(binding);
        let begun = match lines.routes.add(binding) {
            Change::None => self.keep(lines, binding.source()).await,
            Change::Open(source, destinations) => self.pull(&source, destinations).await.map(|line| {
                lines.running.insert(source, line);
            }),
            Change::Redirect(source, destinations) => {
                self.keep(lines, &source).await.map(|()| redirect(lines, &source, destinations))
            }
            Change::Close(_) => unreachable!("more is wanted than before"),
        };
        if is_new && begun.is_err() {
            lines.routes.remove(binding);
        }
        begun
    }

    /// Makes sure that a source which is pulled still is.
    async fn keep(&self, lines: &mut Lines, source: &QueueName) -> Result<(), Error> {
        let (carrier, name) = (self.ends)(source)?;
        carrier.keep(&name).await?;
        if let Some(line) = lines.running.get(source).filter(|line| line.task.is_finished()) {
            let destinations = line.destinations.borrow().clone();
            let line = self.pull(source, destinations).await?;
            lines.running.insert(source.clone(), line);
        }
        Ok(())
    }

    async fn end(&self, lines: &mut Lines, binding: &Binding) -> Result<(), Error> {
        match lines.routes.remove(binding) {
            Change::None => Ok(()),
            Change::Close(source) => {
                let (carrier, name) = (self.ends)(&source)?;
                if let Err(error) = carrier.release(&name).await {
                    lines.routes.add(binding);
                    return Err(error);
                }
                if let Some(line) = lines.running.remove(&source) {
                    // It carries what was on its way, which may take as long as a broker is away.
                    drop(tokio::time::timeout(DRAIN, line.task).await);
                }
                Ok(())
            }
            Change::Redirect(source, destinations) => {
                redirect(lines, &source, destinations);
                Ok(())
            }
            Change::Open(..) => unreachable!("less is wanted than before"),
        }
    }

    async fn pull(&self, source: &QueueName, destinations: Destinations) -> Result<Line, Error> {
        let (carrier, name) = (self.ends)(source)?;
        let deliveries = carrier.pull(&name).await?;
        let (destinations, wanted) = watch::channel(destinations);
        let stopping = self.stopping.clone();
        let meter = Arc::new(Meter::new(Instant::now()));
        let ends = Arc::clone(&self.ends);
        let carrying = carry::carry(source.clone(), deliveries, wanted, ends, Arc::clone(&meter), stopping);
        let task = tokio::spawn(carrying);
        Ok(Line { destinations, meter, task })
    }
}

/// How long what is on its way is waited for when a source is released, or the router stops.
const DRAIN: Duration = Duration::from_secs(5);

fn redirect(lines: &Lines, source: &QueueName, destinations: Destinations) {
    if let Some(line) = lines.running.get(source) {
        line.destinations.send_replace(destinations);
    }
}

/// An error with all that caused it, on one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
