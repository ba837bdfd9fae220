//! A client of a runtime that speaks the FBP runtime protocol, as far as tests need it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long a command may take. A runtime acknowledges what is wished, not what has come of it.
const DEADLINE: Duration = Duration::from_secs(10);
/// The pause between two looks whether the network has settled.
const LOOK: Duration = Duration::from_millis(100);

/// A connection to a runtime.
pub(super) struct Runtime {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    secret: String,
    asked: u64,
}

/// The ports of a component.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) inports: Vec<String>,
    pub(super) outports: Vec<String>,
}

impl Runtime {
    pub(super) async fn connect(address: &str, secret: &str) -> Result<Self, String> {
        let mut request = address.into_client_request().map_err(|error| error.to_string())?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("noflo"));
        let connecting = tokio::time::timeout(DEADLINE, connect_async(request)).await;
        let connected = connecting.map_err(|_| format!("no answer within {DEADLINE:?}"))?;
        let (socket, _) = connected.map_err(|error| error.to_string())?;
        let mut runtime = Self { socket, secret: secret.to_owned(), asked: 0 };
        let described = runtime.ask("runtime", "getruntime", json!({})).await?;
        let may = |capability: &str| {
            let capabilities = described["capabilities"].as_array();
            capabilities.is_some_and(|all| all.iter().any(|it| it == capability))
        };
        for needed in ["protocol:graph", "protocol:network", "protocol:runtime", "protocol:component"] {
            if !may(needed) {
                return Err(format!("it does not let us use {needed}: say its secret with --secret"));
            }
        }
        Ok(runtime)
    }

    /// Asks, and waits for the answer; its payload.
    async fn ask(&mut self, protocol: &str, command: &str, payload: Value) -> Result<Value, String> {
        let deadline = Instant::now() + DEADLINE;
        let id = self.send(protocol, command, payload).await?;
        loop {
            let Some(mut answer) = self.next(deadline).await? else {
                return Err(format!("{protocol}:{command} was not answered within {DEADLINE:?}"));
            };
            if !is_answer(&answer, protocol, command, &id) {
                continue;
            }
            if answer["command"] == "error" {
                let reason = answer["payload"]["message"].as_str().unwrap_or("no reason was given");
                return Err(format!("{protocol}:{command}: {reason}"));
            }
            return Ok(answer["payload"].take());
        }
    }

    async fn send(&mut self, protocol: &str, command: &str, payload: Value) -> Result<String, String> {
        self.asked += 1;
        let id = self.asked.to_string();
        let request = json!({"protocol": protocol, "command": command, "payload": payload, "requestId": id,
            "secret": self.secret});
        self.socket.send(Frame::text(request.to_string())).await.map_err(|error| error.to_string())?;
        Ok(id)
    }

    /// The next message. `None`: none came before `deadline`.
    async fn next(&mut self, deadline: Instant) -> Result<Option<Value>, String> {
        loop {
            let frame = match timeout_at(deadline, self.socket.next()).await {
                Err(_) => return Ok(None),
                Ok(None) => return Err("the runtime has closed the connection".to_owned()),
                Ok(Some(Err(error))) => return Err(error.to_string()),
                Ok(Some(Ok(frame))) => frame,
            };
            let message = frame.to_text().ok().and_then(|text| serde_json::from_str(text).ok());
            if let Some(message) = message {
                return Ok(Some(message));
            }
        }
    }

    /// The components that the runtime knows, with their ports.
    pub(super) async fn components(&mut self) -> Result<BTreeMap<String, Ports>, String> {
        let deadline = Instant::now() + DEADLINE;
        self.send("component", "list", json!({})).await?;
        let mut components = BTreeMap::new();
        while let Some(message) = self.next(deadline).await? {
            if message["protocol"] != "component" {
                continue;
            }
            let payload = &message["payload"];
            match message["command"].as_str() {
                Some("component") => {
                    let names = |ports: &Value| {
                        let ports = ports.as_array().into_iter().flatten();
                        ports.filter_map(|port| port["id"].as_str().map(str::to_owned)).collect()
                    };
                    let ports =
                        Ports { inports: names(&payload["inPorts"]), outports: names(&payload["outPorts"]) };
                    components.insert(payload["name"].as_str().unwrap_or_default().to_owned(), ports);
                }
                Some("componentsready") => return Ok(components),
                Some("error") => return Err(format!("component:list: {}", payload["message"])),
                _ => {}
            }
        }
        Err(format!("component:list was not answered within {DEADLINE:?}"))
    }

    /// Makes `graph` under the name `id`, runs it, and waits until its participants are there, `patience` at most.
    pub(super) async fn start(
        &mut self,
        id: &str,
        graph: &fbp::Graph,
        patience: Duration,
    ) -> Result<(), String> {
        self.ask("graph", "clear", json!({"id": id, "name": id, "main": false})).await?;
        for (name, process) in &graph.processes {
            let payload = json!({"id": name, "component": process.component, "metadata": {}, "graph": id});
            self.ask("graph", "addnode", payload).await?;
        }
        for connection in &graph.connections {
            let end = |end: &fbp::Endpoint| {
                let mut value = json!({"node": end.process, "port": end.port});
                if let Some(index) = end.index {
                    value["index"] = index.into();
                }
                value
            };
            let (command, src) = match connection {
                fbp::Connection::Edge(edge) => ("addedge", end(&edge.src)),
                fbp::Connection::Initial(initial) => ("addinitial", json!({"data": initial.data})),
            };
            let payload = json!({"src": src, "tgt": end(connection.tgt()), "metadata": {}, "graph": id});
            self.ask("graph", command, payload).await?;
        }
        for (command, ports) in [("addinport", &graph.inports), ("addoutport", &graph.outports)] {
            for (public, port) in ports {
                let payload = json!({"public": public, "node": port.process, "port": port.port, "graph": id});
                self.ask("graph", command, payload).await?;
            }
        }
        self.ask("network", "start", json!({"graph": id})).await?;
        let deadline = Instant::now() + patience;
        loop {
            let status = self.ask("network", "getstatus", json!({"graph": id})).await?;
            if status["running"] != true {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("the network has not come up within {patience:?}"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) async fn stop(&mut self, id: &str) -> Result<(), String> {
        self.ask("network", "stop", json!({"graph": id})).await.map(drop)
    }

    /// Sends a packet to each of these inports of the graph.
    pub(super) async fn packets(&mut self, id: &str, inputs: &BTreeMap<String, Value>) -> Result<(), String> {
        for (port, data) in inputs {
            let payload = json!({"port": port, "event": "data", "payload": data, "graph": id});
            self.send("runtime", "packet", payload).await?;
        }
        Ok(())
    }

    /// What comes out of the graph's outports, until there is something of each of the `wanted`, or something that was not
    /// wanted of `error`. `None`: not before `deadline`; with what came until then.
    pub(super) async fn results(
        &mut self,
        id: &str,
        wanted: &[&String],
        deadline: Instant,
    ) -> Result<(bool, BTreeMap<String, Value>), String> {
        let mut came = BTreeMap::new();
        while !wanted.iter().all(|port| came.contains_key(*port)) {
            let Some(mut message) = self.next(deadline).await? else { return Ok((false, came)) };
            let payload = message["payload"].take();
            let is_ours = payload["graph"] == id;
            match (message["protocol"].as_str(), message["command"].as_str()) {
                (Some("runtime"), Some("packet")) if is_ours && payload["event"] == "data" => {
                    let port = payload["port"].as_str().unwrap_or_default();
                    // A library may say `out` and a participant `OUT`: case does not count in names of ports.
                    let port = match wanted.iter().find(|wanted| wanted.eq_ignore_ascii_case(port)) {
                        Some(wanted) => (*wanted).clone(),
                        None if port.eq_ignore_ascii_case("error") => {
                            return Err(format!("the outport `{port}` sent {}", payload["payload"]));
                        }
                        None => port.to_owned(),
                    };
                    came.insert(port, payload["payload"].clone());
                }
                (Some("runtime"), Some("error")) => return Err(reason(&payload, "message")),
                (Some("network"), Some("error")) if is_ours || payload["graph"].is_null() => {
                    return Err(reason(&payload, "message"));
                }
                (Some("network"), Some("processerror")) if is_ours => {
                    return Err(format!("`{}`: {}", payload["id"], reason(&payload, "error")));
                }
                _ => {}
            }
        }
        Ok((true, came))
    }
}

fn reason(payload: &Value, key: &str) -> String {
    payload[key].as_str().unwrap_or("no reason was given").to_owned()
}

/// Whether `message` answers the request `id`. A runtime that says to what it responds is taken at its word.
fn is_answer(message: &Value, protocol: &str, command: &str, id: &str) -> bool {
    if let Some(to) = message.get("responseTo").filter(|to| !to.is_null()) {
        return to == id;
    }
    let answers = match command {
        "getruntime" => "runtime",
        "start" => "started",
        "stop" => "stopped",
        "getstatus" => "status",
        command => command,
    };
    message["protocol"] == protocol && (message["command"] == answers || message["command"] == "error")
}
