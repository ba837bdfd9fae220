//! One WebSocket: what comes is decoded here and handed to the hub, and what the hub sends goes out in order.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use crate::access::{Grant, Permissions};
use crate::hub::{ClientId, Incoming};
use crate::outbox::{Texts, outbox};
use crate::protocol::{Fault, MAX_MESSAGE, Protocol, Request, Signal};

/// The subprotocol that clients of the FBP runtime protocol offer, and before it the one of those who also want to see what
/// its schemas have no place for.
const SUBPROTOCOLS: [&str; 2] = [DETAILED, "noflo"];
const DETAILED: &str = "msgflo";
/// A message that is longer than we read is answered with an error; one that is longer than this ends the connection.
const MAX_FRAME: usize = 4 * MAX_MESSAGE;
/// How long a client may take to accept a message.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// How often a silent client is asked whether it is there.
const PING: Duration = Duration::from_secs(30);

/// What every connection needs.
pub(crate) struct Door {
    pub(crate) hub: mpsc::Sender<Incoming>,
    pub(crate) permissions: Permissions,
    /// Origins of web pages that count as our own.
    pub(crate) origins: Vec<String>,
    pub(crate) next: AtomicU64,
    /// How many clients are connected.
    pub(crate) present: AtomicUsize,
    pub(crate) closing: CancellationToken,
}

impl Door {
    /// Whether what is open to everybody is open to whoever sends these headers. A browser lets any page connect to this
    /// machine, and says which page it is; what is no browser says nothing.
    pub(crate) fn trusts(&self, headers: &HeaderMap) -> bool {
        is_trusted(headers, &self.origins)
    }
}

/// Whether whoever sends these headers is no page of a foreign site; `origins` count as our own.
pub(crate) fn is_trusted(headers: &HeaderMap, origins: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    origins.iter().any(|known| known.trim_end_matches('/') == origin) || is_of_this_machine(origin)
}

/// The same for a plain request, with which a browser often says no origin. A page of a foreign site may show our address as a
/// picture, or have its own name resolved to it: then the browser says that it comes from elsewhere, or by which name.
pub(crate) fn is_trusted_request(headers: &HeaderMap, origins: &[String]) -> bool {
    if headers.contains_key(header::ORIGIN) {
        return is_trusted(headers, origins);
    }
    let comes_from_elsewhere = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_our_name = host.is_none_or(|host| {
        let url = Url::parse(&format!("http://{host}/"));
        match url.as_ref().ok().and_then(Url::host) {
            Some(Host::Domain(name)) => {
                name == "localhost" || origins.iter().any(|origin| is_at(origin, name))
            }
            // No name was resolved.
            Some(_) => true,
            None => false,
        }
    });
    !comes_from_elsewhere && is_our_name
}

fn is_at(origin: &str, name: &str) -> bool {
    Url::parse(origin).is_ok_and(|url| url.host_str() == Some(name))
}

fn is_of_this_machine(origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

/// Answers the request to upgrade.
pub(crate) fn upgrade(door: Arc<Door>, headers: &HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let grant = Grant::new(door.permissions.clone(), door.trusts(headers));
    upgrade
        .protocols(SUBPROTOCOLS)
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        .on_upgrade(move |socket| serve(socket, grant, door))
}

async fn serve(socket: WebSocket, grant: Grant, door: Arc<Door>) {
    let id = ClientId(door.next.fetch_add(1, Ordering::Relaxed));
    let (outbox, texts) = outbox();
    let wants_details = socket.protocol().is_some_and(|protocol| protocol == DETAILED);
    if door.hub.send(Incoming::Joined { id, outbox, grant, wants_details }).await.is_err() {
        return;
    }
    door.present.fetch_add(1, Ordering::Relaxed);
    let (sink, mut stream) = socket.split();
    let writing = write(sink, texts, door.closing.clone());
    let reading = async {
        while let Some(Ok(message)) = stream.next().await {
            let said = match message {
                Message::Text(text) => Request::decode(text.as_str()),
                Message::Binary(_) => Err(binary()),
                // The answer to a goodbye goes out with the next look, which then finds the end.
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) => continue,
            };
            if door.hub.send(Incoming::Said(id, Box::new(said))).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
    door.present.fetch_sub(1, Ordering::Relaxed);
    // If the hub has ended, it has forgotten everybody.
    let _ = door.hub.send(Incoming::Left(id)).await;
}

fn binary() -> Fault {
    Fault { signal: Signal::error(Protocol::Runtime, "messages are JSON in text frames"), id: None }
}

/// Sends what the hub has for the client, until the hub drops it or it does not take it.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut texts: Texts, closing: CancellationToken) {
    loop {
        let (message, is_last) = tokio::select! {
            text = texts.next() => match text {
                Some(text) => (Message::Text(text), false),
                None => (goodbye(close_code::POLICY, "too slow"), true),
            },
            () = closing.cancelled() => (goodbye(close_code::AWAY, "the runtime stops"), true),
            () = tokio::time::sleep(PING) => (Message::Ping(Default::default()), false),
        };
        let sent = timeout(WRITE_DEADLINE, sink.send(message)).await;
        if is_last || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

fn goodbye(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_an_origin_is_judged_by_how_it_came() {
        for (name, value, is_trusted) in [
            ("host", "127.0.0.1:3569", true),
            ("host", "[::1]:3569", true),
            ("host", "localhost:3569", true),
            ("host", "10.0.0.7:3569", true),
            ("host", "editor.example", true),
            ("host", "rebound.example:3569", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "cross-site", false),
            ("origin", "https://editor.example", true),
            ("origin", "https://evil.example", false),
        ] {
            let name: header::HeaderName = name.parse().unwrap();
            let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
            let origins = ["https://editor.example".to_owned()];
            assert_eq!(is_trusted_request(&headers, &origins), is_trusted, "{value}");
        }
        assert!(is_trusted_request(&HeaderMap::new(), &[]), "a program says nothing");
    }

    #[test]
    fn only_pages_of_this_machine_are_trusted() {
        for (origin, is_trusted) in [
            ("http://localhost:8080", true),
            ("http://127.0.0.1:3569", true),
            ("http://[::1]:3569", true),
            ("https://editor.example", true),
            ("https://evil.example", false),
            ("http://localhost.evil.example", false),
            ("http://127.0.0.1.evil.example", false),
            ("null", false),
            ("file://", false),
        ] {
            let door = Door {
                hub: mpsc::channel(1).0,
                permissions: Permissions::open(),
                origins: vec!["https://editor.example/".into()],
                next: AtomicU64::new(0),
                present: AtomicUsize::new(0),
                closing: CancellationToken::new(),
            };
            let headers = HeaderMap::from_iter([(header::ORIGIN, origin.parse().unwrap())]);
            assert_eq!(door.trusts(&headers), is_trusted, "{origin}");
        }
    }
}
