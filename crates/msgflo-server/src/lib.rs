//! The coordinator's interface: the FBP runtime protocol for editors, and a little HTTP for people and programs.
//!
//! | request | answer |
//! |---|---|
//! | WebSocket at `/` | the FBP runtime protocol, 0.7 and 0.8, subprotocol `noflo`: see docs/protocol.md |
//! | `GET /api/status` | the network: nodes, processes, queues, edges; with scaling, the last decision of each role |
//! | `GET /metrics` | the same in numbers, in Prometheus' text format |
//! | `GET /healthz` | 200 while the coordinator runs, else 503 |
//!
//! Decoding, permissions and edits of graphs are pure (`protocol`, `access`, `graphs`); one task, the `hub`, owns the graphs
//! and answers in order; each socket has a task that does nothing but read and write.
//!
//! Not here: what the network does about a graph (the coordinator's), and files (the [`Store`]'s).

mod access;
mod budget;
mod components;
mod editor;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod graphs;
mod http;
mod hub;
mod metrics;
mod payload;
mod protocol;
mod socket;
mod tls;
mod trace;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use msgflo_coordinator::Handle;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use http::Shown;
use hub::Hub;
use socket::Door;

pub use access::{Permissions, PermissionsError};
pub use editor::{Editor, Store};
pub use tls::{Tls, TlsError};

/// What is served.
pub struct Options {
    /// The network's name.
    pub network: String,
    /// The broker's URL, without its password.
    pub broker: String,
    /// The coordinator.
    pub coordinator: Handle,
    /// What the scaler last decided, if there is one: a JSON object to be shown as it is.
    pub scaling: Option<Arc<dyn Fn() -> Value + Send + Sync>>,
    /// What is edited, and by whom.
    pub editor: Editor,
    /// Speak TLS.
    pub tls: Option<Tls>,
}

/// Serves until `token` is cancelled, the answers under way are given and the graph is saved.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, options: Options, token: CancellationToken) -> io::Result<()> {
    let Options { network, broker, coordinator, scaling, editor, tls } = options;
    let (hub, inbox) = mpsc::channel(hub::INBOX);
    let permissions = editor.permissions.clone();
    let door = Arc::new(Door {
        hub,
        permissions: permissions.clone(),
        origins: editor.origins.clone(),
        next: AtomicU64::new(1),
        closing: token.clone(),
    });
    let running =
        tokio::spawn(Hub::new(network.clone(), coordinator.clone(), editor).run(inbox, token.clone()));
    let shown = Arc::new(Shown { network, broker, coordinator, scaling, permissions });
    let root = {
        let shown = shown.clone();
        move |headers: HeaderMap, upgrade: Result<WebSocketUpgrade, _>| {
            root(door.clone(), shown.clone(), headers, upgrade)
        }
    };
    let router = Router::new()
        .route("/", get(root))
        .route("/api/status", get(http::status))
        .route("/metrics", get(http::prometheus))
        .route("/healthz", get(http::health))
        .with_state(shown);
    let stopped = token.clone().cancelled_owned();
    let served = match tls {
        None => axum::serve(listener, router).with_graceful_shutdown(stopped).await,
        Some(tls) => {
            let listener = tls::TlsListener::new(listener, tls);
            axum::serve(listener, router).with_graceful_shutdown(stopped).await
        }
    };
    token.cancel();
    if let Err(error) = running.await {
        tracing::error!(%error, "the graph could not be saved at the end");
    }
    served
}

/// A socket for editors, a few words for people.
async fn root(
    door: Arc<Door>,
    shown: Arc<Shown>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => socket::upgrade(door, &headers, upgrade),
        Err(_) => http::welcome(&shown),
    }
}
