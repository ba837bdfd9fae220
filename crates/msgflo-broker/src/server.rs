//! The server: listens, accepts, and keeps the broker's time.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::handle::Handle;
use crate::options::{Credentials, Error, Options};
use crate::session;
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
    /// [`Error::Listen`] if the address cannot be used; [`Error::Unprotected`] if it is reachable from elsewhere with
    /// the default credentials.
    pub async fn start(options: Options) -> Result<Handle, Error> {
        let Options { listen: address, any_port_if_busy, credentials, stop } = options;
        if !address.ip().is_loopback() && credentials == Credentials::default() {
            return Err(Error::Unprotected { address });
        }
        let error = |source| Error::Listen { address, source };
        let listener = match TcpListener::bind(address).await {
            Err(busy) if any_port_if_busy && busy.kind() == io::ErrorKind::AddrInUse => {
                TcpListener::bind((address.ip(), 0)).await
            }
            other => other,
        }
        .map_err(error)?;
        let address = listener.local_addr().map_err(error)?;

        let shared = Arc::new(Shared::new(RandomState::new().hash_one(address)));
        let stop = stop.child_token();
        let abort = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn({
            let (shared, stop) = (shared.clone(), stop.clone());
            async move { shared.keep_time(stop).await }
        });
        let acceptor = Acceptor {
            listener,
            shared: shared.clone(),
            credentials,
            stop: stop.clone(),
            abort: abort.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn(acceptor.run());
        tracing::info!(%address, "embedded broker listens");
        Ok(Handle::new(shared, address, stop, abort, tasks))
    }
}

struct Acceptor {
    listener: TcpListener,
    shared: Arc<Shared>,
    credentials: Credentials,
    stop: CancellationToken,
    abort: CancellationToken,
    tasks: TaskTracker,
}

impl Acceptor {
    async fn run(self) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) if self.tasks.len() < CONNECTIONS_MAX => {
                    let session = session::run(
                        stream,
                        peer,
                        self.shared.clone(),
                        self.credentials.clone(),
                        self.stop.clone(),
                    );
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
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
    }
}
