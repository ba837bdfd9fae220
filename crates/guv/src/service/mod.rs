//! The HTTP interface: what is governed, why, and changing it.
//!
//! [`serve`] is the service for many applications: their configurations in every version, their tokens and their
//! platforms' keys are kept in a folder. [`Local`] is the same interface to the one governor of a program. Neither is
//! on the way of a decision: the governors go on whatever happens here.
//!
//! Every request but `/healthz` needs a bearer token, except for [`Local`] without one, which must then be bound to
//! loopback. An application's token opens that application alone.

mod api;
mod apps;
mod error;
mod metrics;
mod openapi;
mod routes;
mod secrets;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use apps::{Governed, MakeRegistry};
pub use openapi::document;
pub use secrets::{Error as SecretError, SealingKey, Token, TokenHash};

use api::{Access, Api};
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
    let stored = |error: store::Error| Error::Store(error.into());
    let store = Store::open(&folder.join("service.sqlite"), key).map_err(stored)?;
    let made = match admin {
        Some(hash) => {
            store.keep_token(&hash, None, "admin").map_err(stored)?;
            None
        }
        None if store.is_new().map_err(stored)? => Some(store.add_token(None, "admin").map_err(stored)?),
        None => None,
    };
    let listener = listen(address).await?;
    let fleet = Arc::new(Fleet::new(store, folder, registry, cancel.clone()));
    let apps = Arc::new(Apps::default());
    fleet.resume(&apps).await.map_err(stored)?;
    start(listener, Api { apps, access: Access::Store(fleet) }, made, cancel)
}

/// The interface to one governor.
pub struct Local {
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// The id of the application in paths.
    pub id: String,
    /// The governor.
    pub governed: Governed,
    /// What opens it; `None` opens it to everybody who can reach it.
    pub token: Option<TokenHash>,
}

impl Local {
    /// Serves until cancelled.
    ///
    /// # Errors
    /// When the address cannot be used, or is not loopback and there is no token.
    pub async fn serve(self, cancel: CancellationToken) -> Result<Service, Error> {
        if self.token.is_none() && !self.address.ip().is_loopback() {
            return Err(Error::Open(self.address));
        }
        let listener = listen(self.address).await?;
        let apps = Apps::default();
        apps.put(&self.id, self.governed);
        let api = Api { apps: Arc::new(apps), access: Access::Local(self.token) };
        start(listener, api, None, cancel)
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
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
