//! The graph itself: processes, connections between their ports, and the ports that the graph shows outwards.
//!
//! The fields are public and any value can be built; `Graph::check` says what is inconsistent in it, and
//! the methods of `edit.rs` keep it consistent. Maps keep the order in which entries were added, but two graphs that
//! differ only in that order are equal; connections are a sequence, and their order counts.

use std::fmt;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{ComponentName, NodeName, PortName};

/// Free-form facts about a part of the graph, such as the position `x`, `y` in an editor. Empty means absent.
pub type Metadata = Map<String, Value>;

/// A network as a graph. Serializes to the JSON form (fbp-graph schema).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Graph {
    /// Whether `OUT` and `out` are different ports. Node names are always case-sensitive.
    pub case_sensitive: bool,
    /// Facts about the graph as a whole; `environment.type` names the runtime that it is meant for.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub properties: Metadata,
    /// The inports of the graph itself, by public name.
    pub inports: IndexMap<PortName, ExportedPort>,
    /// The outports of the graph itself, by public name.
    pub outports: IndexMap<PortName, ExportedPort>,
    /// Nodes that an editor shows together.
    pub groups: Vec<Group>,
    /// The nodes.
    pub processes: IndexMap<NodeName, Process>,
    /// Edges and initial packets, in order.
    pub connections: Vec<Connection>,
}

/// A node: an instance of a component.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Process {
    /// What the node runs.
    pub component: ComponentName,
    /// Position and other facts.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Metadata,
}

/// A port of a node that is shown as a port of the whole graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExportedPort {
    /// The node that has the port.
    pub process: NodeName,
    /// The port of that node.
    pub port: PortName,
    /// Position and other facts.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Metadata,
}

/// Nodes that an editor shows together; no meaning at run time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Group {
    /// What the group is called.
    pub name: String,
    /// Its members.
    pub nodes: Vec<NodeName>,
    /// Description and other facts.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Metadata,
}

/// One end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Endpoint {
    /// The node.
    pub process: NodeName,
    /// Its port.
    pub port: PortName,
    /// Which element of an array port, as in `OUT[2]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}

/// What feeds a port: another port, or a fixed packet.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Connection {
    /// From a port to a port.
    Edge(Edge),
    /// A packet that is delivered when the network starts (IIP).
    Initial(Initial),
}

/// A connection from a port to a port.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Edge {
    /// Where packets come from.
    pub src: Endpoint,
    /// Where they go.
    pub tgt: Endpoint,
    /// Route, schema and other facts.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Metadata,
}

/// A packet that is delivered when the network starts (initial information packet, IIP).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Initial {
    /// The packet's content.
    pub data: Value,
    /// Where it goes.
    pub tgt: Endpoint,
    /// Route, schema and other facts.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Metadata,
}

impl Graph {
    /// The connections between ports, in order.
    pub fn edges(&self) -> impl DoubleEndedIterator<Item = &Edge> {
        self.connections.iter().filter_map(Connection::as_edge)
    }

    /// The initial packets, in order.
    pub fn initials(&self) -> impl DoubleEndedIterator<Item = &Initial> {
        self.connections.iter().filter_map(Connection::as_initial)
    }

    /// The runtime that the graph is meant for: `properties.environment.type`, from `# @runtime msgflo`.
    pub fn runtime(&self) -> Option<&str> {
        self.properties.get("environment")?.get("type")?.as_str()
    }

    /// Whether two names mean the same port, which depends on [`Graph::case_sensitive`].
    pub fn same_port(&self, a: &PortName, b: &PortName) -> bool {
        if self.case_sensitive { a == b } else { a.as_str().eq_ignore_ascii_case(b.as_str()) }
    }

    /// Whether two ends are the same, with the ports compared by [`Graph::same_port`].
    pub fn same_endpoint(&self, a: &Endpoint, b: &Endpoint) -> bool {
        a.process == b.process && a.index == b.index && self.same_port(&a.port, &b.port)
    }
}

impl Process {
    /// A node of that component, without metadata.
    pub fn new(component: impl Into<ComponentName>) -> Self {
        Self { component: component.into(), metadata: Metadata::new() }
    }
}

impl ExportedPort {
    /// Shows that port of that node, without metadata.
    pub fn new(process: impl Into<NodeName>, port: impl Into<PortName>) -> Self {
        Self { process: process.into(), port: port.into(), metadata: Metadata::new() }
    }
}

impl Endpoint {
    /// That port of that node, without an index.
    pub fn new(process: impl Into<NodeName>, port: impl Into<PortName>) -> Self {
        Self { process: process.into(), port: port.into(), index: None }
    }

    /// The same with an index into an array port.
    pub fn at(self, index: u32) -> Self {
        Self { index: Some(index), ..self }
    }
}

impl Edge {
    /// A connection without metadata.
    pub fn new(src: Endpoint, tgt: Endpoint) -> Self {
        Self { src, tgt, metadata: Metadata::new() }
    }
}

impl Initial {
    /// An initial packet without metadata.
    pub fn new(data: impl Into<Value>, tgt: Endpoint) -> Self {
        Self { data: data.into(), tgt, metadata: Metadata::new() }
    }
}

impl Connection {
    /// The edge, unless it is an initial packet.
    pub fn as_edge(&self) -> Option<&Edge> {
        match self {
            Self::Edge(edge) => Some(edge),
            Self::Initial(_) => None,
        }
    }

    /// The initial packet, unless it is an edge.
    pub fn as_initial(&self) -> Option<&Initial> {
        match self {
            Self::Edge(_) => None,
            Self::Initial(initial) => Some(initial),
        }
    }

    /// Where the packets come from; an initial packet comes from no port.
    pub fn src(&self) -> Option<&Endpoint> {
        self.as_edge().map(|edge| &edge.src)
    }

    /// Where the packets go.
    pub fn tgt(&self) -> &Endpoint {
        match self {
            Self::Edge(edge) => &edge.tgt,
            Self::Initial(initial) => &initial.tgt,
        }
    }

    /// The facts about it.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Edge(edge) => &edge.metadata,
            Self::Initial(initial) => &initial.metadata,
        }
    }

    /// Whether that node is at either end.
    pub fn touches(&self, node: &str) -> bool {
        self.tgt().process == node || self.src().is_some_and(|src| src.process == node)
    }
}

impl From<Edge> for Connection {
    fn from(edge: Edge) -> Self {
        Self::Edge(edge)
    }
}

impl From<Initial> for Connection {
    fn from(initial: Initial) -> Self {
        Self::Initial(initial)
    }
}

impl fmt::Display for PortAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.port.as_str())?;
        self.0.index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}

/// Writes the port of an end with its index, as .fbp does: `out[2]`.
pub(crate) struct PortAt<'a>(pub(crate) &'a Endpoint);

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (src, tgt) = (&self.src, &self.tgt);
        write!(f, "{} {} -> {} {}", src.process, PortAt(src), PortAt(tgt), tgt.process)
    }
}

impl fmt::Display for Initial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} {}", self.data, PortAt(&self.tgt), self.tgt.process)
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge(edge) => edge.fmt(f),
            Self::Initial(initial) => initial.fmt(f),
        }
    }
}
