//! The HTTP interface: what is governed, why, and changing it.
//!
//! [`serve`] is the service for many applications: their configurations in every version, their tokens and their
//! platforms' keys are kept in a folder. [`Local`] is the same interface to the one governor of a program. Neither is
//! on the way of a decision: the governors go on whatever happens here.
//!
//! Every request that shows or changes something needs a bearer token, except for [`Local`] with an [`open_gate`], which
//! must then be bound to loopback. An application's token opens that application alone. The page that is served beside
//! uses the interface as everybody does.

mod access;
mod answers;
mod apps;
mod body;
mod desk;
mod error;
mod file;
mod metrics;
mod openapi;
mod routes;
mod secrets;
mod store;

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use access::{Gate, May, bearer, open_gate, token_gate};
pub use apps::{Governed, MakeRegistry};
pub use file::{FileConfig, ReadConfig};
pub use openapi::document;
pub use secrets::{Error as SecretError, SealingKey, Token, TokenHash};

use access::{Access, Api};
use apps::{Apps, Fleet};
use store::Store;

/// How to serve many applications.
pub struct Options {
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// Where everything is kept; made if it is not there.
    pub folder: PathBuf,
    /// What secrets are sealed with.
    pub key: SealingKey,
    /// A token for the administrator that somebody else has made; without it, and without one kept, one is made.
    pub admin: Option<TokenHash>,
    /// Makes the sources and actuators of an application. They must not run what a configuration says: that comes
    /// from whoever has an application's token.
    pub registry: MakeRegistry,
}

/// The service could not be started, or has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder.
    #[error("the folder {} cannot be used", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody else has it.
    #[error("another `guv serve` uses the folder {}", .0.display())]
    Taken(PathBuf),
    /// What is kept in it.
    #[error("what the service keeps cannot be used")]
    Store(#[source] crate::BoxError),
    /// The address.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Beyond loopback without a token.
    #[error("{0} can be reached from elsewhere: a token is needed")]
    Open(SocketAddr),
}

/// A service that is up.
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// The administrator's token, when it has just been made; it is not kept and cannot be shown again.
    pub admin: Option<Token>,
    task: tokio::task::JoinHandle<()>,
}

impl Service {
    /// Waits until it has ended.
    pub async fn finished(self) {
        // A panic has been reported where it happened.
        let _ = self.task.await;
    }
}

/// Serves many applications until cancelled.
///
/// # Errors
/// When the folder, the store or the address cannot be used.
pub async fn serve(options: Options, cancel: CancellationToken) -> Result<Service, Error> {
    let Options { address, folder, key, admin, registry } = options;
    std::fs::create_dir_all(&folder).map_err(|source| Error::Folder { path: folder.clone(), source })?;
    let lock = claim(&folder)?;
    let stored = |error: store::Error| Error::Store(error.into());
    let store = Store::open(&folder.join("service.sqlite"), key).map_err(stored)?;
    let made = match admin {
        Some(hash) => {
            store.keep_token(&hash, None, "admin", May::Write).map_err(stored)?;
            None
        }
        None if store.is_new().map_err(stored)? => {
            Some(store.add_token(None, "admin", May::Write).map_err(stored)?)
        }
        None => None,
    };
    let listener = listen(address).await?;
    let fleet = Arc::new(Fleet::new(store, folder, registry, cancel.clone()));
    let apps = Arc::new(Apps::default());
    fleet.resume(&apps).await.map_err(stored)?;
    let Service { address, admin, task } =
        start(listener, Api { apps: apps.clone(), access: Access::Store(fleet) }, made, cancel)?;
    // What is being changed is changed, and recorded, before the service has ended.
    let task = tokio::spawn(async move {
        let _ = task.await;
        for (_, app) in apps.all() {
            let _ = app.handle.finished().await;
        }
        drop(lock);
    });
    Ok(Service { address, admin, task })
}

/// Takes a folder for as long as the file is open: two services would both govern.
fn claim(folder: &Path) -> Result<File, Error> {
    let failed = |source| Error::Folder { path: folder.to_owned(), source };
    let file = File::create(folder.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Taken(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The interface to one governor.
pub struct Local {
    /// The id of the application in paths.
    pub id: String,
    /// The governor.
    pub governed: Governed,
    /// What whoever asks may do.
    pub gate: Gate,
    /// The file that the configuration came from, where it did.
    pub file: Option<FileConfig>,
}

impl Local {
    /// Serves until cancelled; port 0 takes any free one. Whether the gate is good enough for the address is the caller's
    /// to know.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub async fn serve(self, address: SocketAddr, cancel: CancellationToken) -> Result<Service, Error> {
        self.serve_on(listen(address).await?, cancel)
    }

    /// Serves who comes to a listener, until cancelled.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn serve_on(self, listener: TcpListener, cancel: CancellationToken) -> Result<Service, Error> {
        start(listener, self.api(), None, cancel)
    }

    /// What is below `/v1` and `/config`, for a server that has its own page, metrics and health.
    pub fn router(self) -> axum::Router {
        routes::api(self.api())
    }

    fn api(self) -> Api {
        let apps = Apps::default();
        apps.put(&self.id, self.governed);
        let access = Access::Local { gate: self.gate, file: self.file.map(Arc::new) };
        Api { apps: Arc::new(apps), access }
    }
}

/// The gate of an interface that listens there: a token's, or, on loopback alone, an open one.
///
/// # Errors
/// [`Error::Open`] beyond loopback without a token.
pub fn gate(address: SocketAddr, token: Option<&str>) -> Result<Gate, Error> {
    match token {
        Some(token) => Ok(token_gate(TokenHash::of(token))),
        None if address.ip().is_loopback() => Ok(open_gate()),
        None => Err(Error::Open(address)),
    }
}

/// Listens at an address; port 0 takes any free one.
///
/// # Errors
/// [`Error::Listen`] when it cannot be used.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Says at `/healthz` that this guv is up and waits, until cancelled; nothing else is to be had meanwhile.
pub async fn stand_by(listener: TcpListener, cancel: CancellationToken) {
    let routes = axum::Router::new().route("/healthz", axum::routing::get(|| async { "standby\n" }));
    let served = axum::serve(listener, routes).with_graceful_shutdown(cancel.cancelled_owned());
    if let Err(error) = served.await {
        tracing::warn!(%error, "the state is not told any more");
    }
}

fn start(
    listener: TcpListener,
    api: Api,
    admin: Option<Token>,
    cancel: CancellationToken,
) -> Result<Service, Error> {
    let address = listener
        .local_addr()
        .map_err(|source| Error::Listen { address: SocketAddr::from(([0, 0, 0, 0], 0)), source })?;
    let task = tokio::spawn(async move {
        let served =
            axum::serve(listener, routes::router(api)).with_graceful_shutdown(cancel.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "the HTTP interface has ended");
        }
    });
    Ok(Service { address, admin, task })
}
