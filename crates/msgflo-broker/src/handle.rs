//! The running broker, as its owner sees it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::broker::{BindingInfo, Broker, Depth, QueueInfo};
use crate::options::Credentials;
use crate::shared::Shared;

/// How long connections may take to say goodbye when the broker stops.
const GOODBYE: Duration = Duration::from_secs(2);

/// A running broker. When the last clone is dropped, it stops.
#[derive(Debug, Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

/// Where the broker listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) amqp: SocketAddr,
    pub(crate) amqps: Option<SocketAddr>,
    pub(crate) management: Option<SocketAddr>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    addresses: Addresses,
    credentials: Credentials,
    data: Option<PathBuf>,
    stop: CancellationToken,
    /// Ends the tasks that do not end themselves in time.
    abort: CancellationToken,
    tasks: TaskTracker,
    _guard: DropGuard,
}

impl Handle {
    pub(crate) fn new(
        shared: Arc<Shared>,
        addresses: Addresses,
        credentials: Credentials,
        data: Option<PathBuf>,
        stop: CancellationToken,
        abort: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let guard = stop.clone().drop_guard();
        let inner = Inner { shared, addresses, credentials, data, stop, abort, tasks, _guard: guard };
        Self { inner: Arc::new(inner) }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.inner.addresses.amqp
    }

    /// Where it listens for encrypted connections, if it does.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.inner.addresses.amqps
    }

    /// The URL of the management interface, if there is one: `http://127.0.0.1:PORT`.
    pub fn management_url(&self) -> Option<String> {
        self.inner.addresses.management.map(|address| format!("http://{}", on_this_machine(address)))
    }

    /// The URL for clients on this machine, without credentials: `amqp://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("amqp://{}", on_this_machine(self.inner.addresses.amqp))
    }

    /// The URL for clients on this machine, with the credentials that the broker was started with.
    pub fn url_with_credentials(&self) -> String {
        let Credentials { user, password } = &self.inner.credentials;
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        match self.inner.credentials == Credentials::default() {
            true => self.url(),
            false => self.url().replacen("//", &format!("//{}:{}@", encode(user), encode(password)), 1),
        }
    }

    /// The folder that durable things are kept in, if they are.
    pub fn data(&self) -> Option<&Path> {
        self.inner.data.as_deref()
    }

    /// Stops the broker: clients are told, and have two seconds to say goodbye. Returns when all is closed, and safe on disk.
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(GOODBYE, self.inner.tasks.wait()).await.is_err() {
            self.inner.abort.cancel();
            self.inner.tasks.wait().await;
        }
        let shared = self.inner.shared.clone();
        if tokio::task::spawn_blocking(move || shared.close()).await.is_err() {
            tracing::error!("the storage ended by a panic");
        }
    }

    /// Returns when the broker has stopped, for whatever reason.
    pub async fn stopped(&self) {
        self.inner.stop.cancelled().await;
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// All queues, sorted by virtual host and name.
    pub fn queues(&self) -> Vec<QueueInfo> {
        self.read(Broker::queue_infos)
    }

    /// The queue of that name in the virtual host `/`.
    pub fn queue(&self, name: &str) -> Option<QueueInfo> {
        self.read(|broker| broker.queue_by_name(name))
    }

    /// All bindings, sorted; those of the default exchange, which every queue has, are left out.
    pub fn bindings(&self) -> Vec<BindingInfo> {
        self.read(Broker::binding_infos)
    }

    /// Memory that messages occupy, estimated (bytes).
    pub fn memory_used(&self) -> usize {
        self.read(Broker::memory_used)
    }

    /// Follows the depth of a queue in the virtual host `/`, which need not exist yet.
    pub fn watch_depth(&self, name: &str) -> DepthWatch {
        DepthWatch { receiver: self.inner.shared.watch(name) }
    }

    fn read<T>(&self, look: impl FnOnce(&Broker) -> T) -> T {
        self.inner.shared.with(|broker, _| look(broker))
    }
}

/// How an address is reached from this machine.
fn on_this_machine(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}

/// The depth of a queue as it changes. Changes that follow each other quickly are seen as one.
#[derive(Debug, Clone)]
pub struct DepthWatch {
    receiver: watch::Receiver<Option<Depth>>,
}

impl DepthWatch {
    /// The depth now; `None` while there is no such queue. The next [`changed`](Self::changed) waits for another one.
    pub fn depth(&mut self) -> Option<Depth> {
        *self.receiver.borrow_and_update()
    }

    /// Waits until the depth is another than the one last seen. Returns false when the broker is gone.
    ///
    /// Cancel safe.
    pub async fn changed(&mut self) -> bool {
        self.receiver.changed().await.is_ok()
    }
}
