//! The server: listens, accepts, and keeps the broker's time.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Access, User};
use crate::handle::{Addresses, Handle};
use crate::management::{self, Document};
use crate::options::{Error, Options};
use crate::session::{self, Door};
use crate::shared::Shared;

/// Most connections at a time; further ones are closed at once.
const CONNECTIONS_MAX: usize = 10_000;
/// How long to wait when the system cannot accept (it is out of descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The embedded broker.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Listens, and serves until the handle is dropped or shut down, or the token in the options is cancelled.
    ///
    /// # Errors
    /// [`Error::Listen`] if an address cannot be used; [`Error::Storage`] if the folder for durable things cannot; [`Error::Definitions`] if those cannot;
    /// [`Error::Unprotected`] if it would be reachable from elsewhere with the default credentials.
    pub async fn start(options: Options) -> Result<Handle, Error> {
        let wrong = |reason| Error::Definitions { reason };
        let document = options.definitions.as_deref().map(Document::parse).transpose().map_err(wrong)?;
        let mut users = options.users;
        if let Some(document) = &document {
            users.extend(document.users().map_err(wrong)?);
        }
        if users.is_empty() {
            users.push(User::new(options.credentials.clone()));
        }
        let access = Access::new(users);
        let tls_address = options.tls.as_ref().map(|tls| tls.listen);
        for address in [Some(options.listen), tls_address, options.management].into_iter().flatten() {
            if !address.ip().is_loopback() && access.is_open() {
                return Err(Error::Unprotected { address });
            }
        }
        let any_port = options.any_port_if_busy;
        let ((listener, address), management) = match options.management {
            Some(management) => {
                (bind(options.listen, any_port).await?, Some(bind(management, any_port).await?))
            }
            None if options.management_beside => bind_both(options.listen, any_port).await?,
            None => (bind(options.listen, any_port).await?, None),
        };
        let tls = match options.tls {
            Some(tls) => {
                let (listener, address) = bind(tls.listen, false).await?;
                Some((listener, address, TlsAcceptor::from(tls.config)))
            }
            None => None,
        };

        let seed = RandomState::new().hash_one(address);
        let (data, memory_limit) = (options.data.clone(), options.memory_limit);
        let opening = tokio::task::spawn_blocking(move || Shared::open(seed, data, memory_limit));
        let shared = opening.await.map_err(io::Error::other).flatten().map_err(|source| Error::Storage {
            path: options.data.clone().unwrap_or_else(std::env::temp_dir),
            source,
        })?;
        shared.add_vhosts(&options.vhosts);
        if let Some(document) = document {
            management::load(&shared, document).await.map_err(wrong)?;
        }
        match &options.data {
            Some(data) => tracing::info!(%address, data = %data.display(), "embedded broker listens"),
            None => tracing::info!(%address, "embedded broker listens; it keeps messages in memory only"),
        }

        let stop = options.stop.child_token();
        let abort = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn({
            let (shared, stop) = (shared.clone(), stop.clone());
            async move { shared.keep_time(stop).await }
        });
        let access = Arc::new(access);
        let acceptor = |listener, tls| Acceptor {
            listener,
            tls,
            door: Door { shared: shared.clone(), access: access.clone(), stop: stop.clone() },
            abort: abort.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn(acceptor(listener, None).run());
        let mut addresses = Addresses { amqp: address, amqps: None, management: None };
        if let Some((listener, address, tls)) = tls {
            addresses.amqps = Some(address);
            tasks.spawn(acceptor(listener, Some(tls)).run());
        }
        if let Some((listener, address)) = management {
            addresses.management = Some(address);
            tasks.spawn(management::serve(listener, shared.clone(), access, addresses, stop.clone()));
        }
        Ok(Handle::new(shared, addresses, options.credentials, options.data, stop, abort, tasks))
    }
}

/// RabbitMQ's two ports differ by so much by default.
const BESIDE: u16 = 10_000;

/// How many ports are tried, where any will do, until one has a free one beside it.
const PAIRS: usize = 50;

/// Listens for clients, and for the management interface beside them if that port is free.
async fn bind_both(address: SocketAddr, any_port_if_busy: bool) -> Result<(Bound, Option<Bound>), Error> {
    let mut tried = 0;
    loop {
        let (listener, bound) = bind(address, any_port_if_busy).await?;
        let beside = match bound.port().checked_add(BESIDE) {
            Some(port) => bind(SocketAddr::new(bound.ip(), port), false).await.ok(),
            None => None,
        };
        tried += 1;
        if beside.is_some() || bound == address || tried == PAIRS {
            return Ok(((listener, bound), beside));
        }
    }
}

/// A listener, and where it listens.
type Bound = (TcpListener, SocketAddr);

async fn bind(address: SocketAddr, any_port_if_busy: bool) -> Result<Bound, Error> {
    let error = |source| Error::Listen { address, source };
    let listener = match TcpListener::bind(address).await {
        Err(busy) if any_port_if_busy && busy.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind((address.ip(), 0)).await
        }
        other => other,
    }
    .map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    Ok((listener, address))
}

struct Acceptor {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    door: Door,
    abort: CancellationToken,
    tasks: TaskTracker,
}

impl Acceptor {
    async fn run(self) {
        loop {
            let accepted = tokio::select! {
                () = self.door.stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) if self.tasks.len() < CONNECTIONS_MAX => {
                    let session = session::run(stream, peer, self.tls.clone(), self.door.clone());
                    let abort = self.abort.clone();
                    self.tasks.spawn(async move {
                        tokio::select! {
                            () = session => {}
                            () = abort.cancelled() => {}
                        }
                    });
                }
                Ok((_, peer)) => tracing::warn!(%peer, "too many connections; this one is closed"),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::select! {
                        () = self.door.stop.cancelled() => return,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
    }
}
