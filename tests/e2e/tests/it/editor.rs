//! An editor that speaks the FBP runtime protocol.

use std::time::Duration;

use e2e::Network;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const PATIENCE: Duration = Duration::from_secs(60);

/// An editor that is connected, and edits the main graph.
pub(crate) struct Editor {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    graph: String,
    asked: usize,
    secret: &'static str,
}

impl Editor {
    pub(crate) async fn connect(network: &Network) -> Self {
        Self::connect_with(network, "").await
    }

    pub(crate) async fn connect_with(network: &Network, secret: &'static str) -> Self {
        let (socket, _) = connect_async(network.socket()).await.expect("the network takes editors");
        let mut editor = Self { socket, graph: String::new(), asked: 0, secret };
        let runtime = editor.ask("runtime", "getruntime", json!({})).await;
        editor.graph = runtime["payload"]["graph"].as_str().expect("it has a main graph").to_owned();
        editor
    }

    /// Asks about the main graph, and waits for the answer.
    pub(crate) async fn ask(&mut self, protocol: &str, command: &str, mut payload: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        payload["graph"] = self.graph.as_str().into();
        let request = json!({"protocol": protocol, "command": command, "payload": payload, "requestId": id,
            "secret": self.secret});
        self.socket.send(Frame::text(request.to_string())).await.expect("the request is sent");
        let answer = self.next(|message| message["responseTo"] == id).await;
        assert_ne!(answer["command"], "error", "{request}: {answer}");
        answer
    }

    /// The next message that is wanted; those before it are forgotten.
    pub(crate) async fn next(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let wanted = async {
            loop {
                let frame = self.socket.next().await.expect("the connection stays").expect("it is well");
                let Ok(text) = frame.to_text() else { continue };
                let Ok(message) = serde_json::from_str::<Value>(text) else { continue };
                if is_wanted(&message) {
                    return message;
                }
            }
        };
        timeout(PATIENCE, wanted).await.expect("the message comes")
    }
}
