//! What we send.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::Capability;

/// A sub-protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Runtime,
    Graph,
    Component,
    Network,
    Trace,
}

impl Protocol {
    /// The protocol of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "runtime" => Self::Runtime,
            "graph" => Self::Graph,
            "component" => Self::Component,
            "network" => Self::Network,
            "trace" => Self::Trace,
            _ => return None,
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runtime => "runtime",
            Self::Graph => "graph",
            Self::Component => "component",
            Self::Network => "network",
            Self::Trace => "trace",
        })
    }
}

/// A message to clients.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Signal {
    pub(crate) protocol: Protocol,
    pub(crate) command: &'static str,
    pub(crate) payload: Value,
}

impl Signal {
    pub(crate) fn new(protocol: Protocol, command: &'static str, payload: Value) -> Self {
        Self { protocol, command, payload }
    }

    /// That something did not work.
    pub(crate) fn error(protocol: Protocol, message: impl fmt::Display) -> Self {
        Self::new(protocol, "error", json!({"message": message.to_string()}))
    }

    /// The text that is sent. `response_to` is the id of the request that it answers, if that had one.
    pub(crate) fn encode(&self, response_to: Option<&Value>) -> String {
        let mut message = json!(self);
        if let Some(id) = response_to {
            message["responseTo"] = id.clone();
        }
        message.to_string()
    }

    /// Who may see it, unless it is the answer to a request of one's own: the holders of any of these.
    pub(crate) fn audience(&self) -> &'static [Capability] {
        use Capability as C;
        match (self.protocol, self.command) {
            (Protocol::Runtime, _) => &[C::Runtime],
            (Protocol::Graph, _) => &[C::Graph, C::GraphReadonly],
            (Protocol::Component, _) => &[C::Component],
            (Protocol::Trace, _) => &[C::Trace],
            (Protocol::Network, "started" | "stopped" | "status" | "error") => {
                &[C::Network, C::NetworkStatus, C::NetworkControl]
            }
            (Protocol::Network, _) => &[C::Network, C::NetworkData],
        }
    }
}
