//! What a client sends.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Capability, Edit, End, Protocol, Signal};

/// The longest message that is read, in bytes.
pub(crate) const MAX_MESSAGE: usize = 4 << 20;

/// A request that could be understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) protocol: Protocol,
    pub(crate) command: Command,
    pub(crate) secret: Option<String>,
    /// What the answers are to carry.
    pub(crate) id: Option<Value>,
}

/// A request that could not be understood or granted, and what is answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) signal: Signal,
    pub(crate) id: Option<Value>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    GetRuntime,
    Packet { graph: String, packet: Packet },
    ListComponents,
    GetSource { name: String },
    SetSource(Source),
    Clear(Cleared),
    Edit { graph: String, edit: Edit },
    Start { graph: String },
    Stop { graph: String },
    GetStatus { graph: String },
    Persist,
    Debug { graph: String, enable: bool },
    Edges { graph: String, edges: Vec<WatchedEdge> },
    TraceStart { graph: String, buffer_size: Option<usize> },
    TraceStop { graph: String },
    TraceDump { graph: String },
    TraceClear { graph: String },
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Packet {
    pub(crate) port: String,
    pub(crate) event: String,
    #[serde(default)]
    pub(crate) payload: Value,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) language: String,
    #[serde(default)]
    pub(crate) library: Option<String>,
    pub(crate) code: String,
}

/// A new graph, or an old one made empty. The answer repeats what was said.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Cleared {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) library: Option<String>,
    pub(crate) main: Option<bool>,
    pub(crate) icon: Option<String>,
    pub(crate) description: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct WatchedEdge {
    pub(crate) src: End,
    pub(crate) tgt: End,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    protocol: String,
    command: String,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    secret: Value,
    request_id: Option<Value>,
}

#[derive(Deserialize)]
struct Enable {
    enable: bool,
}

#[derive(Deserialize)]
struct Edges {
    edges: Vec<WatchedEdge>,
}

#[derive(Deserialize)]
struct BufferSize {
    buffersize: Option<usize>,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

impl Request {
    /// Reads a message.
    pub(crate) fn decode(text: &str) -> Result<Self, Fault> {
        if text.len() > MAX_MESSAGE {
            let message = format!("a message may have {MAX_MESSAGE} bytes at most");
            return Err(Fault { signal: Signal::error(Protocol::Runtime, message), id: None });
        }
        let envelope: Envelope = serde_json::from_str(text).map_err(|error| Fault {
            signal: Signal::error(Protocol::Runtime, format!("this is no message of the protocol: {error}")),
            id: None,
        })?;
        let id = envelope.request_id;
        let Some(protocol) = Protocol::named(&envelope.protocol) else {
            let message = format!("there is no protocol `{}`", shortened(&envelope.protocol));
            return Err(Fault { signal: Signal::error(Protocol::Runtime, message), id });
        };
        let mut payload = match envelope.payload {
            Value::Object(payload) => payload,
            _ => Map::new(),
        };
        let of_payload = payload.remove("secret");
        let text = |value: Value| value.as_str().map(str::to_owned);
        let secret = text(envelope.secret).or_else(|| of_payload.and_then(text));
        match Command::decode(protocol, &envelope.command, payload) {
            Ok(command) => Ok(Self { protocol, command, secret, id }),
            Err(message) => Err(Fault { signal: Signal::error(protocol, message), id }),
        }
    }
}

impl Command {
    fn decode(protocol: Protocol, name: &str, mut payload: Map<String, Value>) -> Result<Self, String> {
        let unknown = || format!("there is no command `{protocol}:{}`", shortened(name));
        // Which graph is meant is said in the payload; its absence has an answer of its own.
        let graph = payload.remove("graph").and_then(|graph| graph.as_str().map(str::to_owned));
        let graph = || graph.clone().ok_or_else(|| "No graph specified".to_owned());
        let payload = Value::Object(payload);
        let bad = |error: serde_json::Error| format!("{protocol}:{name}: {error}");
        Ok(match (protocol, name) {
            (Protocol::Runtime, "getruntime") => Self::GetRuntime,
            (Protocol::Runtime, "packet") => {
                Self::Packet { graph: graph()?, packet: serde_json::from_value(payload).map_err(bad)? }
            }
            (Protocol::Component, "list") => Self::ListComponents,
            (Protocol::Component, "getsource") => {
                let Name { name } = serde_json::from_value(payload).map_err(bad)?;
                Self::GetSource { name }
            }
            (Protocol::Component, "source") => Self::SetSource(serde_json::from_value(payload).map_err(bad)?),
            (Protocol::Graph, "clear") => Self::Clear(serde_json::from_value(payload).map_err(bad)?),
            (Protocol::Graph, _) => {
                let graph = graph();
                let edit = Edit::decode(name, payload).ok_or_else(unknown)?;
                Self::Edit { graph: graph?, edit: edit.map_err(bad)? }
            }
            (Protocol::Network, "persist") => Self::Persist,
            (Protocol::Network, "start") => Self::Start { graph: graph()? },
            (Protocol::Network, "stop") => Self::Stop { graph: graph()? },
            (Protocol::Network, "getstatus") => Self::GetStatus { graph: graph()? },
            (Protocol::Network, "debug") => {
                let Enable { enable } = serde_json::from_value(payload).map_err(bad)?;
                Self::Debug { graph: graph()?, enable }
            }
            (Protocol::Network, "edges") => {
                let Edges { edges } = serde_json::from_value(payload).map_err(bad)?;
                Self::Edges { graph: graph()?, edges }
            }
            (Protocol::Trace, "start") => {
                let BufferSize { buffersize } = serde_json::from_value(payload).map_err(bad)?;
                Self::TraceStart { graph: graph()?, buffer_size: buffersize }
            }
            (Protocol::Trace, "stop") => Self::TraceStop { graph: graph()? },
            (Protocol::Trace, "dump") => Self::TraceDump { graph: graph()? },
            (Protocol::Trace, "clear") => Self::TraceClear { graph: graph()? },
            _ => return Err(unknown()),
        })
    }

