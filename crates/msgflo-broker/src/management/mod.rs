//! The management interface: what RabbitMQ's HTTP API tells and does, as far as one node and our broker know it, so
//! that the same tools read both.
//!
//! Format: the HTTP API reference of RabbitMQ 3.10 to 4. What changes anything is done by the protocol's own methods
//! (see `inside`), so it obeys the same rules. Not here: users and permissions at run time, policies, federation,
//! and the web pages.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod arguments;
mod definitions;
mod inside;
mod listing;
mod messages;
mod metrics;
mod objects;
mod rates;
mod views;

pub(crate) use self::definitions::{Document, load};
use self::inside::Refusal;
use self::rates::Rates;
use crate::access::Access;
use crate::broker::{
    BindingSurvey, ChannelSurvey, ConnectionSurvey, ConsumerSurvey, ExchangeSurvey, QueueInfo, QueueSurvey,
};
use crate::handle::Addresses;
use crate::shared::Shared;

/// The largest request: definitions of ten thousands of queues, or a message in base64 (bytes).
const REQUEST: usize = 64 * 1024 * 1024;

/// What every request needs.
pub(super) struct Management {
    shared: Arc<Shared>,
    access: Arc<Access>,
    addresses: Addresses,
    rates: Mutex<Rates>,
}

type Context = State<Arc<Management>>;

impl Management {
    /// For somebody who asks.
    fn rates(&self) -> MutexGuard<'_, Rates> {
        let mut rates = self.locked_rates();
        rates.ask(Instant::now());
        rates
    }

    fn locked_rates(&self) -> MutexGuard<'_, Rates> {
        // Nothing in there can panic half-way.
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the counters while somebody wants to know, and else forgets them.
    fn observe(&self) {
        if !self.locked_rates().are_wanted(Instant::now()) {
            *self.locked_rates() = Rates::default();
            return;
        }
        let (queues, exchanges, now) =
            self.shared.with(|broker, now| (broker.queue_infos(), broker.survey_exchanges(None), now));
        self.locked_rates().observe(&queues, &exchanges, now);
    }
}

/// The authenticated user of a request.
#[derive(Debug, Clone)]
pub(super) struct Caller(String);

/// Serves until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    access: Arc<Access>,
    addresses: Addresses,
    stop: CancellationToken,
) {
    let management = Arc::new(Management { shared, access, addresses, rates: Mutex::new(Rates::default()) });
    let ticking = {
        let (management, stop) = (management.clone(), stop.clone());
        async move {
            let mut ticks = tokio::time::interval(rates::INTERVAL);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => management.observe(),
                }
            }
        }
    };
    let goodbye = {
        let stop = stop.clone();
        async move { stop.cancelled().await }
    };
    let service = router(management).into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(goodbye);
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        ((), served) = async { tokio::join!(ticking, serving) } => {
            if let Err(error) = served {
                tracing::error!(%error, "the management interface has ended");
            }
        }
        () = late => {}
    }
}

fn router(management: Arc<Management>) -> Router {
    Router::new()
        .route("/api/overview", get(views::overview))
        .route("/api/nodes", get(views::nodes))
        .route("/api/whoami", get(views::whoami))
        .route("/api/users", get(views::users))
        .route("/api/connections", get(views::connections))
        .route("/api/channels", get(views::channels))
        .route("/api/consumers", get(views::all_consumers))
        .route("/api/consumers/{vhost}", get(views::consumers))
        .route("/api/vhosts", get(views::vhosts))
        .route("/api/vhosts/{vhost}", get(views::vhost).put(objects::put_vhost))
        .route("/api/queues", get(views::all_queues))
        .route("/api/queues/{vhost}", get(views::queues))
        .route(
            "/api/queues/{vhost}/{name}",
            get(views::queue).put(objects::put_queue).delete(objects::delete_queue),
        )
        .route("/api/queues/{vhost}/{name}/contents", delete(objects::purge_queue))
        .route("/api/queues/{vhost}/{name}/bindings", get(views::queue_bindings))
        .route("/api/queues/{vhost}/{name}/get", post(messages::get))
        .route("/api/exchanges", get(views::all_exchanges))
        .route("/api/exchanges/{vhost}", get(views::exchanges))
        .route(
            "/api/exchanges/{vhost}/{name}",
            get(views::exchange).put(objects::put_exchange).delete(objects::delete_exchange),
        )
        .route("/api/exchanges/{vhost}/{name}/publish", post(messages::publish))
        .route("/api/bindings", get(views::all_bindings))
        .route("/api/bindings/{vhost}", get(views::bindings))
        .route(
            "/api/bindings/{vhost}/e/{source}/{kind}/{destination}",
            get(views::bindings_between).post(objects::bind),
        )
        .route("/api/bindings/{vhost}/e/{source}/{kind}/{destination}/{key}", delete(objects::unbind))
        .route("/api/definitions", get(definitions::export_all).post(definitions::import_all))
        .route("/api/definitions/{vhost}", get(definitions::export).post(definitions::import))
        .route("/api/health/checks/alarms", get(views::alarms))
        .route("/metrics", get(metrics::totals))
        .route("/metrics/per-object", get(metrics::per_object))
        .route(
            "/api/connections/{name}",
            put(StatusCode::METHOD_NOT_ALLOWED).delete(objects::close_connection),
        )
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "Object Not Found", "Not Found") })
        .layer(middleware::from_fn_with_state(management.clone(), authenticate))
        .layer(DefaultBodyLimit::max(REQUEST))
        .with_state(management)
}

