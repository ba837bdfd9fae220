//! The coordinator's interface: the FBP runtime protocol for editors, and a little HTTP for people and programs.
//!
//! | request | answer |
//! |---|---|
//! | WebSocket at `/` | the FBP runtime protocol, 0.7 and 0.8, subprotocol `noflo`, or `msgflo`: see docs/protocol.md |
//! | `GET /` of a browser | the page: see docs/ui.md |
//! | `GET /api/status` | the network: nodes, processes, queues, edges; with scaling, the last decision of each role |
//! | `GET /api/deadletters`, `…/{queue}`, `POST …/{queue}/requeue`, `…/drop` | messages that were refused |
//! | `POST /api/packets` | one message for an inport |
//! | `POST /api/graph/parse`, `…/print` | .fbp text and JSON graphs, both ways |
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
mod outbox;
mod payload;
mod protocol;
mod socket;
mod standing;
mod tls;
mod trace;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use msgflo_coordinator::Handle;
use msgflo_core::Broker;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use http::Shown;
use hub::Hub;
use socket::Door;

pub use access::{Permissions, PermissionsError};
pub use editor::{Editor, Store};
pub use standing::Standing;
pub use tls::{Tls, TlsError};

/// How long answers under way may take at the end.
const GRACE: Duration = Duration::from_secs(5);

/// What is served.
pub struct Options {
    /// The network's name.
    pub network: String,
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The coordinator.
    pub coordinator: Handle,
    /// What the scaler last decided, if there is one: a JSON object to be shown as it is.
    pub scaling: Option<Arc<dyn Fn() -> Value + Send + Sync>>,
    /// What is edited, and by whom.
    pub editor: Editor,
    /// Speak TLS.
    pub tls: Option<Tls>,
    /// What else is served, such as a governor's interface. It looks after its own permissions.
    pub further: Router,
}

/// Serves until `token` is cancelled, the answers under way are given, for which there are some seconds, and the graph is saved.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, options: Options, token: CancellationToken) -> io::Result<()> {
    let Options { network, broker, coordinator, scaling, editor, tls, further } = options;
    let (hub, inbox) = mpsc::channel(hub::INBOX);
    let door = Arc::new(Door {
        hub,
        permissions: editor.permissions.clone(),
        origins: editor.origins.clone(),
        next: AtomicU64::new(1),
        present: AtomicUsize::new(0),
        closing: token.clone(),
    });
    let running =
        tokio::spawn(Hub::new(network.clone(), coordinator.clone(), editor).run(inbox, token.clone()));
    let taking = Mutex::new(());
    let shown = Arc::new(Shown { network, broker, coordinator, scaling, door: door.clone(), taking });
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
        .route("/api/deadletters", get(http::deadletters::list))
        .route("/api/deadletters/{queue}", get(http::deadletters::peek))
        .route("/api/deadletters/{queue}/requeue", post(http::deadletters::requeue))
        .route("/api/deadletters/{queue}/drop", post(http::deadletters::discard))
        .route("/api/packets", post(http::packets::send))
        .route("/api/graph/parse", post(http::text::parse))
        .route("/api/graph/print", post(http::text::print))
        .with_state(shown)
        .merge(further)
        .fallback(get(web_ui::file));
    let stopped = token.clone().cancelled_owned();
    let serving = async {
        match tls {
            None => axum::serve(listener, router).with_graceful_shutdown(stopped).await,
            Some(tls) => {
                let listener = tls::TlsListener::new(listener, tls);
                axum::serve(listener, router).with_graceful_shutdown(stopped).await
            }
        }
    };
    let late = async {
        token.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let served = tokio::select! {
        served = serving => served,
        () = late => {
            tracing::warn!("somebody has not finished asking, and is not waited for any longer");
            Ok(())
        }
    };
    token.cancel();
    if let Err(error) = running.await {
        tracing::error!(%error, "the graph could not be saved at the end");
    }
    served
}

/// A socket for editors, the page for people, a few words for whoever is neither.
async fn root(
    door: Arc<Door>,
    shown: Arc<Shown>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => socket::upgrade(door, &headers, upgrade),
        Err(_) if web_ui::is_wanted(&headers) => web_ui::page(&headers),
        Err(_) => http::welcome(&shown),
    }
}
