//! What .fbp text says in annotations with JSON, since the language has no words for it: groups, metadata of connections and
//! exported ports, and metadata of nodes and properties that its own form cannot hold.
//!
//! `# @group {"name":"sensors","nodes":["a","b"]}` in column 0. To whoever does not know them they are comments. A fact speaks
//! of a part by its name, so that the text may be edited by hand; of several connections between the same ends it says
//! which by `nth`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Connection, Endpoint, Graph, Group, Metadata, NodeName, PortName};

/// One such annotation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    /// `# @group`
    Group(Group),
    /// `# @node`: entries of its metadata.
    Node(NodeFact),
    /// `# @edge`: its metadata.
    Edge(EdgeFact),
    /// `# @packet`: the metadata of an initial packet.
    Packet(PacketFact),
    /// `# @inport`
    Inport(ExportFact),
    /// `# @outport`
    Outport(ExportFact),
    /// `# @property`
    Property(PropertyFact),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    name: String,
    #[serde(default)]
    nodes: Vec<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeFact {
    pub(crate) node: String,
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EdgeFact {
    pub(crate) src: End,
    pub(crate) tgt: End,
    #[serde(default, skip_serializing_if = "is_first")]
    pub(crate) nth: usize,
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PacketFact {
    pub(crate) tgt: End,
    #[serde(default, skip_serializing_if = "is_first")]
    pub(crate) nth: usize,
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportFact {
    pub(crate) public: String,
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PropertyFact {
    pub(crate) key: String,
    pub(crate) value: Value,
}

/// An end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    pub(crate) node: String,
    pub(crate) port: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<u32>,
}

fn is_first(nth: &usize) -> bool {
    *nth == 0
}

impl Fact {
    /// The fact that a line is. Without one the line is an ordinary comment.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("# ")?.trim_start_matches(' ').strip_prefix('@')?;
        let (key, json) = rest.split_once(' ')?;
        Some(match key {
            "group" => {
                let RawGroup { name, nodes, metadata } = read(json)?;
                Self::Group(Group { name, nodes: nodes.into_iter().map(NodeName::from).collect(), metadata })
            }
            "node" => Self::Node(read(json)?),
            "edge" => Self::Edge(read(json)?),
            "packet" => Self::Packet(read(json)?),
            "inport" => Self::Inport(read(json)?),
            "outport" => Self::Outport(read(json)?),
            "property" => Self::Property(read(json)?),
            _ => return None,
        })
    }

    /// The line, if it can be read again: JSON may be nested too deeply for that.
    pub(crate) fn print(&self) -> Option<String> {
        let (key, json) = match self {
            Self::Group(group) => ("group", serde_json::to_string(group)),
            Self::Node(fact) => ("node", serde_json::to_string(fact)),
            Self::Edge(fact) => ("edge", serde_json::to_string(fact)),
            Self::Packet(fact) => ("packet", serde_json::to_string(fact)),
            Self::Inport(fact) => ("inport", serde_json::to_string(fact)),
            Self::Outport(fact) => ("outport", serde_json::to_string(fact)),
            Self::Property(fact) => ("property", serde_json::to_string(fact)),
        };
        // JSON escapes the other ends of a line by itself.
        let json = json.ok()?.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
        let line = format!("# @{key} {json}");
        (Self::parse(&line).as_ref() == Some(self)).then_some(line)
    }

    /// Adds it to the graph. Whether there is what it speaks of.
    pub(crate) fn apply(self, graph: &mut Graph) -> bool {
        match self {
            Self::Group(group) => graph.groups.push(group),
            Self::Property(PropertyFact { key, value }) => drop(graph.properties.insert(key, value)),
            Self::Node(NodeFact { node, metadata }) => {
                let Some(process) = graph.processes.get_mut(node.as_str()) else { return false };
                process.metadata.extend(metadata);
            }
            Self::Edge(EdgeFact { src, tgt, nth, metadata }) => {
                let (src, tgt) = (src.endpoint(graph), tgt.endpoint(graph));
                let is_it =
                    |connection: &Connection| *connection.tgt() == tgt && connection.src() == Some(&src);
                return set(&mut graph.connections, is_it, nth, metadata);
            }
            Self::Packet(PacketFact { tgt, nth, metadata }) => {
                let tgt = tgt.endpoint(graph);
                let is_it = |connection: &Connection| *connection.tgt() == tgt && connection.src().is_none();
                return set(&mut graph.connections, is_it, nth, metadata);
            }
            Self::Inport(ExportFact { public, metadata }) => {
                let public = port_name(graph, &public);
                let Some(port) = graph.inports.get_mut(&public) else { return false };
                port.metadata = metadata;
            }
            Self::Outport(ExportFact { public, metadata }) => {
                let public = port_name(graph, &public);
                let Some(port) = graph.outports.get_mut(&public) else { return false };
                port.metadata = metadata;
            }
        }
        true
    }
}

fn read<'j, T: Deserialize<'j>>(json: &'j str) -> Option<T> {
    serde_json::from_str(json).ok()
}

fn set(
    connections: &mut [Connection],
    is_it: impl Fn(&Connection) -> bool,
    nth: usize,
    metadata: Metadata,
) -> bool {
    match connections.iter_mut().filter(|connection| is_it(connection)).nth(nth) {
        Some(Connection::Edge(edge)) => edge.metadata = metadata,
        Some(Connection::Initial(initial)) => initial.metadata = metadata,
        None => return false,
    }
    true
}

fn port_name(graph: &Graph, name: &str) -> PortName {
    if graph.case_sensitive { name.into() } else { name.to_ascii_lowercase().into() }
}

impl End {
    fn endpoint(&self, graph: &Graph) -> Endpoint {
        Endpoint { process: self.node.as_str().into(), port: port_name(graph, &self.port), index: self.index }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_fact_is_a_comment() {
        for line in [
            "# @group sensors",
            "# @group {}",
            "# @group {\"name\": \"a\", \"colour\": 1}",
            "# @door {\"node\": \"a\"}",
            "#@node {\"node\": \"a\", \"metadata\": {}}",
            "# @node {\"node\": \"a\", \"metadata\": {}",
        ] {
            assert_eq!(Fact::parse(line), None, "{line}");
        }
        assert!(Fact::parse("#  @node { \"node\": \"a\", \"metadata\": {\"x\": -1} } ").is_some());
    }
}