/// Lets in who knows a password, as clients of the broker do.
async fn authenticate(
    State(management): Context,
    axum::extract::ConnectInfo(peer): axum::extract::ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    // A page of a foreign site may have its own name resolved to this machine, and the default password is known.
    if management.access.is_open() && !is_asked_by_address(request.headers()) {
        return problem(StatusCode::FORBIDDEN, "forbidden", "ask by address, or as localhost");
    }
    let user = credentials(request.headers()).and_then(|(user, password)| {
        let user = management.access.authenticate(&user, &password, peer.ip().is_loopback());
        user.map(|user| Caller(user.name().to_owned()))
    });
    let Some(user) = user else {
        let mut answer = problem(StatusCode::UNAUTHORIZED, "not_authorized", "Login failed");
        let challenge = header::HeaderValue::from_static("Basic realm=\"msgflo broker\"");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return answer;
    };
    request.extensions_mut().insert(user);
    next.run(request).await
}

/// Whether the request names us by an address or as localhost.
fn is_asked_by_address(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(authority) = host.to_str().unwrap_or_default().parse::<Authority>() else { return false };
    let host = authority.host().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
}

/// User and password of HTTP's basic authentication.
fn credentials(headers: &HeaderMap) -> Option<(Vec<u8>, Vec<u8>)> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some((decoded[..colon].to_vec(), decoded[colon + 1..].to_vec()))
}

/// Why a request was not answered with what it asked for.
pub(super) enum Problem {
    NotFound,
    /// The question makes no sense.
    BadRequest(String),
    /// The user may not.
    Forbidden,
    Refused(Refusal),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => problem(StatusCode::NOT_FOUND, "Object Not Found", "Not Found"),
            Self::BadRequest(reason) => problem(StatusCode::BAD_REQUEST, "bad_request", &reason),
            Self::Forbidden => problem(
                StatusCode::UNAUTHORIZED,
                "not_authorised",
                "User not authorised to access virtual host",
            ),
            Self::Refused(Refusal { code: 404, .. }) => Self::NotFound.into_response(),
            Self::Refused(Refusal { text, .. }) => problem(StatusCode::BAD_REQUEST, "bad_request", &text),
        }
    }
}

fn problem(status: StatusCode, error: &str, reason: &str) -> Response {
    (status, Json(json!({"error": error, "reason": reason}))).into_response()
}

type User = Extension<Caller>;

/// What is in a virtual host.
pub(super) trait InVhost {
    fn vhost(&self) -> &str;
}

macro_rules! in_vhost {
    ($($survey:ty: $($field:ident).+,)*) => {
        $(impl InVhost for $survey {
            fn vhost(&self) -> &str {
                &self.$($field).+
            }
        })*
    };
}

in_vhost! {
    QueueInfo: vhost,
    QueueSurvey: info.vhost,
    ExchangeSurvey: vhost,
    BindingSurvey: vhost,
    ConnectionSurvey: vhost,
    ChannelSurvey: vhost,
    ConsumerSurvey: vhost,
}

impl Management {
    /// The names of the virtual hosts that a user may see: those that it may open.
    fn visible_vhosts(&self, caller: &Caller) -> Vec<String> {
        let mut names = self.shared.with(|broker, _| broker.vhost_names());
        names.retain(|name| self.access.may_open(&caller.0, name));
        names
    }

    /// What of a list a user may see: what is in a virtual host that it may open.
    fn visible<T: InVhost>(&self, caller: &Caller, mut items: Vec<T>) -> Vec<T> {
        items.retain(|item| self.access.may_open(&caller.0, item.vhost()));
        items
    }

    /// That a virtual host is there, and that the user may see it.
    fn check_vhost(&self, caller: &Caller, vhost: &str) -> Result<(), Problem> {
        if !self.shared.with(|broker, _| broker.vhost_names()).iter().any(|name| name == vhost) {
            return Err(Problem::NotFound);
        }
        if !self.access.may_open(&caller.0, vhost) {
            return Err(Problem::Forbidden);
        }
        Ok(())
    }
}
