//! An editor's side of the FBP runtime protocol.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connected editor.
pub(crate) struct Editor {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    secret: String,
    graph: String,
}

impl Editor {
    /// Connects to the runtime at `url`, and learns which graph it runs.
    pub(crate) async fn connect(url: &str, secret: &str) -> Result<Self> {
        let mut request = url.into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", "noflo".parse().context("a header")?);
        let (socket, _) = connect_async(request).await.with_context(|| format!("connecting to {url}"))?;
        let mut editor = Self { socket, secret: secret.to_owned(), graph: String::new() };
        let runtime = editor.ask("runtime", "getruntime", json!({}), "runtime").await?;
        let graph = runtime["graph"].as_str().context("the runtime names no graph")?;
        editor.graph = graph.to_owned();
        Ok(editor)
    }

    /// Edits the graph.
    pub(crate) async fn graph(&mut self, command: &str, mut payload: Value) -> Result<()> {
        payload["graph"] = self.graph.clone().into();
        self.ask("graph", command, payload, command).await.map(drop)
    }

    /// Adds a component in Python.
    pub(crate) async fn add_component(&mut self, name: &str, code: &str) -> Result<()> {
        let payload = json!({"name": name, "language": "python", "library": "thermometer", "code": code});
        self.ask("component", "source", payload, "component").await.map(drop)
    }

    /// Sends a command, and waits for the answer to it.
    async fn ask(&mut self, protocol: &str, command: &str, payload: Value, answer: &str) -> Result<Value> {
        let request =
            json!({"protocol": protocol, "command": command, "payload": payload, "secret": self.secret});
        self.socket.send(Message::text(request.to_string())).await?;
        let answered = async {
            while let Some(message) = self.socket.next().await {
                let Message::Text(text) = message? else { continue };
                let mut message: Value = serde_json::from_str(&text)?;
                if message["protocol"] != protocol {
                    continue;
                }
                let payload = message["payload"].take();
                match message["command"].as_str() {
                    Some("error") => bail!("{protocol}:{command} failed: {}", payload["message"]),
                    Some(said) if said == answer => return Ok(payload),
                    _ => {}
                }
            }
            bail!("the runtime has closed the connection")
        };
        timeout(PATIENCE, answered).await.with_context(|| format!("{protocol}:{command} was not answered"))?
    }
}