    /// Who may ask for it: the holders of any of these. `None`: everybody.
    pub(crate) fn needs(&self) -> Option<&'static [Capability]> {
        use Capability as C;
        Some(match self {
            Self::GetRuntime => return None,
            Self::Packet { .. } => &[C::Runtime],
            Self::ListComponents => &[C::Component],
            Self::GetSource { .. } => &[C::GetSource],
            Self::SetSource(_) => &[C::SetSource],
            Self::Clear(_) | Self::Edit { .. } => &[C::Graph],
            Self::Start { .. } | Self::Stop { .. } | Self::Debug { .. } => &[C::NetworkControl],
            Self::GetStatus { .. } => &[C::NetworkStatus, C::NetworkControl],
            Self::Edges { .. } => &[C::NetworkData],
            Self::Persist => &[C::NetworkPersist],
            Self::TraceStart { .. }
            | Self::TraceStop { .. }
            | Self::TraceDump { .. }
            | Self::TraceClear { .. } => &[C::Trace],
        })
    }
}

/// The beginning of a text that a stranger has written, to be repeated to him.
fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fault(message: &str) -> String {
        let fault = Request::decode(message).unwrap_err();
        format!("{}: {}", fault.signal.protocol, fault.signal.payload["message"].as_str().unwrap())
    }

    #[test]
    fn the_secret_is_taken_from_either_place() {
        for message in [
            json!({"protocol": "runtime", "command": "getruntime", "payload": {"secret": "s"}}),
            json!({"protocol": "runtime", "command": "getruntime", "payload": {}, "secret": "s", "requestId": "1"}),
            json!({"protocol": "runtime", "command": "getruntime", "secret": "s"}),
        ] {
            let request = Request::decode(&message.to_string()).unwrap();
            assert_eq!((request.command, request.secret.as_deref()), (Command::GetRuntime, Some("s")));
            assert_eq!(request.id, message.get("requestId").cloned());
        }
    }

    #[test]
    fn what_is_wrong_is_said_under_the_right_protocol() {
        for (message, said) in [
            ("", "runtime: this is no message"),
            ("[]", "runtime: this is no message"),
            ("{\"protocol\": 3}", "runtime: this is no message"),
            (r#"{"protocol": "x", "command": "y"}"#, "runtime: there is no protocol `x`"),
            (
                r#"{"protocol": "graph", "command": "fly", "payload": {}}"#,
                "graph: there is no command `graph:fly`",
            ),
            (
                r#"{"protocol": "graph", "command": "addnode", "payload": {"id": "a"}}"#,
                "graph: No graph specified",
            ),
            (
                r#"{"protocol": "graph", "command": "addnode", "payload": {"id": 3, "graph": "g"}}"#,
                "graph: graph:addnode: invalid type",
            ),
            (r#"{"protocol": "network", "command": "start"}"#, "network: No graph specified"),
        ] {
            let told = fault(message);
            assert!(told.starts_with(said), "{message}: {told}");
        }
        assert!(fault(&" ".repeat(MAX_MESSAGE + 1)).contains("bytes at most"));
    }

    #[test]
    fn positions_are_whole_numbers_and_our_own_metadata_are_dropped() {
        let metadata = json!({"x": 3.6, "y": -2, "z": 1.5, "msgflo": {"state": "up"}});
        let payload = json!({"id": "a", "component": "A", "graph": "g", "metadata": metadata});
        let message = json!({"protocol": "graph", "command": "addnode", "payload": payload});
        let Command::Edit { edit: Edit::AddNode(added), .. } =
            Request::decode(&message.to_string()).unwrap().command
        else {
            panic!("a node is added")
        };
        assert_eq!(Value::from(added.metadata), json!({"x": 4, "y": -2, "z": 1.5}));
    }

    proptest! {
        #[test]
        fn decoding_never_panics(text in "\\PC{0,200}") {
            let _ = Request::decode(&text);
        }

        #[test]
        fn nor_does_it_on_what_is_almost_right(
            protocol in prop::sample::select(vec!["graph", "network", "runtime", "component", "trace"]),
            command in prop::sample::select(vec!["addnode", "addedge", "packet", "source", "clear", "edges", "start", "changegroup"]),
            key in prop::sample::select(vec!["id", "src", "tgt", "metadata", "graph", "nodes", "edges", "event"]),
            value in prop::sample::select(vec![json!(null), json!(3), json!("x"), json!([1]), json!({"node": "a", "port": 3})]),
        ) {
            let payload = json!({key: value, "graph": "g"});
            let _ = Request::decode(&json!({"protocol": protocol, "command": command, "payload": payload}).to_string());
        }
    }
}
